"""One embedding space of an open build, and the clusters of its map."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.cluster_labels import Word, group_words, sample_rows, speaks_of_galaxies
from atlas.catalog.cluster_portraits import Portrait, portraits
from atlas.catalog.cluster_tree import FINE, ClusterInfo, ClusterTree
from atlas.catalog.columns import Columns
from atlas.planes.plane import Plane
from atlas.search.index import NeighborIndex
from atlas.search.open_served import open_served
from atlas.search.quality import Quality, read_quality
from atlas.search.segmented_index import open_segments
from atlas.search.served_index import read_served
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Space


class OpenSpace:
    """One embedding space of an open atlas. Large parts are opened when first asked for, once."""

    def __init__(
        self, build: Path, manifest: Manifest, space: Space, columns: Columns, apart: bool, search_url: str = ""
    ) -> None:
        self.name = space.name
        self.dimension = space.dimension
        self.n_rows = manifest.n_rows
        self.columns = columns
        self.described = space
        self._folder = layout.space_path(build, space.name)
        self._segments = manifest.segments
        self._segment_folders = [
            layout.space_path(layout.segment_path(build, number), space.name) for number in range(len(self._segments))
        ]
        self._lock = threading.Lock()
        self._index: NeighborIndex | None = None
        self._apart = apart
        self._search_url = search_url
        root = build.parent.parent
        self.served = read_served(root, manifest.build_id, space.name, search_url) if search_url else None
        # Where a galaxy lies and what it is called does not say what it is like.
        self._unsaid = {layout.RA, layout.DEC, *manifest.id_columns}

    @cached_property
    def embeddings(self) -> NDArray[Any]:
        """Unit embeddings of shape (n, d), memory-mapped."""
        return open_array(
            self._folder / layout.EMBEDDINGS, shape=(self.n_rows, self.dimension), dtype=self.described.dtype
        )

    @cached_property
    def neighbors(self) -> NDArray[np.uint32]:
        """The ten nearest of every row that `known_rows` names, nearest first, memory-mapped; shape (m, 10).

        A tiny atlas has fewer than ten.
        """
        m = self.n_rows if self.known_rows is None else self.known_rows.size
        k = min(layout.KNN_NEIGHBORS, self.n_rows - 1)
        return open_array(self._folder / layout.KNN / layout.KNN_ROWS, shape=(m, k), dtype="uint32")

    @cached_property
    def known_rows(self) -> NDArray[np.uint32] | None:
        """Rows whose neighbours were found, ascending, uint32; None where those of all rows were."""
        path = self._folder / layout.KNN / layout.KNN_SAMPLED
        return open_array(path, dtype="uint32") if path.exists() else None

    @property
    def index(self) -> NeighborIndex:
        """The neighbour index; loading it takes seconds at tens of millions of rows, hence the lock."""
        index = self._index
        if index is None or index.ended:
            with self._lock:
                index = self._index
                if index is None or index.ended:
                    self._index = index = self._open_index()
        return index

    def _open_index(self) -> NeighborIndex:
        if self.served is not None:
            return open_served(self._search_url, self.served, self.embeddings)
        folders = [folder / layout.INDEX for folder in self._segment_folders]
        return open_segments(folders, self._segments, self.embeddings, apart=self._apart)

    @property
    def index_loaded(self) -> bool:
        """Whether the index is in memory already."""
        return self._index is not None and not self._index.ended

    @cached_property
    def quality(self) -> Quality:
        """Quality that the build measured: recall by kind of query, trustworthiness of the map."""
        quality = read_quality(self._folder)
        if self.served is None:
            return quality
        return msgspec.structs.replace(quality, engine=self.served.engine, recall=self.served.recall)

    @cached_property
    def plane(self) -> Plane:
        """The map's level store and count pyramid."""
        base, *appended = (folder / layout.MAP_PLANE for folder in self._segment_folders)
        return Plane.open(base, appended)

    @cached_property
    def outliers(self) -> NDArray[np.uint32]:
        """Rows of the outlier layer, most anomalous first."""
        return np.array(open_array(self._folder / layout.OUTLIERS, dtype="uint32"))

    @cached_property
    def cluster_tree(self) -> ClusterTree:
        """The clusters at every scale."""
        return ClusterTree(self._folder / layout.CLUSTERS)

    @property
    def clusters(self) -> tuple[ClusterInfo, ...]:
        """The clusters of the finest scale, largest first."""
        return self.cluster_tree.of(FINE)

    @cached_property
    def cluster_words(self) -> dict[int, tuple[Word, ...]]:
        """Words that set clusters apart, by label, as far as the catalogue says (`atlas.catalog.cluster_labels`)."""
        rows, scales = self.sampled_clusters
        return group_words(self.columns, self.telling_columns, rows, scales.values(), len(self.cluster_tree.every))

    @cached_property
    def cluster_portraits(self) -> dict[int, Portrait]:
        """Some members of each cluster, how many are odd, and how far it is from others, by label."""
        rows, scales = self.sampled_clusters
        found: dict[int, Portrait] = {}
        for scale, labels in scales.items():
            of = self.cluster_tree.of(scale)
            if of:
                first = of[0].label
                inside = np.where(labels < 0, -1, labels - first)
                told = portraits(self.columns, rows, inside, np.stack([one.centroid for one in of]))
                found |= {first + at: portrait for at, portrait in enumerate(told)}
        return found

    @cached_property
    def sampled_clusters(self) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        """A sample of rows, and their clusters by scale."""
        if FINE not in self.columns:
            return np.zeros(0, np.int64), {}
        rows = sample_rows(self.n_rows)
        return rows, self.cluster_tree.in_every_scale(np.asarray(self.columns.array(FINE)[rows], dtype=np.int64))

    @cached_property
    def telling_columns(self) -> tuple[Column, ...]:
        """Columns of the catalogue that say what a galaxy is like."""
        own = {c.name for c in self.described.columns}
        return tuple(c for c in self.columns if c.name not in own | self._unsaid and speaks_of_galaxies(c))

    def cluster(self, label: int) -> ClusterInfo:
        """A cluster of any scale by its label; see `ClusterTree.cluster`."""
        return self.cluster_tree.cluster(label)
