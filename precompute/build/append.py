"""`append`: the galaxies of a further source join an atlas as a segment of their own.

Nothing that is there is copied or changed: the new build links the files of the old one, arrays of rows go on in files
beside them (`atlas.storage.appended_array`), and what is ordered by more than the row (identity, neighbour index, level
stores) the segment has for itself. The map stays as it is: new rows are placed among its anchors, take their clusters,
and are scored by the model that the first build fitted. So the cost follows the rows that are new.

It is published as any build is: until then, and whatever interrupts it, the atlas is as it was. The same command goes
on after the last step that was finished.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from atlas.catalog.columns import describe_numbers
from atlas.errors import FormatError, shorten
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Space, StageRecord

from ..config import BuildConfig
from ..errors import SourceError
from ..sources.checks import counted
from ..sources.source import Source
from ..stages import embeddings
from .new_segment import VERSION, NewSegment
from .pipeline import estimate_source
from .stage_runner import CHANGE, digest, link_files, publish_change, say, taken_up

COMPACT = "compact"
"""Name of the record that `compact` leaves; it tells the rows of the first build."""

MEASURED_BEFORE = "; recall was measured before"
"""Ends the note of an append until `compact` measures again."""

MAX_ROWS = 2**32 - 1


def append(source: Source, out: Path, *, threads: int = 0, memory_gib: float = 8.0, quiet: bool = False) -> Manifest:
    """Add the galaxies of a source to an atlas, or finish what was interrupted.

    Parameters
    ----------
    source : Source
        Its columns must be those of the atlas (further ones are left out), its embeddings those of the same network.
    out : Path
        Folder of the atlas, which stays in use meanwhile.
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
        config = config_of(old, threads=threads, memory_gib=memory_gib)
        build_id = digest([layout.FORMAT_VERSION, VERSION, old.build_id, fingerprint])[:12]
        _refuse_misfits(source, before, old)
        estimate = estimate_source(source, config)
        writer.require_disk(out, estimate.disk + estimate.scratch, f"{source.n_rows:,} galaxies more")
        partial = writer.begin(out, build_id)
        link_files(before, partial, [name for name in old.files if Path(name).parts[0] != layout.STAGES])
        segment = NewSegment(source, before, old, partial, config, fitted_rows=first_rows(old), quiet=quiet)
        segment.run(build_id)
        manifest = _assemble(old, partial, segment, source, build_id, fingerprint)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies, {source.n_rows:,} of them new, is in use")
    return manifest


def config_of(manifest: Manifest, *, threads: int, memory_gib: float) -> BuildConfig:
    """The parameters that an atlas was built with, on this machine's terms.

    Raises
    ------
    FormatError
        If the manifest does not hold them.
    """
    try:
        return msgspec.convert({**manifest.parameters, "threads": threads, "memory_gib": memory_gib}, BuildConfig)
    except msgspec.ValidationError as e:
        raise FormatError(
            f"the atlas was built with parameters that this program does not know ({shorten(e, 160)}); build it again"
        ) from e


def first_rows(manifest: Manifest) -> int:
    """Rows that an atlas was first built of: what is fitted once was fitted to them."""
    told = [record.measured["first_rows"] for record in manifest.stages if "first_rows" in record.measured]
    return int(told[-1]) if told else manifest.segments[0].stop


def _refuse_misfits(source: Source, before: Path, old: Manifest) -> None:
    """Refuse misfits that can be told before any row is read."""
    if len(old.spaces) > 1:
        raise SourceError(f"the atlas has {len(old.spaces)} embedding spaces; rows can be appended to one alone")
    if old.n_rows + source.n_rows > MAX_ROWS:
        raise SourceError(f"{old.n_rows:,} and {source.n_rows:,} galaxies are more than an atlas holds, {MAX_ROWS:,}")
    space = old.spaces[0]
    axes = layout.space_path(before, space.name) / embeddings.AXES
    of_embeddings = next((record.measured for record in old.stages if record.name == embeddings.STAGE.name), {})
    wanted = int(of_embeddings.get("source_dimension", space.dimension))
    if source.dimension != wanted:
        raise SourceError(f"{source.folder} has embeddings of {source.dimension} numbers, the atlas of {wanted}")
    if wanted != space.dimension and not axes.exists():
        raise SourceError(
            f"the atlas's embeddings were reduced from {wanted} to {space.dimension} numbers before the axes were "
            "kept; build it again"
        )


def _assemble(
    old: Manifest, partial: Path, segment: NewSegment, source: Source, build_id: str, fingerprint: str
) -> Manifest:
    """The manifest of the new build, but for its files."""
    measured = {step.name: step.measured for step in segment.records}
    read, packed = measured["read"], measured["thumbnails"]
    notes = [*read["notes"], *measured["embeddings"].get("notes", ()), *packed.get("notes", ())]
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
        spaces=(_described_space(old.spaces[0], partial),),
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
