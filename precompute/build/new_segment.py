"""The steps by which rows become a segment of an atlas; `precompute.build.append` begins and publishes what they do.

Each step writes plain arrays of the new rows into the segment's folder, then lets the arrays of the atlas go on with
them (`atlas.storage.appended_array`). The last one removes the plain ones.
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
from atlas.catalog.columns import Columns
from atlas.catalog.identity import Identity, write_identity
from atlas.planes.plane import Plane, write_plane
from atlas.search.segmented_index import open_segments
from atlas.sky.sky_plane import write_sky
from atlas.storage import layout
from atlas.storage.appended_array import write_part
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Manifest, Segment, StageRecord
from atlas.storage.thumbnails import LENGTHS, OFFSETS, SHARD_BYTES, shard_path

from ..config import BuildConfig
from ..sources.source import Source
from ..stages import anomalies, artefacts, clusters, embeddings, knn, thumbnails
from ..stages.index import stage as index
from ..stages.measure import fill_trust
from ..stages.place import place_rows
from ..stages.row_passes import fill_rows
from ..stages.stage import StageContext
from ..stages.umap import ANCHORS_XY
from .append_columns import is_measured, read_new_rows
from .stage_runner import WorkStep, replace_array, run_stage

VERSION = 3
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""


class NewSegment:
    """The work on one segment.

    Parameters
    ----------
    source : Source
        Whose galaxies it takes in.
    before : Path
        The build in use.
    old : Manifest
        Of that build.
    partial : Path
        The build under way, in which the files of the one before are linked.
    config : BuildConfig
        The parameters that the atlas was built with.
    fitted_rows : int
        Rows of the first build, which the anomaly model was fitted to.
    quiet : bool
        Show no progress.

    Attributes
    ----------
    segments : tuple of Segment
        Of the build under way.
    records : list of StageRecord
        Of the steps, once they have run.
    """

    def __init__(
        self,
        source: Source,
        before: Path,
        old: Manifest,
        partial: Path,
        config: BuildConfig,
        *,
        fitted_rows: int,
        quiet: bool,
    ) -> None:
        self._source = source
        self._before = before
        self._old = old
        self._build = partial
        self._config = config
        self._quiet = quiet
        self._fitted_rows = fitted_rows
        self._number = len(old.segments)
        self._first, self._end = old.n_rows, old.n_rows + source.n_rows
        self.segments = (*old.segments, Segment(start=self._first, stop=self._end))
        self._segment = layout.segment_path(partial, self._number)
        self._space = layout.space_path(partial, config.space)
        self._own = layout.space_path(self._segment, config.space)
        self.records: list[StageRecord] = []

    def run(self, key: str) -> None:
        """Do every step that is not done yet."""
        (self._segment / layout.STAGES).mkdir(parents=True, exist_ok=True)
        steps: tuple[tuple[str, Callable[[StageContext], None]], ...] = (
            ("read", self._read),
            ("embeddings", self._embed),
            ("index", self._index),
            ("knn", self._find_neighbors),
            ("place", self._place),
            ("anomalies", self._score),
            ("trust", self._trust),
            ("planes", self._order),
            ("artefacts", self._measure_artefacts),
            ("thumbnails", self._pack),
            ("finish", self._finish),
        )
        self.records = [run_stage(WorkStep(name, do), key, self._context(name)) for name, do in steps]

    def _context(self, name: str, **changes: Any) -> StageContext:
        config = msgspec.structs.replace(self._config, **changes)
        return StageContext(self._segment, config, name=name, quiet=self._quiet, source=self._source)

    def _go_on(self, folder: Path, own: Path, *names: str) -> None:
        """Let arrays of the atlas go on with those of the segment."""
        for name in names:
            write_part(folder / name, self._number, np.load(own / name, mmap_mode="r", allow_pickle=False))

    @cached_property
    def _embeddings(self) -> NDArray[Any]:
        """Of all rows."""
        return open_array(self._space / layout.EMBEDDINGS, shape=(self._end, self._old.spaces[0].dimension))

    def _read(self, ctx: StageContext) -> None:
        opened = Columns(self._before, self._old.columns, self._first)
        identity = Identity(self._before, self._old.id_columns, opened, self._old.segments)
        found = read_new_rows(self._source, self._old, identity, self._first)
        for name, values in found.columns.items():
            ctx.save(self._segment / layout.COLUMNS / f"{name}.npy", values)
        columns = self._segment / layout.COLUMNS
        ids = [np.load(columns / f"{name}.npy", mmap_mode="r") for name in self._old.id_columns]
        write_identity(self._segment / layout.IDENTITY, ids, first_row=self._first)
        read = (Path(c.file) for c in self._old.columns if not is_measured(c))
        self._go_on(self._build / layout.COLUMNS, columns, *(file.name for file in read))
        ctx.measured = {"vocabularies": found.vocabularies, "missing": found.missing, "notes": found.notes}

    def _embed(self, ctx: StageContext) -> None:
        axes = self._space / embeddings.AXES
        if axes.exists():
            ctx.measured["notes"] = embeddings.project(ctx, np.load(axes, allow_pickle=False))
        else:
            embeddings.STAGE.run(ctx)
        self._go_on(self._space, self._own, layout.EMBEDDINGS)

    def _index(self, ctx: StageContext) -> None:
        # Sizes that were asked for a whole atlas do not suit a segment.
        own = self._context("index", leaves=0, tree_sample=0)
        index.STAGE.run(own)
        ctx.measured = own.measured

    def _find_neighbors(self, ctx: StageContext) -> None:
        folders = [
            layout.space_path(layout.segment_path(self._build, number), self._config.space) / layout.INDEX
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
            sample=-(-known * self._source.n_rows // base),
            careful=knn.search_setting(whole, k, knn.SETTING),
            quick=knn.search_setting(whole, k, knn.quick_setting(base, whole.leaves)),
        )
        self._go_on(folder, own, layout.KNN_ROWS, layout.KNN_SIMILARITY, *([layout.KNN_SAMPLED] if known else []))
        self._go_on(self._space / layout.COLUMNS, self._own / layout.COLUMNS, "anomaly_knn.npy")
        ctx.forget()

    def _place(self, ctx: StageContext) -> None:
        anchors = np.array(open_array(self._space / layout.MAP / "subsample.npy"))
        positions = np.array(open_array(self._space / layout.MAP / ANCHORS_XY))
        columns, m = self._own / layout.COLUMNS, self._source.n_rows
        nearest = ctx.open_or_create(self._own / layout.MAP / "nearest_anchor.npy", (m,), np.uint32)
        placed = (
            ctx.open_or_create(columns / "map_x.npy", (m,), np.float32),
            ctx.open_or_create(columns / "map_y.npy", (m,), np.float32),
            ctx.open_or_create(columns / "stray.npy", (m,), np.uint8),
        )
        place_rows(ctx, self._embeddings[self._first :], self._embeddings[anchors], positions, (*placed, nearest))
        # A row takes the clusters of its anchor, as those before it did.
        known = {c.name for c in self._old.spaces[0].columns}
        labels = [f"{name}.npy" for name in clusters.COLUMNS if name in known]
        for name in labels:
            ctx.save(columns / name, open_array(self._space / layout.COLUMNS / name)[anchors[nearest]])
        self._go_on(self._space / layout.COLUMNS, columns, "map_x.npy", "map_y.npy", "stray.npy", *labels)
        ctx.measured["stray"] = int(np.count_nonzero(placed[2]))
        ctx.forget()

    def _score(self, ctx: StageContext) -> None:
        # By the model and the percentiles of the first build, since scores must mean the same for all rows.
        columns = self._space / layout.COLUMNS
        magnitude = anomalies.fitted_magnitude(self._old)
        rows = anomalies.AnomalyInputs(
            self._embeddings,
            open_array(columns / "anomaly_knn.npy"),
            open_array(columns / "cluster.npy"),
            open_array(self._build / layout.COLUMNS / f"{magnitude}.npy") if magnitude else None,
        )
        model = anomalies.fit_model(rows, self._fitted_rows, self._config)
        centroids = np.array(open_array(self._space / layout.CLUSTERS / "centroids.npy"))
        table = np.load(self._space / layout.ANOMALY_QUANTILES, allow_pickle=False)
        quantiles = dict(zip(SCORED, table, strict=True))
        m = self._source.n_rows
        found = {
            name: ctx.open_or_create(self._own / layout.COLUMNS / f"{name}.npy", (m,), np.float32)
            for name in PERCENTILES
        }

        def work(part: slice) -> None:
            new = rows[slice(self._first + part.start, self._first + part.stop)]
            scores = anomalies.score_rows(model, centroids, new)
            for name, values in anomalies.as_percentiles(scores, quantiles).items():
                found[name][part] = values

        fill_rows(ctx, work, m, anomalies.CHUNK_ROWS, tuple(found.values()))
        self._go_on(columns, self._own / layout.COLUMNS, *(f"{name}.npy" for name in PERCENTILES))
        ctx.forget()

    def _trust(self, ctx: StageContext) -> None:
        columns, own, m = self._space / layout.COLUMNS, self._own / layout.KNN, self._source.n_rows
        positions = np.stack([open_array(columns / f"map_{axis}.npy") for axis in "xy"], axis=1)
        sampled = own / layout.KNN_SAMPLED
        known = np.load(sampled) if sampled.exists() else np.arange(self._first, self._end, dtype=np.uint32)
        trust = ctx.open_or_create(self._own / layout.COLUMNS / "trust.npy", (m,), np.float32)
        neighbors = np.load(own / layout.KNN_ROWS, mmap_mode="r", allow_pickle=False)
        fill_trust(ctx, positions, known, neighbors, trust, first_row=self._first)
        self._go_on(columns, self._own / layout.COLUMNS, "trust.npy")
        ctx.forget()

    def _order(self, ctx: StageContext) -> None:
        x, y = (np.load(self._own / layout.COLUMNS / f"map_{axis}.npy", mmap_mode="r") for axis in "xy")
        ra, dec = (
            np.load(self._segment / layout.COLUMNS / f"{name}.npy", mmap_mode="r") for name in (layout.RA, layout.DEC)
        )
        base = Plane.open(self._space / layout.MAP_PLANE)
        seed = self._config.seed
        write_plane(self._own / layout.MAP_PLANE, x, y, seed=seed, first_row=self._first, frame=base.frame)
        write_sky(self._segment / layout.SKY, ra, dec, seed=seed, first_row=self._first)

    def _measure_artefacts(self, ctx: StageContext) -> None:
        names = [c.name for c in self._old.columns if is_measured(c)]
        own = self._segment / layout.ARTEFACTS
        if names:
            artefacts.fill_columns(ctx, names, own)
            self._go_on(self._build / layout.ARTEFACTS, own, *(f"{name}.npy" for name in names))
            ctx.forget()

    def _pack(self, ctx: StageContext) -> None:
        if self._old.thumbnails is None:
            if self._source.has_images:
                ctx.measured["notes"] = ["its images are left out: the atlas has none"]
            return
        folder, own = self._build / layout.THUMBNAILS, self._segment / layout.THUMBNAILS
        m = self._source.n_rows
        wanted = self._config.thumbnails
        packing = self._context("thumbnails", thumbnails=-(-wanted * m // self.segments[0].stop))
        thumbnails.STAGE.run(packing)
        ctx.measured = packing.measured
        shards = sorted(own.glob("shard-*.bin"))
        first = sum(1 for name in self._old.files if Path(name).match(f"{layout.THUMBNAILS}/shard-*.bin"))
        offsets, lengths = np.zeros(m, dtype=np.uint64), np.zeros(m, dtype=np.uint32)
        if shards:
            offsets = np.load(own / OFFSETS) + np.uint64(first * SHARD_BYTES)
            lengths = np.load(own / LENGTHS)
        for number, shard in enumerate(shards):
            shard.replace(shard_path(folder, first + number))
        write_part(folder / OFFSETS, self._number, offsets)
        write_part(folder / LENGTHS, self._number, lengths)

    def _finish(self, ctx: StageContext) -> None:
        """Write anew what is small and of all rows; the plain arrays have gone into those of the atlas."""
        columns = self._space / layout.COLUMNS
        outliers = anomalies.outlier_rows(np.asarray(open_array(columns / f"{DEFAULT}.npy")))
        replace_array(self._space / layout.OUTLIERS, outliers)
        folder = self._space / layout.CLUSTERS
        size = np.load(layout.space_path(self._before, self._config.space) / layout.CLUSTERS / "size.npy")
        labels = open_array(columns / "cluster.npy")[self._first :]
        tree = np.load(folder / "tree.npy") if (folder / "tree.npy").exists() else np.arange(size.size)[None]
        replace_array(
            folder / "size.npy",
            size + clusters.sizes_in(tree, np.bincount(labels[labels >= 0], minlength=tree.shape[1])),
        )
        of_segment = (layout.COLUMNS, layout.ARTEFACTS, layout.THUMBNAILS)
        for folder in (
            *(self._segment / name for name in of_segment),
            self._own / layout.COLUMNS,
            self._own / layout.KNN,
        ):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self._own / layout.EMBEDDINGS, self._own / layout.MAP / "nearest_anchor.npy"):
            file.unlink(missing_ok=True)
