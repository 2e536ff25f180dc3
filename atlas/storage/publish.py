"""Putting a build in place: beside the old one, published by a rename, so that a reader never sees a part of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import FormatError, ResourceError
from atlas.storage import layout
from atlas.storage.manifest import File, Manifest, write_manifest

LOCK = ".lock"
_BLOCK = 1 << 22
END_BYTES = 4096


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the atlas for writing; readers are never hindered.

    Raises
    ------
    ResourceError
        If another build of this atlas is under way.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResourceError(f"another build of {root} is under way; wait for it or stop it first") from None
        yield


def current_build(root: Path) -> str | None:
    """Id of the build in use, or None where the folder holds no atlas yet.

    Raises
    ------
    FormatError
        If CURRENT holds something else than the id of a build.
    """
    try:
        text = (root / layout.CURRENT).read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise FormatError(f"{root / layout.CURRENT} cannot be read: {e}") from e
    if not layout.BUILD_ID.fullmatch(text):
        raise FormatError(f"{root / layout.CURRENT} does not hold the id of a build")
    return text


def begin(root: Path, build_id: str) -> Path:
    """Folder for a new build; what an earlier, killed run of the same build left is still there.

    Parts of other builds that never finished are removed.
    """
    partial = layout.partial_path(root, build_id)
    partial.mkdir(parents=True, exist_ok=True)
    for other in (root / layout.BUILDS).glob(".*.partial"):
        if other != partial:
            shutil.rmtree(other)
    return partial


def publish(root: Path, manifest: Manifest) -> Path:
    """Write the manifest into the finished folder, move it into place, make it current, drop builds but the last two.

    A crash at any point leaves either the old build or the new one current.
    """
    partial = layout.partial_path(root, manifest.build_id)
    final = layout.build_path(root, manifest.build_id)
    before = current_build(root)
    write_manifest(partial, manifest)
    _sync_folder(partial)
    if final.exists():
        # Left by a run that was killed between the two renames: same id, same content.
        shutil.rmtree(final)
    partial.replace(final)
    _sync_folder(final.parent)
    layout.write_atomically(root / layout.CURRENT, f"{manifest.build_id}\n".encode())
    _sync_folder(root)
    for other in final.parent.iterdir():
        if layout.BUILD_ID.fullmatch(other.name) and other.name not in (manifest.build_id, before):
            shutil.rmtree(other)
    return final


def list_files(build: Path) -> list[str]:
    """Every file of a build but the manifest, as paths relative to it, sorted."""
    paths = (p.relative_to(build).as_posix() for p in build.rglob("*") if p.is_file())
    return sorted(p for p in paths if p != layout.MANIFEST and not p.endswith(".tmp"))


def hash_file(path: Path, advance: Callable[[int], object] = lambda _: None) -> File:
    """Size and hashes of a file, read in blocks; `advance` is told the bytes of each."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as f:
        while block := f.read(_BLOCK):
            digest.update(block)
            size += len(block)
            advance(len(block))
    return File(size=size, sha256=digest.hexdigest(), ends=hash_ends(path, size))


def hash_ends(path: Path, size: int) -> str:
    """SHA-256 of the first and the last 4,096 bytes of a file; of all of it where these meet."""
    with path.open("rb", buffering=0) as f:
        first = f.read(END_BYTES)
        f.seek(max(size - END_BYTES, len(first)))
        return hashlib.sha256(first + f.read(END_BYTES)).hexdigest()


def require_disk(folder: Path, needed: int, what: str) -> None:
    """Refuse work that the disk cannot hold.

    Raises
    ------
    ResourceError
        If less than `needed` bytes (and a twentieth more) are free where `folder` lies or will lie.
    """
    free = free_bytes(folder)
    needed = needed + needed // 20
    if free < needed:
        raise ResourceError(
            f"{what} needs about {human_bytes(needed)} in {folder}, {human_bytes(free)} are free; "
            "free some space or choose another folder"
        )


def free_bytes(folder: Path) -> int:
    """Bytes that are free where a folder lies or will lie."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def human_bytes(size: float) -> str:
    """A number of bytes for a person: `1.6 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
