"""Wide embeddings made narrow by principal components, in two passes over chunks; and what that costs, measured.

The components are those of the unit rows about the origin, not about their mean: they keep inner products best of all
projections of that rank (Eckart & Young 1936, Psychometrika 1, 211), and inner products are what an atlas searches by.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray, top_k_exact_many, top_of_each

WIDEST = 256
"""Embeddings of more numbers are reduced where nothing else is asked for."""

DEFAULT_WIDTH = 128

ROUNDING = 1e-6

BLOCK_ROWS = 8_192
"""Rows that pass the sample at once: 16 MB of scores."""

SAMPLE_ROWS = 500
NEIGHBORS = 10
"""Neighbours kept are counted among the ten nearest of 500 rows."""


def reduced_width(dimension: int, wanted: int) -> int:
    """Numbers that embeddings of a dimension are stored with, for `BuildConfig.pca`; never more than they have."""
    if wanted == 0:
        return dimension if dimension <= WIDEST else DEFAULT_WIDTH
    return min(dimension, wanted)


def sampled_rows(n_rows: int) -> NDArray[np.int64]:
    """Rows whose neighbours are compared, ascending; always the same of n, so that they do not make a build new."""
    chosen = np.random.default_rng(0).choice(n_rows, min(n_rows, SAMPLE_ROWS), replace=False)
    return np.sort(chosen)


class Reduction(msgspec.Struct, frozen=True):
    """A projection onto principal components.

    Attributes
    ----------
    axes : ndarray of shape (d, width), float32
        Orthonormal columns, the strongest first.
    variance_kept : float
        Share of the rows' variance about their mean that lies in the components, in [0, 1].
    """

    axes: NDArray[np.float32]
    variance_kept: float


class Moments:
    """Sums over rows that fix the principal components; filled chunk by chunk."""

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, rows: NDArray[np.float32]) -> None:
        """Take in rows of shape (m, d). Products of a chunk are summed in float32, chunks in float64."""
        self.count += len(rows)
        self._sum += rows.sum(axis=0, dtype=np.float64)
        self._products += rows.T @ rows

    def reduction(self, width: int) -> Reduction:
        """The projection onto the `width` strongest components."""
        second = self._products / self.count
        values, vectors = np.linalg.eigh(second)
        axes = vectors[:, np.argsort(-values, kind="stable")[:width]]
        # Of the two directions of an axis the one whose largest number is positive: same input, same bytes.
        largest = np.abs(axes).argmax(axis=0)
        axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
        mean = self._sum / self.count
        total = float(np.trace(second) - mean @ mean)
        kept = float(np.trace(axes.T @ second @ axes) - ((mean @ axes) ** 2).sum())
        # Unit rows that are all alike vary by rounding only.
        share = min(1.0, max(0.0, kept / total)) if total > ROUNDING else 1.0
        return Reduction(axes.astype(np.float32), share)


class NearestOfSample:
    """The exact nearest of a few rows among all, which pass by in chunks and are not kept.

    Parameters
    ----------
    rows : ndarray of shape (q,), int64
        The sample.
    queries : ndarray of shape (q, d), float32
        Their unit embeddings.
    k : int
        Neighbours of each, itself excluded.
    """

    def __init__(self, rows: NDArray[np.int64], queries: NDArray[np.float32], k: int) -> None:
        self._own = rows[:, None]
        self._queries = queries
        self._k = k
        self.rows = np.full((len(rows), k), -1, dtype=np.int64)
        self._scores = np.full((len(rows), k), -np.inf, dtype=np.float32)

    def add(self, start: int, chunk: NDArray[np.float32]) -> None:
        """Take in unit embeddings of rows `start` …, shape (m, d)."""
        for first in range(0, len(chunk), BLOCK_ROWS):
            self._add_block(start + first, chunk[first : first + BLOCK_ROWS])

    def _add_block(self, start: int, block: NDArray[np.float32]) -> None:
        scores = self._queries @ block.T
        scores[np.arange(start, start + len(block)) == self._own] = -np.inf
        k = min(self._k, len(block))
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows = np.concatenate([self.rows, best + start], axis=1)
        merged = np.concatenate([self._scores, np.take_along_axis(scores, best, axis=1)], axis=1)
        self.rows, self._scores = top_of_each(rows, merged, self._k)


def neighbors_kept(wide: NearestOfSample, rows: NDArray[np.int64], reduced: EmbeddingArray) -> float:
    """Share of the sample's nearest in the wide embeddings that are among the nearest in the reduced ones, too.

    Parameters
    ----------
    wide : NearestOfSample
        After all rows have passed.
    rows : ndarray of shape (q,), int64
        The sample.
    reduced : ndarray of shape (n, width), float16 or float32
        Unit rows as stored.
    """
    k = wide.rows.shape[1]
    if not wide.rows.size:
        return 1.0
    found, scores = top_k_exact_many(reduced, np.asarray(reduced[rows], dtype=np.float32), k + 1)
    found, _ = top_of_each(found, np.where(found == rows[:, None], -np.inf, scores).astype(np.float32), k)
    return float((wide.rows[:, :, None] == found[:, None, :]).any(axis=2).mean())
