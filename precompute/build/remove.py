"""`remove`: an atlas without some of its rows.

Rows are counted through, so that every count, search, picture and export of what is left is true with nothing to be
held back: the new build holds the others alone, as one segment. What depends on single rows is taken over and counted
anew; neighbours are looked for where a row lost one. The map, clusters and scores stay as they are. It is published as
any build is, and an interrupted one goes on after the last step that was finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import describe_numbers
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.appended_array import is_part
from atlas.storage.arrays import chunks, open_array
from atlas.storage.manifest import Column, Manifest, Segment, Space, StageRecord
from atlas.storage.thumbnails import ThumbnailStore, ThumbnailWriter

from ..config import BuildConfig
from ..errors import SourceError
from ..sources.checks import counted
from ..sources.column_types import MISSING_CODE
from ..stages import agreement, measure, planes
from ..stages.stage import StageContext
from . import remove_space
from .compact import write_identities
from .pipeline import FEWEST_ROWS
from .remove_space import LessSpace
from .space_parameters import FIRST, configs_of, step_name, tell_first_rows
from .stage_runner import (
    CHANGE,
    digest,
    digest_of_array,
    link_files,
    publish_change,
    run_steps,
    say,
    taken_up,
)

VERSION = 2
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""

MADE_ANEW = (layout.IDENTITY, layout.SEGMENTS, layout.STAGES, layout.THUMBNAILS)


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
        If too few rows are left.
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
        configs = configs_of(old, threads=threads, memory_gib=memory_gib)
        build_id = digest([layout.FORMAT_VERSION, "remove", VERSION, old.build_id, digest_of_array(kept)])[:12]
        writer.require_disk(out, sum(file.size for file in old.files.values()), "the atlas without them")
        partial = writer.begin(out, build_id)
        work = _Removal(before, old, partial, configs, there, quiet=quiet)
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
    for space in old.spaces:
        anchors = open_array(layout.space_path(before, space.name) / layout.MAP / "subsample.npy")
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
        self,
        before: Path,
        old: Manifest,
        partial: Path,
        configs: Mapping[str, BuildConfig],
        there: NDArray[np.bool_],
        *,
        quiet: bool,
    ) -> None:
        self._before, self._old, self._build = before, old, partial
        self._configs, self._quiet = configs, quiet
        self._there, self._kept = there, np.flatnonzero(there)
        self._arrays = [name for name in old.files if self._is_of_rows(name)]
        self.linked = [name for name in old.files if name not in self._arrays and not self._is_made_anew(name)]

    def run(self, key: str) -> list[StageRecord]:
        """Do every step that is not done yet."""
        steps: list[tuple[str, Callable[[StageContext], None]]] = [
            ("arrays", self._leave_out),
            ("identity", lambda ctx: write_identities(ctx, self._old.id_columns)),
        ]
        for name, config in self._configs.items():
            was, space = (layout.space_path(build, config.space) for build in (self._before, self._build))
            less = LessSpace(was, space, self._there, one_segment=len(self._old.segments) == 1)
            of_space = {
                "index": less.index,
                "neighbors": less.find_lost,
                "clusters": less.count,
                "map": planes.order_map,
                "measure": measure.STAGE.run,
            }
            steps += [(step_name(name, step), do) for step, do in of_space.items()]
            if name != FIRST:
                steps.append((step_name(name, "agreement"), self._compare))
        steps += [("sky", planes.order_sky), ("thumbnails", self._pack)]
        return run_steps(steps, key, self._context)

    def _context(self, space: str, name: str) -> StageContext:
        return StageContext(self._build, self._configs[space], name=name, quiet=self._quiet, records=space)

    def _compare(self, ctx: StageContext) -> None:
        """Tell how differently a space and the first see what is left; both have found their neighbours."""
        agreement.write_disagreement(ctx, layout.space_path(self._build, self._old.spaces[0].name), ctx.space)

    def _is_made_anew(self, name: str) -> bool:
        path = Path(name)
        if is_part(path) or path.parts[0] in MADE_ANEW:
            return True
        if path.parts[0] == layout.SKY:
            return name != layout.SKY_BACKGROUND
        folders = (layout.space_path(Path(), space.name) for space in self._old.spaces)
        return any(path.is_relative_to(folder / own) for folder in folders for own in remove_space.MADE_ANEW)

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
            **tell_first_rows(old, lambda rows: int(np.count_nonzero(there[:rows]))),
            "steps": {step.name: step.seconds for step in records},
        },
    )
    return msgspec.structs.replace(
        old,
        build_id=build_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        n_rows=int(np.count_nonzero(there)),
        segments=(Segment(start=0, stop=int(np.count_nonzero(there))),),
        columns=tuple(_described(column, partial) for column in old.columns),
        spaces=tuple(_described_space(space, partial) for space in old.spaces),
        provenance=msgspec.structs.replace(old.provenance, notes=(*old.provenance.notes, change)),
        thumbnails=None
        if old.thumbnails is None
        else msgspec.structs.replace(old.thumbnails, present=packed["present"]),
        stages=(*(_without_source(step) for step in old.stages), record),
    )


def _without_source(record: StageRecord) -> StageRecord:
    """A record without the source that was appended: its galaxies may be appended once more."""
    return msgspec.structs.replace(record, measured={k: v for k, v in record.measured.items() if k != "source"})


def _described_space(space: Space, partial: Path) -> Space:
    return msgspec.structs.replace(
        space,
        columns=tuple(_described(column, partial) for column in space.columns),
        n_outliers=len(open_array(layout.space_path(partial, space.name) / layout.OUTLIERS)),
    )


def _described(column: Column, partial: Path) -> Column:
    values = open_array(partial / column.file)
    if column.kind == "number":
        missing, quantiles = describe_numbers(values)
        return msgspec.structs.replace(column, missing=missing, quantiles=quantiles)
    if column.kind == "flags":
        return column
    blank = MISSING_CODE if column.kind == "category" else b""
    return msgspec.structs.replace(column, missing=int(np.count_nonzero(np.asarray(values) == blank)))
