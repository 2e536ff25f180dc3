"""Watch over work: wall time, CPU and memory of a process and of all that it starts, watched from outside."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

INTERVAL_S = 0.2

Answer = TypeVar("Answer")


@dataclass
class Watched:
    """A process and its descendants, as they were seen.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Of a command that has ended.
    begun : float
        Seconds since the epoch.
    anonymous : list of (float, int)
        Seconds since the epoch, and bytes of memory that no file backs, over the process and its descendants. Pages of
        memory-mapped files are left out: the system takes them back when it needs them.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    begun: float = 0.0
    anonymous: list[tuple[float, int]] = field(default_factory=list)

    def peak_bytes(self, begun: float, ended: float) -> int:
        """Most memory between two moments."""
        return max((size for at, size in self.anonymous if begun <= at <= ended), default=0)


def watch(command: list[str], **environment: str) -> Watched:
    """Run a command to its end.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    watched = Watched(begun=time.time())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, env={**os.environ, **environment})
    while process.poll() is None:
        watched.anonymous.append((time.time(), anonymous_bytes(process.pid)))
        time.sleep(INTERVAL_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched.seconds = time.time() - watched.begun
    watched.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return watched


@contextmanager
def watching(pid: int, interval_s: float = INTERVAL_S) -> Iterator[Watched]:
    """Look at the memory of a process, from a thread of this one, until the block ends."""
    watched = Watched(begun=time.time())
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(interval_s):
            watched.anonymous.append((time.time(), anonymous_bytes(pid)))

    thread = threading.Thread(target=look, name="watching", daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        ended.set()
        thread.join()


def in_own_process(work: Callable[..., Answer], *given: Any) -> Answer:
    """Do the work where nothing was loaded before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def watched_in_own_process(
    work: Callable[..., Answer], *given: Any, interval_s: float = INTERVAL_S
) -> tuple[Answer, Watched]:
    """As `in_own_process`, with the memory of that process meanwhile."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with watching(pool.submit(os.getpid).result(), interval_s) as watched:
            answer = pool.submit(work, *given).result()
        return answer, watched


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that have not ended (Linux)."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def cpu_seconds(root: int) -> float:
    """CPU time of a process and of its descendants that have not ended, in steps of the system's clock (Linux)."""
    total, family = 0.0, [root]
    while family:
        pid = family.pop()
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        family += children_of(pid)
    return total


def anonymous_bytes(root: int) -> int:
    """Anonymous memory of a process and its descendants (Linux)."""
    children: dict[int, list[int]] = {}
    size: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue  # ended meanwhile
        pid = int(fields["Pid"])
        children.setdefault(int(fields["PPid"]), []).append(pid)
        size[pid] = int(fields.get("RssAnon", "0 kB").split()[0]) * 1024
    total, family = 0, [root]
    while family:
        pid = family.pop()
        total += size.get(pid, 0)
        family += children.get(pid, [])
    return total
