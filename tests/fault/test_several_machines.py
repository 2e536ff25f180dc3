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
from benchmarks.serving import ROOT, Server, serve
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


class Proxy:
    """nginx in front of servers, by the configuration that the documents give.

    Attributes
    ----------
    url : str
    """

    def __init__(self, folder: Path, servers: list[Server]) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        told = (ROOT / "docs" / "nginx.conf").read_text()
        addresses = [server.url.removeprefix("http://") for server in servers]
        given = ("10.0.0.1:8050", "10.0.0.2:8050", "listen 80;")
        for name, own in zip(given, (*addresses, f"listen {port};"), strict=True):
            assert told.count(name) == 1
            told = told.replace(name, own)
        (folder / "site.conf").write_text(told)
        temporary = "".join(
            f"{kind}_temp_path {folder}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}\n"
            f"{'user root;' if os.getuid() == 0 else ''}\n"
            f"http {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
        )
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
        deadline = time.monotonic() + BACK_WITHIN_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert time.monotonic() < deadline and self._process.poll() is None
            time.sleep(0.05)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def proxy(servers: list[Server], tmp_path: Path) -> Iterator[Proxy]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    started = Proxy(folder, servers)
    yield started
    started.end()


@pytest.fixture
def servers(
    demo_path: Path,
    tmp_path: Path,
    redis: Redis,
    postgres: Any,  # noqa: F811
) -> Iterator[list[Server]]:
    shared = {
        "cache_type": "RedisCache",
        "redis_url": redis.url,
        "labels": database_of(postgres),
        "trust_proxy": 1,
    }
    with ExitStack() as stack:
        yield [
            stack.enter_context(serve(demo_path.resolve(), tmp_path / name, max_state_bytes=500, **shared))
            for name in ("one", "two")
        ]


def label(server: Server | Proxy, atlas: Atlas, number: int) -> bool:
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


def test_behind_a_proxy_nobody_notices_that_a_server_is_killed(
    servers: list[Server], proxy: Proxy, demo: Atlas
) -> None:
    visitor = Visitor(proxy.url, demo.build_id)
    visitor.send({"is": "open", "token": ""})
    kept = set()
    for number in range(60):
        if number == 20:
            for process in (servers[0].process.pid, *children_of(servers[0].process.pid)):
                os.kill(process, signal.SIGKILL)
        if label(proxy, demo, number):
            kept.add(number)
    assert kept == set(range(60))
    visitor.send({"is": "pick", "row": 5, "build": demo.build_id})
    assert visitor.shows["details.children"]
    table = labelled(servers[1], demo)
    assert all(demo.identity.name(number) in table for number in kept)
    with urllib.request.urlopen(f"{proxy.url}/healthz", timeout=60) as answer:
        assert len(answer.headers["X-Request-ID"]) == 32, "it is the proxy's"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{proxy.url}/metrics", timeout=60)
