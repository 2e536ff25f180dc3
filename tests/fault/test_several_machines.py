"""Two servers of one atlas, as on two machines: what one keeps the other has, and what was acknowledged outlives kills.

They share Redis and PostgreSQL and nothing else; visitors come to either by turns, as behind a proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas import Atlas
from benchmarks.processes import children_of
from benchmarks.serving import Server, serve
from benchmarks.visitor import Visitor
from tests.unit.atlas.labels.conftest import database_of, postgres  # noqa: F401  a fixture

pytestmark = pytest.mark.soak
BACK_WITHIN_S = 120
ACTS = 120


class Redis:
    """A Redis that keeps nothing on disk.

    Attributes
    ----------
    url : str
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
        self._socket = folder / "redis"
        self.url = f"unix://{self._socket}"
        self._command = [program, "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(folder)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + BACK_WITHIN_S
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self._socket))
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def servers(
    demo_path: Path,
    tmp_path: Path,
    redis: Redis,
    postgres: Any,  # noqa: F811
) -> Iterator[list[Server]]:
    shared = {"cache_type": "RedisCache", "redis_url": redis.url, "labels": database_of(postgres)}
    with ExitStack() as stack:
        yield [
            stack.enter_context(serve(demo_path.resolve(), tmp_path / name, max_state_bytes=500, **shared))
            for name in ("one", "two")
        ]


def label(server: Server, atlas: Atlas, number: int) -> bool:
    """Label a galaxy; whether that was acknowledged."""
    entry = {"id": f"{number:016x}", "kind": "label", "who": "vera", "galaxy": atlas.identity.name(number % 900),
             "label": f"sort {number % 7}"}  # fmt: skip
    body = json.dumps({"entries": [entry]}).encode()
    request = urllib.request.Request(f"{server.url}/labels", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bool(json.loads(answer.read())["kept"])
    except OSError:
        return False


def labelled(server: Server, atlas: Atlas) -> str:
    """The table of labels."""
    with urllib.request.urlopen(f"{server.url}/labels/{atlas.build_id}.csv", timeout=60) as answer:
        return str(answer.read().decode())


def wait_until(server: Server) -> None:
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=10) as answer:
                if json.loads(answer.read())["ready"]:
                    return
        except OSError:
            pass
        assert time.monotonic() < deadline, server.output()
        time.sleep(0.1)


def test_two_servers_share_labels_and_long_links(servers: list[Server], demo: Atlas) -> None:
    one, two = servers
    assert label(one, demo, 3)
    assert demo.identity.name(3) in labelled(two, demo)
    first = Visitor(one.url, demo.build_id)
    first.send({"is": "open", "token": ""})
    corners = np.random.default_rng(1).normal(size=(60, 2)).tolist()
    first.send({"is": "lasso", "plane": "map", "vertices": corners, "join": "new"})
    token = first.shows["url.data"]["token"]
    assert len(token) < 60, "it is kept under a short name"
    second = Visitor(two.url, demo.build_id)
    second.send({"is": "open", "token": token})
    lassos = [json.loads(one.shows["state.data"])["selection"] for one in (first, second)]
    assert lassos[0] == lassos[1]


def test_what_was_acknowledged_outlives_a_worker_and_redis(servers: list[Server], redis: Redis, demo: Atlas) -> None:
    kept: set[int] = set()
    lock, stop = threading.Lock(), threading.Event()

    def person(offset: int) -> None:
        for number in range(offset, 10_000, 4):
            if stop.is_set():
                return
            if label(servers[number % 2], demo, number):
                with lock:
                    kept.add(number)

    def wait_for(more: int) -> None:
        wanted, deadline = len(kept) + more, time.monotonic() + BACK_WITHIN_S
        while len(kept) < wanted:
            assert time.monotonic() < deadline, "nobody labels any more"
            time.sleep(0.02)

    people = [threading.Thread(target=person, args=(offset,)) for offset in range(4)]
    for one in people:
        one.start()
    try:
        wait_for(ACTS // 3)
        (worker,) = children_of(servers[0].process.pid)
        os.kill(worker, signal.SIGKILL)
        wait_for(ACTS // 3)
        redis.kill()
        wait_for(ACTS // 3)
        redis.start()
        wait_for(ACTS // 3)
    finally:
        stop.set()
        for one in people:
            one.join()
    for server in servers:
        wait_until(server)
        server.require_running()
    table = labelled(servers[1], demo)
    lost = {number for number in kept if demo.identity.name(number % 900) not in table}
    assert not lost, f"{len(lost)} of {len(kept)} labels were acknowledged and are lost"
    visitor = Visitor(servers[0].url, demo.build_id)
    visitor.send({"is": "open", "token": ""})
    visitor.send({"is": "pick", "row": 5, "build": demo.build_id})
    assert visitor.shows["details.children"]
