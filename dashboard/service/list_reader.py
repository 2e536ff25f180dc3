"""A visitor's list of galaxies, read in a process of its own that may take little memory and time.

    python -m dashboard.service.list_reader ID_COLUMN…    a file in, JSON out

CSV, TSV, text with a position or an id a line, ECSV, VOTable and FITS. What is read is data alone: pickles are no
table, an XML that declares entities is refused, and a header that promises more than the process may hold ends it.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from astropy.table import Table

from atlas.catalog.places import looks_like_place, read_place
from atlas.catalog.position_text import POSITION_NAMES
from atlas.errors import CoordinateError, InputError, shorten
from atlas.examples import ids_of, positions_of

from .apart import answer_apart, read_apart

MOST_LISTED = 10_000
DELIMITERS = ",\t;|"
FORMS = "CSV, TSV, ECSV, VOTable, FITS, or text with a position or an id on each line"


class Listed(msgspec.Struct, frozen=True):
    """Content of a list, one of its lines after the other.

    Attributes
    ----------
    names : list of str
        The id, or "" where there is a position.
    ra_deg, dec_deg : list of float or None
        ICRS; None where there is none.
    """

    names: list[str]
    ra_deg: list[float | None]
    dec_deg: list[float | None]


def read_list(data: bytes, id_columns: Sequence[str]) -> Listed:
    """Read a list that came from outside.

    Parameters
    ----------
    data : bytes
        The file.
    id_columns : sequence of str
        What names a galaxy in this atlas.

    Raises
    ------
    InputError
        If it is no list, too long, or takes too much memory or time; says what is allowed.
    ResourceError
        If others are being read all the while: one at a time, or visitors could fill the memory together.
    """
    read = read_apart(__spec__.name, data, id_columns, what="list", forms=FORMS)
    return msgspec.convert(read, Listed)


def parse_list(data: bytes, id_columns: Sequence[str]) -> Listed:
    """Read a list, in the process that calls.

    Raises
    ------
    InputError
        If it is no list, or too long.
    """
    if not data.strip():
        raise InputError("the list is empty")
    try:
        if data.startswith(b"SIMPLE  ="):
            return _of_table(Table.read(io.BytesIO(data), format="fits"), id_columns)
        if data.lstrip().startswith(b"<"):
            if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
                raise InputError("a VOTable that declares entities (DOCTYPE) is not read: save it without")
            return _of_table(Table.read(io.BytesIO(data), format="votable"), id_columns)
        if data.startswith(b"# %ECSV"):
            return _of_table(Table.read(data.decode(), format="ascii.ecsv"), id_columns)
    except InputError:
        raise
    except Exception as error:  # readers of foreign formats raise what they like
        raise InputError(f"this table cannot be read ({shorten(error, 120)}); what is read is {FORMS}") from error
    if b"\0" in data:
        raise InputError(f"this file is no text and no table that is known; what is read is {FORMS}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _of_text(text, id_columns)


def _of_text(text: str, id_columns: Sequence[str]) -> Listed:
    lines = [line.strip() for line in text.splitlines()]
    # Astronomers write the header as a comment, too.
    lines = [line for line in lines if line and (not line.startswith("#") or line == lines[0])]
    header = lines[0].lstrip("# ") if lines else ""
    delimiter = max(DELIMITERS, key=header.count)
    cells = (lambda line: line.split()) if not header.count(delimiter) else _cells(delimiter)
    names = cells(header)
    rows = [cells(line) for line in lines[1:]]
    if any(looks_like_place(header) or name.lstrip("+-").replace(".", "").isdigit() for name in names):
        names = []
    if names and rows and all(len(row) == len(names) for row in rows):
        table = Table(rows=rows, names=_distinct(names))
        known = {name.lower(): name for name in table.colnames}
        for name in id_columns:
            if name not in table.colnames and name.lower() in known:
                table.rename_column(known[name.lower()], name)
        if ids_of(table[:1], id_columns) is not None:
            return _of_table(table, id_columns)
        places = _places(table, id_columns)
        if places is not None:
            return places
    return _of_lines([line for line in lines if not line.startswith("#")])


def _cells(delimiter: str) -> Any:
    return lambda line: [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _distinct(names: list[str]) -> list[str]:
    return [name if name and name not in names[:at] else f"{name}_{at}" for at, name in enumerate(names)]


def _places(table: Table, id_columns: Sequence[str]) -> Listed | None:
    """Positions of a table of text: numbers, or sexagesimal; None where no columns hold any."""
    known = {name.lower(): name for name in table.colnames}
    for ra, dec in POSITION_NAMES:
        if ra in known and dec in known:
            return _of_lines([f"{a} {d}" for a, d in zip(table[known[ra]], table[known[dec]], strict=True)], ids=False)
    return None


def _of_lines(lines: Sequence[str], *, ids: bool = True) -> Listed:
    _require_few(len(lines))
    names: list[str] = []
    positions: list[tuple[float | None, float | None]] = []
    for line in lines:
        try:
            place = read_place(line) if looks_like_place(line) or not ids else None
        except CoordinateError:
            place = None
        names.append("" if place is not None or not ids else line.strip("\"', "))
        positions.append((None, None) if place is None else (place.ra_deg, place.dec_deg))
    return Listed(names, [ra for ra, _ in positions], [dec for _, dec in positions])


def _of_table(table: Table, id_columns: Sequence[str]) -> Listed:
    _require_few(len(table))
    names = ids_of(table, id_columns)
    if names is not None:
        return Listed(names, [None] * len(names), [None] * len(names))
    ra, dec = (np.where(np.isfinite(angle), angle, np.nan).tolist() for angle in positions_of(table, id_columns))
    return Listed([""] * len(table), *([None if math.isnan(v) else v for v in angle] for angle in (ra, dec)))


def _require_few(n: int) -> None:
    if not n:
        raise InputError("the list is empty")
    if n > MOST_LISTED:
        raise InputError(f"a list holds at most {MOST_LISTED:,} galaxies here, not {n:,}; a notebook takes longer ones")


if __name__ == "__main__":
    answer_apart(lambda data: msgspec.to_builtins(parse_list(data, sys.argv[1:])))
