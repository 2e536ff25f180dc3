"""Lines over the sky, against astropy."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from atlas import Atlas
from atlas.sky.projection import Projection, tangent
from dashboard.state.page_state import SkyView, Viewport
from dashboard.state.sky_look import SkyLook
from dashboard.state.viewports import seen_as, whole_sky
from dashboard.views.palette import DARK
from dashboard.views.sky_lines import compass, directions, reference_line, scale_bar

WHOLE = Viewport(-170, 170, -88, 100)
PLANES = [Projection(kind, 40.0, 0.0, frame) for kind in ("ait", "mol") for frame in ("icrs", "galactic")]  # type: ignore[arg-type]


def points(trace: dict[str, Any]) -> np.ndarray:
    x, y = (np.frombuffer(base64.b64decode(trace[axis]["bdata"]), dtype="f4") for axis in "xy")
    return np.stack([x, y], axis=1)[np.isfinite(x)]


def places(view: SkyView, trace: dict[str, Any]) -> SkyCoord:
    ra, dec = view.projection.inverse(*points(trace).astype(float).T)
    return SkyCoord(ra[np.isfinite(ra)], dec[np.isfinite(ra)], unit="deg")


@pytest.mark.parametrize("projection", [*PLANES, tangent(266.4, -28.9), tangent(90, 20, "galactic")])
def test_the_milky_way_and_the_ecliptic_lie_where_astropy_has_them(demo: Atlas, projection: Projection) -> None:
    view = SkyView(projection, WHOLE)
    galaxy, _ = reference_line(demo, "galaxy", view, None, DARK)
    ecliptic, words = reference_line(demo, "ecliptic", view, None, DARK)
    assert points(galaxy).shape[0] > 100 and words[0]["text"] == "ecliptic"
    assert np.abs(places(view, galaxy).galactic.b.deg).max() < 1e-4
    assert np.abs(places(view, ecliptic).barycentricmeanecliptic.lat.deg).max() < 1e-4


def test_the_footprint_lies_about_the_galaxies(demo: Atlas) -> None:
    ra, dec, radius = demo.sky.footprint
    view = SkyView(tangent(ra, dec), Viewport(-0.1, 0.1, -0.1, 0.1))
    trace, (name,) = reference_line(demo, "footprint", view, (ra, dec, 0.15), DARK)
    assert name["text"] == "survey outline" and "HEALPix order 13, 26″ wide" in name["hovertext"]
    away = places(view, trace).separation(SkyCoord(ra, dec, unit="deg")).deg
    assert radius < away.max() < 2 * radius


@given(st.floats(0, 359), st.floats(-85, 85), st.floats(-4, 1.5), st.sampled_from(["icrs", "galactic"]))
def test_the_scale_bar_is_as_long_as_it_says(ra: float, dec: float, width: float, frame: Any) -> None:
    half = 10**width / 2
    view = SkyView(tangent(ra, dec, frame), Viewport(-half, half, -half / 2, half / 2))
    (bar,), (word,) = scale_bar(view, DARK)
    length = (bar["x1"] - bar["x0"]) / 2
    ends = SkyCoord(*view.projection.inverse([-length, length], [0.0, 0.0]), unit="deg")
    told = float(word["text"][:-1]) * {"°": 3600, "′": 60, "″": 1}[word["text"][-1]]
    assert ends[0].separation(ends[1]).arcsec == pytest.approx(told, rel=0.02)
    assert 0.04 < (bar["x1"] - bar["x0"]) / (2 * half) <= 0.23


@given(st.floats(0, 359), st.floats(-85, 85))
def test_the_arrows_point_to_the_north_and_the_east(ra: float, dec: float) -> None:
    box = Viewport(-0.5, 0.5, -0.25, 0.25)
    north, east = directions(SkyView(tangent(ra, dec), box))
    assert north == pytest.approx((0, 1), abs=1e-6) and east == pytest.approx((-1, 0), abs=1e-4)
    turned = directions(SkyView(tangent(ra, dec, "galactic"), box))
    here = SkyCoord(ra, dec, unit="deg")
    galactic_north = here.position_angle(SkyCoord(0, 90, unit="deg", frame="galactic").icrs).rad
    assert turned[0] == pytest.approx((np.sin(galactic_north), np.cos(galactic_north)), abs=1e-3)
    assert compass(SkyView(Projection("mol", 0, 0), WHOLE), DARK) == [] == scale_bar(SkyView(PLANES[0], WHOLE), DARK)[0]


def test_the_place_in_view_stays_in_another_frame(demo: Atlas) -> None:
    view = SkyView(tangent(53.0, -27.0), Viewport(-1.0, 3.0, -1.0, 1.0))
    middle = SkyCoord(*view.projection.inverse(1.0, 0.0), unit="deg")
    turned = seen_as(demo, SkyLook("galactic"), view, "tan", None)
    there = SkyCoord(*turned.projection.inverse(0.0, 0.0), unit="deg")
    assert there.separation(middle).arcsec < 1e-6 and turned.box == Viewport(-2.0, 2.0, -1.0, 1.0)
    assert seen_as(demo, SkyLook("galactic", "mol"), view, "mol", None) == whole_sky(SkyLook("galactic", "mol"))
    field = seen_as(demo, SkyLook(), whole_sky(SkyLook()), "tan", (10.0, 20.0))
    assert field.projection == tangent(10.0, 20.0)
