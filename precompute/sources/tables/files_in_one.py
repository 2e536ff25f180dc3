"""A table that lies in many files, as Spark, dask and surveys leave them: rows go on from one file to the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError
from .file_column import CatalogFile, FileColumn

EXACT_IN_FLOAT64 = 2**53


class FilesInOne:
    """Catalogues of the same columns, one after the other; see `CatalogFile`.

    Parameters
    ----------
    paths : sequence of Path
        For messages.
    files : sequence of CatalogFile
        At least one. A column that one of them lacks, or has of another kind, is left out with a note.
    """

    def __init__(self, paths: Sequence[Path], files: Sequence[CatalogFile]) -> None:
        self.n_rows = sum(file.n_rows for file in files)
        self._paths, self._files = paths, files
        columns, notes = [], [told_of_files(paths)]
        described = [{column.name: column for column in file.columns} for file in files]
        for column in files[0].columns:
            odd = next((i for i, of in enumerate(described) if not _is_alike(of.get(column.name), column)), None)
            if odd is None:
                columns.append(column)
            else:
                what = "is another" if column.name in described[odd] else "is missing"
                notes.append(f"column {column.name!r} {what} in {paths[odd].name} and left out")
        further = sorted({name for of in described for name in of} - {column.name for column in files[0].columns})
        if further:
            notes.append(f"columns that {paths[0].name} does not have are left out: {', '.join(further)}")
        self.columns: tuple[FileColumn, ...] = tuple(columns)
        self.notes = (*dict.fromkeys([*notes, *(note for file in files for note in file.notes)]),)

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`.

        Raises
        ------
        SourceError
            If integers of one file would lose digits among the numbers of another.
        """
        parts = [file.read(name) for file in self._files]
        if any(part.dtype.kind in "OSU" for part in parts):
            parts = [_as_objects(part) for part in parts]
        whole = np.result_type(*(part.dtype for part in parts))
        if whole.kind == "f":
            for path, part in zip(self._paths, parts, strict=True):
                if part.dtype.kind in "iu" and part.size and _largest(part) > EXACT_IN_FLOAT64:
                    raise SourceError(
                        f"{path}: integers of column {name!r} are too large for the type it has elsewhere"
                    )
        if any(np.ma.isMaskedArray(part) for part in parts):
            joined: NDArray[Any] = np.ma.concatenate(parts)  # type: ignore[no-untyped-call]
            return joined
        return np.concatenate(parts)


def told_of_files(paths: Sequence[Path]) -> str:
    """Note of the files that are one catalogue."""
    return f"{len(paths):,} files are read as one, {paths[0].name} … {paths[-1].name}"


def _is_alike(found: FileColumn | None, first: FileColumn) -> bool:
    return found is not None and (found.kind, found.width) == (first.kind, first.width)


def _largest(values: NDArray[Any]) -> int:
    plain = np.ma.getdata(values)
    return max(abs(int(plain.min())), abs(int(plain.max())))


def _as_objects(values: NDArray[Any]) -> NDArray[Any]:
    """Text as objects, None where missing, however a file's reader gives it."""
    plain = np.ma.getdata(values)
    if plain.dtype.kind == "S":
        plain = np.char.decode(plain, "utf-8", "replace")
    found = plain.astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found
