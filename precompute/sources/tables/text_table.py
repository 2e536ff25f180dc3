"""Tables as text: CSV and its kin, as spreadsheets, databases and archives write them.

The encoding, the separator, lines before the header and the words for "missing" are found; what a column holds is
decided by all its cells. Nothing is changed without a note, and digits that begin with a zero stay text.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from astropy import units as u

from atlas.errors import shorten

from ...errors import SourceError
from ..names import MISSING_WORDS, unique_names

SEPARATORS = (",", "\t", ";", "|")
BLOCK = 1 << 20
# Lines that are looked at to find the separator.
SAMPLE_LINES = 50
# The longer mark first: UTF-32 begins as UTF-16 does.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SHOWN = 3
# One word among so many numbers is a fault of the word; more of them are words.
NUMBERS_PER_STRAY = 10

_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"(?i)^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([ed][+-]?[0-9]+)?$|^[+-]?inf(inity)?$"
_LEADING_ZERO = r"^0[0-9]+$"
_RULE = re.compile(r"[-=+|;,\t ]*-[-=+|;,\t ]*")
_COMMA_DECIMAL = re.compile(r"[+-]?\d+,\d+")
# A letter alone is a band rather than grams.
_BRACKETS = re.compile(r"(.*\S)\s*\[\s*([^\[\]]{2,}?)\s*\]")
_POINT_DECIMAL = re.compile(r"[+-]?\d+\.\d+")


class Form(msgspec.Struct, frozen=True):
    """Form in which a file is written.

    Attributes
    ----------
    encoding, separator : str
    names, units : list of str
        As the lines above the data have them; `units` is empty where no line has any.
    skip : int
        Lines before the data.
    comma_decimal : bool
        Numbers are written 1,5.
    """

    encoding: str
    separator: str
    names: list[str]
    units: list[str]
    skip: int
    comma_decimal: bool


def read_text_table(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a file of text, compressed or not.

    Returns
    -------
    table : pa.Table
        Integers (64 bits, unsigned where they have to be), float64, booleans and strings; names are unique, units are
        metadata of the fields.
    notes : tuple of str
        What was assumed, renamed or read as missing.

    Raises
    ------
    SourceError
        If there is no table in it.
    """
    encoding, notes = _encoding(path)
    form = _form(path, encoding)
    plain, in_brackets = _named_units([name.strip().strip('"').strip() for name in form.names])
    names, renamed = unique_names(plain)
    notes += renamed
    if form.comma_decimal:
        notes.append("numbers are written with a decimal comma")
    with _open(path) as f:
        text = pa_csv.read_csv(
            f,
            read_options=pa_csv.ReadOptions(
                encoding="utf8" if encoding == "utf-8-sig" else encoding, skip_rows=form.skip, column_names=names
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=form.separator,
                invalid_row_handler=lambda row: "skip" if row.text.startswith("#") else "error",
                newlines_in_values=True,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    columns = []
    for i, name in enumerate(names):
        column, told = typed_cells(text.column(i), comma_decimal=form.comma_decimal)
        columns.append(column)
        notes += [f"column {name!r}: {note}" for note in told]
    units = form.units or in_brackets or [""] * len(names)
    fields = [
        pa.field(name, column.type, metadata={"unit": unit.strip()})
        for name, column, unit in zip(names, columns, units, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields)), tuple(f"{path.name}: {note}" for note in notes)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _encoding(path: Path) -> tuple[str, list[str]]:
    """By its mark, else UTF-8 where all of it is, else what Windows and Latin-1 have in common."""
    with _open(path) as f:
        start = f.read(BLOCK)
    for mark, name in MARKS:
        if start.startswith(mark):
            return name, [] if name == "utf-8-sig" else [f"is {name.upper()}"]
    # Latin letters in two bytes without a mark.
    for zeros, name in ((start[1:200:2], "utf-16-le"), (start[0:200:2], "utf-16-be")):
        if len(zeros) > 1 and not any(zeros):
            return name, [f"is {name.upper()} without a mark"]
    for name in ("utf-8", "cp1252"):
        if _decodes(path, name):
            return name, [] if name == "utf-8" else ["is not UTF-8; read as Windows-1252, which Latin-1 is part of"]
    return "latin-1", ["is not UTF-8; read as Latin-1"]


def _line_end(path: Path) -> str:
    """The end of a line; a return alone in files of old spreadsheets."""
    with _open(path) as f:
        start = f.read(BLOCK)
    return "\r" if b"\r" in start and b"\n" not in start else "\n"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with _open(path) as f:
            while block := f.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _form(path: Path, encoding: str) -> Form:
    """The header and what is above and below it."""
    head: list[str] = []
    with _open(path) as f, io.TextIOWrapper(f, encoding=encoding, newline=_line_end(path)) as lines:
        comment, skip = "", 0
        for line in lines:
            if line.strip() and not line.startswith("#"):
                head.append(line)
                break
            skip += 1
            comment = line if line.strip() else comment
        head += [line for line in _take(lines, SAMPLE_LINES) if line.strip()]
    if not head:
        raise SourceError(f"{path} holds no line of a table")
    separator = _separator(head)
    first = _split(head[0], separator)
    above = _split(comment.lstrip("#").strip(), separator)
    units: list[str] = []
    # The header is itself a comment where as many names stand above numbers.
    if len(above) == len(first) > 1 and any(_is_number(cell) for cell in first):
        names = above
    else:
        names, skip = first, skip + 1
        for depth in (1, 2):
            # A rule below the header, with a line of units between: archives and databases write it.
            if len(head) > depth and _RULE.fullmatch(head[depth].strip()) and _is_rule(head[depth], len(names)):
                units = _split(head[1], separator) if depth == 2 else []
                skip += depth
                break
        else:
            if len(head) > 2 and _are_units(_split(head[1], separator), _split(head[2], separator)):
                units, skip = _split(head[1], separator), skip + 1
    if len(names) < 2:
        raise SourceError(f"{path} has one column, {shorten(names[0], 60)!r}: the separators known are , ; | and tab")
    cells = [cell.strip() for line in head[1:] for cell in _split(line, separator)]
    comma = separator != "," and any(map(_COMMA_DECIMAL.fullmatch, cells))
    units = units if len(units) == len(names) else []
    return Form(encoding, separator, names, units, skip, comma and not any(map(_POINT_DECIMAL.fullmatch, cells)))


def _are_units(cells: list[str], below: list[str]) -> bool:
    """Whether a line below the header has units, an angle among them, of columns that hold numbers or nothing."""
    told = [(parsed_unit(cell), value.strip()) for cell, value in zip(cells, below, strict=False) if cell.strip()]
    found = [unit for unit, _ in told if unit is not None]
    numbers = all(_is_number(value) or value.lower() in MISSING_WORDS for _, value in told)
    return (
        len(cells) == len(below)
        and len(found) == len(told) > 0
        and numbers
        and any(unit.is_equivalent(u.deg) for unit in found)
    )


def parsed_unit(text: str) -> Any:
    """A unit in astropy's notation, None where it is none; a number is none."""
    try:
        return None if _is_number(text) or not text.strip() else u.Unit(text.strip())
    except (ValueError, TypeError):
        return None


def _named_units(names: list[str]) -> tuple[list[str], list[str]]:
    """Names without the units in brackets behind them, `RA [deg]`, and those units; none where names would be alike."""
    split = [
        match if (match := _BRACKETS.fullmatch(name)) and parsed_unit(match[2]) is not None else None for name in names
    ]
    plain = [match[1] if match else name for name, match in zip(names, split, strict=True)]
    if not any(split) or len({*plain}) < len({*names}):
        return names, []
    return plain, [match[2] if match else "" for match in split]


def _take(lines: Iterator[str], n: int) -> Iterator[str]:
    for _, line in zip(range(n), lines, strict=False):
        yield line


def _is_rule(line: str, n: int) -> bool:
    """Whether a line of dashes has one stroke or missing value a column; a row of `--` alone is a row."""
    strokes = re.findall(r"[-=]+", line)
    return len(strokes) == n and any(len(stroke) > 2 for stroke in strokes)


def _separator(lines: list[str]) -> str:
    """That which splits most lines into as many cells as the first; the earlier of equals."""

    def score(separator: str) -> tuple[bool, int, int]:
        counts = [len(_split(line, separator)) for line in lines if not line.startswith("#")]
        return counts[0] > 1, counts.count(counts[0]), counts[0]

    return max(SEPARATORS, key=score)


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [""])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def typed_cells(text: pa.ChunkedArray, *, comma_decimal: bool = False) -> tuple[pa.ChunkedArray, list[str]]:
    """The cells of a column as what they all are, and what had to be said of it."""
    trimmed = pc.utf8_trim_whitespace(text)
    lower = pc.utf8_lower(trimmed)
    missing = pc.is_in(lower, pa.array(sorted(MISSING_WORDS)))
    # "NA" is a word in a column of words.
    plain = pc.replace_substring(trimmed, ",", ".") if comma_decimal else trimmed
    number = pc.match_substring_regex(plain, _NUMBER)
    empty = pc.or_(missing, pc.equal(lower, "na"))
    stray = pc.invert(pc.or_(number, empty))
    n_numbers, n_stray = pc.sum(number).as_py() or 0, pc.sum(stray).as_py() or 0
    if n_numbers == 0:
        return _words(trimmed, missing, lower)
    if pc.any(pc.match_substring_regex(trimmed, _LEADING_ZERO)).as_py():
        return trimmed, ["digits that begin with a zero are kept as text"]
    integers = pc.and_(number, pc.match_substring_regex(plain, _INTEGER))
    whole = (pc.sum(integers).as_py() or 0) == n_numbers
    notes = []
    if n_stray:
        # Among whole numbers, which may be names, only what has no digit is surely none.
        is_name = whole and pc.any(pc.and_(stray, pc.match_substring_regex(trimmed, "[0-9]"))).as_py()
        where = _told(trimmed, stray, n_stray)
        if is_name or n_stray * NUMBERS_PER_STRAY > n_numbers:
            return trimmed, [f"kept as text, since {where} no number"] if n_stray < n_numbers else []
        notes.append(f"{where} no number; read as missing")
    cells = pc.if_else(number, plain, pa.scalar(None, pa.string()))
    # Arrow's casts know neither a plus sign nor Fortran's exponent.
    cells = pc.replace_substring_regex(cells, r"^\+", "")
    if whole:
        for kind in (pa.int64(), pa.uint64()):
            try:
                return cells.cast(kind), notes
            except pa.ArrowInvalid:
                continue
        return trimmed, ["whole numbers of more than 64 bits are kept as text"]
    return pc.replace_substring_regex(cells, "(?i)d", "e").cast(pa.float64()), notes


def _words(
    trimmed: pa.ChunkedArray, missing: pa.ChunkedArray, lower: pa.ChunkedArray
) -> tuple[pa.ChunkedArray, list[str]]:
    """Text, or booleans where all cells are true or false."""
    truth = pc.is_in(lower, pa.array(["true", "false"]))
    if pc.all(pc.or_(truth, missing)).as_py() and pc.any(truth).as_py():
        return pc.if_else(missing, pa.scalar(None, pa.bool_()), pc.equal(lower, "true")), []
    if pc.all(missing).as_py():
        return pa.chunked_array([pa.nulls(len(trimmed), pa.float64())]), []
    return trimmed, []


def _told(cells: pa.ChunkedArray, stray: pa.ChunkedArray, n: int) -> str:
    """Cells that are no numbers, with their rows."""
    rows = pc.indices_nonzero(stray).slice(0, SHOWN)
    shown = ", ".join(f"{shorten(cells[row.as_py()].as_py(), 30)!r} in row {row.as_py():,}" for row in rows)
    return f"{shown} is" if n == 1 else f"{n:,} cells are ({shown}, rows from 0)"
