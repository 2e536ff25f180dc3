"""Distances of a galaxy from others of its brightness.

Faint galaxies are unlike each other by noise, and bright ones by the detail that shows: a distance that knows nothing
of magnitude finds faint discs. So galaxies are compared within groups of like magnitude. In each the embedding is
whitened by the mean and covariance of the group's middle four fifths, found in three rounds (concentration steps:
Rousseeuw & Van Driessen 1999, Technometrics 41, 212), so that what is rare does not widen the scale that it is measured
by. The squared length is Mahalanobis' distance. Its logarithm, from the group's median and in units of its median
deviation, is the score, which makes groups comparable.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray

ScoreFloats = NDArray[np.float32]

LEADING_SHARE = 0.8
"""Of the variance, which the leading components hold: six of the demo's descriptor, which find most rare classes."""

GROUP_ROWS, GROUP_ROWS_A_NUMBER = 400, 12
"""Fitted rows in a group, at least, and for each number of an embedding: a covariance needs some ten of each."""

MOST_GROUPS = 64
CORE, ROUNDS = 0.8, 3
NEGLIGIBLE = 1e-6
"""Share of the variance below which a component holds rounding alone."""

TINY = 1e-12


class AnomalyScores(NamedTuple):
    """Of some rows, each (m,), float32: higher is odder."""

    form: ScoreFloats
    detail: ScoreFloats
    neighbors: ScoreFloats


class _Group(NamedTuple):
    """Whitening of a group of like magnitude: x @ axes − offset, of which the first columns are of form alone.

    `middle` and `spread` are of the scores: log distance by form, by detail, and distance to the ten nearest.
    """

    axes: ScoreFloats
    offset: ScoreFloats
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]


class AnomalyModel:
    """Fitted to a sample of rows; scores any.

    Parameters
    ----------
    sample : ndarray of shape (m, d), float32
    magnitude : ndarray of shape (m,), float32, optional
        NaN where unknown. Without magnitudes all rows are one group.
    distance : ndarray of shape (m,), float32
        To the ten nearest.
    components : int
        Leading ones that form is told by; 0 for those that hold `LEADING_SHARE` of the variance.

    Attributes
    ----------
    leading, kept : int
        Components of form, and in all.
    groups : int
        Of like magnitude.
    """

    def __init__(
        self, sample: ScoreFloats, magnitude: ScoreFloats | None, distance: ScoreFloats, *, components: int
    ) -> None:
        values, vectors = np.linalg.eigh(np.cov(sample, rowvar=False).reshape(sample.shape[1], -1))
        order = np.argsort(-values, kind="stable")
        share = np.maximum(values[order], 0) / max(float(values.sum()), TINY)
        self.kept = max(1, int(np.count_nonzero(share > NEGLIGIBLE)))
        enough = int(np.searchsorted(np.cumsum(share), LEADING_SHARE)) + 1
        self.leading = min(self.kept, components or enough)
        axes = vectors[:, order[: self.kept]]
        known = np.zeros(len(sample), bool) if magnitude is None else ~np.isnan(magnitude)
        size = max(GROUP_ROWS, GROUP_ROWS_A_NUMBER * sample.shape[1])
        self._edges = np.empty(0, dtype=np.float32)
        if magnitude is not None and known.any():
            groups = min(MOST_GROUPS, max(1, int(known.sum()) // size))
            self._edges = np.unique(np.quantile(magnitude[known], np.arange(1, groups) / groups)).astype(np.float32)
        self.groups = len(self._edges) + 1
        of = self._groups_of(magnitude, len(sample))
        # The last one, of all, is for rows without a magnitude and for groups of few.
        of_all = self._fit(sample, distance, axes)
        members = [np.flatnonzero(of == group) for group in range(self.groups)]
        self._fitted = [self._fit(sample[m], distance[m], axes) if 2 * m.size >= size else of_all for m in members]
        self._fitted.append(of_all)

    def score(self, embeddings: EmbeddingArray, magnitude: ScoreFloats | None, distance: ScoreFloats) -> AnomalyScores:
        """Scores of rows.

        Parameters
        ----------
        embeddings : ndarray of shape (m, d), float16 or float32
        magnitude : ndarray of shape (m,), float32, optional
        distance : ndarray of shape (m,), float32
        """
        rows = np.asarray(embeddings, dtype=np.float32)
        of = self._groups_of(magnitude, len(rows))
        found = np.empty((3, len(rows)), dtype=np.float32)
        for group in np.unique(of):
            members = np.flatnonzero(of == group)
            fitted = self._fitted[group]
            raw = self._raw(rows[members], distance[members], fitted)
            found[:, members] = (raw - fitted.middle[:, None]) / fitted.spread[:, None]
        return AnomalyScores(*found)

    def _groups_of(self, magnitude: ScoreFloats | None, count: int) -> NDArray[np.int64]:
        """Group of each row; the last, `groups`, where the magnitude is unknown."""
        if magnitude is None:
            return np.full(count, self.groups)
        return np.where(np.isnan(magnitude), self.groups, np.searchsorted(self._edges, magnitude))

    def _fit(self, rows: ScoreFloats, distance: ScoreFloats, axes: NDArray[np.float64]) -> _Group:
        whitening = [_whiten(rows @ axes[:, :width], axes[:, :width]) for width in (self.leading, self.kept)]
        fitted = _Group(
            np.concatenate([w[0] for w in whitening], axis=1).astype(np.float32),
            np.concatenate([w[1] for w in whitening]).astype(np.float32),
            np.zeros(3),
            np.ones(3),
        )
        raw = self._raw(rows, distance, fitted)
        middle = np.median(raw, axis=1)
        spread = np.median(np.abs(raw - middle[:, None]), axis=1)
        return fitted._replace(middle=middle, spread=np.where(spread > TINY, spread, 1.0))

    def _raw(self, rows: ScoreFloats, distance: ScoreFloats, group: _Group) -> NDArray[np.float64]:
        white = rows @ group.axes - group.offset
        form, detail = (np.einsum("nk,nk->n", w, w) for w in (white[:, : self.leading], white[:, self.leading :]))
        return np.stack([np.log(form + TINY), np.log(detail + TINY), distance.astype(np.float64)])


def _whiten(rows: NDArray[np.float64], axes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes (d, k) and offset (k,) that bring embeddings to unit covariance, by the core of rows (m, k) on `axes`."""
    core = rows
    for _ in range(ROUNDS):
        mean = core.mean(axis=0)
        scatter = np.atleast_2d((core - mean).T @ (core - mean)) / max(1, len(core) - 1)
        scatter += (NEGLIGIBLE * np.trace(scatter) / len(scatter) + TINY) * np.eye(len(scatter))
        values, vectors = np.linalg.eigh(scatter)
        whitening = vectors / np.sqrt(np.maximum(values, TINY))
        length = (((rows - mean) @ whitening) ** 2).sum(axis=1)
        core = rows[np.argsort(length, kind="stable")[: max(2, round(CORE * len(rows)))]]
    return axes @ whitening, mean @ whitening
