"""Portrait of a cluster for its card: some members, how many of them are odd or spoilt, how far it is from others.

All of it is judged by the sample of `atlas.catalog.cluster_labels`, so its cost does not follow the survey.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import ARTEFACT, DEFAULT, SPOILT, offered
from atlas.catalog.cluster_labels import sample_rows
from atlas.catalog.columns import Columns

MEMBERS = 5
ODD = 99.0
"""Percentile from which a galaxy counts as odd: one in a hundred of all."""


class Portrait(NamedTuple):
    """Of one cluster.

    Attributes
    ----------
    members : tuple of int
        Rows, drawn at random among those of the sample.
    odd : float
        Share of galaxies among the oddest hundredth; NaN where an atlas has no such column.
    spoilt : float
        Share with a spoilt image; NaN likewise.
    distinctness : float
        Cosine distance of its middle to that of the nearest other cluster.
    """

    members: tuple[int, ...]
    odd: float
    spoilt: float
    distinctness: float


def portraits(columns: Columns, n_rows: int, centroids: NDArray[np.float32]) -> tuple[Portrait, ...]:
    """A portrait of each cluster, by label.

    Parameters
    ----------
    columns : Columns
        With `cluster`.
    n_rows : int
    centroids : ndarray of shape (c, d), float32
        Unit rows.
    """
    count = len(centroids)
    rows = sample_rows(n_rows)
    labels = np.asarray(columns.array("cluster")[rows], dtype=np.int64)
    inside = labels >= 0
    size = np.bincount(labels[inside], minlength=count)
    # A random order within each cluster.
    order = np.lexsort((np.random.default_rng(0).random(rows.size), np.where(inside, labels, count)))
    starts = np.concatenate([[0], np.cumsum(size)])
    known = offered(columns)
    odd, spoilt = (
        _share(columns, name, above, rows, labels, size) if name in known else np.full(count, np.nan)
        for name, above in ((DEFAULT, ODD), (ARTEFACT, SPOILT))
    )
    similarity = centroids @ centroids.T
    np.fill_diagonal(similarity, -1)
    apart = 1 - similarity.max(axis=1, initial=-1)
    return tuple(
        Portrait(
            tuple(rows[order[starts[label] : min(starts[label] + MEMBERS, starts[label + 1])]].tolist()),
            float(odd[label]),
            float(spoilt[label]),
            float(apart[label]),
        )
        for label in range(count)
    )


def _share(
    columns: Columns,
    name: str,
    above: float,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    size: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Share of each cluster's rows whose value is above a bound; NaN for a cluster of none."""
    has = np.asarray(columns.array(name)[rows], dtype=np.float64) > above
    found = np.bincount(labels[has & (labels >= 0)], minlength=size.size)
    share: NDArray[np.float64] = np.divide(found, size, out=np.full(size.size, np.nan), where=size > 0)
    return share
