"""Mask of the selected rows: one bit a row, exact over all rows, shared by every view."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Mask:
    """An exact set of rows.

    Held packed (n / 8 bytes: 5.3 MB at 42 million rows), so that a cache can keep many; the boolean array and the
    row numbers are made when first asked for.

    Parameters
    ----------
    packed : ndarray of shape (ceil(n / 8),), uint8
        As `np.packbits(dense, bitorder="little")` writes it.
    n_rows : int
        Number of rows of the atlas.
    """

    def __init__(self, packed: NDArray[np.uint8], n_rows: int) -> None:
        if packed.shape != ((n_rows + 7) // 8,):
            raise ValueError(f"packed mask has shape {packed.shape}, expected ({(n_rows + 7) // 8},)")
        self.packed = packed
        self.n_rows = n_rows

    @classmethod
    def from_dense(cls, dense: NDArray[np.bool_]) -> Mask:
        """From a boolean array of shape (n,)."""
        mask = cls(np.packbits(dense, bitorder="little"), dense.size)
        mask.__dict__["dense"] = dense
        return mask

    @classmethod
    def from_rows(cls, rows: NDArray[Any], n_rows: int) -> Mask:
        """From row numbers, in any order, repeated or not."""
        dense = np.zeros(n_rows, dtype=np.bool_)
        dense[rows] = True
        return cls.from_dense(dense)

    @cached_property
    def count(self) -> int:
        """Number of selected rows."""
        return int(np.bitwise_count(self.packed).sum(dtype=np.int64))

    @cached_property
    def dense(self) -> NDArray[np.bool_]:
        """Boolean array of shape (n,)."""
        return np.unpackbits(self.packed, count=self.n_rows, bitorder="little").view(np.bool_)

    @cached_property
    def rows(self) -> NDArray[np.uint32]:
        """Selected rows, ascending, uint32."""
        return np.flatnonzero(self.dense).astype(np.uint32)

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.packed & other.packed, self.n_rows)

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.packed | other.packed, self.n_rows)

    def __invert__(self) -> Mask:
        packed = ~self.packed
        if self.n_rows % 8:
            packed[-1] &= (1 << (self.n_rows % 8)) - 1  # the bits behind the last row stay clear
        return Mask(packed, self.n_rows)

    def holds(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Mask of those of some rows that are selected; in the shape of `rows`, without the boolean array of all."""
        bits: NDArray[np.uint8] = self.packed[rows >> 3] >> (rows & 7).astype(np.uint8) & 1
        return bits.view(np.bool_)

    def sample(self, size: int, seed: int) -> NDArray[np.int64]:
        """A uniform sample of the selected rows, ascending, that the seed fixes; all of them where there are fewer.

        Costs a count of bits: the selected rows are not listed.
        """
        counts = np.bitwise_count(self.packed)
        last = np.cumsum(counts, dtype=np.uint32)
        ranks = np.arange(self.count)
        if self.count > size:
            ranks = np.sort(np.random.default_rng(seed).choice(self.count, size, replace=False))
        byte = np.searchsorted(last, ranks, side="right")
        within = ranks - (last[byte].astype(np.int64) - counts[byte])
        bits = np.unpackbits(self.packed[byte, None], axis=1, bitorder="little")
        # The bit that is the last of `within + 1` set ones: as many positions lie before it as have a smaller sum.
        bit = np.count_nonzero(np.cumsum(bits, axis=1) <= within[:, None], axis=1)
        rows: NDArray[np.int64] = byte * 8 + bit
        return rows

    def __contains__(self, row: int) -> bool:
        return bool(self.packed[row >> 3] >> (row & 7) & 1)

    def __len__(self) -> int:
        return self.count
