"""`compact`: the segments of an atlas become one, as if all its rows had come together.

Arrays that go on in further files are written as one; identity, neighbour index and level stores are made anew, of all
rows. The map, clusters and scores stay as they are; recall is measured again. It is published as any build is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from atlas.catalog.identity import write_identity
from atlas.search.quality import FILENAME
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.appended_array import is_part, part_path
from atlas.storage.arrays import chunks, open_array
from atlas.storage.manifest import Manifest, Segment, StageRecord

from ..config import BuildConfig
from ..stages import measure, planes
from ..stages.index import stage as index
from ..stages.stage import StageContext
from .append import COMPACT, MEASURED_BEFORE
from .estimate import estimate_build
from .space_parameters import configs_of, step_name, tell_first_rows
from .stage_runner import digest, link_files, publish_change, run_steps, say, taken_up

VERSION = 3
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""


def compact(out: Path, *, threads: int = 0, memory_gib: float = 8.0, quiet: bool = False) -> Manifest:
    """Merge the segments of an atlas, or finish what was interrupted.

    Parameters
    ----------
    out : Path
        Folder of the atlas, which stays in use meanwhile.
    threads, memory_gib
        As `BuildConfig` has them; everything else is as the atlas was built.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the build of one segment, which is now current.

    Raises
    ------
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If the disk is too small, or another build of the atlas runs.
    """
    with taken_up(out) as (before, old):
        if len(old.segments) == 1:
            say(quiet, f"{out}: all rows are one segment already")
            return old
        configs = configs_of(old, threads=threads, memory_gib=memory_gib)
        build_id = digest([layout.FORMAT_VERSION, COMPACT, VERSION, old.build_id])[:12]
        kept = [name for name in old.files if not _is_made_anew(name, old)]
        needed = sum(f.size for name, f in old.files.items() if name not in kept)
        for space, config in zip(old.spaces, configs.values(), strict=True):
            needed += estimate_build(old.n_rows, space.dimension, config, columns=0).scratch
        writer.require_disk(out, needed, "merging the segments")
        partial = writer.begin(out, build_id)
        link_files(before, partial, kept)
        records = _Compaction(before, old, partial, configs, quiet).run(build_id)
        manifest = _assemble(old, partial, build_id, records)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies in one segment is in use")
    return manifest


def _is_made_anew(name: str, old: Manifest) -> bool:
    """Whether a file is none that the next build takes over."""
    path = Path(name)
    if path.parts[0] in (layout.SEGMENTS, layout.STAGES, layout.IDENTITY):
        return True
    if is_part(path) or part_path(path, 1).as_posix() in old.files:
        return True
    if path.parts[0] == layout.SKY:
        return name != layout.SKY_BACKGROUND
    folders = (layout.INDEX, layout.MAP_PLANE, FILENAME)
    return any(path.is_relative_to(layout.space_path(Path(), space.name) / f) for space in old.spaces for f in folders)


class _Compaction:
    """The steps of merging."""

    def __init__(
        self, before: Path, old: Manifest, partial: Path, configs: Mapping[str, BuildConfig], quiet: bool
    ) -> None:
        self._before = before
        self._old = old
        self._build = partial
        self._configs = configs
        self._quiet = quiet

    def run(self, key: str) -> list[StageRecord]:
        """Do every step that is not done yet."""
        steps: list[tuple[str, Callable[[StageContext], None]]] = [
            ("arrays", self._merge),
            ("identity", lambda ctx: write_identities(ctx, self._old.id_columns)),
            ("sky", planes.order_sky),
        ]
        for space in self._configs:
            steps += [
                (step_name(space, "index"), index.STAGE.run),
                (step_name(space, "map"), planes.order_map),
                (step_name(space, "measure"), measure.STAGE.run),
            ]
        return run_steps(steps, key, self._context)

    def _context(self, space: str, name: str) -> StageContext:
        return StageContext(self._build, self._configs[space], name=name, quiet=self._quiet, records=space)

    def _merge(self, ctx: StageContext) -> None:
        names = [name for name in self._old.files if part_path(Path(name), 1).as_posix() in self._old.files]
        with ctx.progress(sum(len(open_array(self._before / name)) for name in names)) as bar:
            for name in names:
                whole = open_array(self._before / name)
                target = self._build / name
                # There as a whole or not at all: the stages that come after open it without a question.
                scratch = target.with_name(f".{target.name}.tmp")
                merged = ctx.create(scratch, whole.shape, whole.dtype)
                for part in chunks(len(whole)):
                    merged[part] = whole[part]
                    bar.update(part.stop - part.start)
                    ctx.release()
                merged.flush()
                scratch.replace(target)


def write_identities(ctx: StageContext, id_columns: Sequence[str]) -> None:
    """Write the identity of all rows of a build under way."""
    write_identity(
        ctx.build / layout.IDENTITY, [ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy") for name in id_columns]
    )


def _assemble(old: Manifest, partial: Path, build_id: str, records: list[StageRecord]) -> Manifest:
    """The manifest of the new build, but for its files."""
    record = StageRecord(
        name=COMPACT,
        key=build_id,
        seconds=round(sum(step.seconds for step in records), 3),
        cpu_seconds=round(sum(step.cpu_seconds for step in records), 3),
        peak_mib=max(step.peak_mib for step in records),
        measured={**tell_first_rows(old), "steps": {step.name: step.seconds for step in records}},
    )
    return msgspec.structs.replace(
        old,
        build_id=build_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        segments=(Segment(start=0, stop=old.n_rows),),
        provenance=msgspec.structs.replace(
            old.provenance, notes=tuple(note.removesuffix(MEASURED_BEFORE) for note in old.provenance.notes)
        ),
        stages=(*(step for step in old.stages if step.name != COMPACT), record),
    )
