"""What a command takes: wall time, CPU and memory of the process and of all that it starts, watched from outside."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_S = 0.2


@dataclass
class Watched:
    """A command that has ended.

    Attributes
    ----------
    seconds, cpu_seconds : float
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
