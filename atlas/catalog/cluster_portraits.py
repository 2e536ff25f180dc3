"""Portrait of a cluster for its card: some members, how many of them are odd or spoilt, how far it is from others.

All of it is judged by the sample of `atlas.catalog.cluster_labels`, so its cost does not follow the survey.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import ARTEFACT, DEFAULT, SPOILT, offered
from atlas.catalog.cluster_tree import PLACE
from atlas.catalog.columns import Columns
from atlas.storage import layout

MEMBERS = 12
CELLS = 5  # in either direction
FEWEST_ON_SKY = 100
ODD = 99.0
"""Percentile from which a galaxy counts as odd: one in a hundred of all."""


class Portrait(NamedTuple):
    """Of one cluster.

    Attributes
    ----------
    members : tuple of int
        Rows, drawn at random among those of the sample that lie inside it.
    odd : float
        Share of galaxies among the oddest hundredth; NaN where an atlas has no such column.
    spoilt : float
        Share with a spoilt image; NaN likewise.
    distinctness : float
        Cosine distance of its middle to that of the nearest other cluster.
    spread : float
        Share of the survey's sky that it is spread over, 1 for evenly; NaN where fewer than 100 tell.
    """

    members: tuple[int, ...]
    odd: float
    spoilt: float
    distinctness: float
    spread: float


def portraits(
    columns: Columns, rows: NDArray[np.int64], labels: NDArray[np.int64], centroids: NDArray[np.float32]
) -> tuple[Portrait, ...]:
    """A portrait of each cluster, by label.

    Parameters
    ----------
    columns : Columns
    rows : ndarray of shape (m,), int64
        A sample of all galaxies.
    labels : ndarray of shape (m,), int64
        The cluster of each; −1 for none.
    centroids : ndarray of shape (c, d), float32
        Unit rows.
    """
    count = len(centroids)
    inside = labels >= 0
    size = np.bincount(labels[inside], minlength=count)
    # A random order within each cluster, those that lie in it before those that were assigned to it.
    doubt = np.asarray(columns.array(PLACE)[rows]) if PLACE in columns else np.zeros(rows.size)
    order = np.lexsort((np.random.default_rng(0).random(rows.size), doubt, np.where(inside, labels, count)))
    starts = np.concatenate([[0], np.cumsum(size)])
    known = offered(columns)
    odd, spoilt = (
        _share(columns, name, above, rows, labels, size) if name in known else np.full(count, np.nan)
        for name, above in ((DEFAULT, ODD), (ARTEFACT, SPOILT))
    )
    similarity = centroids @ centroids.T
    np.fill_diagonal(similarity, -1)
    apart = 1 - similarity.max(axis=1, initial=-1)
    spread = spreads(columns, rows, labels, count)
    return tuple(
        Portrait(
            tuple(rows[order[starts[label] : min(starts[label] + MEMBERS, starts[label + 1])]].tolist()),
            float(odd[label]),
            float(spoilt[label]),
            float(apart[label]),
            float(spread[label]),
        )
        for label in range(count)
    )


def spreads(
    columns: Columns, rows: NDArray[np.int64], labels: NDArray[np.int64], n_clusters: int
) -> NDArray[np.float64]:
    """Share of the survey's sky that each cluster is spread over, (n_clusters,).

    The sample is cut along declination and right ascension into 25 cells of equal number. A cluster that is in each as
    often as all galaxies has 1, one within a single cell 1/25: the effective number of cells (Hill 1973, Ecology 54,
    427, of order 2), free of the bias of small numbers.
    """
    if layout.RA not in columns or layout.DEC not in columns:
        return np.full(n_clusters, np.nan)
    ra, dec = (np.asarray(columns.array(name)[rows]) for name in (layout.RA, layout.DEC))
    cell = np.zeros(rows.size, dtype=np.int64)
    for at, strip in enumerate(np.array_split(np.argsort(dec, kind="stable"), CELLS)):
        for place, part in enumerate(np.array_split(strip[np.argsort(ra[strip], kind="stable")], CELLS)):
            cell[part] = at * CELLS + place
    inside = labels >= 0
    count = np.bincount(labels[inside] * CELLS**2 + cell[inside], minlength=n_clusters * CELLS**2)
    table = count.reshape(n_clusters, CELLS**2).astype(np.float64)
    size = table.sum(axis=1)
    enough = size >= FEWEST_ON_SKY
    # The chance that two different members share a cell.
    shared = np.divide((table * (table - 1)).sum(axis=1), size * (size - 1), out=np.ones(n_clusters), where=enough)
    return np.where(enough, np.minimum(1 / np.maximum(shared * CELLS**2, 1e-9), 1), np.nan)


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
