"""Histograms of columns, over all rows or those of a mask: exact, and quick enough to follow a brush.

The first look at a column writes down each row's bin, one byte a row. From then on a histogram under any mask is a
count of bytes: 20 ms for ten million rows, whatever share of them is selected. Rows that are not selected are moved
to a bin of their own rather than left out, since picking rows costs more than counting them.

Flags have a bar a bit. Seven bits make a byte of the same sort, so that they are counted by the same pass.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas.catalog.columns import QUANTILES, Columns, from_zero, is_skewed
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.storage.arrays import chunks
from atlas.storage.manifest import Column

BINS = 40
MOST_BINS = 200
KEPT_BYTES = 512 << 20
"""Bins of rows that are held: twelve columns of 42 million rows."""

PIECE_ROWS = 1 << 17
"""Rows that are looked at together: a multiple of eight, so that a mask's bytes are not divided."""

ROOM = 0.25
"""The range holds the central 98 % of the values and, where values lie there, this share of its width on each side."""

BITS_A_CODE = 7  # 128 codes: none of them is `_ASIDE`
FEW_SHARE = 1 / 8  # below this share of selected rows it is quicker to pick them
NARROWEST = 1e-9  # a range narrower than this, relative to its place, is that of a constant
_ASIDE = 255  # bin of what is missing, or not selected: neither is counted

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Histogram:
    """Counts of a column's values, bin by bin.

    Attributes
    ----------
    edges : ndarray of shape (b + 1,), float64
        Bin i holds edges[i] ≤ value < edges[i + 1], the last bin its upper edge too. Whole numbers and categories get
        bins that are centred on whole numbers (categories: on the positions of their words).
    counts : ndarray of shape (b,), int64
        Selected rows in each bin.
    missing, below, above : int
        Selected rows without a value, and with one beyond the edges.
    log : bool
        Whether the edges are equally spaced in the logarithm.
    labels : tuple of str
        A category's words, one a bin; empty for numbers.
    zero : int
        What the edges are counted from: 0 but for whole numbers beyond 2⁵³, of which float64 would lose digits.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    missing: int
    below: int
    above: int
    log: bool
    labels: tuple[str, ...] = ()
    zero: int = 0


@dataclass(frozen=True)
class BitCounts:
    """Counts of the set bits of a flags column.

    Attributes
    ----------
    bits : tuple of int
        Those that are set in some row of the atlas, ascending.
    counts : ndarray of shape (b,), int64
        Selected rows that have each.
    rows : int
        Selected rows.
    """

    bits: tuple[int, ...]
    counts: NDArray[np.int64]
    rows: int


def histogram(columns: Columns, name: str, bins: int = BINS, mask: Mask | None = None) -> Histogram:
    """The histogram of one column, once; `Histograms` remembers.

    Parameters
    ----------
    columns : Columns
    name : str
        A column of numbers, flags or categories.
    bins : int
        At most so many; whole numbers may need fewer, categories have one a word.
    mask : Mask, optional
        Only these rows.

    Raises
    ------
    InputError
        If there is no such column, it holds text, or `bins` is not 1 to 200.
    """
    return Histograms(columns).get(name, mask, bins)


class Histograms:
    """Histograms of some columns, shared by threads. Each row's bin is found once and kept while there is room.

    Parameters
    ----------
    columns : Columns
    keep_bytes : int
        What the bins of rows may take together; those that were not asked for longest are dropped.
    """

    def __init__(self, columns: Columns, keep_bytes: int = KEPT_BYTES) -> None:
        self._columns = columns
        self._keep_bytes = keep_bytes
        self._codes: OrderedDict[tuple[str, int | tuple[int, ...]], Codes] = OrderedDict()
        self._whole: dict[tuple[str, int], Histogram] = {}
        self._bits: dict[str, BitCounts] = {}
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def get(self, name: str, mask: Mask | None = None, bins: int = BINS) -> Histogram:
        """As `histogram`. For a cross-filter, give the mask of all filters but the one on this column."""
        if not 1 <= bins <= MOST_BINS:
            raise InputError(f"a histogram may have 1 to {MOST_BINS} bins, not {bins}")
        column = self._columns.describe(name)
        if mask is None and (name, bins) in self._whole:
            return self._whole[name, bins]
        zero = zero_of(column)
        edges, log = bin_edges(_counted_from(zero, column), bins)
        if column.kind == "category":
            codes = self._columns.array(name)  # a category's codes are its bins, and memory-mapped
        else:
            codes = self._codes_of(name, bins, lambda piece: bin_codes(from_zero(piece, zero), edges, log))
        counts = _count(codes, mask)
        total = codes.size if mask is None else mask.count
        n, first = edges.size - 1, 0 if column.kind == "category" else 1
        inside = counts[first : first + n]
        below, above = (0, 0) if column.kind == "category" else (int(counts[0]), int(counts[n + 1]))
        missing = total - int(inside.sum()) - below - above
        words = column.vocabulary if column.kind == "category" else ()
        found = Histogram(edges, inside, missing, below, above, log, words, zero)
        if mask is None:
            self._whole[name, bins] = found
        return found

    def bits(self, name: str, mask: Mask | None = None) -> BitCounts:
        """Number of rows with each bit of a flags column set, all or those of a mask.

        Raises
        ------
        InputError
            If there is no such column, or it does not hold flags.
        """
        whole = self._bits.get(name) or self._whole_bits(name)
        if mask is None:
            return whole
        return BitCounts(whole.bits, self._count_bits(name, whole.bits, mask), mask.count)

    def _whole_bits(self, name: str) -> BitCounts:
        column = self._columns.describe(name)
        if column.kind != "flags":
            raise InputError(f"column {name!r} holds {column.kind}, not flags")
        stored = _unsigned(self._columns.array(name))
        pieces = in_threads(lambda rows: int(np.bitwise_or.reduce(stored[rows])), chunks(stored.size, PIECE_ROWS))
        used = reduce(or_, pieces, 0)
        bits = tuple(bit for bit in range(8 * stored.itemsize) if used >> bit & 1)
        return self._bits.setdefault(name, BitCounts(bits, self._count_bits(name, bits, None), stored.size))

    def _count_bits(self, name: str, bits: tuple[int, ...], mask: Mask | None) -> NDArray[np.int64]:
        counts = []
        for first in range(0, len(bits), BITS_A_CODE):
            group = bits[first : first + BITS_A_CODE]
            codes = self._codes_of(name, group, partial(bit_codes, bits=group))
            of_codes = _count(codes, mask)[: 1 << len(group)]
            counts += [of_codes[np.arange(of_codes.size) >> place & 1 == 1].sum() for place in range(len(group))]
        return np.array(counts, dtype=np.int64)

    def _codes_of(self, name: str, of: int | tuple[int, ...], code: Callable[[NDArray[Any]], Codes]) -> Codes:
        """Codes of all rows of a column, one a row: those of so many bins, or of these bits."""
        stored = self._columns.array(name)
        key = name, of
        with self._making:  # one at a time: each takes two threads
            with self._lock:
                if key in self._codes:
                    self._codes.move_to_end(key)
                    return self._codes[key]
            codes = np.empty(stored.size, dtype=np.uint8)

            def fill(rows: slice) -> None:
                codes[rows] = code(np.asarray(stored[rows]))

            for _ in in_threads(fill, chunks(stored.size, PIECE_ROWS)):
                pass
            with self._lock:
                self._codes[key] = codes
                while len(self._codes) > 1 and sum(kept.nbytes for kept in self._codes.values()) > self._keep_bytes:
                    self._codes.popitem(last=False)
        return codes

    @property
    def kept_bytes(self) -> int:
        """Bytes that the bins of rows take now."""
        with self._lock:
            return sum(codes.nbytes for codes in self._codes.values())


def zero_of(column: Column) -> int:
    """A whole number among the values of a column of them whose digits float64 would lose; 0 for all others."""
    middle = column.quantiles[QUANTILES.index(0.5)] if len(column.quantiles) == len(QUANTILES) else 0
    return middle if isinstance(middle, int) else 0


def _counted_from(zero: int, column: Column) -> Column:
    return replace(column, quantiles=tuple(q - zero for q in column.quantiles)) if zero else column


def bin_edges(column: Column, bins: int) -> tuple[NDArray[np.float64], bool]:
    """Edges of a column's bins, and whether they are equally spaced in the logarithm.

    Raises
    ------
    InputError
        If the column holds text.
    """
    if column.kind == "text":
        raise InputError(f"column {column.name!r} holds text, which has no histogram")
    if column.kind == "category":
        return np.arange(-0.5, len(column.vocabulary), dtype=np.float64), False
    if not column.quantiles:
        return np.array([0.0, 1.0]), False
    smallest, first, last, largest = (column.quantiles[QUANTILES.index(share)] for share in (0.0, 0.01, 0.99, 1.0))
    narrow = max(max(abs(first), abs(last)) * NARROWEST, 1e-300)
    if is_skewed(column) and last - first > narrow:
        room = (last / first) ** ROOM
        low, high = max(smallest, first / room), min(largest, last * room)
        return np.geomspace(low, high, bins + 1, dtype=np.float64), True
    room = ROOM * (last - first)
    low, high = max(smallest, first - room), min(largest, last + room)
    if np.dtype(column.dtype).kind in "iub" and high - low + 1 > narrow:
        # Bins as wide as some whole number, or some would hold more of the values than others.
        low, high = np.floor(low), np.ceil(high)
        width = np.ceil((high - low + 1) / bins)
        return np.arange(low - 0.5, high + width, width, dtype=np.float64), False
    if high - low < narrow:
        slack = max(abs(low) * 1e-3, 0.5)
        low, high = low - slack, high + slack
    return np.linspace(low, high, bins + 1, dtype=np.float64), False


def bin_codes(values: NDArray[np.float64], edges: NDArray[np.float64], log: bool) -> Codes:
    """The bin of each value: 0 below the edges, 1 to b between them, b + 1 above, 255 for NaN.

    Parameters
    ----------
    values : ndarray of shape (m,), float64
    edges : ndarray of shape (b + 1,), float64
        Equally spaced, in the logarithm where `log`.
    log : bool

    Returns
    -------
    ndarray of shape (m,), uint8
    """
    n = edges.size - 1
    with np.errstate(all="ignore"):  # the logarithm of what is not positive lies below, what overflows above
        place = np.log(values) if log else values.copy()
        low, high = np.log(edges[[0, -1]]) if log else edges[[0, -1]]
        place -= low
        place *= n / (high - low)
        place += 1
    guess = np.fmin(np.fmax(place, 0), n + 1).astype(np.int64)
    # Rounding may put a value near an edge on its wrong side; the edges themselves decide.
    bounds = np.array([-np.inf, *edges[:-1], np.nextafter(edges[-1], np.inf), np.nan])
    guess -= values < bounds[guess]
    guess += values >= bounds[guess + 1]
    codes: Codes = guess.astype(np.uint8)
    codes[np.isnan(values)] = _ASIDE
    return codes


def bit_codes(flags: NDArray[Any], bits: Sequence[int]) -> Codes:
    """Some bits of each row's flags, moved together: bit i of a code is bit `bits[i]` of the flags.

    Parameters
    ----------
    flags : ndarray of shape (m,), any whole numbers
    bits : sequence of int
        At most `BITS_A_CODE`.

    Returns
    -------
    ndarray of shape (m,), uint8
    """
    flags = _unsigned(flags)
    codes = np.zeros(flags.size, dtype=np.uint8)
    for place, bit in enumerate(bits):
        codes |= ((flags >> flags.dtype.type(bit)) & flags.dtype.type(1)).astype(np.uint8) << np.uint8(place)
    return codes


def _unsigned(flags: NDArray[Any]) -> NDArray[Any]:
    """The same bits as a number without a sign: the highest bit of a signed one is its sign."""
    return flags.view(f"u{flags.dtype.itemsize}")


def _count(codes: Codes, mask: Mask | None) -> NDArray[np.int64]:
    """Number of selected rows of each code, of shape (256,); `_ASIDE` holds no meaning."""
    if mask is not None and mask.count < codes.size * FEW_SHARE:
        return np.bincount(codes[mask.rows], minlength=256)

    def count(rows: slice) -> NDArray[np.int64]:
        piece = np.asarray(codes[rows])
        if mask is not None:
            packed = ~mask.packed[rows.start // 8 : (rows.stop + 7) // 8]
            aside = np.unpackbits(packed, count=piece.size, bitorder="little")
            aside *= _ASIDE
            aside |= piece
            piece = aside
        return np.bincount(piece, minlength=256)

    counts = np.zeros(256, dtype=np.int64)
    for found in in_threads(count, chunks(codes.size, PIECE_ROWS)):
        counts += found
    return counts
