"""Runs the stages of a build in order: each once for the same inputs, beside the old atlas, published by a rename.

A stage's key is a hash of its code's version, the parameters that it reads and the keys of the stages it needs. Equal
keys mean equal outputs, so a stage is run only where neither the build under way (which a killed run may have left)
nor the build in use has its outputs already. Nor is it run where keys differ and what it reads does not:
`.stage_contents`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from atlas.errors import FormatError
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.manifest import Manifest, read_manifest
from atlas.storage.validate import build_faults, check_files, open_current

from ..cluster import connected
from ..config import BuildConfig
from ..errors import SourceError
from ..sources.source import Source
from ..stages import artefacts
from ..stages.order import STAGES
from ..stages.reduction import reduced_width
from ..stages.stage import StageContext
from .estimate import Estimate, check_fits, estimate_build
from .manifest_assembly import assemble_manifest
from .stage_contents import StageContents
from .stage_runner import CHANGE, digest, run_stage, say

FEWEST_ROWS = 16


def build(
    source: Source,
    out: Path,
    config: BuildConfig,
    *,
    force: bool = False,
    scheduler: str = "",
    verify: bool = False,
    quiet: bool = False,
) -> Manifest:
    """Build an atlas, or finish one that was interrupted; nothing is done twice.

    Parameters
    ----------
    source : Source
        Where the galaxies come from.
    out : Path
        Folder of the atlas; an older build in it stays in use until this one is whole.
    config : BuildConfig
        The parameters.
    force : bool
        Build also where that drops what was appended to the atlas, updated or removed since it was built.
    scheduler : str
        Address of a Dask scheduler whose workers do the passes over rows; empty for threads of this process.
    verify : bool
        Read every file of the finished build once more, as `validate` does, before it is put into use.
    quiet : bool
        Show no progress.

    Returns
    -------
    Manifest
        Of the finished build, which is now current.

    Raises
    ------
    SourceError
        If the source cannot be built from, or the atlas holds what is not in it.
    ResourceError
        If disk or memory are too small, another build of the same atlas runs, or the scheduler or its workers are away.
    FormatError
        If `verify` found fault.
    """
    if source.n_rows < FEWEST_ROWS or source.dimension < 2:
        raise SourceError(
            f"an atlas needs at least {FEWEST_ROWS} galaxies of 2 numbers each; "
            f"this source has {source.n_rows} of {source.dimension}"
        )
    keys = stage_keys(source.fingerprint(), config)
    build_id = digest([layout.FORMAT_VERSION, keys])[:12]
    with writer.locked(out):
        if not force:
            _refuse_to_put_back(out, source, config)
        finished = _finished(out, build_id)
        if finished is not None:
            say(quiet, f"{out}: build {build_id} is up to date")
            return finished
        check_fits(estimate_source(source, config), out, config)
        before = writer.current_build(out)
        partial = writer.begin(out, build_id)
        (partial / layout.STAGES).mkdir(exist_ok=True)
        old = None if before is None else layout.build_path(out, before)
        contents, records = StageContents(source, STAGES, partial, old), []
        with connected(scheduler, partial.parent) as workers:
            for stage in STAGES:
                ctx = StageContext(partial, config, name=stage.name, quiet=quiet, source=source, workers=workers)
                ctx.content = contents.read_by(stage, ctx)
                records.append(run_stage(stage, keys[stage.name], ctx, old))
                contents.add(stage, ctx)
        manifest = assemble_manifest(partial, build_id, source, config, records, datetime.now(UTC))
        manifest = msgspec.structs.replace(manifest, files=contents.all_files(quiet=quiet))
        if verify:
            _verify(partial, manifest, quiet=quiet)
        writer.publish(out, manifest)
    say(quiet, f"{out}: build {build_id} of {manifest.n_rows:,} galaxies is in use")
    return manifest


def _verify(partial: Path, manifest: Manifest, *, quiet: bool) -> None:
    """Refuse to put a build into use that `validate` would find fault with."""
    total = sum(file.size for file in manifest.files.values())
    with tqdm(total=total, unit="B", unit_scale=True, desc="verify     ", disable=quiet, leave=False) as bar:
        faults = build_faults(partial, manifest, bar.update)
    if faults:
        raise FormatError(
            f"the build was not put into use, and what was in use stays: {'; '.join(faults[:8])}. Look at the disk, "
            f"remove {partial}, and build again"
        )


def estimate_source(source: Source, config: BuildConfig, *, speed: float = 1.0) -> Estimate:
    """Estimate of building from a source."""
    return estimate_build(
        source.n_rows,
        reduced_width(source.dimension, config.pca),
        config,
        columns=len(source.column_names),
        images=source.image_count(config.thumbnails),
        measured=artefacts.count_measured(source),
        speed=speed,
    )


def stage_keys(fingerprint: str, config: BuildConfig) -> dict[str, str]:
    """Key of each stage for a source and parameters."""
    keys: dict[str, str] = {}
    for stage in STAGES:
        parameters = {name: getattr(config, name) for name in sorted(stage.parameters)}
        reads = fingerprint if stage.reads_source else ""
        keys[stage.name] = digest([stage.name, stage.version, parameters, [keys[n] for n in stage.needs], reads])
    return keys


def _refuse_to_put_back(out: Path, source: Source, config: BuildConfig) -> None:
    """Refuse a build in the place of an atlas that has come further than its source."""
    if writer.current_build(out) is None:
        return
    try:
        manifest = open_current(out)[1]
    except FormatError:
        return  # what cannot be read can be lost
    if config.space not in (names := [space.name for space in manifest.spaces]):
        raise SourceError(
            f"{out} has the embedding space {', '.join(names)}; add-space {out} {config.space} brings a further one "
            f"beside it, --force puts {config.space} in its place"
        )
    if changes := [str(r.measured[CHANGE]) for r in manifest.stages if CHANGE in r.measured]:
        raise SourceError(
            f"{out} has changed since it was built: {'; '.join(changes)}. A build would put it back to "
            f"the {source.n_rows:,} galaxies of {source.folder}: --force does so, another --out keeps both"
        )


def _finished(out: Path, build_id: str) -> Manifest | None:
    """The manifest of a published build of that id whose files are all there, made current if a crash left it aside."""
    final = layout.build_path(out, build_id)
    if not final.is_dir():
        return None
    try:
        manifest = read_manifest(final)
        check_files(final, manifest)
    except FormatError:
        return None
    if writer.current_build(out) != build_id:
        layout.write_atomically(out / layout.CURRENT, f"{build_id}\n".encode())
    return manifest
