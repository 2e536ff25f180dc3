"""Pictures of the sky behind the points: each galaxy on its own pixel, by astropy; nothing but a picture comes on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from PIL import Image

from atlas.errors import InputError
from atlas.sky.projection import Projection, tangent
from dashboard.service.remote_images import RemoteImages
from dashboard.service.sky_pictures import SkyPictureAsked, header_of, size_of
from dashboard.settings import load
from dashboard.sky_services import read_sky_services
from dashboard.state.page_state import SkyView, Viewport
from dashboard.state.viewports import ALL_SKY_BOX
from dashboard.views.sky_behind import room_around
from tests.sky_server import SkyServer, drawn, sky_server, wcs_of

from .fetched import outcome


@pytest.fixture(scope="module")
def server() -> Iterator[SkyServer]:
    with sky_server() as found:
        yield found


VIEWS = {
    "a field": (tangent(53.16, -27.79), Viewport(-0.02, 0.03, -0.01, 0.02)),
    "far from the tangent point": (tangent(10.0, 40.0), Viewport(9.0, 13.0, -8.0, -6.0)),
    "RA 0/360": (tangent(359.999, 0.0), Viewport(-1.0, 1.0, -0.5, 0.5)),
    "the north pole": (Projection("tan", 0.0, 90.0), Viewport(-3.0, 3.0, -1.0, 2.0)),
    "beside the south pole": (tangent(123.0, -89.5), Viewport(-2.0, 2.0, -1.0, 1.0)),
    "galactic": (tangent(266.4, -29.0, "galactic"), Viewport(-4.0, 1.0, -2.0, 2.0)),
    "Mollweide": (Projection("mol", 180.0, 0.0), Viewport(-163.0, 163.0, -82.0, 82.0)),
    "a part of Mollweide, galactic": (Projection("mol", 0.0, 0.0, "galactic"), Viewport(-150.0, -20.0, 10.0, 75.0)),
    "Hammer-Aitoff": (Projection("ait", 180.0, 0.0), Viewport(-163.0, 163.0, -82.0, 82.0)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_galaxy_lies_on_its_own_pixel(name: str) -> None:
    projection, box = VIEWS[name]
    header = header_of(projection, box)
    width, height = size_of(box)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(box.x0, box.x1, 400), rng.uniform(box.y0, box.y1, 400)
    ra, dec = projection.inverse(x, y)
    there = np.isfinite(ra)
    assert there.sum() > 200
    x, y, at = x[there], y[there], SkyCoord(ra[there], dec[there], unit="deg")
    lon, lat = (at.ra.deg, at.dec.deg) if projection.frame == "icrs" else (at.galactic.l.deg, at.galactic.b.deg)
    column, row = wcs_of(header).wcs_world2pix(lon, lat, 0)
    # Where the page draws it, in pixels of the picture that fills the box; FITS counts rows from the bottom.
    np.testing.assert_allclose(column, (x - box.x0) / (box.x1 - box.x0) * width - 0.5, atol=0.01)
    np.testing.assert_allclose(row, (y - box.y0) / (box.y1 - box.y0) * height - 0.5, atol=0.01)


def test_what_comes_lies_as_it_was_drawn_and_is_transparent_beside_the_sky(server: SkyServer, tmp_path: Path) -> None:
    (service,) = read_sky_services((server.template,))
    assert (service.name, service.credit) == ("Mine", "The Surveyors, 2026")
    projection, box = Projection("mol", 180.0, 0.0), Viewport(-163.0, 163.0, -82.0, 82.0)
    data = outcome(RemoteImages(tmp_path / "a", 10_000_000, 600), SkyPictureAsked(service, projection, box))
    assert isinstance(data, bytes)
    picture = np.asarray(Image.open(io.BytesIO(data)))
    height, width, _ = picture.shape
    assert (width, height) == size_of(box)
    assert picture[2, 2, 3] == 0 and picture[height // 2, width // 2, 3] == 255
    for ra, dec in ((180.0, 40.0), (266.4, -29.0)):
        x, y = (float(v) for v in projection.forward(ra, dec))
        row, column = (box.y1 - y) / (box.y1 - box.y0) * height, (x - box.x0) / (box.x1 - box.x0) * width
        spot = picture[int(row), int(column), :3].astype(int)
        assert spot.min() > 180, "the star is where our plane has its position, north up"


@pytest.mark.parametrize(
    ("status", "mime", "data", "told"),
    [
        (200, "image/png", drawn({**header_of(*VIEWS["a field"]), "NAXIS1": 200}), "none"),
        (200, "text/html", b"<script>", "none"),
        (200, "image/png", b"GIF89a", "none"),
        (200, "image/png", b"\x89PNG" + b"0" * 3_000_000, "none"),
        (302, "text/plain", b"", "away"),
        (503, "text/plain", b"", "away"),
    ],
)
def test_what_is_not_the_picture_that_was_asked_for_goes_no_further(
    server: SkyServer, tmp_path: Path, status: int, mime: str, data: bytes, told: str
) -> None:
    server.asked.clear()
    server.answer = (status, mime, data)
    images = RemoteImages(tmp_path / "a", 10_000_000, 600)
    asked = SkyPictureAsked(read_sky_services((server.template,))[0], *VIEWS["a field"])
    assert outcome(images, asked) == told and len(server.asked) == 1
    server.answer = (200, "image/png", None)


def test_known_services_are_asked_for_the_page_s_own_plane() -> None:
    projection, box = VIEWS["galactic"]
    for service in read_sky_services(("dss", "panstarrs", "legacysurvey", "2mass")):
        address = urlsplit(service.address(header_of(projection, box)))
        asked: dict[str, Any] = parse_qs(address.query)
        assert (address.scheme, address.netloc) == ("https", "alasky.cds.unistra.fr")
        assert asked["hips"][0].startswith("CDS/P/") and "CDS" in service.credit
        assert json.loads(asked["wcs"][0])["CTYPE1"] == "GLON-TAN"


@pytest.mark.parametrize(
    "text",
    ["sdss", "=https://a.example/{wcs}", "A=", "A=ftp://a.example/{wcs}", "A=https://a.example/", "A (b=https://a.example/{wcs}",
     "A=https://{wcs}.example/", "A=https://a.example/{wcs}{ra}", "A=https://a.example/{wcs.x}",
     "A=https://me:secret@a.example/{wcs}", f"{'A' * 25}=https://a.example/{{wcs}}"],
)  # fmt: skip
def test_what_is_no_template_is_refused_as_the_server_starts(text: str) -> None:
    with pytest.raises(InputError, match="picture of the sky"):
        load({"GALAXY_FINDER_SKY_IMAGES": text})


def test_a_picture_covers_the_view_in_panels_of_other_proportions() -> None:
    square = room_around(SkyView(tangent(1, 2), Viewport(-1.0, 1.0, -1.0, 1.0)))
    assert square is not None and square.x1 - square.x0 == pytest.approx(2 * 2.4)
    whole = room_around(SkyView(Projection("ait", 180.0, 0.0), ALL_SKY_BOX))
    assert whole == Viewport(-163.0, 163.0, -82.0, 82.0)
    assert room_around(SkyView(Projection("ait", 180.0, 0.0), Viewport(900.0, 901.0, 0.0, 1.0))) is None
