"""Projections of the sky against `astropy.wcs`: `atlas.sky.projection`."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, angular_separation
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.sky.projection import Projection, unit_vectors

Floats = NDArray[np.float64]

ras = st.floats(0, 360, exclude_max=True)
frames = st.sampled_from(["icrs", "galactic"])
tangents = st.builds(Projection, st.just("tan"), ras, st.floats(-90, 90), frames)
all_skies = st.builds(Projection, st.sampled_from(["ait", "mol"]), ras, st.just(0.0), frames)
projections = tangents | all_skies


def wcs(projection: Projection) -> WCS:
    made = WCS(naxis=2)
    kind = projection.kind.upper()
    galactic = projection.frame == "galactic"
    made.wcs.ctype = [f"GLON-{kind}", f"GLAT-{kind}"] if galactic else [f"RA---{kind}", f"DEC--{kind}"]
    made.wcs.crval = [projection.ra_deg, projection.dec_deg]
    made.wcs.crpix = [0.0, 0.0]
    made.wcs.cdelt = [-1.0, 1.0]
    # FITS turns the plane by half a turn where the centre is exactly a pole, unless it is told not to.
    made.wcs.lonpole = 180.0 if projection.kind == "tan" else 0.0
    return made


def sky(n: int, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def in_frame(projection: Projection, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    if projection.frame == "icrs":
        return ra, dec
    there = SkyCoord(ra, dec, unit="deg").galactic
    return there.l.deg, there.b.deg


def separation(ra: Floats, dec: Floats, ra0: Floats | float, dec0: Floats | float) -> Floats:
    result: Floats = np.degrees(angular_separation(*map(np.radians, (ra, dec, ra0, dec0))))
    return result


@given(projections)
@settings(max_examples=60)
def test_planes_are_those_of_fits(projection: Projection) -> None:
    ra, dec = sky(500)
    x, y = projection.forward(ra, dec)
    expected_x, expected_y = wcs(projection).wcs_world2pix(*in_frame(projection, ra, dec), 1)
    scale = 1 + np.hypot(expected_x, expected_y)
    near = ~(scale > 1e4)  # near a tangent plane's horizon both lose digits
    assert np.array_equal(np.isnan(x), np.isnan(expected_x))
    assert np.nanmax(np.abs(x - expected_x)[near] / scale[near] ** 2) < 1e-12
    assert np.nanmax(np.abs(y - expected_y)[near] / scale[near] ** 2) < 1e-12


@given(projections)
@settings(max_examples=60)
def test_inverse_is_that_of_fits(projection: Projection) -> None:
    x, y = np.random.default_rng(1).uniform([[-170], [-90]], [[170], [90]], (2, 500))
    ra, dec = projection.inverse(x, y)
    expected = wcs(projection).wcs_pix2world(x, y, 1)
    on_sky = np.isfinite(ra)
    assert np.array_equal(on_sky, np.isfinite(expected[0]))
    there = in_frame(projection, ra[on_sky], dec[on_sky])
    assert separation(*there, expected[0][on_sky], expected[1][on_sky]).max() < 1e-9
    assert ((ra[on_sky] >= 0) & (ra[on_sky] < 360)).all()


@given(projections)
@settings(max_examples=60)
def test_there_and_back_again(projection: Projection) -> None:
    ra, dec = sky(500)
    away = separation(*in_frame(projection, ra, dec), projection.ra_deg, projection.dec_deg)
    there = away < 85 if projection.kind == "tan" else np.ones(ra.size, dtype=bool)
    back = projection.inverse(*projection.forward(ra[there], dec[there]))
    assert separation(*back, ra[there], dec[there]).max() < 1e-9


def test_north_is_up_and_east_is_left() -> None:
    for projection in (Projection("tan", 0.0, 10.0), Projection("ait", 0.0, 0.0)):
        x, y = projection.forward([1.0, 359.0, 0.0], [10.0, 10.0, 11.0])
        assert x[0] < 0 < x[1]
        assert y[2] > y[0]


def test_what_lies_behind_a_tangent_plane_has_no_place() -> None:
    x, y = Projection("tan", 0.0, 90.0).forward([10.0, 10.0, 10.0], [0.1, -0.1, -90.0])
    assert np.isnan(x).tolist() == np.isnan(y).tolist() == [False, True, True]


def test_there_is_no_sky_outside_the_ellipse() -> None:
    ra, dec = Projection("ait", 180.0, 0.0).inverse([0.0, 161.0, 163.0, 120.0], [82.0, 0.0, 0.0, 60.0])
    assert np.isnan(ra).tolist() == np.isnan(dec).tolist() == [True, False, True, True]


def test_poles_and_missing_positions() -> None:
    x, y = Projection("ait", 33.0, 0.0).forward([0.0, 120.0, np.nan], [90.0, -90.0, 0.0])
    assert x[:2] == pytest.approx([0, 0], abs=1e-12)
    assert y[:2] == pytest.approx([np.degrees(np.sqrt(2)), -np.degrees(np.sqrt(2))])
    assert np.isnan(x[2])


def test_a_plain_number_is_a_position_too() -> None:
    x, y = Projection("tan", 10.0, 20.0).forward(10.0, 21.0)
    assert float(x) == pytest.approx(0, abs=1e-12)
    assert float(y) == pytest.approx(np.degrees(np.tan(np.radians(1))))


def test_close_fields_are_exact_to_a_millionth_of_an_arcsecond() -> None:
    projection = Projection("tan", 53.1625, -27.7914)
    offset = np.array([1e-6, 0.1, 30.0]) / 3600
    ra, dec = projection.inverse(offset, -offset)
    x, y = projection.forward(ra, dec)
    assert np.abs(x - offset).max() * 3600 < 1e-6
    assert np.abs(y + offset).max() * 3600 < 1e-6


@given(projections, st.floats(-4, 1.69), st.integers(0, 2**31))
@settings(max_examples=80)
def test_discs_come_to_lie_where_they_are_said_to(projection: Projection, log_radius: float, seed: int) -> None:
    radius = 10**log_radius
    ra, dec = sky(300, seed)
    discs = projection.discs(unit_vectors(ra, dec), radius)
    rng = np.random.default_rng(seed)
    for _ in range(12):
        # A point at a distance of up to the radius, in any direction.
        away, angle = radius * np.sqrt(rng.random(300)), rng.uniform(0, 2 * np.pi, 300)
        away[rng.random(300) < 0.5] = radius
        a, d, delta = np.radians(ra), np.radians(dec), np.radians(away)
        sin_d = np.sin(d) * np.cos(delta) + np.cos(d) * np.sin(delta) * np.cos(angle)
        point_dec = np.arcsin(np.clip(sin_d, -1, 1))
        point_ra = a + np.arctan2(
            np.sin(angle) * np.sin(delta) * np.cos(d), np.cos(delta) - np.sin(d) * np.sin(point_dec)
        )
        x, y = projection.forward(np.degrees(point_ra), np.degrees(point_dec))
        seen = np.isfinite(x)
        distance = np.hypot(x - discs.x, y - discs.y)
        other = np.where(discs.torn, np.hypot(x + discs.x, y - discs.y), np.inf)
        slack = 1e-7 * (1 + np.hypot(x, y)) ** 2
        assert (np.minimum(distance, other) <= discs.reach + slack)[seen].all()
        assert (np.hypot(x, y) >= discs.nearest - slack)[seen].all()
    assert np.isfinite(discs.reach).any() or projection.kind == "tan"


def test_discs_are_not_much_larger_than_they_must_be() -> None:
    ra, dec = sky(1000)
    for projection in (Projection("tan", 180.0, 0.0), Projection("ait", 180.0, 0.0)):
        near = separation(ra, dec, 180.0, 0.0) < 40
        reach = projection.discs(unit_vectors(ra[near], dec[near]), 0.01).reach
        assert (reach < 0.01 * 2).all()


@pytest.mark.parametrize(
    ("kind", "ra_deg", "dec_deg"),
    [("tan", 360.0, 0.0), ("tan", -1.0, 0.0), ("tan", 0.0, 91.0), ("ait", 0.0, 5.0), ("tan", float("nan"), 0.0)],
)
def test_an_impossible_centre_is_refused_also_from_outside(kind: str, ra_deg: float, dec_deg: float) -> None:
    with pytest.raises(ValueError, match="centre"):
        Projection(kind, ra_deg, dec_deg)  # type: ignore[arg-type]
    raw = msgspec.json.encode({"kind": kind, "ra_deg": ra_deg, "dec_deg": dec_deg})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=Projection)
