"""FITS images of galaxies from a folder: astropy reads bands, positions and origin back, and what fails is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from flask.testing import FlaskClient
from msgspec.structs import replace

from atlas import Atlas
from atlas.errors import InputError
from atlas.exports.band_image import BandImages, band_image, band_image_path
from atlas.storage.manifest import StageRecord, Thumbnails
from dashboard.app import create_app
from dashboard.service.galaxies import galaxy
from dashboard.settings import load
from dashboard.state.page_state import State
from dashboard.views.details import panel

EDGE = 24


def planes(bands: int = 3) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(bands, EDGE, EDGE)).astype(np.float32)


def tangent(atlas: Atlas, row: int) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = atlas.position(row), [12.5, 12.5], [-1e-4, 1e-4]
    header: fits.Header = wcs.to_header()
    header["BANDS"], header["BUNIT"] = "grz", "nanomaggy"
    return header


@pytest.fixture(scope="module")
def folder(demo: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four galaxies: a cube with a WCS, an HDU a band without one, a damaged file, a table."""
    folder = tmp_path_factory.mktemp("bands")
    name = demo.identity.name
    fits.writeto(folder / f"{name(3)}.fits.gz", planes(), tangent(demo, 3))
    single = [fits.ImageHDU(plane, name=band) for plane, band in zip(planes(2), ("F606W", "F814W"), strict=True)]
    fits.HDUList([fits.PrimaryHDU(), *single]).writeto(folder / f"{name(4)}.fits")
    (folder / f"{name(5)}.fits").write_bytes((folder / f"{name(4)}.fits").read_bytes()[:7_000])
    fits.HDUList([fits.PrimaryHDU()]).writeto(folder / f"{name(6)}.fits")
    return folder


@pytest.fixture(scope="module")
def client(demo_path: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    own = tmp_path_factory.mktemp("server")
    dirs = {f"{name}_dir": str(own / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(demo_path), labels=str(own / "labels.sqlite"), fits_images=str(folder), **dirs)
    return create_app(settings=settings).server.test_client()


def test_bands_position_and_origin_are_read_back(client: FlaskClient, demo: Atlas) -> None:
    answer = client.get(f"/bands/{demo.build_id}/3.fits")
    assert answer.status_code == 200 and answer.mimetype == "application/fits"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=galaxy-{demo.build_id}-3.fits"
    with fits.open(io.BytesIO(answer.data)) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert np.array_equal(hdus[0].data, planes()) and header["BUNIT"] == "nanomaggy"
        assert [header[f"BAND{i}"] for i in (1, 2, 3)] == ["g", "r", "z"]
        middle = WCS(header).celestial.pixel_to_world(11.5, 11.5)
    assert middle.separation(SkyCoord(*demo.position(3), unit="deg")) < 1e-3 * u.arcsec
    assert header["GALAXY"] == demo.identity.name(3) and header["BUILD"] == demo.build_id
    assert header["SURVEY"] == demo.manifest.provenance.survey and header["OBJECT"].startswith("J")


def test_a_band_an_extension_is_a_cube_and_what_is_not_known_is_said(client: FlaskClient, demo: Atlas) -> None:
    answer = client.get(f"/bands/{demo.build_id}/4.fits")
    with fits.open(io.BytesIO(answer.data)) as hdus:
        header = hdus[0].header
        assert np.array_equal(hdus[0].data, planes(2)) and [header["BAND1"], header["BAND2"]] == ["F606W", "F814W"]
        assert not WCS(header).has_celestial and "no WCS" in str(header["COMMENT"])


@pytest.mark.parametrize("up_deg", [0.0, 30.0, -51.2])
def test_the_scale_and_direction_of_the_atlas_serve_where_the_file_has_none(
    demo: Atlas, folder: Path, up_deg: float
) -> None:
    known = replace(
        demo.manifest,
        thumbnails=Thumbnails(pixels=96, present=1, scale_arcsec=0.05, up_deg=up_deg),
        stages=(StageRecord(name="thumbnails", key="", seconds=0, peak_mib=0, measured={"source_pixels": EDGE}),),
    )
    name = demo.identity.name(4)
    path = band_image_path(folder, name)
    assert path is not None
    with fits.open(io.BytesIO(band_image(path, name, *demo.position(4), known))) as hdus:
        wcs = WCS(hdus[0].header).celestial
    middle, above, right = (wcs.pixel_to_world(11.5 + x, 11.5 + y) for x, y in ((0, 0), (0, 1), (1, 0)))
    assert middle.separation(SkyCoord(*demo.position(4), unit="deg")) < 1e-3 * u.arcsec
    assert middle.separation(above).arcsec == pytest.approx(0.05 * 96 / EDGE, rel=1e-4)
    assert middle.position_angle(above).deg == pytest.approx(up_deg % 360, abs=0.01) or up_deg == 0
    turned = (middle.position_angle(above) - middle.position_angle(right)).wrap_at("180d")
    assert turned.deg == pytest.approx(90, abs=0.01)  # west is right where north is up


@pytest.mark.parametrize(
    ("row", "said"),
    [(5, "damaged"), (6, "no image"), (7, "has no FITS image of galaxy"), (99_999_999, "there is no row")],
)
def test_what_cannot_be_sent_is_said_in_a_sentence(client: FlaskClient, demo: Atlas, row: int, said: str) -> None:
    answer = client.get(f"/bands/{demo.build_id}/{row}.fits")
    assert answer.status_code == 400 and said in answer.json["error"] and "/" not in answer.json["error"]


def test_a_file_that_has_gone_is_said_and_no_id_leads_out_of_the_folder(demo: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no longer where"):
        band_image(tmp_path / "7.fits", "7", *demo.position(7), demo.manifest)
    (tmp_path / "in").mkdir()
    fits.writeto(tmp_path / "out.fits", planes())
    for name in ("../out", "/etc/passwd", "", ".", "a\0b", "ä" * 5_000, str(tmp_path / "out")):
        assert band_image_path(tmp_path / "in", name) is None
    assert band_image_path(tmp_path, "out") == tmp_path / "out.fits"


def test_details_offer_what_is_there(demo: Atlas, folder: Path, tmp_path: Path) -> None:
    def seen(row: int, folder: Path | None) -> str:
        bands = None if folder is None else BandImages(folder, tmp_path)
        found = panel(demo, State(focus=galaxy(demo, row)), bands=bands)
        return json.dumps(found, default=lambda part: part.to_plotly_json())

    address = f"/bands/{demo.build_id}/3.fits"
    assert address in seen(3, folder) and address not in seen(3, None)
    assert "no FITS image" in seen(7, folder) and "/bands/" not in seen(7, folder)


def test_the_address_is_there_only_for_a_folder(demo_path: Path, demo: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed is a folder"):
        load({}, atlas=str(demo_path), fits_images=str(tmp_path / "none"))
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path / "own"))
    client = create_app(settings=settings).server.test_client()
    assert client.get(f"/bands/{demo.build_id}/3.fits").status_code == 404
