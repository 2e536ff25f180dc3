"""A server of a tiny HiPS: its properties and tiles in one colour a tile; it keeps what it was asked for."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mocpy import MOC
from PIL import Image

from tests.background_server import in_background

PROPERTIES = """creator_did          = ivo://test/P/tiny
obs_title            = A tiny sky
dataproduct_type     = image
hips_version         = 1.4
hips_frame           = equatorial
hips_order           = 3
hips_order_min       = 0
hips_tile_width      = 512
hips_tile_format     = png
hips_status          = public master clonableOnce
"""
_TILE = re.compile(r"/tiny/Norder\d+/(Dir\d+/Npix\d+|Allsky)\.png")
COLOR = (20, 90, 60)


class HipsServer(ThreadingHTTPServer):
    """Sends tiles, and keeps the paths that it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Sending)
        self.asked: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone."""

    @property
    def setting(self) -> str:
        return f"Tiny (The Tilers%2C 2026)=http://127.0.0.1:{self.server_port}/tiny"


class _Sending(BaseHTTPRequestHandler):
    server: HipsServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if path == "/tiny/properties":
            return self._send("text/plain", PROPERTIES.encode())
        if path == "/tiny/Moc.fits":
            buffer = io.BytesIO()
            MOC.from_string("0/0-11").serialize("fits").writeto(buffer)
            return self._send("application/fits", buffer.getvalue())
        if _TILE.fullmatch(path):
            buffer = io.BytesIO()
            # All tiles of order 3 at once are 64 pixels each, 27 a row.
            size = (1728, 1856) if path.endswith("Allsky.png") else (512, 512)
            Image.new("RGB", size, COLOR).save(buffer, "PNG")
            return self._send("image/png", buffer.getvalue())
        self.send_response(404)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        return None

    def _send(self, mime: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", mime)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def hips_server() -> AbstractContextManager[HipsServer]:
    """One that answers until the block ends."""
    return in_background(HipsServer())
