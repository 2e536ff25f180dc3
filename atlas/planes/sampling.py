"""Sampling of rows where not all can be drawn: a fixed random order of the rows, the same in every view.

Each row has a 64-bit hash that depends on the row and the seed of the build, on nothing else. A uniform sample of any
set of rows is the members with the smallest hashes. So a sample of what is in view never depends on how it was found,
a point that is drawn stays drawn while one zooms in, and the first k rows of a sample are a sample themselves.

The hash also deals the rows to levels: level k holds the rows whose hash starts with exactly k zero bits, which is
one row in 2**(k + 1). Higher levels have smaller hashes, so reading levels from the highest down yields the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Increment and multipliers of SplitMix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators",
# OOPSLA, doi:10.1145/2660193.2660195 (variant 13 of Stafford's mixers).
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BITS_OF_DOUBLE = 53
SAMPLE_BUDGET = 20_000  # points a graph draws fluently


@dataclass(frozen=True)
class Sample:
    """A uniform sample of what is in view.

    Attributes
    ----------
    rows : ndarray of shape (k,), uint32
        In the random order of `atlas.planes.sampling`: the first few are a smaller sample.
    x, y : ndarray of shape (k,), float32
        Their coordinates in the plane.
    in_view : int
        How many rows are in view (and in the mask), exactly.
    touched : int
        How many were looked at one by one.
    """

    rows: NDArray[np.uint32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    in_view: int
    touched: int

    @property
    def drawn_all(self) -> bool:
        """Whether the sample is everything that is in view."""
        return self.rows.size == self.in_view


def row_hash(rows: NDArray[Any], seed: int) -> NDArray[np.uint64]:
    """A pseudorandom number of each row; no two rows share one.

    Parameters
    ----------
    rows : ndarray of shape (m,), any integer dtype
        Row numbers.
    seed : int
        Seed of the build.

    Returns
    -------
    ndarray of shape (m,), uint64
    """
    start = _mix(np.array([seed % 2**64], dtype=np.uint64) + _GAMMA)
    state = rows.astype(np.uint64)
    state *= _GAMMA
    state += start
    return _mix(state)


def level_of(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The level of each hash: how many zero bits it starts with (0 to 53; beyond that no atlas has rows).

    Parameters
    ----------
    hashes : ndarray of shape (m,), uint64
        From `row_hash`.

    Returns
    -------
    ndarray of shape (m,), uint8
    """
    # The leading 53 bits fit a double exactly, whose exponent then is the position of the first one.
    _, used = np.frexp((hashes >> np.uint64(64 - _BITS_OF_DOUBLE)).astype(np.float64))
    return (_BITS_OF_DOUBLE - used).astype(np.uint8)


def smallest(hashes: NDArray[np.uint64], budget: int) -> NDArray[np.intp]:
    """Positions of the `budget` smallest hashes, smallest first.

    Parameters
    ----------
    hashes : ndarray of shape (m,), uint64
        From `row_hash`.
    budget : int
        How many are wanted.

    Returns
    -------
    ndarray of shape (min(m, budget),), intp
    """
    if hashes.size <= budget:
        return np.argsort(hashes)
    if budget <= 0:
        return np.empty(0, dtype=np.intp)
    chosen = np.argpartition(hashes, budget - 1)[:budget]
    return chosen[np.argsort(hashes[chosen])]


def uniform_sample(rows: NDArray[np.uint32], seed: int, budget: int) -> NDArray[np.uint32]:
    """A uniform sample of a set of rows: those with the smallest hashes, smallest first.

    Parameters
    ----------
    rows : ndarray of shape (m,), uint32
        Distinct rows.
    seed : int
        Seed of the build.
    budget : int
        Size of the sample; all rows where there are fewer.

    Returns
    -------
    ndarray of shape (min(m, budget),), uint32
    """
    return rows[smallest(row_hash(rows, seed), budget)]


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64, in place: a bijection of 64-bit numbers."""
    state ^= state >> np.uint64(30)
    state *= _MIX_1
    state ^= state >> np.uint64(27)
    state *= _MIX_2
    state ^= state >> np.uint64(31)
    return state
