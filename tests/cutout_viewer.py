"""A server of cut-outs, as the Legacy Survey's: grey ones, or whatever else a test lets it answer."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image


def jpeg(pixels: int, grey: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((pixels, pixels, 3), grey, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


class Viewer(ThreadingHTTPServer):
    """Sends grey cut-outs, counts what it was asked, and holds back for as long as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Sending)
        self.asked: list[dict[str, list[str]]] = []
        self.go = threading.Event()
        self.go.set()
        self.answer: tuple[int, str, bytes | None] = (200, "image/jpeg", None)

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone."""

    @property
    def template(self) -> str:
        query = "ra={ra}&dec={dec}&size={pixels}&pixscale={scale}"
        return f"Viewer=http://127.0.0.1:{self.server_port}/cutout.jpg?{query}"


class Sending(BaseHTTPRequestHandler):
    server: Viewer

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append(asked)
        self.server.go.wait(5)
        status, mime, data = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", mime)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere?size=96")
        self.end_headers()
        self.wfile.write(jpeg(int(asked["size"][0])) if data is None else data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def cutout_viewer() -> Iterator[Viewer]:
    """One that answers until the block ends."""
    with Viewer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.go.set()
        server.shutdown()
        thread.join()
