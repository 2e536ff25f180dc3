"""The steps by which rows become a segment of an atlas; `precompute.build.append` begins and publishes what they do.

Each step writes plain arrays of the new rows into the segment's folder, then lets the arrays of the atlas go on with
them (`atlas.storage.appended_array`). The last one removes the plain ones. What each embedding space needs is in
`precompute.build.segment_space`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from atlas.catalog.columns import Columns
from atlas.catalog.identity import Identity, write_identity
from atlas.sky.sky_plane import write_sky
from atlas.storage import layout
from atlas.storage.appended_array import write_part
from atlas.storage.manifest import Manifest, Segment, StageRecord
from atlas.storage.thumbnails import LENGTHS, OFFSETS, SHARD_BYTES, shard_path

from ..config import BuildConfig
from ..sources.source import Source
from ..stages import artefacts, thumbnails
from ..stages.stage import StageContext
from .append_columns import is_computed, is_measured, read_new_rows
from .segment_space import SegmentSpace, go_on
from .space_parameters import FIRST, first_rows, step_name
from .stage_runner import run_steps

VERSION = 4
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""


class NewSegment:
    """The work on one segment.

    Parameters
    ----------
    source : Source
        Whose galaxies it takes in.
    further : mapping of str to Source
        Of their embeddings in the further spaces.
    before : Path
        The build in use.
    old : Manifest
        Of that build.
    partial : Path
        The build under way, in which the files of the one before are linked.
    configs : mapping of str to BuildConfig
        The parameters that each space was made with (`configs_of`).
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
        further: Mapping[str, Source],
        before: Path,
        old: Manifest,
        partial: Path,
        configs: Mapping[str, BuildConfig],
        *,
        quiet: bool,
    ) -> None:
        self._source = source
        self._before = before
        self._old = old
        self._build = partial
        self._config = configs[FIRST]
        self._quiet = quiet
        self._number = len(old.segments)
        self._first = old.n_rows
        self.segments = (*old.segments, Segment(start=self._first, stop=old.n_rows + source.n_rows))
        self._segment = layout.segment_path(partial, self._number)
        self._spaces = {
            name: SegmentSpace(
                space,
                further.get(name, source),
                old,
                before,
                partial,
                self.segments,
                configs[name],
                fitted_rows=first_rows(old, name),
            )
            for name, space in zip(configs, old.spaces, strict=True)
        }
        self.records: list[StageRecord] = []

    def run(self, key: str) -> None:
        """Do every step that is not done yet."""
        in_spaces = [(step_name(space, step), do) for space, work in self._spaces.items() for step, do in work.steps]
        steps = (
            ("read", self._read),
            *in_spaces,
            ("planes", self._order),
            ("artefacts", self._measure_artefacts),
            ("thumbnails", self._pack),
            ("finish", self._finish),
        )
        self.records = run_steps(steps, key, self._context)

    def _context(self, space: str, name: str) -> StageContext:
        work = self._spaces[space]
        return StageContext(self._segment, work.config, name=name, quiet=self._quiet, source=work.source, records=space)

    def _read(self, ctx: StageContext) -> None:
        opened = Columns(self._before, self._old.columns, self._first)
        identity = Identity(self._before, self._old.id_columns, opened, self._old.segments)
        found = read_new_rows(self._source, self._old, identity, self._first)
        for name, values in found.columns.items():
            ctx.save(self._segment / layout.COLUMNS / f"{name}.npy", values)
        columns = self._segment / layout.COLUMNS
        ids = [np.load(columns / f"{name}.npy", mmap_mode="r") for name in self._old.id_columns]
        write_identity(self._segment / layout.IDENTITY, ids, first_row=self._first)
        read = (Path(c.file) for c in self._old.columns if not is_computed(c, self._old))
        go_on(self._build / layout.COLUMNS, columns, self._number, *(file.name for file in read))
        ctx.measured = {"vocabularies": found.vocabularies, "missing": found.missing, "notes": found.notes}

    def _order(self, ctx: StageContext) -> None:
        for work in self._spaces.values():
            work.order()
        ra, dec = (
            np.load(self._segment / layout.COLUMNS / f"{name}.npy", mmap_mode="r") for name in (layout.RA, layout.DEC)
        )
        write_sky(self._segment / layout.SKY, ra, dec, seed=self._config.seed, first_row=self._first)

    def _measure_artefacts(self, ctx: StageContext) -> None:
        names = [c.name for c in self._old.columns if is_measured(c)]
        own = self._segment / layout.ARTEFACTS
        if names:
            artefacts.fill_columns(ctx, names, own)
            go_on(self._build / layout.ARTEFACTS, own, self._number, *(f"{name}.npy" for name in names))
            ctx.forget()

    def _pack(self, ctx: StageContext) -> None:
        if self._old.thumbnails is None:
            if self._source.has_images:
                ctx.measured["notes"] = ["its images are left out: the atlas has none"]
            return
        folder, own = self._build / layout.THUMBNAILS, self._segment / layout.THUMBNAILS
        m = self._source.n_rows
        wanted = self._config.thumbnails
        ctx.config = msgspec.structs.replace(ctx.config, thumbnails=-(-wanted * m // self.segments[0].stop))
        thumbnails.STAGE.run(ctx)
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
        for work in self._spaces.values():
            work.finish()
        for name in (layout.COLUMNS, layout.ARTEFACTS, layout.THUMBNAILS):
            shutil.rmtree(self._segment / name, ignore_errors=True)
