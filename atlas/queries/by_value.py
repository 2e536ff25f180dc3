"""The first rows by a value: of a column, or of a mixture of detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.mixtures import MixedColumn
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.storage.arrays import chunks

CHUNK_ROWS = 1 << 18
"""Rows whose mixture is in memory at a time, on each of two threads."""


def top_of_column(
    values: NDArray[Any], k: int, *, descending: bool, mask: Mask | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first k rows by a column, ties in order of row, missing values last.

    Returns
    -------
    rows : ndarray of shape (min(k, selected),), int64
    values : ndarray of the same shape, float32
    """
    rows = None if mask is None else mask.rows
    key = np.asarray(values if rows is None else values[rows])
    if descending:
        # Without loss: a minus overflows for unsigned and for extreme integers, float64 does not hold every 64-bit id.
        key = -key if key.dtype.kind == "f" else ~key
    k = min(k, key.size)
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    last = np.partition(key, k - 1)[k - 1]
    missing = key != key
    better, equal = (~missing, missing) if last != last else (key < last, key == last)
    chosen = np.flatnonzero(better)
    chosen = np.concatenate([chosen, np.flatnonzero(equal)[: k - chosen.size]])
    chosen = chosen[np.lexsort((chosen, key[chosen]))]
    found = chosen if rows is None else rows[chosen].astype(np.int64)
    return found, np.asarray(values[found], dtype=np.float32)


def top_of_mixture(mixed: MixedColumn, k: int, mask: Mask | None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first k rows by a mixture, the oddest first, ties in order of row, what nobody knows last; in one pass.

    Returns
    -------
    rows : ndarray of shape (min(k, selected),), int64
    values : ndarray of the same shape, float32
    """
    rows = None if mask is None else mask.rows

    def best(part: slice) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        within: slice | NDArray[Any] = part if rows is None else rows[part]
        at, values = top_of_column(mixed[within], k, descending=True, mask=None)
        return (at + part.start if rows is None else rows[part][at].astype(np.int64)), values

    found = list(in_threads(best, chunks(mixed.size if rows is None else rows.size, CHUNK_ROWS)))
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    found_rows, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    first = np.lexsort((found_rows, -values))[:k]
    return found_rows[first], values[first]
