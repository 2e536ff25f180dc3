"""Checks of positions and ids before an atlas is built, and how a violation is told: count, first rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from numpy.typing import NDArray

from atlas.catalog.identity import hash_columns
from atlas.errors import shorten

from ..errors import SourceError
from ..source_description import ColumnDescription
from .column_types import MAX_TEXT, normalize_column

# Spellings that catalogues use and astropy does not all know; no unit means degrees, too.
DEGREES = frozenset(("", "deg", "degree", "degrees", "°"))
SHOWN = 5
MAX_DEC = 90
RA_RANGE = (-180, 360)
"""Right ascensions of either convention lie within; which of the two is for all rows together to say."""

WAY_OUT = "--drop-bad-rows leaves such rows out"
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class CheckedPositions:
    """Checked positions.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray of shape (n,), float64
        In [0, 360) and [-90, 90] unless there are problems.
    problems, notes : tuple of str
        What forbids a build, and what was changed.
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def raise_problems(what: object, problems: Iterable[str]) -> None:
    """Say all that is wrong in one error.

    Raises
    ------
    SourceError
        If there are problems.
    """
    problems = list(problems)
    if len(problems) == 1:
        raise SourceError(f"{what}: {problems[0]}")
    if problems:
        raise SourceError(f"{what} has {len(problems)} problems:" + "".join(f"\n  - {p}" for p in problems))


def counted(n: int, noun: str, several: str = "") -> str:
    """A number with its noun: `1 row`, `2,000 rows`; `several` is its plural where an s does not make it."""
    return f"{n:,} {noun if n == 1 else several or f'{noun}s'}"


def name_rows(rows: NDArray[Any], values: NDArray[Any] | None = None) -> str:
    """The first few rows, with their values: `first rows (from 0): 3 (91.5), 17 (-95.0)`."""
    shown = [
        f"{int(row)}" if values is None else f"{int(row)} ({shorten(value)})"
        for row, value in zip(rows[:SHOWN], rows[:SHOWN] if values is None else values[:SHOWN], strict=True)
    ]
    return f"first rows (from 0): {', '.join(shown)}"


def degrees_per_unit(unit: str, *, is_ra: bool) -> float:
    """Degrees in one unit of a position column; 1 where no unit is given.

    An hour of right ascension is 15°, also where the file says plain "h".

    Raises
    ------
    SourceError
        If the unit is no angle.
    """
    if unit.strip().lower() in DEGREES:
        return 1.0
    parsed = u.Unit(unit, parse_strict="silent")
    if is_ra and parsed == u.hour:
        parsed = u.hourangle
    try:
        return float(parsed.to(u.deg))
    except (ValueError, TypeError) as e:
        raise SourceError(f"unit {shorten(unit)!r} is no angle; give degrees") from e


def check_positions(ra: NDArray[Any], dec: NDArray[Any]) -> CheckedPositions:
    """Positions in degrees, with right ascension in [0, 360).

    Parameters
    ----------
    ra, dec : ndarray of shape (n,)
        Degrees; missing values are NaN.
    """
    ra_deg, dec_deg = ra.astype(np.float64), dec.astype(np.float64)
    problems, notes = [], []
    for name, values in (("right ascension", ra_deg), ("declination", dec_deg)):
        missing = np.flatnonzero(~np.isfinite(values))
        if missing.size:
            problems.append(f"no {name} in {counted(missing.size, 'row')}; {name_rows(missing)}; {WAY_OUT}")
    outside = np.flatnonzero(np.abs(dec_deg) > MAX_DEC)
    if outside.size:
        problems.append(
            f"declination outside -90…90° in {counted(outside.size, 'row')}; "
            f"{name_rows(outside, dec[outside[:SHOWN]])}; {WAY_OUT}"
        )
    negative, beyond_half = ra_deg < 0, ra_deg > 180
    outside = np.flatnonzero((ra_deg < RA_RANGE[0]) | (ra_deg > RA_RANGE[1]))
    if outside.size:
        problems.append(
            f"right ascension outside both 0…360° and -180…180° in {counted(outside.size, 'row')}; "
            f"{name_rows(outside, ra[outside[:SHOWN]])}; {WAY_OUT}"
        )
    elif negative.any() and beyond_half.any():
        problems.append(
            f"right ascension is negative in {counted(int(negative.sum()), 'row')} "
            f"({name_rows(np.flatnonzero(negative))}) and above 180° in {counted(int(beyond_half.sum()), 'row')} "
            f"({name_rows(np.flatnonzero(beyond_half))}); "
            "one of 0…360° or -180…180° is needed"
        )
    elif negative.any():
        notes.append(f"right ascension ran from {ra_deg.min():.6g} to {ra_deg.max():.6g}° and was wrapped to 0…360°")
        ra_deg[negative] += 360
    # 360 itself, and a tiny negative angle that rounded to it.
    ra_deg[ra_deg == 360] = 0
    if ra.dtype == np.float32:
        notes.append('right ascension has single precision: steps of up to 0.11"')
    return CheckedPositions(ra_deg, dec_deg, tuple(problems), tuple(notes))


def check_ids(columns: dict[str, NDArray[Any]]) -> list[str]:
    """Problems that keep columns from naming each galaxy once, together: kinds, missing values, duplicates.

    Parameters
    ----------
    columns : dict of str to ndarray or masked array of shape (n,)
        By name, as the file has them.
    """
    problems = []
    comparable = []
    for name, values in columns.items():
        if values.dtype.kind in "fb":
            problems.append(
                f"id column {name!r} holds {values.dtype.name}; ids are integers or text "
                "(large integers lose digits as floats)"
            )
            continue
        plain = np.ma.getdata(values)
        missing = np.flatnonzero(np.ma.getmaskarray(values)) if isinstance(values, np.ma.MaskedArray) else np.array([])
        if plain.dtype.kind in "OSU":
            text = normalize_column(values, ColumnDescription(), identifier=True)
            plain, missing = text.array, np.flatnonzero(text.array == b"")
            problems.extend(
                f"id column {name!r}: {note}; at most {MAX_TEXT} are allowed" for note in text.notes if "cut" in note
            )
        if missing.size:
            problems.append(f"id column {name!r} is missing in {counted(missing.size, 'row')}; {name_rows(missing)}")
        comparable.append(plain)
    if not problems and (repeated := find_repeated(comparable)).size:
        problems.append(_tell_repeated(list(columns), comparable, repeated))
    return problems


def find_repeated(columns: list[NDArray[Any]]) -> NDArray[np.int64]:
    """Rows whose values an earlier row has too, ascending; exact, in O(n log n) time and 24 bytes a row."""
    n = len(columns[0])
    keys = np.empty(n, dtype=np.uint64)
    for start in range(0, n, _CHUNK):
        keys[start : start + _CHUNK] = hash_columns([column[start : start + _CHUNK] for column in columns])
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    suspects = np.sort(order[np.union1d(same, same + 1)]) if same.size else np.empty(0, dtype=np.int64)
    # Equal hashes are not yet equal values.
    values = pd.DataFrame({i: _as_series(column[suspects]) for i, column in enumerate(columns)})
    repeated: NDArray[np.int64] = suspects[values.duplicated(keep="first").to_numpy()]
    return repeated


def _tell_repeated(names: list[str], columns: list[NDArray[Any]], repeated: NDArray[np.int64]) -> str:
    examples = []
    for row in repeated[:3]:
        # A scan a shown example; there are three.
        first = int(np.flatnonzero(np.logical_and.reduce([column == column[row] for column in columns]))[0])
        values = ", ".join(
            value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            for value in (column[row] for column in columns)
        )
        examples.append(f"{shorten(values)} in rows {first} and {row}")
    return (
        f"the id ({', '.join(names)}) of an earlier row is repeated in {counted(repeated.size, 'row')}; "
        f"first, rows counted from 0: {'; '.join(examples)}"
    )


def _as_series(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(object) if values.dtype.kind == "S" else values
