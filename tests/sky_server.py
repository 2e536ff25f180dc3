"""A server that speaks as CDS's hips2fits does: draws what the header of a request asks for, by astropy, or answers
with something else."""

from __future__ import annotations

import io
import json
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS
from PIL import Image

from tests.background_server import in_background

STARS = SkyCoord([53.15, 53.18, 0.0, 180.0, 266.4], [-27.79, -27.78, 0.0, 40.0, -29.0], unit="deg")


def wcs_of(header: dict[str, str | float]) -> WCS:
    """The coordinates of a request's header, as astropy reads them."""
    return WCS(Header(header))


def drawn(header: dict[str, str | float]) -> bytes:
    """A dark blue sky with a white spot at each of `STARS`, as PNG, its first row at the top."""
    width, height = int(header["NAXIS1"]), int(header["NAXIS2"])
    picture = np.full((height, width, 3), (30, 40, 90), np.uint8)
    frame = STARS.galactic if str(header["CTYPE1"]).startswith("GLON") else STARS
    lon, lat = (frame.l.deg, frame.b.deg) if frame is not STARS else (STARS.ra.deg, STARS.dec.deg)
    for x, y in zip(*wcs_of(header).wcs_world2pix(lon, lat, 0), strict=True):
        if 0 <= x < width and 0 <= y < height:
            top = height - 1 - round(float(y))
            picture[max(0, top - 3) : top + 4, max(0, round(float(x)) - 3) : round(float(x)) + 4] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


class SkyServer(ThreadingHTTPServer):
    """Sends pictures of the sky, and keeps the headers that it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Sending)
        self.asked: list[dict[str, str | float]] = []
        self.answer: tuple[int, str, bytes | None] = (200, "image/png", None)

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone."""

    @property
    def template(self) -> str:
        return f"Mine (The Surveyors%2C 2026)=http://127.0.0.1:{self.server_port}/h?hips=a%2Fb&wcs={{wcs}}&format=png"


class _Sending(BaseHTTPRequestHandler):
    server: SkyServer

    def do_GET(self) -> None:
        header = json.loads(parse_qs(urlsplit(self.path).query)["wcs"][0])
        self.server.asked.append(header)
        status, mime, data = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", mime)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}{self.path}")
        self.end_headers()
        self.wfile.write(drawn(header) if data is None else data)

    def log_message(self, *_: object) -> None:
        pass


def sky_server() -> AbstractContextManager[SkyServer]:
    """One that answers until the block ends."""
    return in_background(SkyServer())
