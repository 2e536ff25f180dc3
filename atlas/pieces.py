"""Passes over all rows, in pieces that stay in the cache, on two threads.

numpy lets go of the interpreter while it computes, so the threads share the work. A temporary array is as long as a
piece, so memory does not grow with the survey.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

PIECE_ROWS = 1 << 17
"""Rows of a piece: 512 kB of float32; a multiple of eight, so that the bits of pieces can be joined."""

THREADS = min(2, os.cpu_count() or 1)
FEW_PIECES = 4  # fewer are done before a thread has started

T = TypeVar("T")


def each_piece(n_rows: int, work: Callable[[slice], T]) -> list[T]:
    """What a function says of each piece, in order of the rows; the function is called on two threads."""
    pieces = [slice(start, min(start + PIECE_ROWS, n_rows)) for start in range(0, n_rows, PIECE_ROWS)]
    if len(pieces) <= FEW_PIECES:
        return list(map(work, pieces))
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, pieces))
