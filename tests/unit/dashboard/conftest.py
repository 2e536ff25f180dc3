"""Settings whose shared state is in files, or in a Redis of their own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.settings import Settings, load


@pytest.fixture
def file_settings(tmp_path: Path) -> Settings:
    return load({}, cache_dir=tmp_path / "cache", cache_wait_s=20)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "socket"
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            assert time.monotonic() < deadline, "redis-server did not start"
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(path))
                break
            except OSError:
                time.sleep(0.02)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(params=["file", "redis"])
def settings(request: pytest.FixtureRequest, file_settings: Settings) -> Settings:
    """Both back ends meet every test that asks for this."""
    if request.param == "file":
        return file_settings
    url = request.getfixturevalue("redis_url")
    return load({}, cache_type="RedisCache", redis_url=url, cache_wait_s=20)
