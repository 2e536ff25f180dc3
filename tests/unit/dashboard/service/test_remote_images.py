"""Cut-outs of a server that speaks as the Legacy Survey does, or answers with something else, late, or not at all."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.cutout_services import read_services
from dashboard.service import remote_images
from dashboard.service.remote_images import Cutout, RemoteImages
from tests.cutout_viewer import Viewer, cutout_viewer, jpeg

from .fetched import outcome


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    with cutout_viewer() as server:
        yield server


def cutout(viewer: Viewer, ra_deg: float = 10.0, pixels: int = 152) -> Cutout:
    return Cutout(read_services((viewer.template,))[0], ra_deg, -5.0, pixels, 0.262 * pixels)


def test_a_cutout_is_fetched_behind_the_request_once_and_kept(viewer: Viewer, tmp_path: Path) -> None:
    images = RemoteImages(tmp_path / "cutouts", 10_000_000, 600)
    viewer.go.clear()
    begun = time.monotonic()
    assert [images.picture(cutout(viewer)) for _ in range(5)] == ["coming"] * 5
    assert time.monotonic() - begun < 1, "nobody waits for another server"
    viewer.go.set()
    found = outcome(images, cutout(viewer))
    assert isinstance(found, bytes)
    picture = Image.open(io.BytesIO(found))
    assert (picture.format, picture.size) == ("WEBP", (152, 152))
    assert abs(int(np.asarray(picture)[0, 0, 0]) - 90) < 4
    assert viewer.asked == [{"ra": ["10.0000000"], "dec": ["-5.0000000"], "size": ["152"], "pixscale": ["0.262"]}]
    # Another process finds it, also when the service is gone.
    viewer.answer = (500, "text/plain", b"")
    assert RemoteImages(tmp_path / "cutouts", 10_000_000, 600).picture(cutout(viewer)) == found


@pytest.mark.parametrize(
    ("status", "mime", "data", "told"),
    [
        (404, "text/plain", b"outside", "none"),
        (200, "text/html", b"<script>", "none"),
        (200, "image/svg+xml", b"<svg/>", "none"),
        (200, "image/jpeg", b"GIF89a", "none"),
        (200, "image/jpeg", jpeg(64)[:200], "none"),
        (200, "image/jpeg", jpeg(1025), "none"),
        (200, "image/png", b"\x89PNG" + b"0" * 3_000_000, "none"),
        (302, "text/plain", b"", "away"),
        (503, "text/plain", b"", "away"),
    ],
)
def test_what_is_no_picture_of_bounded_size_goes_no_further(
    viewer: Viewer, tmp_path: Path, status: int, mime: str, data: bytes, told: str
) -> None:
    viewer.answer = (status, mime, data)
    images = RemoteImages(tmp_path / "cutouts", 10_000_000, 600)
    assert outcome(images, cutout(viewer)) == told
    assert images.picture(cutout(viewer)) == told
    assert len(viewer.asked) == 1, "no redirect is followed, and nobody is asked again at once"


def test_a_service_that_speaks_no_http_is_left_alone(tmp_path: Path) -> None:
    images = RemoteImages(tmp_path / "cutouts", 10_000_000, 600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def babble() -> None:
            while asked[-1:] != [b"end"]:
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(65_536))
                    connection.sendall(b"220 mail.example ready\r\n")

        speaker = threading.Thread(target=babble)
        speaker.start()
        template = f"http://127.0.0.1:{server.getsockname()[1]}/?ra={{ra}}&dec={{dec}}&size={{pixels}}&fov={{fov}}"
        service = read_services((f"Mail={template}",))[0]
        assert outcome(images, Cutout(service, 10.0, -5.0, 152, 40.0)) == "away"
        assert len(asked) == 1
        with socket.create_connection(server.getsockname()) as last:
            last.sendall(b"end")
            speaker.join()


def test_a_silent_service_is_left_alone_and_its_queue_is_bounded(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_images, "PATIENCE_S", 0.2)
    images = RemoteImages(tmp_path / "cutouts", 10_000_000, 600)
    viewer.go.clear()
    asked = [cutout(viewer, ra_deg=float(n)) for n in range(300)]
    assert {images.picture(one) for one in asked} == {"coming"}
    assert outcome(images, asked[0]) == "away"
    assert images.picture(asked[299]) == "away"
    assert len(viewer.asked) <= 2 * remote_images.THREADS
