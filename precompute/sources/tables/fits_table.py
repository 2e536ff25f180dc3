"""FITS tables, memory-mapped; a column is read when asked for, so that a bad one keeps nothing else out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import ColumnDescription
from ..names import unique_names
from .astropy_table import warnings_note, with_warnings
from .file_column import FileColumn, FileColumnKind
from .several_tables import Suits, TableHead, choose_table

# Logical cells are bytes: T, F, or 0 where there is no value.
TRUE, FALSE, NO_VALUE = ord("T"), ord("F"), 0
NUMBERS = frozenset("LBIJKEDF")
_FORM = re.compile(r"(\d*)([A-Z])")


class FitsCatalog:
    """One table of a FITS file.

    Raises
    ------
    SourceError
        If the file has no table or is truncated, or nothing tells which table is meant.
    """

    def __init__(self, path: Path, wanted: str, suits: Suits) -> None:
        with fits.open(path, memmap=True, character_as_bytes=True) as hdus:
            (heads, renamed), told = with_warnings(lambda: _tables(hdus))
            # A short file is only a warning to astropy; its last rows would be anything.
            if truncated := [text for text in told if "truncated" in text]:
                raise SourceError(f"{path} is truncated: {shorten(truncated[0], 200)}")
            if not heads:
                raise SourceError(f"{path} is a FITS file without a table")
            head, notes = choose_table(path, heads, wanted, suits)
            self.n_rows = head.n_rows
            self.columns = head.columns
            self._definitions = hdus[head.place].columns
            # Mapped into memory: the map outlives the open file.
            self._rows, told_later = with_warnings(lambda: hdus[head.place].data)
        notes += [f"{path.name}: {note}" for note in renamed[head.place]]
        self.notes = (*notes, *warnings_note(path, told + told_later))

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`; masked where the file's raw number is the one that stands for "no value"."""
        definition = self._definitions[name]
        raw: NDArray[Any] = self._rows.view(np.ndarray)[name]
        if str(definition.format) == "L":
            # A file of zeros only is of a writer that means "false" by them.
            known = raw == TRUE
            return np.ma.MaskedArray(known, mask=raw == NO_VALUE) if (raw == FALSE).any() else known
        values = np.asarray(self._rows[name])
        if raw.dtype.kind == "S" and values.dtype.kind in "SU":
            values = raw
        # FITS is big-endian, which pandas and Arrow do not take.
        native: NDArray[Any] = values.astype(values.dtype.newbyteorder("="), copy=False)
        missing = None
        if definition.null is not None and raw.dtype.kind in "iu":
            # Before scaling: an unsigned column's null is a negative number in the file.
            bounds = np.iinfo(raw.dtype)
            null = int(definition.null)
            missing = raw == null if bounds.min <= null <= bounds.max else None
        elif definition.null is not None and raw.dtype.kind == "S":
            missing = np.char.strip(raw) == str(definition.null).strip().encode()
        return native if missing is None else np.ma.MaskedArray(native, mask=missing)


def _tables(hdus: fits.HDUList) -> tuple[list[TableHead], dict[int, list[str]]]:
    """The tables of a file, and by their places which of their columns are renamed."""
    heads, renamed = [], {}
    for place, hdu in enumerate(hdus):
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not isinstance(hdu, fits.CompImageHDU):
            # In the header, before astropy makes a dtype of it, which has room for a name only once.
            numbers = range(1, hdu.header["TFIELDS"] + 1)
            given = [str(hdu.header.get(f"TTYPE{i}", "")).strip() for i in numbers]
            names, renamed[place] = unique_names(given)
            for i, name in zip(numbers, names, strict=True):
                if hdu.header.get(f"TTYPE{i}") != name:
                    hdu.header[f"TTYPE{i}"] = name
            columns = tuple(_column(hdu, i, name) for i, name in enumerate(names))
            heads.append(TableHead(place, hdu.name, int(hdu.header["NAXIS2"]), columns))
    return heads, renamed


def _column(hdu: Any, i: int, name: str) -> FileColumn:
    definition = hdu.columns[i]
    # The letter alone: E is a number, A text, X bits; a P begins what has another length in each row.
    match = _FORM.match(str(definition.format))
    letter = match[2] if match else ""
    base, shape = np.dtype(definition.dtype).base, np.dtype(definition.dtype).shape
    n_axes = str(definition.dim or "").count(",") + 1
    kind: FileColumnKind = "other"
    width = 1
    if n_axes == 1 and letter in NUMBERS:
        kind, width = ("vector", shape[0]) if shape else ("number", 1)
    elif letter == "X" and match:
        kind, width = "vector", int(match[1] or 1)
    elif n_axes == 1 and letter == "A":
        kind = "text"
    if width == 0:
        kind = "other"
    unit = u.Unit(definition.unit, format="fits", parse_strict="silent") if definition.unit else ""
    header = hdu.header
    return FileColumn(
        name=name,
        kind=kind,
        type_name=f"{base.name}{list(shape) or ''}",
        width=width,
        description=ColumnDescription(
            unit=str(unit), ucd=str(header.get(f"TUCD{i + 1}", "")), description=str(header.get(f"TCOMM{i + 1}", ""))
        ),
    )
