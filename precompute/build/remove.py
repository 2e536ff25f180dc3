"""`remove`: an atlas without some of its rows.

Rows are counted through, so that every count, search, picture and export of what is left is true with nothing to be
held back: the new build holds the others alone, as one segment. What depends on single rows is taken over and counted
anew; neighbours are looked for where a row lost one. The map, clusters and scores stay as they are. It is published as
any build is, and an interrupted one goes on after the last step that was finished.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import DEFAULT
from atlas.catalog.columns import describe_numbers
from atlas.search.engines.scann import CODES, LEAF_OF_ROW
from atlas.search.exact import top_k_exact
from atlas.search.index import DESCRIPTION, ISOLATED, IndexDescription, NeighborIndex, read_index_description
from atlas.search.open_index import open_index
from atlas.search.quality import FILENAME as QUALITY
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.appended_array import is_part
from atlas.storage.arrays import chunks, open_array
from atlas.storage.manifest import Column, Manifest, Segment, StageRecord
from atlas.storage.thumbnails import ThumbnailStore, ThumbnailWriter

from ..errors import SourceError
from ..sources.checks import counted
from ..sources.column_types import MISSING_CODE
from ..stages import anomalies, knn, measure
from ..stages.clusters import cluster_medoids, sizes_in
from ..stages.index import stage as index
from ..stages.row_passes import fill_rows
from ..stages.stage import StageContext
from ..stages.umap import ANCHORS_XY
from .append import config_of, first_rows
from .compact import write_identities, write_planes
from .pipeline import FEWEST_ROWS
from .stage_runner import (
    CHANGE,
    WorkStep,
    digest,
    digest_of_array,
    link_files,
    publish_change,
    run_stage,
    say,
    taken_up,
)

VERSION = 1
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""

MADE_ANEW = (layout.IDENTITY, layout.SEGMENTS, layout.STAGES, layout.THUMBNAILS)
OF_A_SPACE = (layout.INDEX, layout.KNN, layout.MAP, QUALITY)
LEAST_SHARE = 0.5
"""Of the rows of an index, that its tree still suits: where fewer are left, it is trained anew."""


def remove(
    out: Path,
    removed: NDArray[np.integer[Any]],
    why: str,
    *,
    threads: int = 0,
    memory_gib: float = 8.0,
    quiet: bool = False,
) -> Manifest:
    """Take rows out of an atlas, or finish what was interrupted.

    Parameters
    ----------
    out : Path
        Folder of the atlas, which stays in use meanwhile.
    removed : ndarray of shape (m,), integer
        Rows, in any order.
    why : str
        Words that tell which, for the notes.
    threads, memory_gib
        As `BuildConfig` has them; everything else is as the atlas was built.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the build without them, which is now current.

    Raises
    ------
    SourceError
        If too few rows are left, or the atlas has several spaces.
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If the disk is too small, or another build of the atlas runs.
    """
    with taken_up(out) as (before, old):
        there = np.ones(old.n_rows, dtype=np.bool_)
        there[removed] = False
        kept = np.flatnonzero(there)
        if kept.size == old.n_rows:
            say(quiet, f"{out}: none of its galaxies is to be removed")
            return old
        _refuse(before, old, there)
        config = config_of(old, threads=threads, memory_gib=memory_gib)
        build_id = digest([layout.FORMAT_VERSION, "remove", VERSION, old.build_id, digest_of_array(kept)])[:12]
        writer.require_disk(out, sum(file.size for file in old.files.values()), "the atlas without them")
        partial = writer.begin(out, build_id)
        (partial / layout.STAGES).mkdir(exist_ok=True)
        work = _Removal(before, old, partial, config, there, quiet=quiet)
        link_files(before, partial, work.linked)
        records = work.run(build_id)
        change = f"{counted(old.n_rows - kept.size, 'galaxy', 'galaxies')} removed ({why})"
        manifest = _assemble(old, partial, build_id, records, change, there)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies is in use, {change}")
    return manifest


def _refuse(before: Path, old: Manifest, there: NDArray[np.bool_]) -> None:
    """Refuse what would leave no atlas."""
    left = int(np.count_nonzero(there))
    if left < FEWEST_ROWS:
        raise SourceError(f"{counted(left, 'galaxy', 'galaxies')} would be left; an atlas needs at least {FEWEST_ROWS}")
    if len(old.spaces) > 1:
        raise SourceError(f"the atlas has {len(old.spaces)} embedding spaces; rows can be removed from one alone")
    anchors = open_array(layout.space_path(before, old.spaces[0].name) / layout.MAP / "subsample.npy")
    if not there[anchors].any():
        raise SourceError("none of the galaxies that hold the map would be left: build it again without these")


class _Removal:
    """The steps of the work.

    Attributes
    ----------
    linked : list of str
        Files of the build before that hold nothing of single rows.
    """

    def __init__(
        self, before: Path, old: Manifest, partial: Path, config: Any, there: NDArray[np.bool_], *, quiet: bool
    ) -> None:
        self._before, self._old, self._build = before, old, partial
        self._config, self._quiet = config, quiet
        self._there, self._kept = there, np.flatnonzero(there)
        self._number = np.cumsum(there) - 1
        self._was, self._space = (layout.space_path(build, config.space) for build in (before, partial))
        self._arrays = [name for name in old.files if self._is_of_rows(name)]
        self.linked = [name for name in old.files if name not in self._arrays and not self._is_made_anew(name)]

    def run(self, key: str) -> list[StageRecord]:
        """Do every step that is not done yet."""
        steps: tuple[tuple[str, Callable[[StageContext], None]], ...] = (
            ("arrays", self._leave_out),
            ("identity", lambda ctx: write_identities(ctx, self._old.id_columns)),
            ("index", self._index),
            ("neighbors", self._find_lost),
            ("clusters", self._count),
            ("planes", write_planes),
            ("thumbnails", self._pack),
            ("measure", measure.STAGE.run),
        )
        return [
            run_stage(WorkStep(name, do), key, StageContext(self._build, self._config, name=name, quiet=self._quiet))
            for name, do in steps
        ]

    def _is_made_anew(self, name: str) -> bool:
        path = Path(name)
        if is_part(path) or path.parts[0] in MADE_ANEW:
            return True
        if path.parts[0] == layout.SKY:
            return name != layout.SKY_BACKGROUND
        of_space = layout.space_path(Path(), self._config.space)
        counted_anew = {of_space / layout.CLUSTERS / f"{name}.npy" for name in ("size", "medoid", "map_xy")}
        return path in counted_anew or any(path.is_relative_to(of_space / folder) for folder in OF_A_SPACE)

    def _is_of_rows(self, name: str) -> bool:
        """Whether a file holds something of each row, in their order."""
        if self._is_made_anew(name) or not name.endswith(".npy"):
            return False
        return len(open_array(self._before / name)) == self._old.n_rows

    def _leave_out(self, ctx: StageContext) -> None:
        with ctx.progress(len(self._arrays) * self._kept.size) as bar:
            for name in self._arrays:
                whole = ctx.load(self._before / name)
                target = self._build / name
                scratch = target.with_name(f".{target.name}.tmp")
                less = ctx.create(scratch, (self._kept.size, *whole.shape[1:]), whole.dtype)
                for part in chunks(self._kept.size):
                    less[part] = whole[self._kept[part]]
                    bar.update(part.stop - part.start)
                    ctx.release()
                less.flush()
                scratch.replace(target)

    @cached_property
    def _embeddings(self) -> NDArray[Any]:
        return open_array(self._space / layout.EMBEDDINGS)

    def _open_index(self) -> NeighborIndex:
        return open_index(self._space / layout.INDEX, self._embeddings)

    def _index(self, ctx: StageContext) -> None:
        """The index as it is without the codes of the rows; one of several segments is trained anew."""
        was, folder = self._was / layout.INDEX, self._space / layout.INDEX
        described = read_index_description(was)
        suits = self._kept.size >= LEAST_SHARE * self._old.n_rows and len(self._old.segments) == 1
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

    def _find_lost(self, ctx: StageContext) -> None:
        """Neighbours in the numbers that rows have now; of rows that lost one, all are looked for."""
        was, folder, k = (
            self._was / layout.KNN,
            self._space / layout.KNN,
            min(layout.KNN_NEIGHBORS, self._kept.size - 1),
        )
        rows, similarity = open_array(was / layout.KNN_ROWS), open_array(was / layout.KNN_SIMILARITY)
        sampled = was / layout.KNN_SAMPLED
        known = np.array(open_array(sampled)) if sampled.exists() else np.arange(self._old.n_rows)
        lines = np.flatnonzero(self._there[known])
        own = self._number[known[lines]].astype(np.uint32)
        nearest = ctx.open_or_create(folder / layout.KNN_ROWS, (lines.size, k), np.uint32)
        scores = ctx.open_or_create(folder / layout.KNN_SIMILARITY, (lines.size, k), np.float32)
        found_by = self._open_index()
        setting = knn.search_setting(found_by, k, knn.SETTING)
        lost = 0

        def work(part: slice) -> None:
            nonlocal lost
            before = np.asarray(rows[lines[part]])
            found, told = self._number[before][:, :k], np.asarray(similarity[lines[part]])[:, :k]
            gone = np.flatnonzero(~self._there[before].all(axis=1))
            if gone.size:
                found[gone], told[gone] = knn.nearest_others(found_by, self._embeddings, own[part][gone], k, setting)
            nearest[part], scores[part] = found, told
            lost += gone.size

        fill_rows(ctx, work, lines.size, knn.CHUNK_ROWS, (nearest, scores))
        if sampled.exists():
            ctx.save(folder / layout.KNN_SAMPLED, own)
        ctx.measured = {"looked_for": lost}
        ctx.forget()

    def _count(self, ctx: StageContext) -> None:
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

    def _pack(self, ctx: StageContext) -> None:
        """Images without those of the rows, which are on disk no more."""
        if self._old.thumbnails is None:
            return
        store = ThumbnailStore(self._before / layout.THUMBNAILS, self._old.n_rows)
        packed = self._build / layout.THUMBNAILS
        with ThumbnailWriter(packed, self._kept.size) as images, ctx.progress(self._kept.size, "images") as bar:
            for row, was in enumerate(self._kept.tolist()):
                if (data := store.read(was)) is not None:
                    images.add(row, data)
                bar.update()
            ctx.measured = {"present": images.present}


def _assemble(
    old: Manifest, partial: Path, build_id: str, records: list[StageRecord], change: str, there: NDArray[np.bool_]
) -> Manifest:
    """The manifest of the new build, but for its files."""
    (packed,) = (step.measured for step in records if step.name == "thumbnails")
    record = StageRecord(
        name=f"remove-{sum(step.name.startswith('remove-') for step in old.stages) + 1}",
        key=build_id,
        seconds=round(sum(step.seconds for step in records), 3),
        cpu_seconds=round(sum(step.cpu_seconds for step in records), 3),
        peak_mib=max(step.peak_mib for step in records),
        measured={
            CHANGE: change,
            "first_rows": int(np.count_nonzero(there[: first_rows(old)])),
            "steps": {step.name: step.seconds for step in records},
        },
    )
    (space,) = old.spaces
    outliers = open_array(layout.space_path(partial, space.name) / layout.OUTLIERS)
    return msgspec.structs.replace(
        old,
        build_id=build_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        n_rows=int(np.count_nonzero(there)),
        segments=(Segment(start=0, stop=int(np.count_nonzero(there))),),
        columns=tuple(_described(column, partial) for column in old.columns),
        spaces=(
            msgspec.structs.replace(
                space, columns=tuple(_described(column, partial) for column in space.columns), n_outliers=len(outliers)
            ),
        ),
        provenance=msgspec.structs.replace(old.provenance, notes=(*old.provenance.notes, change)),
        thumbnails=None
        if old.thumbnails is None
        else msgspec.structs.replace(old.thumbnails, present=packed["present"]),
        stages=(*(_without_source(step) for step in old.stages), record),
    )


def _without_source(record: StageRecord) -> StageRecord:
    """A record without the source that was appended: its galaxies may be appended once more."""
    return msgspec.structs.replace(record, measured={k: v for k, v in record.measured.items() if k != "source"})


def _described(column: Column, partial: Path) -> Column:
    values = open_array(partial / column.file)
    if column.kind == "number":
        missing, quantiles = describe_numbers(values)
        return msgspec.structs.replace(column, missing=missing, quantiles=quantiles)
    if column.kind == "flags":
        return column
    blank = MISSING_CODE if column.kind == "category" else b""
    return msgspec.structs.replace(column, missing=int(np.count_nonzero(np.asarray(values) == blank)))
