"""Regions of the sky that visitors bring: DS9's and coverage maps, as their own libraries write and read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from flask import Flask
from mocpy import MOC
from regions import (
    CircleAnnulusSkyRegion,
    CircleSkyRegion,
    EllipseSkyRegion,
    PolygonSkyRegion,
    RectangleSkyRegion,
    Regions,
)

from atlas import Atlas
from atlas.errors import InputError
from atlas.queries.selection import SkyMoc
from dashboard.app import create_app
from dashboard.cache.results import Cached
from dashboard.interaction.step import advance
from dashboard.service.atlas_service import Service
from dashboard.service.region_reader import parse_regions
from dashboard.settings import load
from dashboard.views import sky

ROW = 10


@pytest.fixture(scope="module")
def places(small: Atlas) -> SkyCoord:
    return SkyCoord(small.columns().array("ra"), small.columns().array("dec"), unit="deg")


@pytest.fixture(scope="module")
def near(places: SkyCoord) -> SkyCoord:
    return places[ROW]


def test_each_shape_of_ds9_selects_what_regions_does(small: Atlas, places: SkyCoord, near: SkyCoord) -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [near.ra.deg, near.dec.deg]
    wcs.wcs.cdelt, wcs.wcs.crpix = [-1e-3, 1e-3], [1, 1]
    shapes = [
        CircleSkyRegion(near, 2 * u.deg),
        CircleAnnulusSkyRegion(near, 1 * u.deg, 2 * u.deg),
        RectangleSkyRegion(near, 3 * u.deg, 1 * u.deg, 30 * u.deg),
        PolygonSkyRegion(near.directional_offset_by([0, 100, 220] * u.deg, 2 * u.deg)),
        EllipseSkyRegion(near, 3 * u.deg, 2 * u.deg, 20 * u.deg),
    ]
    around = places.separation(near) < 10 * u.deg
    for shape in shapes:
        selected = small.mask(parse_regions(Regions([shape]).serialize(format="ds9").encode()).selection)
        theirs = np.zeros(len(places), dtype=bool)
        theirs[around] = shape.contains(places[around], wcs)
        # On the plane of an image a degree of the sky is a little more than one.
        assert np.count_nonzero(selected.dense != theirs) <= 0.01 * theirs.sum() + 1
        assert selected.count > 0


def test_regions_are_joined_and_the_excluded_ones_taken_away(small: Atlas, places: SkyCoord, near: SkyCoord) -> None:
    at = f"{near.ra.deg:.9f},{near.dec.deg:.9f}"
    galactic = f"{near.galactic.l.deg:.9f},{near.galactic.b.deg:.9f}"
    text = f"fk5\ncircle({at},2d)\n-circle({at},1d)\npoint({at})\ngalactic\ncircle({galactic},0.5d)\n"
    text += "image\ncircle(1,2,3)\n"
    read = parse_regions(text.encode())
    away = places.separation(near).deg
    expected = ((away <= 2) | (away <= 0.5)) & (away > 1)
    np.testing.assert_array_equal(small.mask(read.selection).dense, expected)
    assert "3 regions" in read.words and "1 point" in read.words and "pixels of an image" in read.words


@pytest.mark.parametrize("form", ["fits", "json", "ascii"])
def test_a_coverage_map_selects_what_mocpy_does(small: Atlas, places: SkyCoord, form: str, tmp_path: Path) -> None:
    moc = MOC.from_lonlat(places.ra[::50], places.dec[::50], max_norder=9)
    moc.save(tmp_path / "map", format=form)
    read = parse_regions((tmp_path / "map").read_bytes())
    np.testing.assert_array_equal(small.mask(read.selection).dense, moc.contains_skycoords(places))


def test_a_map_that_is_too_fine_for_a_link_is_made_coarser_and_it_is_said(places: SkyCoord) -> None:
    moc = MOC.from_cone(lon=places.ra[ROW], lat=places.dec[ROW], radius=10 * u.deg, max_depth=14)
    read = parse_regions(moc.to_string("ascii").encode())
    assert isinstance(read.selection, SkyMoc) and len(read.selection.cells) <= 60_000
    assert "taken at order" in read.words and "% larger" in read.words
    assert moc.difference(MOC.from_string(read.selection.cells, "ascii")).empty()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b" ", "empty"),
        (b"hello", "no region of the sky"),
        (b"\xff\xfe", "neither text nor FITS"),
        (b"image\ncircle(1,2,3)", "in pixels of an image"),
        (b'fk5\ncircle(1,95,3")', "cannot be read"),
        (b"{}", "no MOC|no cell"),
        (b"fk5\n" + b'circle(1,2,3")\n' * 49, "at most 48"),
    ],
)
def test_what_is_no_region_is_refused_with_what_is(data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_regions(data)


def test_a_region_goes_from_a_file_onto_the_page(
    small_path: Path, small: Atlas, near: SkyCoord, tmp_path: Path
) -> None:
    settings = load({}, atlas=str(small_path), cache_dir=str(tmp_path / "own"))
    app = create_app(settings=settings)
    text = f'fk5\ncircle({near.ra.deg:.9f},{near.dec.deg:.9f},1d)\n-circle({near.ra.deg:.9f},{near.dec.deg:.9f},3")\n'
    client = app.server.test_client()
    told = client.post(f"/regions/{small.build_id}", data=text.encode()).get_json()
    refused = client.post(f"/regions/{small.build_id}", data=b"nothing")
    assert refused.status_code == 400 and "what is read" in refused.get_json()["error"]
    server = Flask("test")
    with server.test_request_context("/"):
        service = Service(settings, Cached(server, settings))
        step = advance(service, None, [{"is": "region", "region": told["selection"]}])
        count = small.mask(step.after.selection).count
        assert step.notice == f"Selected: {count} galaxies inside." and count > 1
        assert step.after.sky is not None and step.after.sky.projection.ra_deg == pytest.approx(near.ra.deg, abs=0.01)
        assert len([one for one in sky.picture(service, step.after).shapes if one["type"] == "path"]) == 2
        typed = advance(service, None, [{"is": "find", "text": f"circle {near.ra.deg:.9f} {near.dec.deg:.9f} 1°"}])
        assert small.mask(typed.after.selection).count == count + 1
        other = advance(
            service, None, [{"is": "region", "region": {"is": "and", "of": [{"is": "range", "column": "ra"}]}}]
        )
        assert "circles, boxes, polygons" in other.message and other.after == other.before
