"""Runs the stages of a build in order: each once for the same inputs, beside the old atlas, published by a rename.

A stage's key is a hash of its code's version, the parameters that it reads and the keys of the stages it needs. Equal
keys mean equal outputs, so a stage is run only where neither the build under way (which a killed run may have left)
nor the build in use has its outputs already.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from atlas import format as layout
from atlas import writer
from atlas.errors import FormatError
from atlas.manifest import Manifest, StageRecord, read_manifest
from precompute.assemble import assemble_manifest
from precompute.context import BuildConfig, Stage, StageContext
from precompute.errors import SourceError
from precompute.estimate import Estimate, check_fits, estimate_build
from precompute.sources.source import Source
from precompute.stages import (
    anomalies,
    clusters,
    embeddings,
    index,
    knn,
    measure,
    place,
    planes,
    read,
    subsample,
    thumbnails,
    umap,
)
from precompute.stages.native import trim_heap
from precompute.stages.reduction import reduced_width

STAGES: tuple[Stage, ...] = (
    read.STAGE,
    embeddings.STAGE,
    index.STAGE,
    knn.STAGE,
    subsample.STAGE,
    umap.STAGE,
    place.STAGE,
    clusters.STAGE,
    anomalies.STAGE,
    planes.STAGE,
    thumbnails.STAGE,
    measure.STAGE,
)


FEWEST_ROWS = 16


def build(source: Source, out: Path, config: BuildConfig, *, quiet: bool = False) -> Manifest:
    """Build an atlas, or finish one that was interrupted; nothing is done twice.

    Parameters
    ----------
    source : Source
        Where the galaxies come from.
    out : Path
        Folder of the atlas; an older build in it stays in use until this one is whole.
    config : BuildConfig
        The parameters.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the finished build, which is now current.

    Raises
    ------
    SourceError
        If the source cannot be built from.
    ResourceError
        If disk or memory are too small, or another build of the same atlas runs.
    """
    if source.n_rows < FEWEST_ROWS or source.dimension < 2:
        raise SourceError(
            f"an atlas needs at least {FEWEST_ROWS} galaxies of 2 numbers each; "
            f"this source has {source.n_rows} of {source.dimension}"
        )
    keys = stage_keys(source.fingerprint(), config)
    build_id = _digest([layout.FORMAT_VERSION, keys])[:12]
    with writer.locked(out):
        finished = _finished(out, build_id)
        if finished is not None:
            _say(quiet, f"{out}: build {build_id} is up to date")
            return finished
        check_fits(estimate_source(source, config), out, config)
        before = writer.current_build(out)
        partial = writer.begin(out, build_id)
        (partial / layout.STAGES).mkdir(exist_ok=True)
        records = []
        for stage in STAGES:
            ctx = StageContext(partial, config, name=stage.name, quiet=quiet, source=source)
            old = None if before is None else layout.build_path(out, before)
            records.append(_run_stage(stage, keys[stage.name], ctx, old))
        manifest = assemble_manifest(partial, build_id, source, config, records, datetime.now(UTC))
        manifest = msgspec.structs.replace(manifest, files=_hash_all(partial, quiet))
        writer.publish(out, manifest)
    _say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies is in use")
    return manifest


def estimate_source(source: Source, config: BuildConfig, *, speed: float = 1.0) -> Estimate:
    """What building from a source will take."""
    return estimate_build(
        source.n_rows,
        reduced_width(source.dimension, config.pca),
        config,
        columns=len(source.column_names),
        images=source.image_count(config.thumbnails),
        speed=speed,
    )


def stage_keys(fingerprint: str, config: BuildConfig) -> dict[str, str]:
    """Key of each stage for a source and parameters."""
    keys: dict[str, str] = {}
    for stage in STAGES:
        parameters = {name: getattr(config, name) for name in sorted(stage.parameters)}
        reads = fingerprint if stage.reads_source else ""
        keys[stage.name] = _digest([stage.name, stage.version, parameters, [keys[n] for n in stage.needs], reads])
    return keys


def _run_stage(stage: Stage, key: str, ctx: StageContext, old: Path | None) -> StageRecord:
    path = ctx.build / layout.STAGES / f"{stage.name}.json"
    record = _read_record(path)
    if record is not None and record.key == key:
        ctx.note("done before")
        return record
    outputs = [output.format(space=f"{layout.SPACES}/{ctx.config.space}") for output in stage.outputs]
    if old is not None:
        reused = _read_record(old / layout.STAGES / path.name)
        if reused is not None and reused.key == key and _is_whole(old, outputs):
            for output in outputs:
                _remove(ctx.build / output)
                _link(old / output, ctx.build / output)
            layout.write_atomically(path, msgspec.json.encode(reused))
            ctx.note("as in the build before")
            return reused
    # A killed run of this very stage may have left parts that it can go on from; parts of another are dropped.
    started = path.with_suffix(".started")
    if not (started.exists() and started.read_text() == key):
        for output in outputs:
            _remove(ctx.build / output)
        ctx.forget()
        started.write_text(key)
    begun, cpu_begun = time.perf_counter(), _cpu_seconds()
    stage.run(ctx)
    trim_heap()
    record = StageRecord(
        name=stage.name,
        key=key,
        seconds=round(time.perf_counter() - begun, 3),
        cpu_seconds=round(_cpu_seconds() - cpu_begun, 3),
        peak_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        measured=ctx.measured,
    )
    layout.write_atomically(path, msgspec.json.encode(record))
    started.unlink()
    ctx.note(f"{record.seconds:.1f} s")
    return record


def _cpu_seconds() -> float:
    """Seconds of CPU that this process and those that it started have taken."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _finished(out: Path, build_id: str) -> Manifest | None:
    """The manifest of a published build of that id whose files are all there, made current if a crash left it aside."""
    final = layout.build_path(out, build_id)
    if not final.is_dir():
        return None
    try:
        manifest = read_manifest(final)
    except FormatError:
        return None
    if any(not (final / f).exists() or (final / f).stat().st_size != e.size for f, e in manifest.files.items()):
        return None
    if writer.current_build(out) != build_id:
        layout.write_atomically(out / layout.CURRENT, f"{build_id}\n".encode())
    return manifest


def _hash_all(folder: Path, quiet: bool) -> dict[str, Any]:
    names = writer.list_files(folder)
    total = sum((folder / name).stat().st_size for name in names)
    with tqdm(total=total, unit="B", unit_scale=True, desc="publish    ", disable=quiet, leave=False) as bar:
        return {name: writer.hash_file(folder / name, bar.update) for name in names}


def _read_record(path: Path) -> StageRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StageRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _is_whole(build: Path, outputs: list[str]) -> bool:
    """Whether outputs of a published build are, to the byte, what its manifest says; the next will vouch for them."""
    try:
        files = read_manifest(build).files
    except FormatError:
        return False
    present = {path.relative_to(build).as_posix() for output in outputs for path in _files(build / output)}
    expected = {name for name in files if any(Path(name).is_relative_to(output) for output in outputs)}
    if present != expected or not all((build / output).exists() for output in outputs):
        return False
    return all(writer.hash_file(build / name) == files[name] for name in sorted(present))


def _link(old: Path, new: Path) -> None:
    """Give a file, or each file of a folder, a second name in the new build: no byte is copied."""
    for source in _files(old):
        target = new / source.relative_to(old) if old.is_dir() else new
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (p for p in path.rglob("*") if p.is_file())
    elif path.exists():
        yield path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        tqdm.write(text)
