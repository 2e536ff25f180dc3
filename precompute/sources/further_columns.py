"""Columns of a catalogue whose rows are galaxies of an atlas, in another order or for fewer of them.

further = open_further(path, old.id_columns, …)     # headers only
rows = further.rows_of(identity, columns)           # by id: the catalogue's row of each galaxy
values = further.read("z_spec", rows)               # as a file of all galaxies would have them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.catalog.identity import Identity
from atlas.errors import UnknownColumnError, shorten
from atlas.storage.layout import DEC, RA, SOURCE_ROW
from atlas.storage.manifest import Column

from ..errors import SourceError
from ..source_description import ColumnDescription, read_description
from .catalog_files import BROKEN, open_catalogs
from .checks import counted
from .column_guesses import find_catalog, guess_positions
from .column_types import StoredColumn, normalize_column, plan_columns
from .flux_columns import WithMagnitudes
from .layouts import hats
from .merge_description import merge
from .tables.file_column import CatalogFile, FileColumn


@dataclass(frozen=True, eq=False)
class RowsOfGalaxies:
    """Rows of a catalogue that are galaxies of an atlas.

    Attributes
    ----------
    of_galaxy : ndarray of shape (n,), int64
        Row of the catalogue, −1 for galaxies that it does not have.
    unknown : ndarray of shape (k,), int64
        Rows of the catalogue that are no galaxy of the atlas.
    """

    of_galaxy: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @property
    def lacking(self) -> NDArray[np.int64]:
        """Galaxies that the catalogue does not have."""
        return np.flatnonzero(self.of_galaxy < 0)


class FurtherColumns:
    """An opened catalogue of columns; made by `open_further`.

    Attributes
    ----------
    path : Path
    n_rows : int
    id_names : tuple of str
        Columns of the file that name a galaxy, in the order of the atlas's; empty where its rows do.
    columns : tuple of StoredColumn
        The chosen ones, by their names in the atlas.
    notes : list of str
        What was assumed or left out.
    """

    def __init__(
        self,
        path: Path,
        catalog: CatalogFile,
        id_names: tuple[str, ...],
        columns: Sequence[StoredColumn],
        described: dict[str, ColumnDescription],
        notes: list[str],
    ) -> None:
        self.path = path
        self.n_rows = catalog.n_rows
        self.id_names = id_names
        self.columns = tuple(columns)
        self.notes = notes
        self._catalog = catalog
        self._described = described

    def describe(self, column: StoredColumn) -> ColumnDescription:
        """Description of a column by the file and `source.json` beside it."""
        return self._described[column.file_name]

    def rows_of(self, identity: Identity, of_atlas: Columns, n_galaxies: int) -> RowsOfGalaxies:
        """Find the galaxies of an atlas by their ids.

        Raises
        ------
        SourceError
            If no id is on both sides, or one is repeated.
        """
        if not self.id_names:
            return self._rows_by_number(of_atlas, n_galaxies)
        described = [of_atlas.describe(name) for name in identity.id_columns]
        ids, readable = [], np.ones(self.n_rows, dtype=np.bool_)
        for column, name in zip(described, self.id_names, strict=True):
            values, known = ids_as_stored(self._read(name), column)
            ids.append(values)
            readable &= known
        found = np.where(readable, identity.find(ids), -1)
        galaxies, first, times = np.unique(found[found >= 0], return_index=True, return_counts=True)
        names = ", ".join(self.id_names)
        if not galaxies.size:
            ours, theirs = identity.names(list(range(min(3, n_galaxies)))), self._ids(range(min(3, self.n_rows)))
            raise SourceError(
                f"{self.path} has no galaxy of the atlas: {names} is {', '.join(theirs)}, there it is {', '.join(ours)}"
            )
        if (times > 1).any():
            again = int(np.flatnonzero(found == galaxies[np.argmax(times > 1)])[1])
            raise SourceError(
                f"{self.path}: {names} names {counted(int((times > 1).sum()), 'galaxy', 'galaxies')} more than once, "
                f"first {self._ids([again])[0]} in row {again}: one row a galaxy is needed"
            )
        of_galaxy = np.full(n_galaxies, -1, dtype=np.int64)
        of_galaxy[galaxies] = np.flatnonzero(found >= 0)[first]
        return RowsOfGalaxies(of_galaxy, np.flatnonzero(found < 0))

    def names(self, rows: NDArray[np.int64]) -> list[str]:
        """Ids of rows of the catalogue, as text."""
        return self._ids(rows.tolist())

    def read(self, column: StoredColumn, rows: RowsOfGalaxies) -> NDArray[Any]:
        """A column in the rows of the atlas, shape (n,), masked where the catalogue has no such galaxy."""
        values = self._read(column.file_name)
        if column.component is not None:
            values = values[:, column.component]
        there = rows.of_galaxy >= 0
        dtype = np.dtype(object) if values.dtype.kind in "OSU" else values.dtype
        found = np.ma.MaskedArray(np.zeros(len(there), dtype=dtype), mask=True)
        found[there] = values[rows.of_galaxy[there]]
        return found

    def _rows_by_number(self, of_atlas: Columns, n_galaxies: int) -> RowsOfGalaxies:
        """By the number of the row in the source, where the atlas has no other names for its galaxies."""
        wanted = np.asarray(of_atlas.array(SOURCE_ROW)[:n_galaxies], dtype=np.int64)
        there = wanted < self.n_rows
        return RowsOfGalaxies(np.where(there, wanted, -1), np.setdiff1d(np.arange(self.n_rows), wanted))

    def _read(self, name: str) -> NDArray[Any]:
        try:
            return self._catalog.read(name)
        except BROKEN as e:
            raise SourceError(f"{self.path}: column {name!r} cannot be read: {shorten(e, 160)}") from e

    def _ids(self, rows: Sequence[int] | range) -> list[str]:
        if not self.id_names:
            return [str(row) for row in rows]
        parts = [np.ma.getdata(self._read(name))[list(rows)] for name in self.id_names]
        return [",".join(_as_text(part) for part in one) for one in zip(*parts, strict=True)]


def open_further(
    path: Path,
    of_atlas: tuple[Column, ...],
    ids_of_atlas: tuple[str, ...],
    *,
    table: str = "",
    id_columns: tuple[str, ...] = (),
    wanted: tuple[str, ...] = (),
    skipped: tuple[str, ...] = (),
    ids_alone: bool = False,
) -> FurtherColumns:
    """Open a catalogue and choose its columns: reads headers only.

    Parameters
    ----------
    path : Path
        A catalogue file, a folder that holds one, or a HATS catalogue.
    of_atlas : tuple of Column
        Those that the atlas has.
    ids_of_atlas : tuple of str
        Those that name a galaxy there.
    table : str
        Number or name of the table, in a file of several.
    id_columns : tuple of str
        Columns of the catalogue that name a galaxy, in the order of the atlas's. Empty: those of the same names.
    wanted, skipped : tuple of str
        Columns of the catalogue to take, all that can be where empty; and those to leave.
    ids_alone : bool
        Take none: the catalogue only names galaxies.

    Raises
    ------
    SourceError
        If it cannot be read, has no ids, or a named column does not exist or cannot be taken.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    told = read_description(folder)

    def suits(columns: Sequence[FileColumn], n_rows: int) -> int:
        return len({column.name for column in columns} & {*(id_columns or ids_of_atlas), *wanted})

    if hats.LAYOUT.matches(path):
        path, catalog = hats.open_catalogue(path)
    else:
        paths = find_catalog(path)
        path = paths[0] if len(paths) == 1 else path
        catalog = open_catalogs(paths, table or told.table, suits)
    # A magnitude of the atlas is replaced by none that is computed, unless it is asked for.
    there = {column.name for column in of_atlas} - {*wanted}
    catalog = with_magnitudes = WithMagnitudes(catalog, told.columns, there)
    columns = [merge(column, told.columns.get(column.name)) for column in catalog.columns]
    stored, notes = plan_columns(columns)
    notes = [*catalog.notes, *notes]
    named = {column.file_name for column in stored}
    for name in (*id_columns, *wanted, *skipped):
        if name not in named:
            raise SourceError(f"{path}: {UnknownColumnError(name, named)}")
    id_names = id_columns or _same_names(path, stored, ids_of_atlas)
    if id_names and len(id_names) != len(ids_of_atlas):
        raise SourceError(
            f"the atlas names galaxies by {', '.join(ids_of_atlas)}: --id must name as many columns of {path}, in "
            f"that order, not {', '.join(id_names)}"
        )
    positions = {told.ra, told.dec, *(guess_positions(columns) or ())}
    positions |= {column.name for column in columns if column.name.lower() in (RA, DEC)}
    if refused := [name for name in wanted if name in positions or name in id_names]:
        raise SourceError(
            f"column {refused[0]!r} says where a galaxy is or what it is called, by which an atlas is ordered: build "
            "it again to change that"
        )
    taken = [
        column
        for column in stored
        if (column.file_name in wanted if wanted else column.file_name not in positions | {*id_names, *skipped})
    ]
    if ids_alone:
        taken = []
    elif not taken:
        raise SourceError(f"{path} has no column to add beside ids and positions; it has {', '.join(sorted(named))}")
    notes += with_magnitudes.told({column.file_name for column in taken}) if taken else []
    # The atlas's own spelling, since some file systems could not tell two that differ in case.
    known = {column.name.lower(): column.name for column in of_atlas}
    taken = [StoredColumn(known.get(c.name.lower(), c.name), c.file_name, c.component) for c in taken]
    return FurtherColumns(path, catalog, id_names, taken, {c.name: c.description for c in columns}, notes)


def ids_as_stored(values: NDArray[Any], column: Column) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ids as an atlas stores those of a column, and which of them it could hold at all.

    Parameters
    ----------
    values : ndarray of shape (m,)
        As a file has them: an atlas's whole numbers may be text there, and the other way round.
    column : Column
        Of the atlas.

    Returns
    -------
    ids : ndarray of shape (m,)
    known : ndarray of shape (m,), bool

    Raises
    ------
    SourceError
        If they are floats, in which large integers lose digits.
    """
    dtype = np.dtype(column.dtype)
    if np.ma.getdata(values).dtype.kind in "fb":
        raise SourceError(f"ids for {column.name} are {values.dtype.name}; ids are integers or text")
    missing = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if dtype.kind == "S":
        if plain.dtype.kind in "iu":
            return plain.astype("S21"), ~missing
        text = normalize_column(values, ColumnDescription(), identifier=True).array
        return text, text != b""
    if plain.dtype.kind in "iu":
        return plain, ~missing
    text = normalize_column(values, ColumnDescription(), identifier=True).array
    bounds = np.iinfo(dtype)
    numbers, known = np.zeros(len(text), dtype=dtype), np.zeros(len(text), dtype=np.bool_)
    for row, word in enumerate(text.tolist()):
        if word.removeprefix(b"-").isdigit() and bounds.min <= int(word) <= bounds.max:
            numbers[row], known[row] = int(word), True
    return numbers, known


def _same_names(path: Path, stored: Sequence[StoredColumn], ids_of_atlas: tuple[str, ...]) -> tuple[str, ...]:
    """Columns of the file that the atlas's ids are called by; none where those are numbers of rows that it lacks."""
    by_name = {name.lower(): c.file_name for c in reversed(stored) for name in (c.file_name, c.name)}
    found = [by_name.get(name.lower(), "") for name in ids_of_atlas]
    if all(found):
        return tuple(found)
    if ids_of_atlas == (SOURCE_ROW,):
        return ()
    raise SourceError(
        f"{path} has no column {ids_of_atlas[found.index('')]!r}, and the atlas names galaxies by "
        f"{', '.join(ids_of_atlas)}: say which columns hold those (--id). "
        f"There: {shorten(', '.join(sorted({c.file_name for c in stored})), 300)}"
    )


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
