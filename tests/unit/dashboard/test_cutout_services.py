"""Templates of cut-out services: what a setting may say, and which addresses come of it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from atlas.errors import InputError
from dashboard.cutout_services import read_services
from dashboard.settings import load


def test_addresses_say_position_size_and_scale() -> None:
    legacy, dss, own = read_services(
        ("legacysurvey", "dss", "Mine=https://images.example:8443/c?ra={ra}&dec={dec}&n={pixels}&fov={fov}")
    )
    address = urlsplit(legacy.address(150.1163213, -2.2, 96, 25.152))
    assert address.netloc == "www.legacysurvey.org" and address.path == "/viewer/cutout.jpg"
    asked = parse_qs(address.query)
    assert (asked["ra"], asked["dec"], asked["size"]) == (["150.1163213"], ["-2.2000000"], ["96"])
    assert float(asked["pixscale"][0]) == pytest.approx(0.262)
    asked = parse_qs(urlsplit(dss.address(0.0, 89.9, 256, 67.0)).query)
    assert asked["hips"] == ["CDS/P/DSS2/color"] and asked["projection"] == ["TAN"]
    assert float(asked["fov"][0]) == pytest.approx(67 / 3600)
    assert own.address(1, 2, 152, 40).startswith("https://images.example:8443/c?ra=1.0000000&dec=2.0000000&n=152&")


@pytest.mark.parametrize(
    "text",
    [
        "sdss",
        "=https://a.example/{ra}{dec}{pixels}{fov}",
        "A=",
        "A=ftp://a.example/{ra}{dec}{pixels}{fov}",
        "A=file:///etc/passwd?{ra}{dec}{pixels}{fov}",
        "A=https://{ra}.example/{dec}{pixels}{fov}",
        "A=https://me:secret@a.example/{ra}{dec}{pixels}{fov}",
        "A=https://a.example:x/{ra}{dec}{pixels}{fov}",
        "A=https://a.example/{ra}{dec}{pixels}",
        "A=https://a.example/{ra}{dec}{fov}",
        "A=https://a.example/{ra}{dec}{pixels}{fov}{ra.__class__}",
        "A=https://a.example/{ra!r}{dec}{pixels}{fov}",
        "A=https://a.example/{ra:>999999}{dec}{pixels}{fov}",
        "A=https://a.example/{}{ra}{dec}{pixels}{fov}",
        "A=https://a.example/{ra{dec}{pixels}{fov}",
        "A=https://a.example/ {ra}{dec}{pixels}{fov}",
    ],
)
def test_what_is_no_template_is_refused_as_the_server_starts(text: str) -> None:
    with pytest.raises(InputError, match=r"cut-out service"):
        load({"GALAXY_FINDER_REMOTE_IMAGES": text})


def test_each_service_has_a_name_of_its_own() -> None:
    with pytest.raises(InputError, match="name of its own"):
        read_services(("dss", "dss"))
