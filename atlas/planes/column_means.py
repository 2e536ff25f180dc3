"""Means of a column, pixel by pixel or cell by cell: what is added up, and how a mean comes of it.

Sums are kept of what values differ from a middle one: so float32 holds a thousandth of a day in dates of 57,000 days.
Means are float64, or those dates would be rounded in the end; of whole numbers beyond 2⁵³, of which float64 would lose
digits, they are counted from a zero among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import from_zero
from atlas.parallel import in_threads
from atlas.planes.count_pyramid import pixels
from atlas.planes.region import Box

SLIVER = 1e-5  # a pixel that got less than this share of one row touches its cell by rounding alone
CENTER_ROWS = 10_000
PART = 1 << 18  # rows to add up at a time: what is made of them in passing takes 40 bytes a row, on two threads

Piece = TypeVar("Piece")


class Sums(NamedTuple):
    """Sums of a column by pixel or cell.

    Attributes
    ----------
    counts : ndarray
        Rows with a value, or shares of them.
    sums : ndarray of the same shape
        Sums of value − center; float32 where they are kept.
    """

    counts: NDArray[Any]
    sums: NDArray[Any]

    def mean(self, center: float) -> NDArray[np.float64]:
        """Mean of the values, whose sums are about a center; NaN where there is none."""
        mean = np.full(self.counts.shape, np.nan, dtype=np.float64)
        np.divide(self.sums, self.counts, out=mean, where=self.counts > SLIVER)
        return mean + center

    def plus(self, other: Sums) -> Sums:
        """Sums of both, about one center."""
        return Sums(self.counts + other.counts, self.sums + other.sums)


def require_column(values: NDArray[Any], n_rows: int) -> None:
    """Raise ValueError where an array does not hold one value a row."""
    if values.shape != (n_rows,):
        raise ValueError(f"a column of shape {values.shape} is not one of an atlas of {n_rows} rows")


def center_of(values: NDArray[Any]) -> float:
    """About the median of a column, an int where float64 would lose its digits; 0 where no value is known."""
    some = np.asarray(values[:: -(-values.size // CENTER_ROWS)], dtype=np.float64)
    some = some[np.isfinite(some)]
    middle = float(np.median(some)) if some.size else 0.0
    if values.dtype.kind in "iu" and abs(middle) >= 2**53 and int(values.max()) - int(values.min()) < 2**63:
        return int(middle)
    return middle


def sum_cells(
    members: Callable[[Piece], tuple[NDArray[np.intp], NDArray[Any]]],
    pieces: Iterable[Piece],
    n_cells: int,
    center: float,
) -> Sums:
    """Add up a column over cells, piece by piece on two threads.

    Parameters
    ----------
    members : callable
        Cell and value of each member in a piece; values that are not finite are left out.
    pieces : iterable
        What `members` is asked about, at most PART members each.
    n_cells : int
        How many cells there are.
    center : float
        From `center_of`.
    """

    def weigh(piece: Piece) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        cells, values = members(piece)
        return _finite(cells, from_zero(values, center))

    counts, sums = np.zeros(n_cells, dtype=np.uint32), np.zeros(n_cells, dtype=np.float64)
    for cells, weights in in_threads(weigh, pieces):
        np.add.at(counts, cells, np.uint32(1))
        np.add.at(sums, cells, weights)
    return Sums(counts, sums.astype(np.float32))


def sum_pixels(
    x: NDArray[Any], y: NDArray[Any], values: NDArray[Any], box: Box, width: int, height: int, center: float
) -> Sums:
    """Add up a column over pixels, for points inside a box; arrays of shape (height, width)."""
    cells, weights = _finite(pixels(x, y, box, width, height), from_zero(values, center))
    counts = np.bincount(cells, minlength=width * height)
    sums = np.bincount(cells, weights, minlength=width * height)
    return Sums(counts.reshape(height, width), sums.reshape(height, width))


def _finite(cells: NDArray[np.intp], weights: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    known = np.isfinite(weights)
    return (cells, weights) if known.all() else (cells[known], weights[known])
