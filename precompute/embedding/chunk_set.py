"""The images of HDF5 chunks in the layout of ssl-legacysurvey, each a galaxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from atlas.errors import shorten

from ..errors import SourceError
from ..sources.asinh_rgb import asinh_rgb
from ..sources.chunk_files import ChunkFile, find_chunk_files
from ..sources.layouts.hdf5_images import StoredImages
from ..sources.layouts.legacy_survey import ENDING, STEM, Hdf5Catalog
from ..sources.pictures import PicturePixels, note_blank, reddest_first


class ChunkSet:
    """Images in the order of their rows; see `precompute.embedding.picture_set.Pictures`.

    Parameters
    ----------
    folder : Path
    chunks : sequence of ChunkFile
        In the order of their rows.

    Raises
    ------
    SourceError
        If the files do not make one survey with images; says all that is wrong with them.
    """

    keeps_every_row = True

    def __init__(self, folder: Path, chunks: Sequence[ChunkFile]) -> None:
        catalog = Hdf5Catalog(chunks)
        if catalog.problems:
            raise SourceError(f"{folder}: {'; '.join(catalog.problems)}")
        if not catalog.has_images:
            raise SourceError(f"the files {chunks[0].path.name} … in {folder} hold no dataset `images`")
        self.folder = folder
        self.chunks = tuple(chunks)
        self._images = StoredImages(chunks)

    def __len__(self) -> int:
        return self.chunks[-1].stop - self.chunks[0].start

    def files(self) -> list[Path]:
        """The chunks: another size or time of one is a reason to begin anew."""
        return [chunk.path for chunk in self.chunks]

    def name(self, row: int) -> str:
        """The row, as other tools count it."""
        return f"row {row}"

    def read(self, row: int, *, as_seen: bool) -> PicturePixels:
        """One image, as `Pictures.read` tells."""
        planes = self._images.planes(row)
        if planes is None:
            raise SourceError(f"row {row:,} has no image")
        picture = note_blank(PicturePixels(reddest_first(planes.astype(np.float32, copy=False))))
        if not as_seen:
            return picture
        return replace(picture, bands=asinh_rgb(planes)[::-1].astype(np.float32))


def find_chunk_set(folder: Path) -> ChunkSet | None:
    """The chunks of a folder and up to three below it; None where there are none.

    Raises
    ------
    SourceError
        If there are several sets of them, or they cannot be used.
    """
    sets = find_chunk_files(folder, ENDING, STEM)
    if len(sets) > 1:
        names = ", ".join(stem.relative_to(folder).as_posix() for stem in sets)
        raise SourceError(f"{folder} holds {len(sets)} surveys ({shorten(names, 200)}); name the folder of one")
    return ChunkSet(folder, *sets.values()) if sets else None
