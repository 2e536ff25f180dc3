"""Ranks of given rows in an order of all rows, exactly and without sorting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import SCAN_ROWS, EmbeddingArray, check_query, exact_scores, unit_rows

_SUMMATION = 2.0**-24
"""Half a step of float32 at 1: what each of d products may add to the error of a sum (Higham 2002, section 3.1)."""


def ranks_by_similarity(
    embeddings: EmbeddingArray,
    query: NDArray[np.floating[Any]],
    rows: NDArray[np.integer[Any]],
    *,
    mask: NDArray[np.bool_] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Number of rows more similar to the query than each of some, plus one.

    One pass over all rows in float32; those too close to call are scored as `exact_scores` does, so ranks agree with
    the order of `top_k_exact`. Equal scores share the better rank.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    query : ndarray of shape (d,)
        Of any length.
    rows : ndarray of shape (k,), integer
        Whose ranks are wanted.
    mask : ndarray of shape (n,), bool, optional
        Rows that are ranked; all by default.
    advance : callable
        Told how many rows are done. What it raises ends the pass.

    Returns
    -------
    ranks : ndarray of shape (k,), int64
        From 1.
    scores : ndarray of shape (k,), float32
        Their cosine similarities.

    Raises
    ------
    InputError
        If the query does not fit the embeddings.
    """
    query = check_query(query, embeddings.shape[1])
    length = float(np.linalg.norm(query.astype(np.float64))) or 1.0
    direction = (query / length).astype(np.float32)
    margin = np.float32(2 * (query.size + 8) * _SUMMATION)
    scores = exact_scores(embeddings, rows, query)
    marks = _Marks(scores)
    for start in range(0, embeddings.shape[0], SCAN_ROWS):
        stop = start + SCAN_ROWS
        local = None if mask is None else np.flatnonzero(mask[start:stop])
        block = embeddings[start:stop] if local is None else embeddings[start:stop][local]
        rough = unit_rows(block) @ direction
        near = marks.near(rough, margin)
        at = near if local is None else local[near]
        rough[near] = exact_scores(embeddings, start + at, query)
        marks.count(rough)
        advance(min(stop, embeddings.shape[0]))
    return marks.ranks(), scores


def ranks_by_value(
    values: NDArray[Any],
    rows: NDArray[np.integer[Any]],
    *,
    descending: bool,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Number of rows before each of some by a column's value, plus one; missing values come last, together.

    Parameters
    ----------
    values : ndarray of shape (n,), number
    rows : ndarray of shape (k,), integer
    mask : ndarray of shape (n,), bool, optional
        Rows that are ranked; all by default.

    Returns
    -------
    ndarray of shape (k,), int64
        From 1.
    """
    wanted = values[rows]
    ranked = np.asarray(values if mask is None else values[mask])
    ranked = np.sort(ranked[ranked == ranked])
    if descending:
        before = ranked.size - np.searchsorted(ranked, wanted, side="right")
    else:
        before = np.searchsorted(ranked, wanted, side="left")
    return np.where(wanted == wanted, before, ranked.size).astype(np.int64) + 1


class _Marks:
    """Scores, and how many others were above each."""

    def __init__(self, scores: NDArray[np.float32]) -> None:
        self._ascending, self._at = np.unique(scores, return_inverse=True)
        self._between = np.zeros(self._ascending.size + 1, dtype=np.int64)

    def near(self, scores: NDArray[np.float32], margin: np.float32) -> NDArray[np.intp]:
        """Those of some scores that lie within a margin of a mark."""
        low = np.searchsorted(self._ascending, scores - margin, side="left")
        high = np.searchsorted(self._ascending, scores + margin, side="right")
        return np.flatnonzero(low != high)

    def count(self, scores: NDArray[np.float32]) -> None:
        """Count scores between the marks: one at place i is above the marks before i, and above no other."""
        place = np.searchsorted(self._ascending, scores, side="left")
        self._between += np.bincount(place, minlength=self._between.size)

    def ranks(self) -> NDArray[np.int64]:
        above = self._between.sum() - np.cumsum(self._between)[:-1]
        ranks: NDArray[np.int64] = above[self._at] + 1
        return ranks
