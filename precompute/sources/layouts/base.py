"""Parts that a layout makes of files: a catalogue, embeddings and images, each with one face for all layouts.

    table            a catalogue file beside `embeddings.npy`, images in a folder      (`.table`)
    HATS             Parquet partitions of the sky                                      (`.hats`)
    Legacy Surveys   HDF5 chunks with images, representations in chunks                 (`.legacy_survey`)
    column files     one `.npy` a column, representations in chunks                     (`.column_files`)

`precompute.sources.source` knows nothing of files: it reads these parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...source_description import IMAGES, SourceDescription
from ..column_guesses import guess_id_columns, guess_image_column
from ..embeddings import Embeddings
from ..images import FolderImages, Images
from ..tables.file_column import CatalogFile


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts:
    """An opened source, in parts; nothing but headers has been read.

    Attributes
    ----------
    path : Path
        What messages name: the catalogue file, or the folder of a source in many files.
    catalog : CatalogFile
    embeddings : Embeddings or None
        None where they cannot be read; `problems` says why.
    images : Images or None
    description : SourceDescription
        What was told, and by the layout's habits what was not.
    embedding_columns : tuple of str
        Columns that hold embeddings.
    image_column : str
        The column that names images; empty where none does.
    files : tuple of Path
        Files of the catalogue, and the folder of images.
    problems, notes : list of str
        What forbids a build, and what was assumed.
    """

    path: Path
    catalog: CatalogFile
    embeddings: Embeddings | None
    images: Images | None
    description: SourceDescription
    embedding_columns: tuple[str, ...] = ()
    image_column: str = ""
    files: tuple[Path, ...]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Layout(Protocol):
    """One way to lay out the files of a source."""

    def matches(self, path: Path) -> bool:
        """Whether a file or folder is of this layout, by the names in it."""

    def open(self, path: Path, told: SourceDescription, embeddings: str, images: Path | None) -> Parts:
        """Open the parts.

        Parameters
        ----------
        path : Path
            For which `matches` holds.
        told : SourceDescription
            What `source.json` and the caller say.
        embeddings : str
            Where the caller says that the embeddings are; empty where he leaves it open.
        images : Path or None
            A folder that exists, of one image a row; instead of the layout's own images.

        Raises
        ------
        SourceError
            If there is no catalogue to speak of; lesser faults are `Parts.problems`.
        """


def folder_images(
    folder: Path, wanted: Path | None, catalog: CatalogFile, told: SourceDescription
) -> tuple[FolderImages | None, str]:
    """Images of one file a row, in the folder that is wanted or in `images/` of the source, where there is one.

    Returns
    -------
    images : FolderImages or None
    column : str
        That names them; empty where the row does.
    """
    found = wanted or (folder / IMAGES if (folder / IMAGES).is_dir() else None)
    column = told.image_column or (guess_image_column(catalog.columns) if found is not None else "")
    if found is None:
        return None, column
    return FolderImages(found, lambda: catalog.read(column) if column else None, lambda: _ids(catalog, told)), column


def _ids(catalog: CatalogFile, told: SourceDescription) -> Iterator[NDArray[Any]]:
    """The galaxies' ids as text, by each set of columns that may name them; of several columns joined by _ and -."""
    names = [column.name for column in catalog.columns if column.kind in ("number", "text")]
    for columns in (told.id_columns,) if told.id_columns else guess_id_columns(names):
        parts = [_as_text(catalog.read(name)) for name in columns]
        for between in ("_", "-") if len(parts) > 1 else ("",):
            yield np.array([between.join(row) for row in zip(*parts, strict=True)], dtype=object)


def _as_text(values: NDArray[Any]) -> list[str]:
    plain = (
        np.ma.filled(values, "")
        if values.dtype.kind in "OSU" and np.ma.isMaskedArray(values)
        else np.ma.getdata(values)
    )
    return [v.decode("utf-8", "replace").strip() if isinstance(v, bytes) else str(v).strip() for v in plain.tolist()]
