"""A worker goes over to a new build once it can be searched: until then, and where it cannot, the one before serves."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from atlas import Atlas, Query, Range, Similar
from atlas.catalog.columns import Columns
from atlas.catalog.histogram import Histograms
from atlas.catalog.sort_order import Orders
from atlas.errors import InputError, ResourceError
from atlas.planes.plane import Plane
from atlas.search import segmented_index as opening
from atlas.search.engines.scann_process import IndexApart
from atlas.sky.sky_plane import SkyPlane
from atlas.space import OpenSpace
from atlas.storage import layout
from atlas.storage.publish import current_build, hash_file
from benchmarks import serving
from dashboard.cache.results import Cached
from dashboard.service.atlas_service import Service
from dashboard.settings import load
from dashboard.state.page_state import Axes

CODES = "spaces/v1/index/hashed_dataset.npy"
B, C = "b" * 12, "c" * 12
UNASKED = count(1)


@pytest.fixture
def root(small_path: Path, tmp_path: Path) -> Path:
    """An atlas of one build."""
    root = tmp_path / "atlas"
    of = str(current_build(small_path))
    shutil.copytree(layout.build_path(small_path, of), layout.build_path(root, of))
    shutil.copy(small_path / layout.CURRENT, root)
    return root


def take_as_written(build: Path) -> None:
    """Let the manifest say that the codes of the index are what they should be: opening cannot tell."""
    manifest = build / layout.MANIFEST
    told = json.loads(manifest.read_text())
    told["files"][CODES] = msgspec.to_builtins(hash_file(build / CODES))
    manifest.write_text(json.dumps(told))


def publish(root: Path, build_id: str, *, break_index: bool = False) -> None:
    """The build in use once more, under another id."""
    old = str(current_build(root))
    new = layout.build_path(root, build_id)
    shutil.copytree(layout.build_path(root, old), new)
    manifest = new / layout.MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"build_id": "{old}"', f'"build_id": "{build_id}"'))
    if break_index:
        codes = new / CODES
        codes.write_bytes(bytes(codes.stat().st_size))
        take_as_written(new)
    name_current(root, build_id)


def name_current(root: Path, build_id: str) -> None:
    layout.write_atomically(root / layout.CURRENT, f"{build_id}\n".encode())


class Reading:
    """Holds back the indexes of builds, and watches how many are read together."""

    def __init__(self, open_index: Callable[..., Any]) -> None:
        self._open_index = open_index
        self._held: dict[str, threading.Event] = {}
        self._guard = threading.Lock()
        self._now: list[str] = []
        self.most = 0

    def hold(self, build_id: str) -> None:
        self._held[build_id] = threading.Event()

    def let_go(self, *build_ids: str) -> None:
        for build_id in build_ids or self._held:
            self._held[build_id].set()

    def begun(self, build_id: str) -> bool:
        with self._guard:
            return build_id in self._now

    def open_index(self, directory: Path, *arguments: Any) -> Any:
        build_id = directory.parents[2].name
        with self._guard:
            self._now.append(build_id)
            self.most = max(self.most, len(self._now))
        try:
            assert build_id not in self._held or self._held[build_id].wait(timeout=60)
            return self._open_index(directory, *arguments)
        finally:
            with self._guard:
                self._now.remove(build_id)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    reading = Reading(opening.open_index)
    monkeypatch.setattr(opening, "open_index", reading.open_index)
    yield reading
    reading.let_go()


@pytest.fixture
def serve(
    root: Path, tmp_path: Path, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Service, Flask]]:
    """Starts a service that looks for a new build at each request, and waits until it can search."""
    monkeypatch.setattr("dashboard.service.current_build.LOOK_EVERY_S", 0.0)
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("cache", "kept", "scratch")}

    def start(**settings: object) -> tuple[Service, Flask]:
        chosen = load({}, atlas=str(root), **folders, **settings)
        server = Flask("test")
        server.add_url_rule("/", view_func=lambda: "")
        service = Service(chosen, Cached(server, chosen))
        wait_for(lambda: service.ready()["ready"])
        return service, server

    return start


@pytest.fixture
def service(serve: Callable[..., tuple[Service, Flask]]) -> Service:
    return serve()[0]


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def search(service: Service) -> str | None:
    """The build that answers a search which nobody asked before; None while search is loading."""
    atlas = service.atlas
    query = Query(space=atlas.default_space, ranking=Similar((next(UNASKED),)), limit=5)
    result = service.run(query, atlas)
    assert result is None or result.rows.size == 5
    return None if result is None else atlas.build_id


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "load-index"]


def test_searches_are_answered_from_the_build_before_until_the_new_index_is_read(
    service: Service, root: Path, reading: Reading
) -> None:
    before = service.atlas.build_id
    reading.hold(B)
    publish(root, B)
    assert [search(service) for _ in range(4)] == [before] * 4
    wait_for(lambda: reading.begun(B))
    assert service.ready() == {"ready": True, "build": before, "galaxies": service.atlas.n_rows}
    named = service.build(B)
    assert named.build_id == B and not named.space().index_loaded, "its pictures can be had already"
    reading.let_go(B)
    answers: list[str | None] = []
    wait_for(lambda: answers.append(search(service)) or answers[-1] == B)  # type: ignore[func-returns-value]
    assert set(answers) <= {before, B}, "and nobody is told to wait"
    assert service.atlas is named
    assert not service.build(before).space().index_loaded, "pictures of the build before need no index"
    wait_for(lambda: threads() == [])


def test_the_build_before_is_let_go_with_its_index_when_its_last_request_ends(
    serve: Callable[..., tuple[Service, Flask]], root: Path, reading: Reading
) -> None:
    service, server = serve()
    reading.hold(B)
    gc.disable()  # what is let go must not wait for the garbage collector
    try:
        with server.test_request_context("/"):
            before = service.atlas.build_id
            parts = look_around(service)
            process_id = process_of(service)
            publish(root, B)
            wait_for(lambda: build_of_a_new_request(service) == before and reading.begun(B))
            reading.let_go(B)
            wait_for(lambda: build_of_a_new_request(service) == B)
            assert search(service) == before, "it ends on what it began with"
            assert all(part() is not None for part in parts)
        assert [part() for part in parts] == [None] * len(parts)
        assert not is_alive(process_id)
    finally:
        gc.enable()


def process_of(service: Service) -> int:
    """The process that holds the index."""
    index = service.atlas.space().index
    assert isinstance(index, IndexApart)
    return index.process_id


def is_alive(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_an_index_whose_process_was_killed_is_read_again(service: Service) -> None:
    build = service.atlas.build_id
    killed = process_of(service)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not service.atlas.space().index_loaded)
    assert search(service) is None, "and says that it is loading meanwhile"
    wait_for(lambda: search(service) == build)
    assert not is_alive(killed)


def test_an_index_whose_process_stands_still_is_ended_and_read_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, still = service.atlas.build_id, process_of(service)
    monkeypatch.setattr("atlas.search.engines.scann_process.ANSWER_S", 0.5)
    os.kill(still, signal.SIGSTOP)
    with pytest.raises(ResourceError, match="neighbour index is gone"):
        search(service)
    monkeypatch.undo()
    wait_for(lambda: search(service) == build)
    assert not is_alive(still)


def test_a_request_that_failed_does_not_keep_the_build_before(
    serve: Callable[..., tuple[Service, Flask]], root: Path
) -> None:
    service, server = serve()

    def fail() -> str:
        caught: list[Exception] = []
        try:
            service.atlas.columns("no such space")
        except InputError as error:
            caught.append(error)  # the error holds this frame, and the frame the error
        return ""

    server.add_url_rule("/fail", view_func=fail)
    index = weakref.ref(service.atlas.space().index)
    gc.disable()
    try:
        server.test_client().get("/fail")
        publish(root, B)
        wait_for(lambda: service.atlas.build_id == B)
        assert index() is None
    finally:
        gc.enable()


def look_around(service: Service) -> list[weakref.ref[Any]]:
    """Use what a build has, as views do; the parts of it that take memory."""
    atlas = service.atlas
    bright = Range("mag_r", high=20)
    assert search(service) == atlas.build_id
    assert service.plane(Axes("mag_r", "z_phot")) is not None
    service.orders.page("mag_r", False, service.mask(bright), 0, 10)
    service.histogram("mag_r", bright, atlas)
    service.outside(bright, atlas)
    assert atlas.sky and atlas.identity and atlas.space().clusters
    return [weakref.ref(part) for part in (atlas, atlas.space(), atlas.space().index, atlas.histograms)]


def build_of_a_new_request(service: Service) -> str:
    """The build that a request would get which began now."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(service.atlas.build_id))
    thread.start()
    thread.join()
    return found[0]


def test_a_build_that_cannot_be_searched_is_refused_once_and_tried_again_when_it_is_published_anew(
    service: Service, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = service.atlas.build_id
    publish(root, B, break_index=True)
    assert search(service) == before
    wait_for(lambda: f"build {B} cannot be searched; {before} stays in use" in caplog.text)
    wait_for(lambda: threads() == [])
    assert [search(service) for _ in range(4)] == [before] * 4 and threads() == []
    assert caplog.text.count("does not answer") == caplog.text.count("stays in use") == 1
    shutil.copy(layout.build_path(root, before) / CODES, layout.build_path(root, B) / CODES)
    take_as_written(layout.build_path(root, B))
    assert search(service) == before, "nobody said that it is whole"
    name_current(root, B)
    wait_for(lambda: search(service) == B)


def test_of_two_builds_published_in_a_row_the_last_is_taken_up_and_one_index_is_read_at_a_time(
    service: Service, root: Path, reading: Reading
) -> None:
    before = service.atlas.build_id
    reading.hold(B)
    publish(root, B)
    assert search(service) == before
    wait_for(lambda: reading.begun(B))
    skipped = weakref.ref(service.build(B))
    publish(root, C)
    assert [search(service) for _ in range(4)] == [before] * 4
    assert not reading.begun(C)
    reading.let_go(B)
    answers: list[str | None] = []
    wait_for(lambda: answers.append(search(service)) or answers[-1] == C)  # type: ignore[func-returns-value]
    assert set(answers) <= {before, C}
    assert reading.most == 1
    wait_for(lambda: threads() == [])
    assert skipped() is None


def test_who_goes_back_to_the_build_in_use_gets_it(service: Service, root: Path, reading: Reading) -> None:
    before = service.atlas
    reading.hold(B)
    publish(root, B)
    assert search(service) == before.build_id
    wait_for(lambda: reading.begun(B))
    name_current(root, before.build_id)
    assert search(service) == before.build_id
    reading.let_go(B)
    wait_for(lambda: threads() == [])
    assert service.atlas is before and search(service) == before.build_id


def test_a_build_that_is_gone_from_the_disk_is_left_at_once(service: Service, root: Path, reading: Reading) -> None:
    before = service.atlas
    reading.hold(B)
    publish(root, B)
    shutil.rmtree(before.build)
    assert service.atlas.build_id == B and search(service) is None
    reading.let_go(B)
    wait_for(lambda: search(service) == B)


def test_an_earlier_build_is_let_go_when_its_pages_ask_no_more_or_its_folder_is_gone(
    service: Service, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = service.atlas
    of, folder = before.build_id, before.build
    del before
    publish(root, B)
    wait_for(lambda: service.atlas.build_id == B)
    kept = weakref.ref(service.build(of))
    assert service.atlas.build_id == B and kept() is not None
    assert service.build(of) is kept(), "its pages share one"
    monkeypatch.setattr("dashboard.service.current_build.EARLIER_S", 0.0)
    assert service.atlas.build_id == B and kept() is None
    monkeypatch.undo()
    kept = weakref.ref(service.build(of))
    shutil.rmtree(folder)
    monkeypatch.setattr("dashboard.service.current_build.LOOK_EVERY_S", 0.0)
    assert service.atlas.build_id == B and kept() is None, "what is mapped would keep its room on the disk"
    with pytest.raises(InputError, match="gone; reload the page"):
        service.build(of)


@pytest.mark.parametrize("builds", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_builds_taken_up_one_after_the_other_leave_nothing_behind(service: Service, root: Path, builds: int) -> None:
    counts = []
    for n in range(builds):
        look_around(service)
        earlier = service.atlas.build
        publish(root, f"{n:012d}")
        wait_for(lambda n=n: service.atlas.build_id == f"{n:012d}")  # type: ignore[misc]
        assert service.build(earlier.name).sky, "pages of the one before are answered"
        shutil.rmtree(earlier)
        wait_for(lambda: threads() == [])
        assert search(service) is not None
        gc.collect()
        counts.append(what_is_held(root))
    first, *_, last = counts
    # Less may be held: what other tests of this process left behind ends when it will.
    assert {what: n for what, n in last.items() if n > first[what]} == {}


def what_is_held(root: Path) -> dict[str, int]:
    """Open files, threads, processes of indexes, and objects of open builds."""
    kinds = (Atlas, OpenSpace, Columns, SkyPlane, Plane, Histograms, Orders, IndexApart)
    held = {kind.__name__: 0 for kind in kinds}
    for one in gc.get_objects():
        if type(one) in kinds:  # not `isinstance`, which asks a weak proxy for what is gone
            held[type(one).__name__] += 1
    return held | {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": sum(thread.name != "job" for thread in threading.enumerate()),  # of those a service has two
        "processes": len(processes_of(root)),
        "mapped": sum(str(root) in line for line in Path("/proc/self/maps").read_text().splitlines()),
    }


def test_one_index_at_a_time_can_be_asked_for(
    serve: Callable[..., tuple[Service, Flask]], root: Path, reading: Reading
) -> None:
    service, _ = serve(keep_searching="false")
    before = weakref.ref(service.atlas)
    reading.hold(B)
    publish(root, B)
    assert search(service) is None and service.atlas.build_id == B
    assert before() is None, "its memory is free before the next index is read"
    reading.let_go(B)
    wait_for(lambda: search(service) == B)


@pytest.mark.soak
def test_a_server_that_is_stopped_while_it_reads_an_index_stops(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "gate").touch()
    with serving.serve(root, folder, module="tests.slow_dashboard") as server:
        (folder / "gate").unlink()
        publish(root, B)

        def begun() -> bool:
            urllib.request.urlopen(f"{server.url}/readyz", timeout=10).close()
            return (folder / f"asked-{B}").exists()

        wait_for(begun)
        assert processes_of(root) != []
        server.process.terminate()
        assert server.process.wait(timeout=20) == 0
        assert "Traceback" not in server.output() and "ERROR" not in server.output()
    assert processes_of(root) == [], "and leaves no process behind"


def test_an_index_does_not_outlive_a_server_that_was_killed(root: Path, tmp_path: Path) -> None:
    with serving.serve(root, tmp_path / "server") as server:
        (worker,) = children_of(server.process.pid)
        assert len(processes_of(root)) >= 2
        os.kill(worker, signal.SIGKILL)
        server.process.terminate()
        server.process.wait(timeout=20)
    wait_for(lambda: processes_of(root) == [])


def processes_of(root: Path) -> list[int]:
    """Processes that were started with the folder of an atlas."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended just now
            if str(root).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def children_of(process_id: int) -> list[int]:
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(child) for child in path.read_text().split()]
