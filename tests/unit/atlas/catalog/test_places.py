"""Places as people type them, against `astropy.coordinates`: `atlas.catalog.places`."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atlas.catalog.places import looks_like_place, read_place
from atlas.catalog.position_text import format_position
from atlas.errors import CoordinateError

FRAMES = {
    "icrs": ("icrs {} {}", "RA={} Dec={}", "({}, {})", "ra: {}, dec: {}"),
    "galactic": ("G {} {}", "l={} b={}", "gal {}, {}", "GLON {} GLAT {}", "galactic: {} {}"),
    "barycentricmeanecliptic": ("ecl {} {}", "lambda={} beta={}", "ecliptic {}, {}", "elon={}, elat={}"),
}
WAYS = [(frame, way) for frame, ways in FRAMES.items() for way in ways]
LENGTHS = (
    ("30″", 30), ('30"', 30), ("0.5'", 30), ("0.5 arcmin", 30), ("r=2°", 7200), ("radius 9 arcsec", 9), (".1deg", 360),
)  # fmt: skip


@pytest.mark.parametrize(("frame", "way"), WAYS)
@settings(max_examples=12)
@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
@example(0.0, -0.5)
@example(0.0, 90.0)
@example(359.9999999, -90.0)
def test_every_frame_is_turned_as_astropy_turns_it(frame: str, way: str, longitude: float, latitude: float) -> None:
    text = way.format(f"{longitude:.9f}", f"{latitude:+.9f}")
    place = read_place(text)
    assert place is not None and looks_like_place(text)
    expected = SkyCoord(round(longitude, 9), round(latitude, 9), unit="deg", frame=frame)
    assert SkyCoord(place.ra_deg, place.dec_deg, unit="deg").separation(expected.icrs) < 1e-5 * u.arcsec
    assert 0 <= place.ra_deg < 360 and place.radius_arcsec is None
    assert (frame == "icrs") == (place.read_as == "")


@pytest.mark.parametrize(("length", "arcsec"), LENGTHS)
@pytest.mark.parametrize(
    "position",
    ["53.1625 -27.7914", "53.1625, -27.7914,", "03:32:39 -27:47:29.04", "3h 32m 39s -27d 47m 29.04s",
     "(53.1625, -27.7914)", "G 223.5548 -54.3948", "3h 32m 39s -27° 47′ 29.04″"],
)  # fmt: skip
def test_a_radius_behind_a_position_is_one(position: str, length: str, arcsec: float) -> None:
    place = read_place(f"{position} {length}")
    assert place is not None and place.radius_arcsec == pytest.approx(arcsec)
    there = SkyCoord(53.1625, -27.7914, unit="deg")
    assert SkyCoord(place.ra_deg, place.dec_deg, unit="deg").separation(there) < 0.5 * u.arcsec


@pytest.mark.parametrize("text", ["3h 32m 39s -27° 47′ 29″", "3h32m -27° 30′", "12 30 00 -0 30 00"])
def test_minutes_of_a_declination_are_no_radius(text: str) -> None:
    place = read_place(text)
    assert place is not None and place.radius_arcsec is None


@pytest.mark.parametrize(
    ("text", "ra", "dec"),
    [("033238.5 -274700", "03:32:38.5", "-27:47:00"), ("000000 -003000", "00:00:00", "-00:30:00"),
     ("235959.99 +895959.9", "23:59:59.99", "+89:59:59.9")],
)  # fmt: skip
def test_compact_positions_are_read(text: str, ra: str, dec: str) -> None:
    place, expected = read_place(text), SkyCoord(ra, dec, unit=("hourangle", "deg"))
    assert (place is not None and "03:32" in place.read_as) or ra not in text
    assert SkyCoord(place.ra_deg, place.dec_deg, unit="deg").separation(expected) < 1e-6 * u.arcsec  # type: ignore[union-attr]


@settings(max_examples=40)
@given(st.floats(0, 359.99), st.floats(-89.9, 89.9), st.sampled_from([(2, 2), (3, 2), (3, 3)]))
def test_a_short_name_reaches_what_it_was_cut_from(ra: float, dec: float, parts: tuple[int, int]) -> None:
    hms, dms = format_position(ra, dec, "sexagesimal", 3).split()
    name = (
        "J"
        + "".join(hms.split(":")[: parts[0]])[: 2 * parts[0]]
        + "".join(dms.split(":")[: parts[1]])[: 1 + 2 * parts[1]]
    )
    place = read_place(name)
    assert place is not None
    away = SkyCoord(place.ra_deg, place.dec_deg, unit="deg").separation(SkyCoord(ra, dec, unit="deg")).arcsec
    assert parts == (3, 3) or away <= place.precision_arcsec * 1.001 + 0.01


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("G 400 5", "galactic l must lie in 0…360"),
        ("l=10 b=95", "b must lie in −90…90 degrees, not 95"),
        ("RA=53 Dec=-95", "Dec must lie in"),
        ("53.1 -27.7 0″", "a radius is above 0 and at most 180°"),
        ("53.1 -27.7 400 deg", "a radius is above 0 and at most 180°"),
        ("J2532-2747", "names no place"),
        ("J0360-2747", "minutes of a name by position must be below 60"),
        ("53.1 -95 30″", "Dec must lie in"),
    ],
)
def test_a_slip_is_said(text: str, reason: str) -> None:
    assert looks_like_place(text)
    with pytest.raises(CoordinateError, match=reason):
        read_place(text)


@pytest.mark.parametrize(
    "text",
    ["", "672", "330012-1234", "9010-325567-1234", "8000 325567", "NGC 1300", "M31", "M31 30″", "g 1", "RA 53", "b",
     "x" * 5000, "galaxy 5", "E 300"],
)  # fmt: skip
def test_ids_and_names_are_no_places(text: str) -> None:
    assert not looks_like_place(text)


@given(st.text(max_size=40) | st.text("GlbraE=,.+-−0123456789 hms:°′″'\"()J", max_size=30))
def test_any_text_is_a_place_or_none_or_refused_in_a_sentence(text: str) -> None:
    try:
        place = read_place(text)
    except CoordinateError as wrong:
        assert 5 < len(str(wrong)) < 300
    else:
        assert place is None or (0 <= place.ra_deg < 360 and -90 <= place.dec_deg <= 90 and np.isfinite(place.ra_deg))
