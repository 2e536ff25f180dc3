"""The layout of the first Galaxy Finder (github.com/georgestein/galaxy_search): one `.npy` a column, brightest first.

    ra.npy dec.npy                              degrees
    mag.npy                                     (N, 3) in g, r, z
    photometric_redshift.npy source_type.npy    a number a galaxy; 0 to 3 stand for DEV, EXP, REX and SER
    representations_000000000_001000000.npy …   embeddings, in chunks of any length, or `representations.npy`
    images/ source.json                         optional

Any other `.npy` in the folder is a column, too.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import ColumnDescription, SourceDescription
from ..chunk_files import find_chunk_files
from ..embeddings import Embeddings
from ..find_embeddings import ARRAY_NAMES, CHUNK_STEM, open_arrays
from ..merge_description import fill
from ..tables.file_column import FileColumn, FileColumnKind
from .base import Parts, folder_images
from .legacy_columns import BANDS, SURVEY, band_columns, column_description, type_words

ENDING = ".npy"
POSITIONS = ("ra.npy", "dec.npy")
COLUMNS = {
    "mag": ColumnDescription("mag", "phot.mag", "Magnitude (AB) as in the file; extinction correction not stated", -99),
    "photometric_redshift": ColumnDescription("", "src.redshift.phot", "Photometric redshift", -99),
}


class ColumnFiles:
    """Arrays of one row a galaxy, memory-mapped, as columns.

    Attributes
    ----------
    problems : tuple of str
        Files that cannot be read, and different numbers of rows.
    """

    def __init__(self, paths: list[Path]) -> None:
        problems, lengths = [], {}
        self._arrays: dict[str, tuple[NDArray[Any], int | None]] = {}
        columns: list[FileColumn] = []
        for path in paths:
            try:
                array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
            except (OSError, ValueError, EOFError) as e:
                problems.append(f"{path} is truncated or not an .npy array of numbers or text: {shorten(e, 160)}")
                continue
            lengths[path.name] = array.shape[0] if array.ndim else 1
            for band, column in enumerate(_columns_of(path.stem, array)):
                self._arrays[column.name] = (array, band if column.name != path.stem else None)
                columns.append(column)
        # The commonest length is right, so that one short file is named and not all the others.
        self.n_rows = Counter(lengths.values()).most_common(1)[0][0] if lengths else 0
        problems += [
            f"{name} has {length:,} rows, the other columns {self.n_rows:,}"
            for name, length in lengths.items()
            if length != self.n_rows
        ]
        self.columns = tuple(columns)
        self.notes: tuple[str, ...] = ()
        self.problems = tuple(problems)

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`."""
        array, band = self._arrays[name]
        values = np.array(array if band is None else array[:, band])
        native: NDArray[Any] = values.astype(values.dtype.newbyteorder("="), copy=False)
        return type_words(native) if name == "source_type" and native.dtype.kind in "iuf" else native


class ColumnFolder:
    """Takes folders with `ra.npy` and `dec.npy`."""

    def matches(self, path: Path) -> bool:
        """See `Layout.matches`."""
        return path.is_dir() and all((path / name).is_file() for name in POSITIONS)

    def open(self, path: Path, told: SourceDescription, embeddings: str, images: Path | None) -> Parts:
        """See `Layout.open`."""
        problems: list[str] = []
        opened: Embeddings | None = None
        try:
            opened = open_arrays(path, embeddings)
        except SourceError as e:
            problems.append(str(e))
        numbered = find_chunk_files(path, ENDING, CHUNK_STEM, depth=0).values()
        others = {file.path for files in numbered for file in files} | set(() if opened is None else opened.files)
        paths = [p for p in sorted(path.glob(f"*{ENDING}")) if p not in others and p.name not in ARRAY_NAMES]
        catalog = ColumnFiles(paths)
        pictures, image_column = folder_images(path, images, catalog, told)
        return Parts(
            path=path,
            catalog=catalog,
            embeddings=opened,
            images=pictures,
            description=fill(told, SURVEY),
            image_column=image_column,
            files=(*paths, *(() if pictures is None else (pictures.folder,))),
            problems=[*catalog.problems, *problems],
        )


def _columns_of(name: str, array: NDArray[Any]) -> list[FileColumn]:
    about = COLUMNS.get(name) or column_description(name, array.dtype.str)
    type_name = array.dtype.name
    if name in COLUMNS and array.shape[1:] == (len(BANDS),):
        return band_columns(name, about, type_name)
    kind: FileColumnKind = "other"
    if array.ndim == 1 and (array.dtype.kind in "SU" or name == "source_type"):
        kind = "text"
    elif array.ndim in (1, 2) and array.dtype.kind in "biuf":
        kind = "number" if array.ndim == 1 else "vector"
    return [FileColumn(name, kind, type_name, array.shape[1] if array.ndim == 2 else 1, about)]


LAYOUT = ColumnFolder()
