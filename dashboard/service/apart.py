"""Files that visitors bring, read in a process of its own that may take little memory and time.

The module that reads is run as `python -m …`: a file in at the standard input, JSON out. A reader of foreign formats
may be led to take what memory there is, or to never end; so its process is bounded, and one runs at a time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from atlas.errors import InputError, ResourceError

MEMORY_BYTES, CPU_S, PATIENCE_S = 2 * 2**30, 20, 40
AT_MOST = 4
"""Visitors who have a file read or wait for it: the other threads of a server answer everyone else."""

_places = threading.BoundedSemaphore(AT_MOST)
_reading = threading.BoundedSemaphore(1)


def read_apart(module: str, data: bytes, words: Sequence[str] = (), *, what: str, forms: str) -> Any:
    """Content of a file that a module reads, as `answer_apart` wrote it.

    Parameters
    ----------
    module : str
        Its full name.
    data : bytes
        The file.
    words : sequence of str
        More for the module; none of it the visitor's.
    what, forms : str
        What is read ("list"), and in which forms, for messages.

    Raises
    ------
    InputError
        If it cannot be read, or takes too much memory or time; says what is allowed.
    ResourceError
        If others are being read all the while (one at a time, or visitors could fill the memory together), or too many
        wait already.
    """
    busy = ResourceError(f"other {what}s are being read; try again in a minute")
    if not _places.acquire(blocking=False):
        raise busy
    try:
        if not _reading.acquire(timeout=PATIENCE_S):
            raise busy
        try:
            return _run(module, data, words, what, forms)
        finally:
            _reading.release()
    finally:
        _places.release()


def _run(module: str, data: bytes, words: Sequence[str], what: str, forms: str) -> Any:
    root = Path(sys.modules[__package__.partition(".")[0]].__path__[0]).parent
    try:
        # The words after the module are not the visitor's.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, *words],
            input=data, capture_output=True, timeout=PATIENCE_S, cwd=root, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InputError(f"this {what} takes too long to read: give less of it, or another form") from error
    if done.returncode:
        raise InputError(f"this {what} takes too much memory or time to read; what is read is {forms}")
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        raise InputError(found["error"])
    return found


def answer_apart(read: Callable[[bytes], dict[str, Any]]) -> None:
    """In the process of its own: what is made of the standard input, within bounds."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        found = read(sys.stdin.buffer.read())
    except InputError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)
