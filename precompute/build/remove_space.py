"""The steps that one embedding space needs where rows are taken out of an atlas: index, neighbours, what is counted.

The arrays of the rows that are left are there already (`precompute.build.remove`).
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import DEFAULT
from atlas.search.engines.scann import CODES, LEAF_OF_ROW
from atlas.search.exact import top_k_exact
from atlas.search.index import DESCRIPTION, ISOLATED, IndexDescription, NeighborIndex, read_index_description
from atlas.search.open_index import open_index
from atlas.search.quality import FILENAME as QUALITY
from atlas.storage import layout
from atlas.storage.arrays import open_array

from ..stages import anomalies, knn
from ..stages.clusters import cluster_medoids, sizes_in
from ..stages.index import stage as index
from ..stages.row_passes import fill_rows
from ..stages.stage import StageContext
from ..stages.umap import ANCHORS_XY

MADE_ANEW = (
    layout.INDEX,
    layout.KNN,
    layout.MAP,
    QUALITY,
    *(f"{layout.CLUSTERS}/{n}.npy" for n in ("size", "medoid", "map_xy")),
)
LEAST_SHARE = 0.5
"""Of the rows of an index, that its tree still suits: where fewer are left, it is trained anew."""


class LessSpace:
    """A space without some of its rows.

    Parameters
    ----------
    was, space : Path
        Its folder in the build before, and in the one under way.
    there : ndarray of shape (n,), bool
        Whether a row stays.
    one_segment : bool
        Whether the build before is of one segment.
    """

    def __init__(self, was: Path, space: Path, there: NDArray[np.bool_], *, one_segment: bool) -> None:
        self._was, self._space = was, space
        self._there, self._kept = there, np.flatnonzero(there)
        self._number = np.cumsum(there) - 1
        self._one_segment = one_segment

    @cached_property
    def _embeddings(self) -> NDArray[Any]:
        return open_array(self._space / layout.EMBEDDINGS)

    def _open_index(self) -> NeighborIndex:
        return open_index(self._space / layout.INDEX, self._embeddings)

    def index(self, ctx: StageContext) -> None:
        """The index as it is without the codes of the rows; one of several segments is trained anew."""
        was, folder = self._was / layout.INDEX, self._space / layout.INDEX
        described = read_index_description(was)
        suits = self._kept.size >= LEAST_SHARE * self._there.size and self._one_segment
        if described.engine != "scann" or not suits:
            index.STAGE.run(ctx)
            return
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(was, folder)
        for name in (CODES, LEAF_OF_ROW):
            (folder / name).unlink()
            ctx.save(folder / name, np.load(was / name, mmap_mode="r", allow_pickle=False)[self._kept])
        isolated = np.load(was / ISOLATED, allow_pickle=False)
        ctx.save(folder / ISOLATED, self._number[isolated[self._there[isolated]]].astype(np.uint32))
        changed: IndexDescription = msgspec.structs.replace(described, n_rows=self._kept.size)
        layout.write_atomically(folder / DESCRIPTION, msgspec.json.format(msgspec.json.encode(changed)))
        ctx.measured = {"kept": self._kept.size}

    def find_lost(self, ctx: StageContext) -> None:
        """Neighbours in the numbers that rows have now; of rows that lost one, all are looked for."""
        was, folder, k = (
            self._was / layout.KNN,
            self._space / layout.KNN,
            min(layout.KNN_NEIGHBORS, self._kept.size - 1),
        )
        rows, similarity = open_array(was / layout.KNN_ROWS), open_array(was / layout.KNN_SIMILARITY)
        sampled = was / layout.KNN_SAMPLED
        known = np.array(open_array(sampled)) if sampled.exists() else np.arange(self._there.size)
        lines = np.flatnonzero(self._there[known])
        own = self._number[known[lines]].astype(np.uint32)
        nearest = ctx.open_or_create(folder / layout.KNN_ROWS, (lines.size, k), np.uint32)
        scores = ctx.open_or_create(folder / layout.KNN_SIMILARITY, (lines.size, k), np.float32)
        found_by = self._open_index()
        setting = knn.search_setting(found_by, k, knn.SETTING)
        lost = 0

        def work(part: slice) -> tuple[NDArray[Any], NDArray[Any]]:
            nonlocal lost
            before = np.asarray(rows[lines[part]])
            found, told = self._number[before][:, :k], np.asarray(similarity[lines[part]])[:, :k]
            gone = np.flatnonzero(~self._there[before].all(axis=1))
            if gone.size:
                found[gone], told[gone] = knn.nearest_others(found_by, self._embeddings, own[part][gone], k, setting)
            lost += gone.size
            return found, told

        fill_rows(ctx, work, lines.size, knn.CHUNK_ROWS, (nearest, scores))
        if sampled.exists():
            ctx.save(folder / layout.KNN_SAMPLED, own)
        ctx.measured = {"looked_for": lost}
        ctx.forget()

    def count(self, ctx: StageContext) -> None:
        """Clusters, anchors and outliers of the rows that are left; a cluster of none keeps its label."""
        columns, clusters = self._space / layout.COLUMNS, self._space / layout.CLUSTERS
        labels = np.asarray(open_array(columns / "cluster.npy"))
        centroids = np.array(open_array(self._was / layout.CLUSTERS / "centroids.npy"))
        told = self._was / layout.CLUSTERS / "tree.npy"
        tree = np.array(open_array(told)) if told.exists() else np.arange(len(centroids), dtype=np.int16)[None]
        size = sizes_in(tree, np.bincount(labels[labels >= 0], minlength=tree.shape[1]))
        medoid = cluster_medoids(self._embeddings, labels, centroids, tree)
        for label in np.flatnonzero(size == 0):
            medoid[label] = top_k_exact(self._embeddings, centroids[label], 1)[0][0]
        places = [np.asarray(open_array(columns / f"map_{axis}.npy")[medoid]) for axis in "xy"]
        ctx.save(clusters / "size.npy", size)
        ctx.save(clusters / "medoid.npy", medoid)
        ctx.save(clusters / "map_xy.npy", np.stack(places, axis=1))
        anchors = np.array(open_array(self._was / layout.MAP / "subsample.npy"))
        there = self._there[anchors]
        ctx.save(self._space / layout.MAP / "subsample.npy", self._number[anchors[there]].astype(np.uint32))
        ctx.save(
            self._space / layout.MAP / ANCHORS_XY, np.array(open_array(self._was / layout.MAP / ANCHORS_XY))[there]
        )
        score = np.asarray(open_array(columns / f"{DEFAULT}.npy"))
        ctx.save(self._space / layout.OUTLIERS, anomalies.outlier_rows(score))
