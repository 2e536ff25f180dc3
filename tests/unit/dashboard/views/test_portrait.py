"""Scale bars, directions and the box of what the search saw, against the astrometry of the demo's own picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atlas import Atlas
from dashboard.state.image_look import ImageLook
from dashboard.views.image_look import look_menu
from dashboard.views.portrait import ImageField, bar_over, directions_over, own_field, portrait, seen_box
from precompute.deep_field.picture import UP_DEG, picture_wcs


@pytest.mark.parametrize(
    ("width_arcsec", "length"), [(13.7, 5), (25.15, 10), (67, 20), (3.15, 1), (0.9, 0.2), (150, 60), (400, 120)]
)
def test_a_bar_is_the_longest_round_one_that_suits_the_image(width_arcsec: float, length: float) -> None:
    (bar,) = bar_over(ImageField(width_arcsec, None))
    assert float(bar.style["width"].rstrip("%")) / 100 * width_arcsec == pytest.approx(length, rel=1e-3)


def test_the_compass_points_where_the_astrometry_has_north_and_east() -> None:
    (drawn,) = directions_over(ImageField(None, UP_DEG))
    turned = math.radians(float(drawn.style["transform"].removeprefix("rotate(").removesuffix("deg)")))
    wcs = picture_wcs()
    ra, dec = wcs.pixel_to_world_values(500.0, 400.0)
    for (d_ra, d_dec), (x, y) in (((0, 1e-3), (0, -1)), ((1e-3, 0), (-1, 0))):
        there = np.array(wcs.world_to_pixel_values(ra + d_ra / np.cos(np.radians(dec)), dec + d_dec)) - (500.0, 400.0)
        # As CSS turns: clockwise, y down.
        arrow = (x * math.cos(turned) - y * math.sin(turned), x * math.sin(turned) + y * math.cos(turned))
        assert np.dot(there / np.hypot(*there), arrow) == pytest.approx(1, abs=1e-3)
    assert directions_over(ImageField(10, None)) == [] and bar_over(ImageField(None, 0)) == []


def test_what_the_search_saw_is_boxed_where_an_image_shows_more() -> None:
    (box,) = seen_box(ImageField(152 * 0.262, 0), 96 * 0.262)
    assert box.style["inset"] == f"{100 * (152 - 96) / 2 / 152:.2f}%"
    assert seen_box(ImageField(25.0, 0), 25.0) == seen_box(ImageField(60.0, 0), None) == []


def test_the_demo_knows_how_wide_each_image_is(demo: Atlas) -> None:
    widths = demo.columns("v1").array("cutout_width")
    for row in (0, 30, 400):
        field = own_field(demo, row)
        assert field is not None and field.width_arcsec == pytest.approx(float(widths[row]))
        assert field.up_deg == pytest.approx(UP_DEG, abs=0.1)
    assert "Not known" not in str(portrait(demo, 30, "x", ImageLook()))


def test_what_nobody_said_of_an_image_is_not_drawn_but_told(small: Atlas) -> None:
    assert own_field(small, 0) is None and "its embedding" in str(portrait(small, 0, "x", ImageLook()))


def test_the_menu_says_what_the_search_saw_only_where_that_is_known() -> None:
    assert "the search saw" in str(look_menu(("Viewer",), seen=True))
    assert "256 pixels" in str(look_menu(("Viewer",), seen=False))
    assert "the search saw" not in str(look_menu(("Viewer",), seen=False)) + str(look_menu((), seen=True))
