"""Addresses of cut-outs of other servers: what is asked there, what comes through, and what is refused."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from atlas import Atlas
from dashboard.app import create_app
from dashboard.settings import load
from tests.cutout_viewer import Viewer, cutout_viewer


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    with cutout_viewer() as server:
        yield server


def client_of(path: Path, folder: Path, **more: str) -> FlaskClient:
    dirs = {f"{name}_dir": str(folder / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(path), labels=str(folder / "labels.sqlite"), **dirs, **more)
    return create_app(settings=settings).server.test_client()


def test_a_position_of_the_atlas_is_asked_for_and_a_picture_comes_through(
    viewer: Viewer, small: Atlas, small_path: Path, tmp_path: Path
) -> None:
    client = client_of(small_path, tmp_path, remote_images=viewer.template)
    address = f"/remote/{small.build_id}/7/0-256.webp"
    for _ in range(500):
        answer = client.get(address)
        if answer.status_code != 202:
            break
        assert answer.json == {"absent": "coming"} and answer.headers["Cache-Control"] == "no-store"
        time.sleep(0.01)
    assert answer.status_code == 200 and Image.open(io.BytesIO(answer.data)).size == (256, 256)
    (asked,) = viewer.asked
    assert (float(asked["ra"][0]), float(asked["dec"][0])) == pytest.approx(small.position(7), abs=1e-6)
    assert float(asked["pixscale"][0]) == pytest.approx(0.262, rel=1e-5)
    for wrong in ("99999999/0-96", "7/2-96", "7/1-97", "7/1-4096"):
        answer = client.get(f"/remote/{small.build_id}/{wrong}.webp")
        assert answer.status_code == 400 and ("allowed" in answer.json["error"] or "row" in answer.json["error"])
    assert len(viewer.asked) == 1


def test_an_own_image_goes_before_and_nobody_is_asked_unless_listed(
    demo: Atlas, demo_path: Path, tmp_path: Path
) -> None:
    gone = "Gone=http://127.0.0.1:9/c?{ra}{dec}{pixels}{fov}"
    client = client_of(demo_path, tmp_path, remote_images=gone)
    assert demo.thumbnails is not None
    assert client.get(f"/remote/{demo.build_id}/3/0-96.webp").data == demo.thumbnails.read(3)
    for _ in range(500):
        told = client.get(f"/remote/{demo.build_id}/3/1-96.webp").json
        if told != {"absent": "coming"}:
            break
        time.sleep(0.01)
    assert told == {"absent": "away"}
    assert client_of(demo_path, tmp_path / "b").get(f"/remote/{demo.build_id}/3/1-96.webp").status_code == 404
