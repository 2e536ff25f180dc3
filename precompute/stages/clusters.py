"""Stage `clusters`: groups of galaxies that lie together on the map, and a typical member of each.

HDBSCAN (Campello, Moulavi & Sander 2013, PAKDD) on the anchors' map positions: in the embedding itself it calls three
quarters of all galaxies noise. Other rows take the label of the anchor nearest in embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray
from atlas.storage import layout

from .costs import Cost, Sizes
from .row_passes import sum_by_group
from .stage import BuildStage, SpaceColumn, StageContext
from .umap import ANCHORS_XY

MIN_SAMPLES = 5
"""Neighbours that make a point dense. Larger values call the sparser half of a small map noise."""

LARGEST_SHARE = 1 / 3
"""A larger group is split if it can be: "the rest" is no cluster."""

CHUNK_ROWS = 65_536


def smallest_cluster(asked: int, n_anchors: int, n_rows: int, n_neighbors: int) -> int:
    """Anchors that make a cluster.

    As asked, or for 0 the size of island that the subsample grants a rare class. Where every row is an anchor nothing
    was granted: 25, or a 20th of a map that has fewer than 500.
    """
    if asked:
        return asked
    return n_neighbors + 1 if n_anchors < n_rows else max(5, min(25, n_anchors // 20))


def cluster_anchors(positions: NDArray[np.float32], min_size: int) -> NDArray[np.int16]:
    """Labels of the anchors, −1 outside all clusters.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32
    min_size : int
        Smallest cluster.

    Returns
    -------
    ndarray of shape (m,), int16
    """
    from sklearn.cluster import HDBSCAN

    if len(positions) <= max(MIN_SAMPLES, min_size):
        return np.full(len(positions), -1, dtype=np.int16)
    hdbscan = HDBSCAN(
        min_cluster_size=min_size,
        min_samples=MIN_SAMPLES,
        max_cluster_size=round(LARGEST_SHARE * len(positions)),
        copy=True,
    )
    labels: NDArray[np.int16] = hdbscan.fit_predict(positions).astype(np.int16)
    return labels


def order_by_size(labels: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Labels renumbered so that 0 is the largest cluster, and the sizes in that order; −1 stays."""
    size = np.bincount(labels[labels >= 0])
    order = np.argsort(-size, kind="stable")
    renumbered = np.empty(size.size + 1, dtype=np.int16)
    renumbered[order] = np.arange(size.size)
    renumbered[-1] = -1
    return renumbered[labels], size[order]


def cluster_centroids(embeddings: EmbeddingArray, labels: NDArray[np.int16], n_clusters: int) -> NDArray[np.float32]:
    """Mean embedding of each cluster's members, brought to unit length; (c, d)."""
    total = sum_by_group(embeddings, labels, n_clusters)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    centroids: NDArray[np.float32] = np.divide(total, length, out=total, where=length > 0).astype(np.float32)
    return centroids


def cluster_medoids(
    embeddings: EmbeddingArray, labels: NDArray[np.int16], centroids: NDArray[np.float32]
) -> NDArray[np.uint32]:
    """Of each cluster the member most similar to its centroid, the first where several are; (c,)."""
    best = np.full(len(centroids), -np.inf)
    medoids = np.zeros(len(centroids), dtype=np.uint32)
    for start in range(0, len(labels), CHUNK_ROWS):
        part = labels[start : start + CHUNK_ROWS]
        block = np.asarray(embeddings[start : start + CHUNK_ROWS], dtype=np.float32)
        inside = np.flatnonzero(part >= 0)
        of = part[inside]
        similarity = np.einsum("nd,nd->n", block[inside], centroids[of])
        order = np.lexsort((-similarity, of))
        present, first = np.unique(of[order], return_index=True)
        champion = order[first]
        better = similarity[champion] > best[present]
        best[present[better]] = similarity[champion[better]]
        medoids[present[better]] = inside[champion[better]] + start
    return medoids


class Clusters(BuildStage):
    """Finds the clusters of the map."""

    name = "clusters"
    version = 2
    needs = ("embeddings", "subsample", "umap", "place")
    parameters = ("min_cluster_size", "n_neighbors", "space")
    outputs = ("{space}/columns/cluster.npy", "{space}/clusters")
    columns = (SpaceColumn("cluster", "meta.code.class", "Cluster of the map, 0 the largest, -1 outside all clusters"),)
    smaller = "a smaller subsample (--subsample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(
            alone=12 * (s.anchors / 50_000) ** 1.5 + s.n * 1e-6 * s.d / 128,
            memory=s.n * 8 + s.anchors * 1_000,
            disk=s.n * 2,
        )

    def run(self, ctx: StageContext) -> None:
        """Write the column `cluster` (int16) and `clusters/{size,medoid,centroids,map_xy}.npy`."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        positions = np.array(ctx.load(ctx.space / layout.MAP / ANCHORS_XY))
        config = ctx.config
        min_size = smallest_cluster(config.min_cluster_size, len(positions), len(embeddings), config.n_neighbors)
        with ctx.progress(3, "steps") as bar:
            of_anchor = cluster_anchors(positions, min_size)
            bar.update()
            labels, size = order_by_size(of_anchor[ctx.load(ctx.space / layout.MAP / "nearest_anchor.npy")])
            centroids = cluster_centroids(embeddings, labels, size.size)
            bar.update()
            medoid = cluster_medoids(embeddings, labels, centroids)
            bar.update()
        columns = ctx.space / layout.COLUMNS
        map_xy = np.stack([ctx.load(columns / f"map_{axis}.npy")[medoid] for axis in "xy"], axis=1)
        ctx.save(columns / "cluster.npy", labels)
        clusters = ctx.space / layout.CLUSTERS
        ctx.save(clusters / "size.npy", size)
        ctx.save(clusters / "medoid.npy", medoid)
        ctx.save(clusters / "centroids.npy", centroids)
        ctx.save(clusters / "map_xy.npy", map_xy)
        ctx.measured["clusters"] = int(size.size)
        ctx.measured["outside"] = round(float((labels < 0).mean()), 4)


STAGE = Clusters()
