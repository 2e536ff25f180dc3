"""Positions of a user's own survey: found, converted, and every impossible one named with its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from precompute.errors import SourceError
from precompute.source_description import (
    ColumnDescription,
)
from precompute.sources.checks import check_positions
from precompute.sources.source import open_source

from .written_sources import N, broken_positions, positions, write_source


@pytest.mark.parametrize(
    ("ra", "dec"),
    [("ra", "dec"), ("RA", "DEC"), ("ra_deg", "dec_deg"), ("_RAJ2000", "_DEJ2000"), ("ALPHA_J2000", "DELTA_J2000")],
)
def test_positions_are_found_by_usual_names(tmp_path: Path, ra: str, dec: str) -> None:
    write_source(tmp_path, {"id": np.arange(N), ra: positions()["ra"], dec: positions()["dec"]})
    source = open_source(tmp_path)
    assert np.array_equal(source.check().ra_deg, positions()["ra"])
    assert source.column_names == ("id",)


def test_positions_of_the_main_ucd_go_before_usual_names(tmp_path: Path) -> None:
    p = positions()
    told = {
        "lon": ColumnDescription("deg", "pos.eq.ra;meta.main"),
        "lat": ColumnDescription("deg", "pos.eq.dec;meta.main"),
    }
    write_source(tmp_path, {"ra": p["ra"] * 0, "dec": p["dec"] * 0, "lon": p["ra"], "lat": p["dec"]}, columns=told)
    source = open_source(tmp_path)
    assert np.array_equal(source.check().dec_deg, p["dec"])
    # What is called ra and dec in an atlas are the positions; the others keep their values under another name.
    assert source.column_names == ("survey_ra", "survey_dec")


def test_named_positions_go_before_everything(tmp_path: Path) -> None:
    p = positions()
    write_source(
        tmp_path, {"ra": p["ra"], "dec": p["dec"], "ra2": p["ra"] + 1, "dec2": p["dec"] + 1}, ra="ra", dec="dec"
    )
    assert np.array_equal(open_source(tmp_path, ra="ra2", dec="dec2").check().ra_deg, p["ra"] + 1)


@pytest.mark.parametrize(("unit", "factor"), [("hourangle", 15), ("h", 15), ("rad", np.degrees(1))])
def test_other_units_of_angle_are_converted_and_noted(tmp_path: Path, unit: str, factor: float) -> None:
    p = positions()
    dec_unit = "rad" if unit == "rad" else "deg"
    told = {"ra": ColumnDescription(unit), "dec": ColumnDescription(dec_unit)}
    write_source(tmp_path, {"ra": p["ra"] / factor, "dec": p["dec"] / (factor if unit == "rad" else 1)}, columns=told)
    source = open_source(tmp_path)
    catalog = source.check()
    np.testing.assert_allclose(catalog.ra_deg, p["ra"], rtol=1e-14)
    np.testing.assert_allclose(catalog.dec_deg, p["dec"], rtol=1e-14)
    assert f"column 'ra' is converted from {unit} to degrees" in source.notes
    assert source.description.columns["ra"].unit == "deg"


@pytest.mark.parametrize("unit", ["deg", "DEG", "degrees", "degree"])
def test_spellings_of_degrees_are_degrees(tmp_path: Path, unit: str) -> None:
    write_source(tmp_path, positions(), columns={"ra": ColumnDescription(unit), "dec": ColumnDescription(unit)})
    source = open_source(tmp_path)
    assert np.array_equal(source.check().ra_deg, positions()["ra"])
    assert source.notes == []


@pytest.mark.parametrize("unit", ["mag", "s", "furlong"])
def test_a_unit_that_is_no_angle_is_refused(tmp_path: Path, unit: str) -> None:
    write_source(tmp_path, positions(), columns={"ra": ColumnDescription(unit)})
    with pytest.raises(SourceError, match=f"column 'ra': unit '{unit}' is no angle; give degrees"):
        open_source(tmp_path)


def test_sexagesimal_text_is_refused_as_position(tmp_path: Path) -> None:
    write_source(tmp_path, {"ra": ["03:32:38.5"] * N, "dec": positions()["dec"]})
    with pytest.raises(SourceError, match=r"column 'ra' \(string\) is no right ascension: degrees as numbers"):
        open_source(tmp_path)


def test_without_columns_of_position_both_are_asked_for(tmp_path: Path) -> None:
    write_source(tmp_path, {"x": np.arange(N), "y": np.arange(N)})
    with pytest.raises(SourceError, match="no column of right ascension") as caught:
        open_source(tmp_path)
    assert "no column of declination" in str(caught.value)
    assert "Columns: x, y" in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (
            broken_positions("ra", {2: np.nan, 5: np.inf}),
            r"no right ascension in 2 rows; first rows \(from 0\): 2, 5",
        ),
        (broken_positions("dec", {7: np.nan}), r"no declination in 1 row; first rows \(from 0\): 7; --drop-bad-rows"),
        (
            broken_positions("dec", {0: -91.5, 9: 120}),
            r"declination outside -90…90° in 2 rows; .*: 0 \(-91\.5\), 9 \(120\.0\)",
        ),
        (
            broken_positions("ra", {4: 360.5}),
            r"right ascension outside both 0…360° and -180…180° in 1 row; .*: 4 \(360\.5\)",
        ),
        (broken_positions("ra", {4: -181}), r"right ascension outside both .* in 1 row; .*: 4 \(-181\.0\)"),
        (broken_positions("ra", {3: -1}), r"negative in 1 row \(first rows \(from 0\): 3\) and above 180° in 6 rows"),
    ],
)
def test_impossible_positions_are_named_with_count_rows_and_values(
    tmp_path: Path, columns: dict[str, Any], match: str
) -> None:
    write_source(tmp_path, columns)
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path).check()


def test_null_positions_and_sentinels_are_missing(tmp_path: Path) -> None:
    p = positions()
    ra = pa.array(p["ra"], mask=np.arange(N) == 1)
    p["dec"][6] = -99
    write_source(tmp_path, {"ra": ra, "dec": p["dec"]}, columns={"dec": ColumnDescription("deg", missing=-99)})
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path).check()
    assert "no right ascension in 1 row; first rows (from 0): 1" in str(caught.value)
    assert "no declination in 1 row; first rows (from 0): 6" in str(caught.value)


def test_negative_right_ascension_is_wrapped_with_a_note(tmp_path: Path) -> None:
    ra = np.linspace(-180, 170, N)
    write_source(tmp_path, {"ra": ra, "dec": positions()["dec"]})
    catalog = open_source(tmp_path).check()
    expected = SkyCoord(ra, 0, unit="deg").ra.deg
    np.testing.assert_allclose(catalog.ra_deg, expected, atol=1e-12)
    assert "right ascension ran from -180 to 170° and was wrapped to 0…360°" in catalog.notes


@given(
    hnp.arrays(np.float64, 8, elements=st.floats(-180, 180)),
    hnp.arrays(np.float64, 8, elements=st.floats(-90, 90)),
)
@settings(max_examples=200, derandomize=True, database=None)
def test_wrapped_positions_are_in_range_and_the_same_place(ra: np.ndarray, dec: np.ndarray) -> None:
    result = check_positions(ra, dec)
    assert result.problems == ()
    assert (result.ra_deg >= 0).all() and (result.ra_deg < 360).all()
    moved = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(result.ra_deg, result.dec_deg, unit="deg"))
    assert moved.max() < 1e-9 * u.arcsec


def test_single_precision_right_ascension_is_noted() -> None:
    p = positions()
    assert any("single precision" in note for note in check_positions(p["ra"].astype(np.float32), p["dec"]).notes)
