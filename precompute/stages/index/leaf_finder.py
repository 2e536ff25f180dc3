"""Finds the leaf of a tree that each of many rows belongs to, without a product with every centroid.

Centroids are gathered into about √leaves groups. A row meets the centroids of those groups alone whose middles are
nearest to it: of 13,000 leaves a tenth, and the leaf is ScaNN's own for 999 rows of a thousand. The others end up in a
leaf nearly as near, where a search looks for them as soon.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from atlas.search.exact import EmbeddingArray

GROUPS_SEARCHED = 12
"""Groups that a row meets. With no more groups than this in all, leaves are exact."""

BLOCK_ROWS = 8_192
"""Rows at a time: enough for each group to meet hundreds at once."""


class LeafFinder:
    """Nearest of a tree's centroids.

    Parameters
    ----------
    centroids : ndarray of shape (leaves, d), float32
        In the order of the leaves' numbers.
    """

    def __init__(self, centroids: NDArray[np.float32]) -> None:
        self._half = np.einsum("ld,ld->l", centroids, centroids) / 2
        n_groups = min(math.isqrt(len(centroids)), len(np.unique(centroids, axis=0)))
        if n_groups <= GROUPS_SEARCHED:
            groups = np.zeros(len(centroids), dtype=np.intp)
            self._middles = centroids.mean(axis=0, keepdims=True)
        else:
            fitted = KMeans(n_groups, n_init=1, max_iter=20, random_state=0).fit(centroids)
            # Without groups that came out empty: they would take the place of others among the nearest.
            used, groups = np.unique(fitted.labels_, return_inverse=True)
            self._middles = fitted.cluster_centers_[used]
        self._middle_half = np.einsum("gd,gd->g", self._middles, self._middles) / 2
        self._leaves = [np.flatnonzero(groups == group).astype(np.int32) for group in range(len(self._middles))]
        self._centroids = [centroids[leaves] for leaves in self._leaves]

    def nearest(self, embeddings: EmbeddingArray) -> NDArray[np.int32]:
        """The leaf of each row.

        Parameters
        ----------
        embeddings : ndarray of shape (m, d), float16 or float32

        Returns
        -------
        ndarray of shape (m,), int32
        """
        nearest = np.empty(len(embeddings), dtype=np.int32)
        for start in range(0, len(embeddings), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            nearest[part] = self._nearest(np.asarray(embeddings[part], dtype=np.float32))
        return nearest

    def _nearest(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        closeness = rows @ self._middles.T - self._middle_half
        searched = min(GROUPS_SEARCHED, len(self._leaves))
        groups = np.argpartition(-closeness, searched - 1, axis=1)[:, :searched].ravel()
        # The rows that meet each group, one group after the other.
        order = np.argsort(groups, kind="stable")
        edges = np.searchsorted(groups[order], np.arange(len(self._leaves) + 1))
        best = np.full(len(rows), -np.inf, dtype=np.float32)
        leaf = np.zeros(len(rows), dtype=np.int32)
        for group, (leaves, centroids) in enumerate(zip(self._leaves, self._centroids, strict=True)):
            meet = order[edges[group] : edges[group + 1]] // searched
            if not meet.size:
                continue
            scores = rows[meet] @ centroids.T
            scores -= self._half[leaves]
            winner = scores.argmax(axis=1)
            score = scores[np.arange(meet.size), winner]
            better = score > best[meet]
            best[meet[better]] = score[better]
            leaf[meet[better]] = leaves[winner[better]]
        return leaf


def products_a_row(leaves: int) -> float:
    """Centroids and middles of groups that a row meets, on average, in a tree of so many leaves."""
    groups = math.isqrt(leaves)
    return leaves if groups <= GROUPS_SEARCHED else groups + GROUPS_SEARCHED * leaves / groups
