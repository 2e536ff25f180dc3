"""A build is published while people look at the one before: nothing fails, and nothing half-built is seen."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from atlas import Atlas, Range
from atlas.storage import layout
from atlas.storage.publish import current_build
from benchmarks import serving
from benchmarks.callbacks import DEPENDENCIES, UPDATE, body_of, listed
from dashboard.cache.results import Cached
from dashboard.service.atlas_service import Service
from dashboard.service.galaxies import galaxy
from dashboard.settings import load
from dashboard.state.page_state import State, parts
from dashboard.state.url import to_json
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.simulation.catalog_survey import simulate_survey
from precompute.sources.source import Source, open_source

QUICK = BuildConfig(subsample=600, n_epochs=30, recall_queries=10, threads=1, engine="scann")
OTHER = msgspec.structs.replace(QUICK, seed=8, n_epochs=40)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("survey") / "source"
    simulate_survey(1_500, folder, seed=4, dimension=32, quiet=True)
    return open_source(folder)


@pytest.fixture(scope="module")
def built(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "atlas"
    build(source, out, QUICK, quiet=True)
    return out


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "atlas")
    return tmp_path / "atlas"


@pytest.fixture
def service(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, Flask]]:
    """A service that looks for a new build at each request."""
    monkeypatch.setattr("dashboard.service.current_build.LOOK_EVERY_S", 0.0)
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(root), **folders)
    server = Flask("test")
    yield Service(settings, Cached(server, settings)), server


class Visitor:
    """Loads the page, a picture, an image and a search of the build that the page names."""

    def __init__(self, url: str, state: State) -> None:
        self._url = url
        self._state = to_json(parts(state)["gallery"])

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._url + path, timeout=30) as response:
            body: bytes = response.read()
            return body

    def build_id(self) -> str:
        """The build that the page says it shows."""
        found: list[str] = []
        _walk(json.loads(self.get("/_dash-layout")), lambda props: found.append(props["data"]["build"]), "boot")
        return found[0]

    def picture(self, build_id: str) -> bytes:
        return self.get(f"/raster/{build_id}/map.png?x0=-9&x1=9&y0=-9&y1=9&w=64&h=64&light=0")

    def gallery(self) -> list[tuple[int, str]]:
        """Row and build of each image."""
        body = body_of(
            json.loads(self.get(DEPENDENCIES)),
            "gallery-told.children",
            {"part-gallery.data": self._state},
            "part-gallery.data",
        )
        request = urllib.request.Request(
            self._url + UPDATE, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            shown = listed(json.loads(response.read())["response"])
        assert shown["rows"], "search always answers"
        return [(row, shown["build"]) for row in shown["rows"]]

    def visit(self) -> str:
        """One visit; the build that was shown."""
        shown = self.build_id()
        assert self.get("/").startswith(b"<!DOCTYPE html>")
        self.picture(shown)
        for row, of in self.gallery()[:2]:
            self.get(f"/cutout/{of}/{row}.webp")
        return shown


def wait_for(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _walk(component: Any, found: Callable[[dict[str, Any]], object], id_: str) -> None:
    if isinstance(component, list):
        for one in component:
            _walk(one, found, id_)
    elif isinstance(component, dict) and "props" in component:
        if component["props"].get("id") == id_:
            found(component["props"])
        _walk(component["props"].get("children"), found, id_)


def test_a_build_published_under_a_running_server_is_taken_up_and_no_request_fails(
    root: Path, source: Source, tmp_path: Path
) -> None:
    first = Atlas.open(root)
    gate = tmp_path / "server" / "gate"
    gate.parent.mkdir()
    gate.touch()
    with serving.serve(root, tmp_path / "server", module="tests.slow_dashboard", threads=4) as server:
        visitor = Visitor(server.url, State(focus=galaxy(first, 7)))
        expected = [(row, first.build_id) for row in first.similar(rows=[7], k=24).index.tolist()]
        assert visitor.gallery() == expected
        image, picture = visitor.get(f"/cutout/{first.build_id}/5.webp"), visitor.picture(first.build_id)
        shown: list[str] = []
        failures: list[BaseException] = []
        stop = threading.Event()

        def keep_visiting() -> None:
            while not stop.wait(0.05):
                try:
                    shown.append(visitor.visit())
                except Exception as error:
                    failures.append(error)

        gate.unlink()
        thread = threading.Thread(target=keep_visiting)
        thread.start()
        try:
            second = build(source, root, OTHER, quiet=True).build_id
            wait_for(gate.with_name(f"asked-{second}").exists, "the new build was not begun with")
            visits = len(shown)
            wait_for(lambda: len(shown) >= visits + 5, "visits go on")
            assert set(shown) == {first.build_id}, "a build is not seen before it can be searched"
            assert json.loads(visitor.get("/readyz"))["ready"] is True
            gate.touch()
            wait_for(lambda: shown[-1] == second, "the new build was not taken up")
        finally:
            stop.set()
            thread.join(timeout=60)
        assert failures == []
        assert shown == [first.build_id] * shown.count(first.build_id) + [second] * shown.count(second)
        assert json.loads(visitor.get("/readyz")) == {"ready": True, "build": second, "galaxies": source.n_rows}
        rows = Atlas.open(root).similar(rows=[7], k=24).index.tolist()
        assert visitor.gallery() == [(row, second) for row in rows]
        # A page that was loaded before keeps its pictures.
        assert visitor.get(f"/cutout/{first.build_id}/5.webp") == image
        assert visitor.picture(first.build_id) == picture
        assert "Traceback" not in server.output() and "ERROR" not in server.output()


def test_a_request_ends_on_the_build_that_it_began_with(
    service: tuple[Service, Flask], root: Path, source: Source
) -> None:
    served, server = service
    bright = Range("mag_r", high=20)
    with server.test_request_context("/"):
        before = served.atlas
        after = build(source, root, OTHER, quiet=True).build_id
        assert served.atlas is before and current_build(root) == after
        assert served.ready()["build"] == before.build_id
        mask = served.mask(bright)
        assert mask is not None and mask.count == before.mask(bright).count
    wait_for(lambda: served.atlas.build_id == after, "the new build was not taken up")
    with server.test_request_context("/"):
        assert served.build(before.build_id).build_id == before.build_id, "pages of the build before are answered"


@pytest.mark.parametrize(
    "name", ["manifest.json", "spaces/v1/embeddings.npy", "spaces/v1/index/hashed_dataset.npy", "columns/ra.npy"]
)
@pytest.mark.soak
@pytest.mark.parametrize("how", ["truncate", "delete"])
def test_a_new_build_that_is_not_whole_is_never_served(
    service: tuple[Service, Flask], root: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    served, _ = service
    before = served.atlas
    other = "0" * 12
    broken = layout.build_path(root, other)
    shutil.copytree(layout.build_path(root, before.build_id), broken)
    manifest = broken / layout.MANIFEST
    manifest.write_text(manifest.read_text().replace(before.build_id, other))
    whole = (broken / name).read_bytes()
    if how == "truncate":
        os.truncate(broken / name, len(whole) // 2)
    else:
        (broken / name).unlink()
    layout.write_atomically(root / layout.CURRENT, f"{other}\n".encode())
    for _ in range(3):
        assert served.atlas is before
    assert caplog.text.count("the one before stays in use") == 1 and name in caplog.text
    (broken / name).write_bytes(whole)
    layout.write_atomically(root / layout.CURRENT, f"{other}\n".encode())
    wait_for(lambda: served.atlas.build_id == other, "published once more, now whole, it is taken up")
