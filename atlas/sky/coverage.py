"""Coverage maps (MOC, IVOA 2.0): parts of the sky as cells of nested HEALPix of any order, written `5/8-10 42 6/170`.

Text and ranges are the two forms here. CellRanges are of cells at the deepest order, so that a position is looked up by
bisection whatever the orders of the map. mocpy, the oracle of the tests, takes seconds to import and is left to those
who read files.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError, shorten

DEEPEST = 29
MOST_CHARACTERS = 60_000
CellRanges = NDArray[np.int64]
"""Shape (k, 2): first and end of each run of cells of order 29; ascending, apart from each other."""

_WORD = re.compile(r"(?:(\d{1,2})/)?(?:(\d{1,19})(?:-(\d{1,19}))?)?", re.ASCII)


def read_coverage(text: str) -> CellRanges:
    """Read a coverage map.

    Raises
    ------
    InputError
        If it is none; says what is allowed.
    """
    order: int | None = None
    found: list[tuple[int, int]] = []
    for word in re.split(r"[\s,]+", text.strip()):
        parts = _WORD.fullmatch(word)
        if parts is None:
            raise InputError(f"{shorten(word, 40)!r} is no part of a MOC, which is written 5/8-10 42 6/170")
        order = order if parts[1] is None else int(parts[1])
        if order is None or order > DEEPEST:
            raise InputError(f"the cells of a MOC follow their order, 0/ to {DEEPEST}/, unlike {shorten(word, 40)!r}")
        if parts[2] is None:
            continue
        first, last = int(parts[2]), int(parts[3] or parts[2])
        if not first <= last < 12 * 4**order:
            raise InputError(
                f"{shorten(word, 40)!r} names no cells: order {order} has those from 0 to {12 * 4**order - 1}"
            )
        found.append((first << _shift(order), (last + 1) << _shift(order)))
    return merged(np.array(found, dtype=np.int64).reshape(-1, 2))


def merged(ranges: CellRanges) -> CellRanges:
    """Runs in any order and overlapping, as `CellRanges`."""
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ranges[:, 1])
    begins = np.ones(len(ranges), dtype=np.bool_)
    begins[1:] = ranges[1:, 0] > reach[:-1]
    ends = np.roll(begins, -1)
    ends[-1:] = True
    return np.stack([ranges[begins, 0], reach[ends]], axis=1)


def write_coverage(ranges: CellRanges) -> str:
    """Write a coverage map, in the largest cells and in one way only."""
    parts = []
    for order, (first, end) in cells_by_order(ranges).items():
        runs = (str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in zip(first.tolist(), end.tolist(), strict=True))
        parts.append(f"{order}/{' '.join(runs)}")
    return " ".join(parts)


def cells_by_order(ranges: CellRanges) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Runs of the largest cells that make up ranges: by order, the first and the end of each."""
    found = {}
    for order in range(DEEPEST + 1):
        if not len(ranges):
            break
        shift = _shift(order)
        first, end = -(-ranges[:, 0] >> shift), ranges[:, 1] >> shift
        whole = first < end
        if whole.any():
            found[order] = first[whole], end[whole]
            before = np.stack([ranges[whole, 0], first[whole] << shift], axis=1)
            after = np.stack([end[whole] << shift, ranges[whole, 1]], axis=1)
            ranges = np.concatenate([ranges[~whole], before, after])
            ranges = ranges[ranges[:, 0] < ranges[:, 1]]
            ranges = ranges[np.argsort(ranges[:, 0])]
    return found


def order_of(ranges: CellRanges) -> int:
    """Order of the smallest cells that ranges are made of."""
    bits = int(np.bitwise_or.reduce(ranges, axis=None)) if len(ranges) else 0
    return DEEPEST - ((bits & -bits).bit_length() - 1) // 2 if bits else 0


def coarser(ranges: CellRanges, order: int) -> CellRanges:
    """The cells of an order that ranges touch."""
    shift = _shift(order)
    return merged(np.stack([ranges[:, 0] >> shift << shift, -(-ranges[:, 1] >> shift) << shift], axis=1))


def of_cells(order: int, cells: NDArray[np.int64]) -> CellRanges:
    """Cells of an order, as ranges."""
    first = cells.astype(np.int64) << _shift(order)
    return merged(np.stack([first, first + (1 << _shift(order))], axis=1))


def inside(
    ranges: CellRanges, first: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether runs of cells of order 29 lie wholly in ranges, and whether they touch them."""
    if not len(ranges):
        nowhere = np.zeros(first.shape, dtype=np.bool_)
        return nowhere, nowhere
    at = np.searchsorted(ranges[:, 1], first, side="right")
    begin, reach = np.append(ranges[:, 0], np.iinfo(np.int64).max)[at], np.append(ranges[:, 1], 0)[at]
    return (begin <= first) & (end <= reach), begin < end


def run_of(order: int, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end of the cells of order 29 in each of an order's cells."""
    shift = _shift(order)
    return cells << shift, (cells + 1) << shift


def share_of_sky(ranges: CellRanges) -> float:
    """Part of the sky that ranges cover, 0 … 1."""
    return float((ranges[:, 1] - ranges[:, 0]).sum() / (12 * 4.0**DEEPEST))


def _shift(order: int) -> int:
    return 2 * (DEEPEST - order)
