"""`append`: the galaxies of a further source join an atlas as a segment of their own.

Nothing that is there is copied or changed: the new build links the files of the old one, arrays of rows go on in files
beside them (`atlas.storage.appended_array`), and what is ordered by more than the row (identity, neighbour index, level
stores) the segment has for itself. The map stays as it is: new rows are placed among its anchors, take their clusters,
and are scored by the model that the first build fitted. So the cost follows the rows that are new.

It is published as any build is: until then, and whatever interrupts it, the atlas is as it was. The same command goes
on after the last step that was finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from atlas.catalog.columns import describe_numbers
from atlas.errors import shorten
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Space, StageRecord

from ..errors import SourceError
from ..sources.checks import counted
from ..sources.source import Source
from ..sources.space_source import SpaceSource, galaxies_of_source
from ..stages import embeddings
from ..stages.reduction import reduced_width
from .estimate import estimate_build
from .new_segment import VERSION, NewSegment
from .pipeline import estimate_source
from .space_parameters import FIRST, configs_of, step_name
from .stage_runner import CHANGE, digest, link_files, publish_change, say, taken_up

COMPACT = "compact"
"""Name of the record that `compact` leaves; it tells the rows of the first build."""

MEASURED_BEFORE = "; recall was measured before"
"""Ends the note of an append until `compact` measures again."""

MAX_ROWS = 2**32 - 1


def append(
    source: Source,
    out: Path,
    *,
    spaces: Mapping[str, str] | None = None,
    space_ids: Mapping[str, tuple[str, ...]] | None = None,
    threads: int = 0,
    memory_gib: float = 8.0,
    quiet: bool = False,
) -> Manifest:
    """Add the galaxies of a source to an atlas, or finish what was interrupted.

    Parameters
    ----------
    source : Source
        Its columns must be those of the atlas (further ones are left out), its embeddings those of the same network.
    out : Path
        Folder of the atlas, which stays in use meanwhile.
    spaces : mapping of str to str
        Embeddings of these galaxies in each further space of the atlas, as `add_space` takes them.
    space_ids : mapping of str to tuple of str
        Columns of such a table that name a galaxy; found where none are told.
    threads, memory_gib
        As `BuildConfig` has them; everything else is as the atlas was built.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the build that holds both, which is now current.

    Raises
    ------
    SourceError
        If the source does not fit the atlas, or has galaxies that it has already.
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If the disk is too small, or another build of the atlas runs.
    """
    with taken_up(out) as (before, old):
        fingerprint = source.fingerprint()
        if any(record.measured.get("source") == fingerprint for record in old.stages):
            say(quiet, f"{out}: the galaxies of {source.folder} are in it already")
            return old
        configs = configs_of(old, threads=threads, memory_gib=memory_gib)
        further = _open_further(source, old, spaces or {}, space_ids or {})
        _refuse_misfits(source, further, before, old)
        embedded = [fingerprint, *(one.fingerprint() for one in further.values())]
        build_id = digest([layout.FORMAT_VERSION, VERSION, old.build_id, embedded])[:12]
        estimates = [estimate_source(source, configs[FIRST])]
        for name, one in further.items():
            width = reduced_width(one.dimension, configs[name].pca)
            estimates.append(estimate_build(one.n_rows, width, configs[name], columns=0))
        needed = sum(estimate.disk + estimate.scratch for estimate in estimates)
        writer.require_disk(out, needed, f"{source.n_rows:,} galaxies more")
        partial = writer.begin(out, build_id)
        link_files(before, partial, [name for name in old.files if Path(name).parts[0] != layout.STAGES])
        for name, one in further.items():
            one.scratch = partial / f".joined-{name}.tmp"
        segment = NewSegment(source, further, before, old, partial, configs, quiet=quiet)
        segment.run(build_id)
        for one in further.values():
            one.scratch.unlink(missing_ok=True)
        manifest = _assemble(old, partial, segment, source, further, build_id, fingerprint)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies, {source.n_rows:,} of them new, is in use")
    return manifest


def _refuse_misfits(source: Source, further: Mapping[str, Source], before: Path, old: Manifest) -> None:
    """Refuse misfits that can be told before any row is read."""
    if old.n_rows + source.n_rows > MAX_ROWS:
        raise SourceError(f"{old.n_rows:,} and {source.n_rows:,} galaxies are more than an atlas holds, {MAX_ROWS:,}")
    first, *others = old.spaces
    _refuse_width(source, before, old, first, embeddings.STAGE.name)
    for space in others:
        _refuse_width(further[space.name], before, old, space, step_name(space.name, embeddings.STAGE.name))


def _refuse_width(source: Source, before: Path, old: Manifest, space: Space, stage: str) -> None:
    """Refuse embeddings of another width than those of a space had."""
    axes = layout.space_path(before, space.name) / embeddings.AXES
    measured = next((record.measured for record in old.stages if record.name == stage), {})
    wanted = int(measured.get("source_dimension", space.dimension))
    if source.dimension != wanted:
        where = "the atlas" if space is old.spaces[0] else f"space {space.name}"
        raise SourceError(f"{source.folder} has embeddings of {source.dimension} numbers, {where} of {wanted}")
    if wanted != space.dimension and not axes.exists():
        raise SourceError(
            f"the atlas's embeddings were reduced from {wanted} to {space.dimension} numbers before the axes were "
            "kept; build it again"
        )


def _open_further(
    source: Source, old: Manifest, told: Mapping[str, str], ids: Mapping[str, tuple[str, ...]]
) -> dict[str, SpaceSource]:
    """Embeddings of the galaxies of a source in the further spaces of an atlas, each of which needs them.

    Raises
    ------
    SourceError
        If they are not told of each, or of another, or do not fit.
    """
    first, *others = (space.name for space in old.spaces)
    for name in (*told, *ids):
        if name not in others:
            there = f"its further spaces are {', '.join(others)}" if others else "it has no further space"
            own = f"; those of {first} are the source's own (--embeddings)" if name == first else ""
            raise SourceError(f"--space-embeddings names {shorten(name, 64)} of the atlas: {there}{own}")
    if lacking := [name for name in others if name not in told]:
        raise SourceError(
            f"the atlas has further embedding spaces, {', '.join(others)}: the galaxies need an embedding in each "
            f"({' '.join(f'--space-embeddings {name}=FILE' for name in lacking)})"
        )
    galaxies = galaxies_of_source(source, old.id_columns)
    return {name: SpaceSource(galaxies, told[name], ids.get(name, ())) for name in others}


def _assemble(
    old: Manifest,
    partial: Path,
    segment: NewSegment,
    source: Source,
    further: Mapping[str, SpaceSource],
    build_id: str,
    fingerprint: str,
) -> Manifest:
    """The manifest of the new build, but for its files."""
    measured = {step.name: step.measured for step in segment.records}
    read, packed = measured["read"], measured["thumbnails"]
    notes = [*read["notes"], *measured["embeddings"].get("notes", ()), *packed.get("notes", ())]
    for name, one in further.items():
        found = measured[step_name(name, embeddings.STAGE.name)].get("notes", ())
        notes += [f"space {name}: {note}" for note in (*one.notes, *found)]
    told = f"{source.n_rows:,} galaxies of {source.folder.name} were appended{MEASURED_BEFORE}"
    record = StageRecord(
        name=f"append-{len(old.segments)}",
        key=build_id,
        seconds=round(sum(step.seconds for step in segment.records), 3),
        cpu_seconds=round(sum(step.cpu_seconds for step in segment.records), 3),
        peak_mib=max(step.peak_mib for step in segment.records),
        measured={
            "source": fingerprint,
            CHANGE: f"{counted(source.n_rows, 'galaxy', 'galaxies')} of {source.folder.name} appended",
            "rows": source.n_rows,
            "steps": {step.name: step.seconds for step in segment.records},
        },
    )
    return msgspec.structs.replace(
        old,
        build_id=build_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        n_rows=segment.segments[-1].stop,
        segments=segment.segments,
        columns=tuple(_described(column, partial, read) for column in old.columns),
        spaces=tuple(_described_space(space, partial) for space in old.spaces),
        provenance=msgspec.structs.replace(old.provenance, notes=(*old.provenance.notes, told, *notes)),
        thumbnails=None
        if old.thumbnails is None
        else msgspec.structs.replace(old.thumbnails, present=old.thumbnails.present + packed["present"]),
        stages=(*old.stages, record),
    )


def _described(column: Column, partial: Path, read: dict[str, Any]) -> Column:
    if column.kind == "number":
        missing, quantiles = describe_numbers(open_array(partial / column.file))
        return msgspec.structs.replace(column, missing=missing, quantiles=quantiles)
    return msgspec.structs.replace(
        column,
        missing=column.missing + read["missing"].get(column.name, 0),
        vocabulary=tuple(read["vocabularies"].get(column.name, column.vocabulary)),
    )


def _described_space(space: Space, partial: Path) -> Space:
    return msgspec.structs.replace(
        space,
        columns=tuple(_described(column, partial, {"missing": {}, "vocabularies": {}}) for column in space.columns),
        n_outliers=len(open_array(layout.space_path(partial, space.name) / layout.OUTLIERS)),
    )
