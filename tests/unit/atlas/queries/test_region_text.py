"""Regions of the sky as they are typed, and where selections lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import InputError
from atlas.queries.region_text import read_region
from atlas.queries.selection import Cone, Selection, SkyMoc, SkyPolygon, canonical
from atlas.queries.sky_extent import circle_of, on_plane, outline_of
from atlas.sky.projection import Projection
from atlas.sky.sky_regions import separation_deg


def read(text: str) -> Selection:
    found = read_region(text)
    assert found is not None
    return found.selection


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("box 53.1 -27.8 2′ 1′", "box(53.1,-27.8,2',1',0)"),
        ("box 53.1 -27.8 2′ 1′", "icrs; box 03:32:24 -27:48:00 120″ × 60″"),
        ("box 53.1 -27.8 2′", "Box (53.1, -27.8) 2 arcmin 120 arcsec"),
        ("circle 53.1 -27.8 30″", 'fk5; circle(53.1,-27.8,30")'),
        ("polygon 359.9 -1 0.1 -1 0 1", "polygon(359.9,-1,0.1,-1,0,1)"),
        ("moc 5/8-10 6/44-47", "MOC: 5/8 9,10 11"),
    ],
)
def test_a_region_is_read_in_each_of_its_forms(text: str, same: str) -> None:
    assert read(text) == read(same)


@pytest.mark.parametrize("text", ["NGC 55", "boxer", "53.1 -27.8", "circles 1 2 3", "", "polygonal"])
def test_what_begins_as_no_region_is_none(text: str) -> None:
    assert read_region(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("box 53 -27", "lengths of its sides"),
        ("box 53 -97 1' 1'", "Dec must lie"),
        ("circle 53 -27", "a radius with"),
        ("polygon 1 2 3", "not 3 numbers"),
        ("polygon 0 0 120 0 240 0", "within 80°"),
        ("polygon " + "1 1 " * 101, "at most 100 corners"),
        ("moc x", "no part of a MOC"),
        ("moc 5/", "holds no cell"),
    ],
)
def test_what_is_wrong_with_a_region_is_said(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_region(text)


@given(ra=st.floats(0, 359.99), dec=st.floats(-89.9, 89.9), width=st.floats(0.01, 60), angle=st.integers(-180, 180))
def test_the_sides_of_a_box_have_its_lengths_wherever_it_lies(ra: float, dec: float, width: float, angle: int) -> None:
    box = read(f"box {ra:.6f} {dec:.6f} {width:.6f}° 30′ {angle}")
    assert isinstance(box, SkyPolygon)
    corners = np.array(box.vertices)
    middles = (corners + np.roll(corners, 1, axis=0)) / 2
    away = separation_deg(*box.projection.inverse(*middles.T), box.projection.ra_deg, box.projection.dec_deg)
    np.testing.assert_allclose(sorted(away), sorted([width / 2, width / 2, 0.25, 0.25]), atol=1e-6 * max(width, 0.5))


@pytest.mark.parametrize(
    "region",
    [Cone(0.01, 89.9, 3600), read("polygon 359 -1 1 -1 0 1"), SkyMoc("3/100 4/7"), Cone(0, 0, 30) | Cone(1, 0, 30)],
)
def test_a_region_lies_in_its_circle(region: Selection) -> None:
    circle = circle_of(canonical(region))
    assert circle is not None
    parts = region.of if hasattr(region, "of") else (region,)
    for one in parts:
        ra, dec = outline_of(one)
        seen = np.isfinite(ra)
        assert separation_deg(ra[seen], dec[seen], *circle[:2]).max() <= circle[2] + 1e-6
    assert circle_of(read("box 1 1 1′") & "mag_r < 20") is not None


def test_an_outline_is_parted_where_the_plane_tears_it() -> None:
    line = outline_of(Cone(180, 0, 10 * 3600))
    assert line is not None
    points = on_plane(line, Projection("ait", 0, 0), 180.0)
    assert np.count_nonzero(np.isnan(points[:, 0])) == 2
    assert np.isfinite(on_plane(line, Projection("ait", 180, 0), 180.0)).all()
