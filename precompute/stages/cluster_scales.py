"""Scales of clusters: every anchor in one, and those of a finer scale joined to those of a coarser.

What the density of the map calls noise goes to the cluster of the nearest anchor that has one, and is marked as lying
between clusters. Joined are clusters whose middles lie near each other on the map, by average linkage (Sokal & Michener
1958, Univ. Kansas Sci. Bull. 38, 1409), so that a scale is nested in the one above it. Joined by their embeddings, they
agree less with true classes at the coarse scale and as much at the medium (`python -m benchmarks.clusters`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree


def without_noise(positions: NDArray[np.float32], labels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Labels in which noise, −1, has that of the nearest labelled position; all stay −1 where none has a label.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32
    labels : ndarray of shape (m,), int16
    """
    inside, outside = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    if not inside.size or not outside.size:
        return labels
    _, nearest = cKDTree(positions[inside]).query(positions[outside])
    filled = labels.copy()
    filled[outside] = labels[inside[nearest]]
    return filled


def scale_sizes(n_clusters: int) -> tuple[int, int, int]:
    """Clusters of the coarse, the medium and the fine scale: steps of equal ratio to eye and memory."""
    coarse = max(min(2, n_clusters), round(n_clusters**0.5))
    return int(coarse), max(int(coarse), round(n_clusters**0.75)), n_clusters


def nested(positions: NDArray[np.float32], fine: NDArray[np.int16], size: NDArray[np.int64]) -> NDArray[np.int16]:
    """The cluster of each scale that holds each of the fine ones, numbered through all scales.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32
    fine : ndarray of shape (m,), int16
        Fine clusters, the largest 0; −1 for none.
    size : ndarray of shape (f,), int64
        Galaxies of each.

    Returns
    -------
    ndarray of shape (3, f), int16
        Fine, medium, coarse; within each the largest first.
    """
    coarse, medium, n_fine = scale_sizes(len(size))
    tree = np.zeros((3, n_fine), dtype=np.int16)
    if not n_fine:
        return tree
    inside = fine >= 0
    count = np.maximum(np.bincount(fine[inside], minlength=n_fine), 1)
    middles = np.stack([np.bincount(fine[inside], positions[inside, axis], n_fine) / count for axis in (0, 1)], axis=1)
    merges = linkage(middles, "average") if n_fine > 1 else None
    tree[0] = np.arange(n_fine)
    for at, wanted in enumerate((medium, coarse), 1):
        one_each = merges is None or wanted == n_fine
        found = np.arange(n_fine) if one_each else fcluster(merges, wanted, "maxclust") - 1
        tree[at] = tree[at - 1].max() + 1 + _by_size(found, size)
    return tree


def _by_size(groups: NDArray[np.integer], size: NDArray[np.int64]) -> NDArray[np.int16]:
    """Groups renumbered, the largest 0."""
    order = np.argsort(-np.bincount(groups, weights=size), kind="stable")
    rank = np.empty(order.size, dtype=np.int16)
    rank[order] = np.arange(order.size)
    renumbered: NDArray[np.int16] = rank[groups]
    return renumbered


def in_scale(scale: NDArray[np.int16], fine: NDArray[np.int16]) -> NDArray[np.int16]:
    """Clusters of a scale from those of the fine one; −1 stays."""
    labels: NDArray[np.int16] = np.append(scale, np.int16(-1))[fine]
    return labels


def overlap(labels: NDArray[np.integer], others: NDArray[np.integer], n_clusters: int) -> NDArray[np.float64]:
    """Jaccard overlap of each cluster with the most similar of another clustering of the same points; (n_clusters,).

    Labels of either are 0 and more, or −1; 0 for a cluster without points.
    """
    table = np.zeros((n_clusters, int(others.max(initial=-1)) + 1))
    both = (labels >= 0) & (others >= 0)
    np.add.at(table, (labels[both], others[both]), 1)
    size = np.bincount(labels[labels >= 0], minlength=n_clusters)[:, None]
    union = size + np.bincount(others[others >= 0], minlength=table.shape[1]) - table
    shares: NDArray[np.float64] = np.divide(table, union, out=np.zeros_like(table), where=union > 0)
    best: NDArray[np.float64] = shares.max(axis=1, initial=0)
    return best
