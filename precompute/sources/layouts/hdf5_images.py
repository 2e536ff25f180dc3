"""Images of HDF5 chunks in the layout of ssl-legacysurvey: stored in them, or drawn from what a simulation left there.

A simulated survey of more galaxies than can be drawn beforehand (`precompute.simulation.image_survey`) has files
without images. They say the seed that everything was drawn from and the edge of an image, and each row has its number,
`inds`, in the simulation: that is all that drawing takes, 2 ms an image.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ..asinh_rgb import asinh_rgb
from ..chunk_files import ChunkFile

IMAGES = "images"
SEED, PIXELS, NUMBER, FLUX = "seed", "pixels", "inds", "flux"

# HDF5 unpacks a block of images at a time; with less room than a block it would unpack it again for every row.
BLOCK_CACHE_BYTES = 64 << 20


class StoredImages:
    """Images in nanomaggies, made pictures when a row is asked for; the file of the last row stays open.

    Rows are counted from the first of the files. Safe to share between threads: one reads at a time, all make pictures.
    """

    on_demand = False

    def __init__(self, files: Sequence[ChunkFile]) -> None:
        self._files = files
        self._starts = [file.start - files[0].start for file in files]
        self._open: tuple[int, h5py.File] | None = None
        self._lock = threading.Lock()

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """See `Images.read`."""
        grz = self.planes(row)
        # Rows of a FITS image run from south to north, those of a picture from the top down.
        return None if grz is None else asinh_rgb(grz)[::-1]

    def planes(self, row: int) -> NDArray[np.floating[Any]] | None:
        """Image of a row in g, r, z nanomaggies, (3, height, width), from south to north; None where it has none.

        Raises
        ------
        SourceError
            If the file is damaged there.
        """
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        file = self._files[number]
        try:
            with self._lock:
                found = self._read(self._chunk(number), row - self._starts[number])
        except (OSError, KeyError) as e:
            raise SourceError(
                f"{file.path} is damaged at image {row - self._starts[number]:,}: {shorten(e, 160)}"
            ) from e
        return self._planes(found, file, row)

    def _read(self, chunk: h5py.File, at: int) -> Any:
        """Read what the file has of a row; called by one thread at a time."""
        images = chunk.get(IMAGES)
        return None if images is None else images[at]

    def _planes(self, found: Any, file: ChunkFile, row: int) -> NDArray[np.floating[Any]] | None:
        """The image in g, r, z nanomaggies, shape (3, height, width), of what `_read` found."""
        stored: NDArray[np.floating[Any]] | None = found
        return stored

    def _chunk(self, number: int) -> h5py.File:
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                self._open[1].close()
                self._open = None
            self._open = number, h5py.File(self._files[number].path, "r", rdcc_nbytes=BLOCK_CACHE_BYTES)
        return self._open[1]


class DrawnImages(StoredImages):
    """Images of a simulated survey, drawn when a row is asked for: what `simulate` would have stored, to the bit."""

    on_demand = True

    def _read(self, chunk: h5py.File, at: int) -> Any:
        return int(chunk.attrs[SEED]), int(chunk.attrs[PIXELS]), int(chunk[NUMBER][at]), chunk[FLUX][at]

    def _planes(self, found: Any, file: ChunkFile, row: int) -> NDArray[np.floating[Any]] | None:
        # Imported here: numba takes seconds to load, and no other source needs it.
        from ...simulation.rendering.camera import render
        from ...simulation.rendering.parameters import draw_parameters, fluxes

        seed, pixels, number, flux = found
        parameters = draw_parameters(seed, np.array([number]))
        if not np.array_equal(fluxes(parameters)[0], flux):
            raise SourceError(
                f"{file.path} was written by another version of the simulation: the image of row {row:,} cannot be "
                "drawn again; simulate the survey anew"
            )
        drawn: NDArray[np.float32] = render(seed, parameters, pixels)[0]
        return drawn


def says_how_to_draw(files: Sequence[ChunkFile]) -> bool:
    """Whether all files are of a simulation whose images can be drawn from what they say."""
    try:
        return all(_says_how_to_draw(file) for file in files)
    except OSError:
        return False  # told of already, by who read its columns


def _says_how_to_draw(file: ChunkFile) -> bool:
    with h5py.File(file.path, "r") as f:
        return all(name in f.attrs for name in (SEED, PIXELS)) and all(name in f for name in (NUMBER, FLUX))
