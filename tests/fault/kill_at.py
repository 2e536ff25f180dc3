"""`python -m tests.fault.kill_at N ATLAS COMMAND …`: `python -m precompute COMMAND …`, killed at a change of the atlas.

It gets SIGKILL right before the N-th change that it makes to files of the atlas; N = 0 lets it end and prints how many
these were.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from precompute.__main__ import main as precompute

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")


def run_killed(at: int, root: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run this module as a process of its own."""
    words = [sys.executable, "-m", "tests.fault.kill_at", at, root, *command]
    ours = Path(__file__).resolve().parents[2]
    return subprocess.run([str(word) for word in words], cwd=ours, capture_output=True, text=True, check=False)


def run(last: int, root: str, command: list[str]) -> int:
    """Run the command; returns its status, if it comes to its end."""
    made = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal made
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if (writes or event in CHANGES) and any(str(one).startswith(root) for one in arguments[:2]):
            made += 1
            if made == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    status = precompute(["--quiet", *command])
    print(made)
    return status


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
