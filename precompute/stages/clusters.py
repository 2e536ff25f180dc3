"""Stage `clusters`: groups of galaxies that lie together on the map, at three scales, and a typical member of each.

HDBSCAN (Campello, Moulavi & Sander 2013, PAKDD) on the anchors' map positions: in the embedding itself it calls three
quarters of all galaxies noise. What it calls noise on the map is assigned and marked, and its clusters are joined to
larger ones (`cluster_scales`). Other rows take the labels of the anchor nearest in embedding.

Clusters of all scales are numbered together: 0 is the largest of the fine scale, those of the medium scale follow, then
those of the coarse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.cluster_tree import BETWEEN, INSIDE, LABELS, PLACE, PLACES
from atlas.search.exact import EmbeddingArray
from atlas.storage import layout

from .cluster_scales import in_scale, nested, overlap, without_noise
from .costs import Cost, Sizes
from .row_passes import fill_rows, sum_by_group
from .stage import BuildStage, SpaceColumn, StageContext
from .umap import ANCHORS_XY

MIN_SAMPLES = 5
"""Neighbours that make a point dense. Larger values call the sparser half of a small map noise."""

LARGEST_SHARE = 1 / 3
"""A larger group is split if it can be: "the rest" is no cluster."""

SUBSAMPLES, SUBSAMPLE = 5, 0.8
"""How often, and of which share of the anchors, clusters are looked for again."""

CHUNK_ROWS = 65_536

COLUMNS = (*LABELS, PLACE)


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


def order_by_size(labels: NDArray[np.int16], weights: NDArray[np.int64]) -> NDArray[np.int16]:
    """Labels renumbered so that 0 is the one of the largest weight; −1 stays."""
    inside = labels >= 0
    order = np.argsort(-np.bincount(labels[inside], weights=weights[inside]), kind="stable")
    renumbered = np.full(order.size + 1, -1, dtype=np.int16)
    renumbered[order] = np.arange(order.size)
    return renumbered[labels]


def stability(
    positions: NDArray[np.float32],
    fine: NDArray[np.int16],
    tree: NDArray[np.int16],
    min_size: int,
    seed: int,
) -> NDArray[np.float32]:
    """Mean overlap of each cluster, of every scale, with what is found in subsamples of the anchors.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32
    fine : ndarray of shape (m,), int16
    tree : ndarray of shape (s, f), int16
    min_size, seed : int

    Returns
    -------
    ndarray of shape (c,), float32
        As `ClusterInfo` tells it; the map is the same for all, so that it speaks of the clusters and not of UMAP.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros(int(tree.max(initial=-1)) + 1)
    smallest = max(2, round(SUBSAMPLE * min_size))
    for _ in range(SUBSAMPLES):
        part = np.sort(rng.choice(len(positions), round(SUBSAMPLE * len(positions)), replace=False))
        drawn = without_noise(positions[part], cluster_anchors(positions[part], smallest))
        size = np.bincount(drawn[drawn >= 0])
        again = nested(positions[part], drawn, size)
        for scale, other in zip(tree, again, strict=True):
            found += overlap(in_scale(scale, fine[part]), in_scale(other, drawn), found.size)
    return (found / SUBSAMPLES).astype(np.float32)


def count_by_anchor(nearest: NDArray[np.uint32], n_anchors: int) -> NDArray[np.int64]:
    """Rows nearest to each anchor."""
    count = np.zeros(n_anchors, dtype=np.int64)
    for start in range(0, len(nearest), CHUNK_ROWS):
        count += np.bincount(nearest[start : start + CHUNK_ROWS], minlength=n_anchors)
    return count


def sizes_in(tree: NDArray[np.int16], fine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sizes of the clusters of every scale, from those of the fine one."""
    return np.bincount(tree.ravel(), weights=np.tile(fine, len(tree))).astype(np.int64)


def cluster_centroids(
    embeddings: EmbeddingArray, labels: NDArray[np.int16], tree: NDArray[np.int16]
) -> NDArray[np.float32]:
    """Mean embedding of each cluster's members, of every scale, brought to unit length; (c, d)."""
    fine = sum_by_group(embeddings, labels, tree.shape[1])
    total = np.zeros((tree.max(initial=-1) + 1, fine.shape[1]))
    for scale in tree:
        np.add.at(total, scale, fine)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    centroids: NDArray[np.float32] = np.divide(total, length, out=total, where=length > 0).astype(np.float32)
    return centroids


def cluster_medoids(
    embeddings: EmbeddingArray, labels: NDArray[np.int16], centroids: NDArray[np.float32], tree: NDArray[np.int16]
) -> NDArray[np.uint32]:
    """Of each cluster the member most similar to its centroid, the first where several are; (c,).

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    labels : ndarray of shape (n,), int16
        Of the fine scale.
    centroids : ndarray of shape (c, d), float32
    tree : ndarray of shape (s, f), int16
        For each scale the cluster that holds each of the fine ones.
    """
    best = np.full(len(centroids), -np.inf)
    medoids = np.zeros(len(centroids), dtype=np.uint32)
    for start in range(0, len(labels), CHUNK_ROWS):
        part = np.asarray(labels[start : start + CHUNK_ROWS])
        block = np.asarray(embeddings[start : start + CHUNK_ROWS], dtype=np.float32)
        inside = np.flatnonzero(part >= 0)
        for scale in tree:
            of = scale[part[inside]]
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
    version = 3
    needs = ("embeddings", "subsample", "umap", "place")
    parameters = ("min_cluster_size", "n_neighbors", "seed", "space")
    outputs = (*(f"{{space}}/columns/{name}.npy" for name in COLUMNS), "{space}/clusters")
    columns = (
        SpaceColumn("cluster", "meta.code.class", "Cluster of the map, fine scale; 0 the largest"),
        SpaceColumn("cluster_medium", "meta.code.class", "Cluster of the map, medium scale: some of the fine together"),
        SpaceColumn(
            "cluster_coarse", "meta.code.class", "Cluster of the map, coarse scale: some of the medium together"
        ),
        SpaceColumn(
            "cluster_place",
            "meta.code.qual",
            "Whether a galaxy lies inside its cluster or between clusters, in the nearest of which it counts",
            words=PLACES,
        ),
    )
    smaller = "a smaller subsample (--subsample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(
            alone=60 * (s.anchors / 50_000) ** 1.5 + s.n * 2e-6 * s.d / 128,
            memory=s.n * 8 + s.anchors * 1_000,
            disk=s.n * 7,
        )

    def run(self, ctx: StageContext) -> None:
        """Write the columns of `COLUMNS` and `clusters/{size,medoid,centroids,map_xy,tree,stability}.npy`."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        positions = np.array(ctx.load(ctx.space / layout.MAP / ANCHORS_XY))
        nearest = ctx.load(ctx.space / layout.MAP / "nearest_anchor.npy")
        config = ctx.config
        min_size = smallest_cluster(config.min_cluster_size, len(positions), len(embeddings), config.n_neighbors)
        found = cluster_anchors(positions, min_size)
        count = count_by_anchor(nearest, len(positions))
        fine = order_by_size(without_noise(positions, found), count)
        own = fine >= 0
        size = np.bincount(fine[own], weights=count[own]).astype(np.int64)
        tree = nested(positions, fine, size)
        columns: dict[str, NDArray[Any]] = {
            **{name: in_scale(scale, fine) for name, scale in zip(LABELS, tree, strict=True)},
            PLACE: np.where(found < 0, PLACES.index(BETWEEN), PLACES.index(INSIDE)).astype(np.uint8),
        }
        arrays = {
            name: ctx.open_or_create(ctx.space / layout.COLUMNS / f"{name}.npy", nearest.shape, values.dtype)
            for name, values in columns.items()
        }

        def of_anchors(part: slice) -> list[NDArray[Any]]:
            return [values[nearest[part]] for values in columns.values()]

        fill_rows(ctx, of_anchors, len(nearest), CHUNK_ROWS, tuple(arrays.values()), workers=ctx.here)
        labels = ctx.load(ctx.space / layout.COLUMNS / "cluster.npy")
        sizes = sizes_in(tree, size)
        centroids = cluster_centroids(embeddings, labels, tree)
        medoid = cluster_medoids(embeddings, labels, centroids, tree)
        map_xy = np.stack([ctx.load(ctx.space / layout.COLUMNS / f"map_{axis}.npy")[medoid] for axis in "xy"], axis=1)
        steady = stability(positions, fine, tree, min_size, config.seed)
        told: dict[str, NDArray[Any]] = {
            "size": sizes, "medoid": medoid, "centroids": centroids, "map_xy": map_xy, "tree": tree,
            "stability": steady,
        }  # fmt: skip
        for name, array in told.items():
            ctx.save(ctx.space / layout.CLUSTERS / f"{name}.npy", array)
        ctx.measured["clusters"] = int(size.size)
        ctx.measured["between"] = round(float(count[found < 0].sum() / max(len(nearest), 1)), 4)
        ctx.forget()


STAGE = Clusters()
