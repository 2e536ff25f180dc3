"""Positions read and written, against `astropy.coordinates`: `atlas.catalog.position_text`."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from atlas.catalog.position_text import format_position, iau_name, looks_like_position, parse_position
from atlas.errors import CoordinateError

ras, decs = st.floats(0, 360, exclude_max=True), st.floats(-90, 90)


def away_arcsec(first: tuple[float, float], second: tuple[float, float]) -> float:
    one, other = (SkyCoord(*position, unit="deg") for position in (first, second))
    return float(one.separation(other).arcsec)


@pytest.mark.parametrize(
    "text",
    [
        "53.1625 -27.7914",
        "53.1625, -27.7914",
        "53.1625; -27.7914",
        "53.1625\t-27.7914",
        "  53.1625   −27.7914 ",
        "+53.1625 -27.7914",
        "53.1625° −27.7914°",
        "53.1625deg -27.7914deg",
        "53.1625d,-27.7914d",
        "3:32:39 -27:47:29.04",
        "03h32m39s -27d47m29.04s",
        "03h32m39s-27d47m29.04s",
        "3ʰ32ᵐ39ˢ −27°47′29.04″",
        "3h 32m 39s, -27d 47m 29.04s",
        "03 32 39.0 -27 47 29.04",
        "03:32.65 -27:47.484",
        "3.5441666666667h -27.7914",
        "J033239.00-274729.04",
        "SDSS J033239.00-274729.04",
        "2MASX J033239.00−274729.04",
    ],
)
def test_every_way_of_writing_a_position_is_read(text: str) -> None:
    assert looks_like_position(text)
    assert away_arcsec(parse_position(text), (53.1625, -27.7914)) < 1e-3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:00 -00:30:00", (0.0, -0.5)),
        ("0 0 0 -0 30 0", (0.0, -0.5)),
        ("12h30m49s +12d23m", (187.70416666666668, 12.383333333333333)),
        ("12 30 49.4 12 23 28", (187.70583333333335, 12.391111111111112)),
        ("-10 5", (350.0, 5.0)),
        ("-180 0", (180.0, 0.0)),
        ("360 -90", (0.0, -90.0)),
        ("150 2", (150.0, 2.0)),
        ("187d30m +12d30m", (187.5, 12.5)),
        ("J000000.00-003000.0", (0.0, -0.5)),
    ],
)
def test_signs_units_and_turns_are_kept(text: str, expected: tuple[float, float]) -> None:
    assert parse_position(text) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a position: .*12h30m49s"),
        ("M 31", "is not a position"),
        ("nan nan", "is not a position"),
        ("1e3 5", "is not a position"),
        ("53,1625 -27,7914", "is not a position"),
        ("1 2 3", "is not a position"),
        ("12:30:00", "is not a position"),
        ("12:30:00 +5h", "is not a position"),
        ("1" * 5000, "is not a position"),
        ("12:61:00 +5:00:00", "minutes of RA must be below 60, not 61"),
        ("12:00:00 +5:00:60", "seconds of Dec must be below 60"),
        ("12.5:30 +5", "only the last number of RA"),
        ("25:00:00 +5:00:00", "RA must lie in 0…360.* not 375"),
        ("400 5", "RA must lie in"),
        ("-181 5", "RA must lie in"),
        ("53.1 -95", "Dec must lie in −90…90 degrees, not -95"),
        ("J033238.50-994700.0", "Dec must lie in"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_can(text: str, reason: str) -> None:
    with pytest.raises(CoordinateError, match=reason) as caught:
        parse_position(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "330012-1234",
        "9010-325567-1234",
        "9010_325567_1234",
        "8000 325567",
        "1234",
        "NGC 1300",
        "M31",
        "",
        "a b",
        "-",
        "1,2,3",
    ],
)
def test_ids_do_not_look_like_positions(text: str) -> None:
    assert not looks_like_position(text)


@pytest.mark.parametrize("text", ["53.1 -95", "12:61:00 +5:00:00", "400.5 10"])
def test_a_position_with_a_slip_still_looks_like_one(text: str) -> None:
    assert looks_like_position(text)
    with pytest.raises(CoordinateError):
        parse_position(text)


@given(st.text(max_size=40))
def test_any_text_is_a_position_or_a_coordinate_error(text: str) -> None:
    looks = looks_like_position(text)
    try:
        ra, dec = parse_position(text)
    except CoordinateError:
        return
    assert looks
    assert 0 <= ra < 360
    assert -90 <= dec <= 90


@given(
    st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59_999)),
    st.tuples(st.sampled_from("+-"), st.integers(0, 89), st.integers(0, 59), st.integers(0, 59_999)),
    st.sampled_from(
        ["{}:{}:{} {}{}:{}:{}", "{} {} {} {}{} {} {}", "{}h{}m{}s {}{}d{}m{}s", "{:02d}h{}m{}s, {}{}°{}′{}″"]
    ),
)
def test_what_is_read_is_read_as_astropy_does(
    ra: tuple[int, int, int], dec: tuple[str, int, int, int], style: str
) -> None:
    hours, degrees = (*ra[:2], ra[2] / 1000), (*dec[:3], dec[3] / 1000)
    expected = SkyCoord("{}h{}m{}s".format(*hours), "{}{}d{}m{}s".format(*degrees))
    assert parse_position(style.format(*hours, *degrees)) == pytest.approx(
        (expected.ra.deg, expected.dec.deg), abs=1e-10
    )


@given(ras, decs, st.sampled_from(["deg", "sexagesimal"]))
def test_what_is_written_can_be_read(ra: float, dec: float, style: str) -> None:
    text = format_position(ra, dec, style)  # type: ignore[arg-type]
    assert looks_like_position(text)
    assert away_arcsec(parse_position(text), (ra, dec)) < (0.003 if style == "deg" else 0.1)


@given(ras, decs, st.integers(0, 4))
def test_sixty_is_never_printed(ra: float, dec: float, digits: int) -> None:
    for text in (format_position(ra, dec, "sexagesimal", digits), format_position(ra, dec, "sexagesimal")):
        for half in text.split():
            _, minutes, seconds = half.split(":")
            assert int(minutes) < 60
            assert float(seconds) < 60


@pytest.mark.parametrize(
    ("ra", "dec", "style", "digits", "text"),
    [
        (53.16041666666667, -27.78333333333333, "sexagesimal", None, "03:32:38.50 -27:47:00.0"),
        (53.1604166, -27.7833333, "deg", None, "53.160417 -27.783333"),
        (359.99999999, 0.0, "sexagesimal", None, "00:00:00.00 +00:00:00.0"),
        (359.99999999, -1e-9, "deg", None, "0.000000 +0.000000"),
        (14.99999999, 9.99999999, "sexagesimal", 0, "01:00:00.0 +10:00:00"),
        (10.0, -0.5, "sexagesimal", 0, "00:40:00.0 -00:30:00"),
        (10.0, -1e-9, "sexagesimal", 0, "00:40:00.0 +00:00:00"),
        (0.0, 90.0, "deg", 2, "0.00 +90.00"),
    ],
)
def test_positions_are_rounded_as_people_expect(
    ra: float, dec: float, style: str, digits: int | None, text: str
) -> None:
    assert format_position(ra, dec, style, digits) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        (53.16041666666667, -27.78333333333333, "J033238.50-274700.0"),
        (parse_position("12:34:56.78 -01:02:03.4")[0], -(1 + 2 / 60 + 3.4 / 3600), "J123456.78-010203.4"),
        (187.70593, 12.39112, "J123049.42+122328.0"),
        (359.99999999, 89.99999999, "J235959.99+895959.9"),
        (0.0, -0.00001, "J000000.00-000000.0"),
        (187.5, -0.1, "J123000.00-000600.0"),
    ],
)
def test_iau_names_are_cut_off_not_rounded(ra: float, dec: float, name: str) -> None:
    assert iau_name(ra, dec) == name


@given(st.integers(0, 86_400 * 100 - 1), st.integers(-90 * 36_000, 90 * 36_000))
def test_an_iau_name_read_and_written_stays_the_same(ra_units: int, dec_units: int) -> None:
    name = iau_name(ra_units / 24_000, dec_units / 36_000)
    ra, dec = parse_position(name)
    assert iau_name(ra, dec) == name or dec == 0
    assert ra == pytest.approx(ra_units / 24_000, abs=1e-9)
    assert abs(dec) == pytest.approx(abs(dec_units) / 36_000, abs=1e-9)


@given(ras, decs)
def test_an_iau_name_lies_towards_zero_by_less_than_its_last_digit(ra: float, dec: float) -> None:
    named_ra, named_dec = parse_position(iau_name(ra, dec))
    assert -1e-9 < ra - named_ra < 1 / 24_000 + 1e-9 or ra > 360 - 1e-9
    assert -1e-9 < abs(dec) - abs(named_dec) < 1 / 36_000 + 1e-9
    assert np.sign(named_dec) in (np.sign(dec), 0)
