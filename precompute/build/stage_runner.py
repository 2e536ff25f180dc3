"""Runs one stage, once for the same inputs: where its outputs are there already, they are kept or linked."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from atlas.errors import FormatError
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.manifest import File, Manifest, StageRecord, read_manifest
from atlas.storage.validate import check_files, file_faults, open_current

from ..native_code import trim_heap
from ..stages.stage import Stage, StageContext

CONTENT = "content"
"""Where the record of a stage tells what it was made of, as hashes."""

CHANGE = "change"
"""Where the record of a change to a finished atlas says, for a person, what it changed: what a build would undo."""

NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.ENOSYS))
"""What file systems answer that know no hard links (exFAT, many network shares), or have no more for a file."""


@dataclass(frozen=True)
class WorkStep:
    """A step of a longer work, in the form of a stage: all that it depends on is in the key of the whole."""

    name: str
    do: Callable[[StageContext], None]
    version = 1
    needs: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reads_source = True

    def run(self, ctx: StageContext) -> None:
        """Do it."""
        self.do(ctx)


def run_stage(stage: Stage, key: str, ctx: StageContext, old: Path | None = None) -> StageRecord:
    """Run a stage unless it has run; a killed run of it is gone on with.

    Parameters
    ----------
    stage : Stage
    key : str
        Of its inputs: outputs of another key are dropped.
    ctx : StageContext
        The build under way.
    old : Path, optional
        Folder of the build in use, whose outputs are linked where they have the same key, or were made of the same
        content.

    Returns
    -------
    StageRecord
        Of the run that made the outputs.
    """
    path = ctx.records / f"{stage.name}.json"
    record = read_record(path)
    if record is not None and record.key == key:
        ctx.note("done before")
        return record
    outputs = output_paths(stage, ctx)
    before = None if old is None else read_record(old / path.relative_to(ctx.build))
    if old is not None and before is not None:
        told: dict[str, str] = before.measured.get(CONTENT, {})
        same = before.key == key or (told and told == ctx.content)
        if same and _is_whole(old, outputs):
            for output in outputs:
                _remove(ctx.build / output)
                link(old / output, ctx.build / output)
            kept = msgspec.structs.replace(before, key=key)
            layout.write_atomically(path, msgspec.json.encode(kept))
            ctx.note("kept: what it reads is as it was")
            return kept
        if told and not same:
            ctx.note(f"runs, since something else is there: {changed(ctx.content, told)}")
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
        measured=ctx.measured | ({CONTENT: ctx.content} if ctx.content else {}),
    )
    layout.write_atomically(path, msgspec.json.encode(record))
    started.unlink()
    ctx.note(f"{record.seconds:.1f} s")
    return record


def run_steps(
    steps: Sequence[tuple[str, Callable[[StageContext], None]]], key: str, context: Callable[[str, str], StageContext]
) -> list[StageRecord]:
    """Do every step of a longer work that is not done yet.

    Parameters
    ----------
    steps : sequence of (str, callable)
        In order; the name of one that belongs to a further space has it in front: `v2/index`.
    key : str
        Of the whole work.
    context : callable
        Makes the context of a step from its space, empty for the first, and its name there.

    Returns
    -------
    list of StageRecord
        By the names of the steps.
    """
    records = []
    for name, do in steps:
        space, _, own = name.rpartition("/")
        ctx = context(space, own)
        ctx.records.mkdir(parents=True, exist_ok=True)
        records.append(msgspec.structs.replace(run_stage(WorkStep(own, do), key, ctx), name=name))
    return records


def output_paths(stage: Stage, ctx: StageContext) -> list[str]:
    """Paths that a stage writes, relative to the build."""
    return [output.format(space=f"{layout.SPACES}/{ctx.config.space}") for output in stage.outputs]


def changed(now: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Names of what differs, for a person."""
    return ", ".join(name for name in now if now[name] != before.get(name)) or "nothing"


def _cpu_seconds() -> float:
    """Seconds of CPU that this process and those that it started have taken."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read_record(path: Path) -> StageRecord | None:
    """The record of a stage that has run, or None."""
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
    present = {path.relative_to(build).as_posix() for output in outputs for path in files_of(build / output)}
    expected = {name for name in files if any(Path(name).is_relative_to(output) for output in outputs)}
    if present != expected:
        return False
    return not any(file_faults(build, {name: files[name] for name in sorted(present)}))


def link(old: Path, new: Path) -> None:
    """Give a file, or each file of a folder, a second name in the new build; copied where that cannot be."""
    for source in files_of(old):
        target = new / source.relative_to(old) if old.is_dir() else new
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError as e:
            if e.errno not in NO_LINKS:
                raise
            # There as a whole or not at all, since a run that goes on takes what it finds.
            scratch = target.with_name(f".{target.name}.tmp")
            shutil.copyfile(source, scratch)
            scratch.replace(target)


def files_of(path: Path) -> Iterator[Path]:
    """The files of a folder, or the one file that the path is of; none where nothing is."""
    if path.is_dir():
        yield from (p for p in path.rglob("*") if p.is_file())
    elif path.exists():
        yield path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest(value: Any) -> str:
    """SHA-256 of a value that JSON can hold, the same for equal values."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def digest_of_array(array: NDArray[Any]) -> str:
    """SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def hash_files(folder: Path, names: Iterable[str], *, quiet: bool) -> dict[str, File]:
    """Size and SHA-256 of files of a build, with a bar."""
    names = list(names)
    total = sum((folder / name).stat().st_size for name in names)
    with tqdm(total=total, unit="B", unit_scale=True, desc="publish    ", disable=quiet, leave=False) as bar:
        return {name: writer.hash_file(folder / name, bar.update) for name in names}


def link_files(before: Path, partial: Path, names: list[str]) -> None:
    """Give files of a build a second name in the next; those that are there already are left alone."""
    for name in names:
        if not (partial / name).exists():
            link(before / name, partial / name)


def replace_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array in the place of one that may be a file of another build, too: that one must not change."""
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("wb") as f:
        np.save(f, array, allow_pickle=False)
    scratch.replace(path)


@contextmanager
def taken_up(out: Path) -> Iterator[tuple[Path, Manifest]]:
    """Hold an atlas for a change: the build in use, whole as far as sizes and headers tell, and its manifest.

    Raises
    ------
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If another build of it runs.
    """
    with writer.locked(out):
        before, old = open_current(out)
        check_files(before, old)
        yield before, old


def publish_change(
    out: Path, before: Path, old: Manifest, partial: Path, manifest: Manifest, *, quiet: bool
) -> Manifest:
    """Put a changed build into use; returns its manifest, which then names its files."""
    manifest = msgspec.structs.replace(manifest, files=files_after(before, old, partial, quiet=quiet))
    writer.publish(out, manifest)
    return manifest


def files_after(before: Path, old: Manifest, partial: Path, *, quiet: bool) -> dict[str, File]:
    """Size and SHA-256 of every file of a build under way; those that are linked from the one before are not read."""
    names = writer.list_files(partial)
    linked = [n for n in names if n in old.files and (before / n).exists() and (before / n).samefile(partial / n)]
    files = {name: old.files[name] for name in linked}
    return dict(sorted((files | hash_files(partial, sorted({*names} - {*linked}), quiet=quiet)).items()))


def say(quiet: bool, text: str) -> None:
    """One line for the person who watches, above the bars."""
    if not quiet:
        tqdm.write(text)
