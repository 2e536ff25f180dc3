"""Coordinates of a column along an axis: as they are, as logarithms, or counted from a zero in a unit.

Planes and browsers hold coordinates in float32, of seven digits. The nights of a month, as Julian dates, differ from
the seventh on: they are counted from a round number below them, "jd − 2459000", as astronomers draw them. What float32
cannot hold, or nobody reads (10⁴³ erg/s), is counted in a power of ten.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import EXACT_WHOLE, QUANTILES, from_zero, is_skewed
from atlas.storage.manifest import Column

FAR = 100.0
"""Values that lie so many times their own spread from 0 are counted from a zero of their own."""

LARGE, SMALL = 15, -4
"""Powers of ten from which on, and below which, values are counted in a unit of their own."""

WHOLE_IN_FLOAT32 = 2**24

Zero = int | float
Unit = Annotated[float, msgspec.Meta(gt=0, le=1e300)]
LARGEST_ZERO = 1e300


class Axis(msgspec.Struct, frozen=True):
    """Axis of a column, from values to coordinates: log10(value), or (value − zero) / unit.

    Attributes
    ----------
    log : bool
        Whether the axis is logarithmic; then the zero is 0 and the unit 1.
    zero : int or float
        An int only beyond 2⁵³.
    unit : float
        A power of ten.
    """

    log: bool = False
    zero: Zero = 0.0
    unit: Unit = 1.0

    @property
    def keeps(self) -> bool:
        """Whether coordinates are the values themselves."""
        return not self.log and self.zero == 0 and self.unit == 1

    def coordinates(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Coordinates of values; NaN for those that are missing, beyond float32, or without a logarithm.

        Parameters
        ----------
        values : ndarray of shape (m,), any number dtype
            Part of a column.
        """
        with np.errstate(all="ignore"):
            # In float64 and rounded once: the same value lands in the same place, alone or among others.
            if self.log:
                values = np.log10(np.asarray(values, dtype=np.float64))
            elif not self.keeps:
                values = from_zero(values, self.zero) / self.unit
            placed = np.asarray(values, dtype=np.float32)
        return placed if np.isfinite(placed).all() else np.where(np.isfinite(placed), placed, np.float32(np.nan))

    def moved(self, coordinates: NDArray[np.float64], other: Axis) -> NDArray[np.float64] | None:
        """The places on another axis of what lies at coordinates of this one; None where only one has logarithms."""
        if self.log != other.log:
            return None
        if self == other:
            return coordinates
        away = int(self.zero) - int(other.zero) if _whole(self.zero, other.zero) else self.zero - other.zero
        return (coordinates * self.unit + float(away)) / other.unit


def axis_of(column: Column) -> Axis:
    """The axis of a number column: logarithmic where its values are positive and skewed, else from a zero near them."""
    if is_skewed(column):
        return Axis(log=True)
    if len(column.quantiles) != len(QUANTILES):
        return Axis()
    low, high = (column.quantiles[QUANTILES.index(share)] for share in (0.01, 0.99))
    spread = high - low
    if not 0 < spread < math.inf:
        return Axis()
    farthest = max(abs(low), abs(high))
    whole = np.dtype(column.dtype).kind in "iu"
    # Whole numbers that float32 holds need no other name: data release 9010 is not "release − 9010: 0".
    zero = 0 if farthest < FAR * spread or (whole and farthest < WHOLE_IN_FLOAT32) else _round_below(low, spread)
    power = math.floor(math.log10(max(abs(low - zero), abs(high - zero))))
    held = int(zero) if whole and abs(zero) > EXACT_WHOLE else float(zero)
    return Axis(zero=held, unit=1.0 if SMALL <= power < LARGE else float(f"1e{power}"))


def _round_below(low: float, spread: float) -> float:
    """A number below a value in as few digits as the spread of its column leaves."""
    power = math.ceil(math.log10(spread))
    if power >= 0:
        step = int(10**power)
        return math.floor(low) // step * step
    return float(f"{math.floor(low * 10.0**-power)}e{power}")


def _whole(*numbers: float) -> bool:
    return all(float(number).is_integer() for number in numbers)
