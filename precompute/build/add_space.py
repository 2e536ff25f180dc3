"""`add-space`: a further embedding of the same galaxies joins an atlas, with an index, a map and clusters of its own.

Nothing that is there is copied or changed: the new build links the files of the old one, and the stages that belong to
a space run once more, in a folder of their own. A column says how differently the new space and the first see each
galaxy.

It is published as any build is: until then, and whatever interrupts it, the atlas is as it was. The same command goes
on after the last stage that was finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.manifest import Manifest, StageRecord

from ..cluster import connected
from ..config import BuildConfig
from ..errors import SourceError
from ..parallel import Workers
from ..sources.space_source import SpaceSource, galaxies_of_atlas
from ..stages import agreement, anomalies, clusters, embeddings, knn, measure, place, planes, read, subsample, umap
from ..stages.index import stage as index
from ..stages.reduction import reduced_width
from ..stages.stage import Stage, StageContext
from .compact import compact
from .estimate import check_fits, estimate_build
from .manifest_assembly import describe_space
from .space_parameters import config_of, own_parameters
from .stage_runner import CHANGE, WorkStep, digest, link_files, publish_change, run_stage, say, taken_up

VERSION = 1
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""

OF_A_SPACE = (
    embeddings.STAGE, index.STAGE, knn.STAGE, subsample.STAGE, umap.STAGE, place.STAGE, clusters.STAGE,
    anomalies.STAGE, measure.STAGE,
)  # fmt: skip
"""Stages that a space runs for itself, in order."""


def add_space(
    out: Path,
    name: str,
    embeddings_from: str,
    *,
    ids: tuple[str, ...] = (),
    parameters: Mapping[str, Any] | None = None,
    scheduler: str = "",
    quiet: bool = False,
) -> Manifest:
    """Add an embedding space to an atlas, or finish what was interrupted.

    Parameters
    ----------
    out : Path
        Folder of the atlas, which stays in use meanwhile.
    name : str
        Of the space. One that was added before is replaced, as far as its stages read something else now.
    embeddings_from : str
        What `precompute.sources.find_embeddings.open_arrays` takes: an array in the order of the atlas's rows, or a
        table with ids in any.
    ids : tuple of str
        Columns of that table that name a galaxy; empty to find them.
    parameters : mapping
        Fields of `BuildConfig` that differ from those that the atlas was built with.
    scheduler : str
        As of `precompute.build.pipeline.build`.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the build that has the space, which is now current.

    Raises
    ------
    SourceError
        If the embeddings are not of this atlas's galaxies, all of them, or it cannot take a space of that name.
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If disk or memory are too small, or another build of the atlas runs.
    """
    _make_one_segment(out, name, embeddings_from, ids, parameters or {}, quiet=quiet)
    with taken_up(out) as (before, old):
        _refuse_misfits(old, name, out)
        config = _configured(old, name, parameters or {})
        source = SpaceSource(galaxies_of_atlas(before, old), embeddings_from, ids)
        for note in source.notes:
            say(quiet, f"note: {note}")
        keys = space_keys(old, config, source.fingerprint())
        if _records(old, name) == keys:
            say(quiet, f"{out}: these embeddings are in it already, as space {name}")
            return old
        width = reduced_width(source.dimension, config.pca)
        check_fits(estimate_build(old.n_rows, width, config, columns=0), out, config)
        build_id = digest([layout.FORMAT_VERSION, VERSION, old.build_id, name, keys])[:12]
        partial = writer.begin(out, build_id)
        column = agreement.column_name(name)
        link_files(before, partial, [path for path in old.files if not _belongs_to(Path(path), name, column)])
        source.scratch = partial / ".joined.tmp"
        with connected(scheduler, partial.parent) as workers:
            records = _run(before, old, partial, config, source, keys, workers, quiet=quiet)
        source.scratch.unlink(missing_ok=True)
        manifest = _assemble(old, partial, build_id, config, records, source)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    say(quiet, f"{out}: build {build_id} with space {name} beside {old.spaces[0].name} is in use")
    return manifest


def _make_one_segment(
    out: Path, name: str, embeddings_from: str, ids: tuple[str, ...], parameters: Mapping[str, Any], *, quiet: bool
) -> None:
    """Compact an atlas of several segments, since a space is added to one; first the embeddings must fit."""
    with taken_up(out) as (before, old):
        if len(old.segments) == 1:
            return
        _refuse_misfits(old, name, out)
        config = _configured(old, name, parameters)
        SpaceSource(galaxies_of_atlas(before, old), embeddings_from, ids)
    say(quiet, f"{out}: its {len(old.segments)} segments become one first, as by `compact`")
    compact(out, threads=config.threads, memory_gib=config.memory_gib, quiet=quiet)


def _configured(old: Manifest, name: str, parameters: Mapping[str, Any]) -> BuildConfig:
    """Parameters of a space: those that the atlas was built with, but for what is told."""
    config = config_of(old, threads=0, memory_gib=BuildConfig().memory_gib)
    return msgspec.convert(msgspec.to_builtins(config) | {**parameters, "space": name}, BuildConfig)


def space_keys(old: Manifest, config: BuildConfig, fingerprint: str) -> dict[str, str]:
    """Key of each stage of a space: of what it reads of the embeddings, of the parameters, and of the catalogue."""
    first = old.spaces[0].name
    rows = [record.key for record in old.stages if record.name == read.STAGE.name]
    of_first = [record.key for record in old.stages if record.name == knn.STAGE.name]
    keys = {read.STAGE.name: digest([old.n_rows, rows])}
    for stage in OF_A_SPACE:
        told = {name: getattr(config, name) for name in sorted(stage.parameters)}
        reads = fingerprint if stage.reads_source else ""
        keys[stage.name] = digest([stage.name, stage.version, told, [keys[n] for n in stage.needs], reads])
    del keys[read.STAGE.name]
    keys["plane"] = digest([VERSION, config.seed, keys[place.STAGE.name]])
    keys["agreement"] = digest([agreement.VERSION, first, of_first, keys[knn.STAGE.name]])
    return keys


def _refuse_misfits(old: Manifest, name: str, out: Path) -> None:
    first = old.spaces[0].name
    if name == first:
        raise SourceError(f"{name} is the space that {out} was built with; name another one for further embeddings")
    column = agreement.column_name(name)
    if not _records(old, name) and any(one.name == column for one in old.columns):
        raise SourceError(f"{out} has a column {column} already, which the space would add: name the space otherwise")


def _records(old: Manifest, name: str) -> dict[str, str]:
    """Keys of the stages of a space that an atlas has."""
    start = f"{name}/"
    return {record.name.removeprefix(start): record.key for record in old.stages if record.name.startswith(start)}


def _belongs_to(path: Path, space: str, column: str) -> bool:
    """Whether a file of the old build is one that the stages of the space write."""
    own = (layout.space_path(Path(), space), Path(layout.STAGES) / space, Path(layout.COLUMNS) / f"{column}.npy")
    return any(path.is_relative_to(one) for one in own)


def _run(
    before: Path,
    old: Manifest,
    partial: Path,
    config: BuildConfig,
    source: SpaceSource,
    keys: Mapping[str, str],
    workers: Workers | None,
    *,
    quiet: bool,
) -> list[StageRecord]:
    """Every stage that is not done yet."""
    (partial / layout.STAGES / config.space).mkdir(parents=True, exist_ok=True)
    column = agreement.column_name(config.space)
    steps: tuple[Stage, ...] = (
        *OF_A_SPACE,
        WorkStep("plane", planes.order_map, outputs=("{space}/map/plane",)),
        WorkStep("agreement", _compare(old.spaces[0].name, old.n_rows), outputs=(f"{layout.COLUMNS}/{column}.npy",)),
    )
    records = []
    for step in steps:
        ctx = StageContext(
            partial,
            config,
            name=step.name,
            quiet=quiet,
            source=source,
            records=config.space,
            columns=old.columns,
            workers=workers,
        )
        records.append(run_stage(step, keys[step.name], ctx, before))
    return records


def _compare(first: str, n_rows: int) -> Callable[[StageContext], None]:
    def compare(ctx: StageContext) -> None:
        agreement.write_disagreement(ctx, layout.space_path(ctx.build, first), ctx.space)
        ctx.measured[CHANGE] = f"space {ctx.config.space} added"
        ctx.measured["first_rows_of"] = {ctx.config.space: n_rows}

    return compare


def _assemble(
    old: Manifest,
    partial: Path,
    build_id: str,
    config: BuildConfig,
    records: list[StageRecord],
    source: SpaceSource,
) -> Manifest:
    """The manifest of the new build, but for its files."""
    name = config.space
    measured = {record.name: record.measured for record in records}
    space = msgspec.structs.replace(
        describe_space(partial, old.n_rows, config, measured[knn.STAGE.name]), parameters=own_parameters(old, config)
    )
    column = agreement.disagreement_column(partial, old.spaces[0].name, name)
    notes = (*source.notes, *measured[embeddings.STAGE.name].get("notes", ()))
    told = tuple(note for note in old.provenance.notes if not note.startswith(f"space {name}: "))
    others = tuple(record for record in old.stages if not record.name.startswith(f"{name}/"))
    return msgspec.structs.replace(
        old,
        build_id=build_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        columns=tuple(({one.name: one for one in old.columns} | {column.name: column}).values()),
        spaces=tuple(({one.name: one for one in old.spaces} | {name: space}).values()),
        provenance=msgspec.structs.replace(old.provenance, notes=(*told, *(f"space {name}: {note}" for note in notes))),
        stages=(*others, *(msgspec.structs.replace(r, name=f"{name}/{r.name}") for r in records)),
    )
