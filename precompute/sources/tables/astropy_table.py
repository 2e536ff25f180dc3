"""Catalogues that astropy reads whole, VOTable and ECSV, and the warnings that it gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table
from numpy.typing import NDArray

from atlas.errors import shorten

from ...source_description import ColumnDescription
from .file_column import FileColumn, FileColumnKind

T = TypeVar("T")


class AstropyCatalog:
    """FITS, VOTable and ECSV, as astropy's table."""

    def __init__(self, table: Table, notes: tuple[str, ...], told: dict[str, ColumnDescription]) -> None:
        self.n_rows = len(table)
        for name in [name for name in table.colnames if isinstance(table[name], SkyCoord)]:
            table, told = _with_positions(table, name), {**told, **POSITIONS_OF_COORDINATES}
        self.columns = tuple(
            _astropy_column(name, table[name], told.get(name, ColumnDescription())) for name in table.colnames
        )
        self.notes = notes
        self._table = table

    def read(self, name: str) -> NDArray[Any]:
        """One column."""
        # FITS is big-endian, which pandas and Arrow do not take.
        values = self._table[name].data
        native: NDArray[Any] = values.astype(values.dtype.newbyteorder("="), copy=False)
        return native


POSITIONS_OF_COORDINATES = {
    "ra": ColumnDescription("deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
    "dec": ColumnDescription("deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
}


def _with_positions(table: Table, name: str) -> Table:
    """A table with the positions of a column of coordinates beside it, unless it has columns of these names."""
    if not {*table.colnames} & POSITIONS_OF_COORDINATES.keys():
        icrs = table[name].icrs
        table["ra"], table["dec"] = Column(icrs.ra.deg, unit="deg"), Column(icrs.dec.deg, unit="deg")
    return table


def with_warnings(read: Callable[[], T]) -> tuple[T, list[str]]:
    """Result of `read`, and the warnings that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = read()
    return result, [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]


def warnings_note(path: Path, told: list[str]) -> tuple[str, ...]:
    if not told:
        return ()
    return (f"{path.name}: astropy warned {len(told)} times, first: {shorten(told[0], 200)}",)


def described_by_meta(table: Table) -> dict[str, ColumnDescription]:
    infos = ((name, table[name].info) for name in table.colnames)
    return {
        name: ColumnDescription(ucd=str((info.meta or {}).get("ucd", "")), description=info.description or "")
        for name, info in infos
    }


def _astropy_column(name: str, column: Any, told: ColumnDescription) -> FileColumn:
    kind: FileColumnKind = "other"
    width = 1
    if not isinstance(column, Column):
        # A mixin (SkyCoord, Time): its parts are not columns of numbers.
        return FileColumn(name=name, kind=kind, type_name=type(column).__name__)
    if column.dtype.kind in "biuf" and column.ndim <= 2:
        kind, width = ("number", 1) if column.ndim == 1 else ("vector", column.shape[1])
    elif column.ndim == 1 and (column.dtype.kind in "SU" or _holds_text(column)):
        kind = "text"
    return FileColumn(
        name=name,
        kind=kind,
        type_name=f"{column.dtype.name}{list(column.shape[1:]) or ''}",
        width=width,
        description=msgspec.structs.replace(told, unit="" if column.unit is None else str(column.unit)),
    )


def _holds_text(column: Any) -> bool:
    """Whether a column of objects holds strings; judged by the first value that is there."""
    values = np.ma.compressed(column.data) if isinstance(column.data, np.ma.MaskedArray) else column.data
    first = next((value for value in values if value is not None), None)
    return isinstance(first, str | bytes)
