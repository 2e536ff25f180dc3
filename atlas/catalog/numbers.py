"""Numbers as text, and text as numbers: no digit that tells two galaxies of a column apart is lost on the way.

    exact_text(value)           what a field holds: read again it is the same number
    column_text(column, value)  what is read: as many digits as the range of the column deserves
    parse_number(text)          the number that somebody typed; whole numbers keep every digit

A Julian date of a month of nights needs ten digits where a redshift needs five: digits are counted from the range of
the column's values, not from the value alone.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from atlas.catalog.columns import EXACT_WHOLE, QUANTILES
from atlas.errors import InputError, shorten
from atlas.storage.manifest import Column

Number = int | float
FEWEST_DIGITS = 5
"""Significant digits that every value gets, and that the range of its column gets."""

LARGEST_WHOLE = 2**64
LONGEST_FIXED = 15
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_DIGITS_HELD = {2: 4, 4: 9, 8: 17}


def parse_number(text: str) -> Number:
    """The number that a text says; a whole one beyond 2⁵³ as an integer, every other as a float.

    Raises
    ------
    InputError
        If it says none, or none that float64 or a 64-bit integer can hold.
    """
    text = text.strip().replace("−", "-")
    if _WHOLE.fullmatch(text) and abs(int(text)) > EXACT_WHOLE:
        return require_held(int(text))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise InputError(f"{shorten(text)!r} is not a number, such as 14.5 or 2e12")
    return value


def require_held(value: Number) -> Number:
    """A number in its one form: an integer only where a float would lose digits.

    Raises
    ------
    InputError
        If it is not finite, or an integer of more than 64 bits.
    """
    if isinstance(value, int | np.integer):
        value = int(value)
        if abs(value) > LARGEST_WHOLE:
            raise InputError(f"{shorten(value)} is larger than any whole number of 64 bits")
        return value if abs(value) > EXACT_WHOLE else float(value)
    if not math.isfinite(value):
        raise InputError(f"{value} is not a finite number")
    return float(value)


def exact_text(value: Number) -> str:
    """The shortest text that is read as the same number."""
    return str(value) if isinstance(value, int) else repr(float(value)).removesuffix(".0")


def short_text(value: float) -> str:
    """A figure to two digits, whole beyond ten, never as a power of ten: 0.25, 2.5, 160, 1,600."""
    return f"{value:.2g}" if abs(value) < 9.95 else f"{value:,.0f}"


def percent_text(share: float) -> str:
    """A share to two digits, in per cent."""
    return f"{short_text(100 * share)} %"


def column_text(column: Column, value: Any, digits: int = FEWEST_DIGITS) -> str:
    """A number of a column in as many digits as tell its values apart: five of its range, and five of its own at least.

    Whole numbers are written whole. Powers of ten are written where a number is very small, or large without need of
    its last digits.

    Parameters
    ----------
    column : Column
    value : number
    digits : int
        Significant digits wanted of the range, and of the value at least.
    """
    if not isinstance(value, float | np.floating):
        return str(value)
    value = float(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    written = min(max(digits, exponent + 1 + _decimals(column, digits)), _most_digits(column))
    large = exponent >= LONGEST_FIXED or (exponent > 6 and written <= digits + 1)
    if large or exponent < -4:
        mantissa, _, power = f"{value:.{written - 1}e}".partition("e")
        return f"{_bare(mantissa)}e{int(power)}"
    return _bare(f"{value:.{max(0, written - 1 - exponent)}f}")


def _decimals(column: Column, digits: int) -> int:
    """Digits behind the point that tell the central values of a column apart; negative where tens are enough."""
    if len(column.quantiles) != len(QUANTILES):
        return -400
    span = column.quantiles[QUANTILES.index(0.99)] - column.quantiles[QUANTILES.index(0.01)]
    return digits - 1 - math.floor(math.log10(span)) if 0 < span < math.inf else -400


def _most_digits(column: Column) -> int:
    return _DIGITS_HELD.get(np.dtype(column.dtype).itemsize, 17) if np.dtype(column.dtype).kind == "f" else 17


def _bare(text: str) -> str:
    """Without zeros that say nothing."""
    return text.rstrip("0").rstrip(".") if "." in text else text
