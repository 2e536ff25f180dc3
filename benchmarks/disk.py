"""Disk work: dropping files from the page cache, and counting what is read again."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.storage import layout
from atlas.storage.validate import open_current


def forget(*paths: Path) -> None:
    """Drop files from the page cache, but for pages that a process has mapped."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # pages that wait to be written are not dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def forget_build(root: Path) -> None:
    """Drop all files of the build in use."""
    build, _ = open_current(root)
    forget(*(path for path in build.rglob("*") if path.is_file()))


def embeddings_path(atlas: Atlas) -> Path:
    """The file that searches read from."""
    return layout.space_path(atlas.build, atlas.default_space) / layout.EMBEDDINGS


def read_from_disk() -> tuple[int, int]:
    """Bytes that this process has read from disks so far (Linux), and its major faults."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["read_bytes"]), resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def draw_rows(n: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Distinct rows."""
    return np.random.default_rng(seed).choice(n, min(n, count), replace=False).astype(np.int64)
