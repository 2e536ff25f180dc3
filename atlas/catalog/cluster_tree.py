"""Clusters of the map at several scales, numbered together: 0 is the largest of the finest.

A scale is nested in the coarser one, and each has a column of its labels. Atlases of before have one scale.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.storage.arrays import open_array

FINE, MEDIUM, COARSE = LABELS = ("cluster", "cluster_medium", "cluster_coarse")
"""Columns of labels, one a scale."""

PLACE = "cluster_place"
INSIDE, BETWEEN = PLACES = ("inside", "between")
"""Whether a galaxy lies in its cluster, or between clusters and was assigned to the nearest."""


class ClusterInfo(msgspec.Struct, frozen=True):
    """One cluster of the map.

    Attributes
    ----------
    label : int
        Among those of all scales; 0 is the largest of the finest.
    size : int
        Members among all rows.
    medoid : int
        Row of the member nearest to the cluster's mean embedding.
    map_x, map_y : float
        Where it lies on the map.
    centroid : ndarray of shape (d,), float32
        Mean embedding, unit length.
    scale : str
        Its column of `LABELS`.
    stability : float
        Mean Jaccard overlap with the most similar cluster of five subsamples (Hennig 2007, Comput. Stat. Data Anal. 52,
        258); NaN where it was not measured.
    """

    label: int
    size: int
    medoid: int
    map_x: float
    map_y: float
    centroid: NDArray[np.float32]
    scale: str = FINE
    stability: float = float("nan")


class ClusterTree:
    """The clusters of one space.

    Parameters
    ----------
    folder : Path
        Where the build wrote them.

    Attributes
    ----------
    every : tuple of ClusterInfo
        By label.
    scales : tuple of str
        Columns of `LABELS` that hold different clusters, the finest first.
    """

    def __init__(self, folder: Path) -> None:
        size, medoid, centroids, map_xy = (
            np.array(open_array(folder / f"{name}.npy")) for name in ("size", "medoid", "centroids", "map_xy")
        )
        plain = np.arange(size.size)[None]
        self._tree = np.array(open_array(folder / "tree.npy")) if (folder / "tree.npy").exists() else plain
        path = folder / "stability.npy"
        stability = np.array(open_array(path)) if path.exists() else np.full(size.size, np.nan)
        scale_of = np.zeros(size.size, dtype=np.int64)
        for at, scale in enumerate(self._tree):
            scale_of[scale] = at
        self.every = tuple(
            ClusterInfo(
                label,
                int(size[label]),
                int(medoid[label]),
                float(map_xy[label, 0]),
                float(map_xy[label, 1]),
                centroids[label],
                LABELS[scale_of[label]],
                float(stability[label]),
            )
            for label in range(size.size)
        )
        counts = [np.unique(scale).size for scale in self._tree]
        self.scales = tuple(LABELS[at] for at, count in enumerate(counts) if at == 0 or 1 < count < counts[at - 1])

    def of(self, scale: str) -> tuple[ClusterInfo, ...]:
        """Clusters of a scale, the largest first."""
        return tuple(one for one in self.every if one.scale == scale)

    def handful(self, least: int) -> str:
        """The coarsest scale with so many clusters, or the finest."""
        return next((scale for scale in reversed(self.scales) if len(self.of(scale)) >= least), FINE)

    def cluster(self, label: int) -> ClusterInfo:
        """A cluster by its label.

        Raises
        ------
        InputError
            If there is none of that label.
        """
        if not 0 <= label < len(self.every):
            raise InputError(
                f"no cluster {label}; this atlas has {len(self.every)}, from 0, the largest of the finest, on"
            )
        return self.every[label]

    def within(self, label: int, scale: str) -> NDArray[np.int64]:
        """Labels of a scale that lie in a cluster, or that it lies in; ascending."""
        at = LABELS.index(self.cluster(label).scale)
        found: NDArray[np.int64] = np.unique(self._tree[LABELS.index(scale)][self._tree[at] == label]).astype(np.int64)
        return found

    def parent(self, label: int) -> int | None:
        """The cluster of the next coarser scale that holds one; None on the coarsest."""
        at = self.scales.index(self.cluster(label).scale) + 1
        return int(self.within(label, self.scales[at])[0]) if at < len(self.scales) else None

    def children(self, label: int) -> list[int]:
        """Clusters of the next finer scale within one."""
        at = self.scales.index(self.cluster(label).scale) - 1
        return self.within(label, self.scales[at]).tolist() if at >= 0 else []

    def in_every_scale(self, fine: NDArray[np.integer]) -> dict[str, NDArray[np.int64]]:
        """Labels of some rows by scale, from those of the finest; −1 stays."""
        return {name: np.append(self._tree[LABELS.index(name)].astype(np.int64), -1)[fine] for name in self.scales}
