"""The real servers that hold indexes: Milvus from its wheel, in an environment of its own, and PostgreSQL."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MILVUS = ROOT / ".cache" / "milvus"
# The server, and what it needs of versions that have gone on since.
PACKAGES = ("milvus==2.3.5", "pymilvus==2.3.7", "marshmallow<4", "setuptools<80")
START_S = 180


def install_milvus() -> Path:
    """Program of Milvus's wheel, installed when it is first needed; where no registry has it the test is skipped."""
    program = MILVUS / "bin" / "milvus-server"
    MILVUS.parent.mkdir(exist_ok=True)
    with MILVUS.with_name("milvus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            subprocess.run([sys.executable, "-m", "venv", MILVUS], check=True)
            found = subprocess.run(
                [MILVUS / "bin" / "pip", "install", "--quiet", *PACKAGES], capture_output=True, text=True, check=False
            )
            if found.returncode:
                pytest.skip(f"the registry does not have Milvus: {found.stderr[-300:]}")
    return program


class Milvus:
    """A Milvus of one process that keeps its data in a folder.

    Attributes
    ----------
    url : str
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = install_milvus()
        self._port = str(_free_port())  # it finds others of its own
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on what it has, and wait until it answers."""
        deadline = time.monotonic() + START_S
        while not _is_free(int(self._port)):  # it would take the next one, for a minute after connections were cut
            assert time.monotonic() < deadline, f"port {self._port} stays taken"
            time.sleep(0.5)
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--data", self._folder / "data", "--proxy-port", self._port],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, (
                self._folder / "server.log"
            ).read_text()
            time.sleep(0.5)

    def kill(self) -> None:
        """End it at once, as it stands."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException

        try:
            # The client alone would say yes by the connection that it keeps of the server before.
            socket.create_connection(("127.0.0.1", int(self._port)), timeout=10).close()
            MilvusClient(uri=self.url, timeout=10).close()
        except (OSError, MilvusException):
            return False
        return True


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
