"""The steps that one embedding space of an atlas needs for the rows of a further segment.

Each writes plain arrays of the new rows into the segment's folder, then lets those of the atlas go on with them, as
`precompute.build.new_segment` says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import DEFAULT, PERCENTILES, SCORED
from atlas.planes.plane import Plane, write_plane
from atlas.search.segmented_index import open_segments
from atlas.storage import layout
from atlas.storage.appended_array import write_part
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Manifest, Segment, Space

from ..config import BuildConfig
from ..sources.source import Source
from ..stages import agreement, anomalies, clusters, embeddings, knn
from ..stages.index import stage as index
from ..stages.measure import fill_trust
from ..stages.place import place_rows
from ..stages.row_passes import fill_rows
from ..stages.stage import StageContext
from ..stages.umap import ANCHORS_XY
from .stage_runner import replace_array


class SegmentSpace:
    """The work that a segment is in one space.

    Parameters
    ----------
    space : Space
        Of the atlas.
    source : Source
        Of its embeddings of the new rows.
    old : Manifest
        Of the build in use.
    before, partial : Path
        That build, and the one under way, in which its files are linked.
    segments : tuple of Segment
        Of the build under way, the new one last.
    config : BuildConfig
        The parameters that the space was made with.
    fitted_rows : int
        Rows that the space was first made of, which its anomaly model was fitted to.
    """

    def __init__(
        self,
        space: Space,
        source: Source,
        old: Manifest,
        before: Path,
        partial: Path,
        segments: tuple[Segment, ...],
        config: BuildConfig,
        *,
        fitted_rows: int,
    ) -> None:
        self.source, self.config = source, config
        self._described = space
        self._old = old
        self._build = partial
        self._fitted_rows = fitted_rows
        self.segments = segments
        self._number = len(segments) - 1
        self._first, self._end = segments[-1].start, segments[-1].stop
        self._segment = layout.segment_path(partial, self._number)
        self._was, self._space, self._own = (
            layout.space_path(build, space.name) for build in (before, partial, self._segment)
        )

    @property
    def steps(self) -> tuple[tuple[str, Callable[[StageContext], None]], ...]:
        """The steps but `order` and `finish`, in order."""
        of_first = self._old.spaces[0].name
        compared: tuple[tuple[str, Callable[[StageContext], None]], ...] = (("agreement", self._compare),)
        return (
            ("embeddings", self._embed),
            ("index", self._index),
            ("knn", self._find_neighbors),
            ("place", self._place),
            ("anomalies", self._score),
            ("trust", self._trust),
            *(() if self._described.name == of_first else compared),
        )

    def _go_on(self, folder: Path, own: Path, *names: str) -> None:
        go_on(folder, own, self._number, *names)

    @cached_property
    def _embeddings(self) -> NDArray[Any]:
        """Of all rows."""
        return open_array(self._space / layout.EMBEDDINGS, shape=(self._end, self._described.dimension))

    def _embed(self, ctx: StageContext) -> None:
        axes = self._space / embeddings.AXES
        if axes.exists():
            ctx.measured["notes"] = embeddings.project(ctx, np.load(axes, allow_pickle=False))
        else:
            embeddings.STAGE.run(ctx)
        self._go_on(self._space, self._own, layout.EMBEDDINGS)

    def _index(self, ctx: StageContext) -> None:
        # Sizes that were asked for a whole atlas do not suit a segment.
        ctx.config = msgspec.structs.replace(ctx.config, leaves=0, tree_sample=0)
        index.STAGE.run(ctx)

    def _find_neighbors(self, ctx: StageContext) -> None:
        folders = [
            layout.space_path(layout.segment_path(self._build, number), self._described.name) / layout.INDEX
            for number in range(len(self.segments))
        ]
        whole = open_segments(folders, self.segments, self._embeddings)
        base, k = self.segments[0].stop, layout.KNN_NEIGHBORS
        folder, own = self._space / layout.KNN, self._own / layout.KNN
        # As large a share of the new rows as was sampled of the first.
        sampled = folder / layout.KNN_SAMPLED
        known = len(np.load(sampled, mmap_mode="r", allow_pickle=False)) if sampled.exists() else 0
        knn.fill_neighbors(
            ctx,
            whole,
            self._embeddings,
            np.arange(self._first, self._end, dtype=np.uint32),
            sample=-(-known * self.source.n_rows // base),
            careful=knn.search_setting(whole, k, knn.SETTING),
            quick=knn.search_setting(whole, k, knn.quick_setting(base, whole.leaves)),
        )
        self._go_on(folder, own, layout.KNN_ROWS, layout.KNN_SIMILARITY, *([layout.KNN_SAMPLED] if known else []))
        self._go_on(self._space / layout.COLUMNS, self._own / layout.COLUMNS, "anomaly_knn.npy")
        ctx.forget()

    def _place(self, ctx: StageContext) -> None:
        anchors = np.array(open_array(self._space / layout.MAP / "subsample.npy"))
        positions = np.array(open_array(self._space / layout.MAP / ANCHORS_XY))
        columns, m = self._own / layout.COLUMNS, self.source.n_rows
        nearest = ctx.open_or_create(self._own / layout.MAP / "nearest_anchor.npy", (m,), np.uint32)
        placed = (
            ctx.open_or_create(columns / "map_x.npy", (m,), np.float32),
            ctx.open_or_create(columns / "map_y.npy", (m,), np.float32),
            ctx.open_or_create(columns / "stray.npy", (m,), np.uint8),
        )
        place_rows(ctx, self._embeddings[self._first :], self._embeddings[anchors], positions, (*placed, nearest))
        # A row takes the clusters of its anchor, as those before it did.
        known = {c.name for c in self._described.columns}
        labels = [f"{name}.npy" for name in clusters.COLUMNS if name in known]
        for name in labels:
            ctx.save(columns / name, open_array(self._space / layout.COLUMNS / name)[anchors[nearest]])
        self._go_on(self._space / layout.COLUMNS, columns, "map_x.npy", "map_y.npy", "stray.npy", *labels)
        ctx.measured["stray"] = int(np.count_nonzero(placed[2]))
        ctx.forget()

    def _score(self, ctx: StageContext) -> None:
        # By the model and the percentiles of the first build, since scores must mean the same for all rows.
        columns = self._space / layout.COLUMNS
        magnitude = anomalies.fitted_magnitude(self._old, self._described.name)
        rows = anomalies.AnomalyInputs(
            self._embeddings,
            open_array(columns / "anomaly_knn.npy"),
            open_array(columns / "cluster.npy"),
            open_array(self._build / layout.COLUMNS / f"{magnitude}.npy") if magnitude else None,
        )
        model = anomalies.fit_model(rows, self._fitted_rows, self.config)
        centroids = np.array(open_array(self._space / layout.CLUSTERS / "centroids.npy"))
        table = np.load(self._space / layout.ANOMALY_QUANTILES, allow_pickle=False)
        quantiles = dict(zip(SCORED, table, strict=True))
        m = self.source.n_rows
        found = {
            name: ctx.open_or_create(self._own / layout.COLUMNS / f"{name}.npy", (m,), np.float32)
            for name in PERCENTILES
        }

        def work(part: slice) -> list[NDArray[np.float32]]:
            new = rows[slice(self._first + part.start, self._first + part.stop)]
            told = anomalies.as_percentiles(anomalies.score_rows(model, centroids, new), quantiles)
            return [told[name] for name in found]

        fill_rows(ctx, work, m, anomalies.CHUNK_ROWS, tuple(found.values()))
        self._go_on(columns, self._own / layout.COLUMNS, *(f"{name}.npy" for name in PERCENTILES))
        ctx.forget()

    def _trust(self, ctx: StageContext) -> None:
        columns, own, m = self._space / layout.COLUMNS, self._own / layout.KNN, self.source.n_rows
        positions = np.stack([open_array(columns / f"map_{axis}.npy") for axis in "xy"], axis=1)
        sampled = own / layout.KNN_SAMPLED
        known = np.load(sampled) if sampled.exists() else np.arange(self._first, self._end, dtype=np.uint32)
        trust = ctx.open_or_create(self._own / layout.COLUMNS / "trust.npy", (m,), np.float32)
        neighbors = np.load(own / layout.KNN_ROWS, mmap_mode="r", allow_pickle=False)
        fill_trust(ctx, positions, known, neighbors, trust, first_row=self._first)
        self._go_on(columns, self._own / layout.COLUMNS, "trust.npy")
        ctx.forget()

    def _compare(self, ctx: StageContext) -> None:
        """Tell how differently this space and the first see the new rows; both have found their neighbours."""
        first = layout.space_path(self._segment, self._old.spaces[0].name)
        agreement.write_disagreement(ctx, first, self._own, first_row=self._first)
        columns = Path(layout.COLUMNS)
        file = f"{agreement.column_name(self._described.name)}.npy"
        self._go_on(self._build / columns, self._segment / columns, file)

    def order(self) -> None:
        """Write the level store of the new rows on the map."""
        x, y = (np.load(self._own / layout.COLUMNS / f"map_{axis}.npy", mmap_mode="r") for axis in "xy")
        base = Plane.open(self._space / layout.MAP_PLANE)
        write_plane(self._own / layout.MAP_PLANE, x, y, seed=self.config.seed, first_row=self._first, frame=base.frame)

    def finish(self) -> None:
        """Write anew what is small and of all rows; the plain arrays have gone into those of the atlas."""
        columns = self._space / layout.COLUMNS
        outliers = anomalies.outlier_rows(np.asarray(open_array(columns / f"{DEFAULT}.npy")))
        replace_array(self._space / layout.OUTLIERS, outliers)
        folder = self._space / layout.CLUSTERS
        size = np.load(self._was / layout.CLUSTERS / "size.npy")
        labels = open_array(columns / "cluster.npy")[self._first :]
        tree = np.load(folder / "tree.npy") if (folder / "tree.npy").exists() else np.arange(size.size)[None]
        replace_array(
            folder / "size.npy",
            size + clusters.sizes_in(tree, np.bincount(labels[labels >= 0], minlength=tree.shape[1])),
        )
        for own in (self._own / layout.COLUMNS, self._own / layout.KNN):
            shutil.rmtree(own, ignore_errors=True)
        for file in (self._own / layout.EMBEDDINGS, self._own / layout.MAP / "nearest_anchor.npy"):
            file.unlink(missing_ok=True)


def go_on(folder: Path, own: Path, number: int, *names: str) -> None:
    """Let arrays of the atlas go on with those of a segment."""
    for name in names:
        write_part(folder / name, number, np.load(own / name, mmap_mode="r", allow_pickle=False))
