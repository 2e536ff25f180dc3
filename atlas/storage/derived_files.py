"""Derived files: made when first asked for, kept for the next one who asks, removed when others need the room.

    <scratch>/.lock                     held while something is made: one at a time, by any thread or process
              <build>/<name>/           one derived thing, as its maker wrote it
              <build>/.<name>.partial/  under way, or left by a run that was killed

A derived thing appears and vanishes by a rename, so whoever opens it finds all of it or nothing. Readers take no lock.
Its folder's time of change says when it was last asked for.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, TypeVar

from atlas.errors import FormatError
from atlas.parallel import passed

LOCK = ".lock"
PARTIAL = ".partial"
LOOK_EVERY_S = 0.02

T = TypeVar("T")


def open_or_make(
    scratch: Path,
    build_id: str,
    name: str,
    opened: Callable[[Path], T],
    make: Callable[[Path], None],
    *,
    kind: str,
    keep: int,
    max_bytes: int,
) -> T:
    """Open a derived thing; where it is missing or damaged, make it first.

    Parameters
    ----------
    scratch : Path
        Folder of all derived files; made if it is missing.
    build_id, name : str
        The build that it is derived from, and its own name.
    opened : callable
        Opens the folder; raises FormatError where that is missing or not whole.
    make : callable
        Writes it into a new folder. Where it raises, nothing is left.
    kind : str
        A glob pattern that names of its kind, and no others, match.
    keep, max_bytes : int
        Of its kind, in all builds, the least recently used are removed until no more than so many are left, and no
        more than so many bytes; the one that was just made stays in any case.
    """
    folder = scratch / build_id / name
    try:
        return _used(folder, opened)
    except FormatError:
        pass
    with _alone(scratch):
        try:
            return _used(folder, opened)  # made by another while this one waited
        except FormatError:
            pass
        for left in scratch.glob(f"*/.*{PARTIAL}"):
            shutil.rmtree(left)
        partial = _partial(folder)
        partial.mkdir(parents=True)
        try:
            make(partial)
        except BaseException:
            shutil.rmtree(partial)
            raise
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
        _evict(folder, [f for f in scratch.glob(f"*/{kind}") if f.is_dir() and f != folder], keep, max_bytes)
        return opened(folder)


def _used(folder: Path, opened: Callable[[Path], T]) -> T:
    found = opened(folder)
    touch(folder)
    return found


def touch(folder: Path) -> None:
    """Remember that a derived thing was used just now."""
    # It may have been removed by another process a moment ago; what is open stays whole.
    with suppress(FileNotFoundError):
        os.utime(folder)


def _evict(made: Path, others: list[Path], keep: int, max_bytes: int) -> None:
    others.sort(key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
    used = _size(made)
    for place, folder in enumerate(others, start=1):
        used += _size(folder)
        if place >= keep or used > max_bytes:
            used -= _size(folder)
            gone = _partial(folder)
            folder.replace(gone)
            shutil.rmtree(gone)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{PARTIAL}")


@contextmanager
def _alone(scratch: Path) -> Iterator[None]:
    """Wait until no other thread or process makes anything in this folder; who watches the wait can end it."""
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / LOCK).open("w") as f:
        while not _locked(f):
            passed(0.0)
            time.sleep(LOOK_EVERY_S)
        yield


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
