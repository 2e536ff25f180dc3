"""Agreement of two answers: how many galaxies are among the first of both, and how far both order them alike."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

DEPTHS = (10, 25, 50, 100)

ScoreOf = Callable[[NDArray[np.uint32]], NDArray[np.float32]]


class Agreement(msgspec.Struct, frozen=True):
    """Agreement of an answer A and an answer B.

    Attributes
    ----------
    shared : tuple of (int, int)
        Depths k, and how many of the first k of A are among the first k of B.
    correlation : float or None
        Spearman's rank correlation of the scores that both give the galaxies of either list; None where one of them
        has no score to give, or nothing to order.
    common, only_a, only_b : ndarray, uint32
        Rows in both lists and in one alone, in the order of A, of A and of B.
    """

    shared: tuple[tuple[int, int], ...]
    correlation: float | None
    common: NDArray[np.uint32]
    only_a: NDArray[np.uint32]
    only_b: NDArray[np.uint32]


def agreement(
    a: NDArray[np.uint32], b: NDArray[np.uint32], score_a: ScoreOf | None = None, score_b: ScoreOf | None = None
) -> Agreement:
    """Agreement of two lists, best first.

    Parameters
    ----------
    a, b : ndarray of shape (m,) and (k,), uint32
        Distinct rows each.
    score_a, score_b : callable, optional
        Scores that either answer gives any rows, the more the better.
    """
    longest = max(a.size, b.size)
    depths = [*(k for k in DEPTHS if k < longest), longest] if longest else []
    shared = tuple((k, int(np.isin(a[:k], b[:k]).sum())) for k in depths)
    correlation = None
    if score_a is not None and score_b is not None:
        union = np.union1d(a, b)
        scores = [of(union) for of in (score_a, score_b)]
        if union.size > 2 and all(np.isfinite(one).all() and np.ptp(one) > 0 for one in scores):
            correlation = round(float(spearmanr(*scores).statistic), 3)
    both = np.isin(a, b)
    return Agreement(shared, correlation, a[both], a[~both], b[~np.isin(b, a)])
