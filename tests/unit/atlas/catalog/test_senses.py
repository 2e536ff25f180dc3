"""What little and much of a column mean, by its description, its unit and UCD, or its name."""

from __future__ import annotations

import pytest

from atlas import Atlas
from atlas.catalog.senses import Sense, amount, called, explanation, sense, standing
from atlas.storage.manifest import Column
from precompute.source_description import ColumnDescription
from precompute.sources.merge_description import merge
from precompute.sources.tables.file_column import FileColumn


def column(name: str, unit: str = "", ucd: str = "", description: str = "", **more: object) -> Column:
    return Column(
        name=name, file="a.npy", dtype="float32", kind="number", unit=unit, ucd=ucd, description=description,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit", "ucd", "high"),
    [
        ("mag_r", "mag", "", "fainter"),
        ("anything", "mag", "phot.mag;em.opt.R", "fainter"),
        ("g_minus_r", "mag", "phot.color", "redder"),
        ("g_r", "", "", "redder"),
        ("r_minus_g", "mag", "phot.color", "bluer"),
        ("inst_red_minus_green", "mag", "phot.color", "bluer"),
        ("w1_w2", "mag", "", "redder"),
        ("g_r_err", "mag", "", "higher g r err"),
        ("z_phot", "", "", "higher redshift"),
        ("z_phot_std", "", "", "higher z phot std"),
        ("logmass", "", "", "more massive"),
        ("log_mstar", "", "", "more massive"),
        ("half_light_radius", "arcsec", "phys.angSize", "larger"),
        ("shape_r_eff", "arcsec", "", "larger"),
        ("radius_err", "arcsec", "", "higher radius err"),
        ("psf_size_r", "arcsec", "", "higher psf size r"),
        ("ellipticity", "", "", "more elongated"),
        ("axis_ratio", "", "", "rounder"),
        ("ba_r", "", "", "rounder"),
        ("flux_r", "nmgy", "", "brighter"),
        ("log_ssfr", "", "", "forming more stars"),
        ("sersic_n", "", "", "more concentrated"),
        ("n_obs", "", "", "higher n obs"),
        ("age_gyr", "Gyr", "", "older"),
        ("image", "", "", "higher image"),
    ],
)
def test_much_of_a_column_is_a_word_for_people(name: str, unit: str, ucd: str, high: str) -> None:
    assert sense(column(name, unit, ucd)).high == high


def test_what_the_source_says_comes_before_any_guess() -> None:
    told = ColumnDescription(low="early", high="late")
    merged = merge(FileColumn("t_type", "number", "float"), told).description
    assert sense(column("t_type", low=merged.low, high=merged.high)) == Sense("early", "late")


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("r magnitude (AB), corrected for Galactic extinction", "r magnitude"),
        ("Galactic reddening E(B-V)", "galactic reddening E(B-V)"),
        ("5 log10 (r80 / r20), of the ellipse", "some column"),
        ("1 where the galaxy was separated", "some column"),
        ("", "some column"),
    ],
)
def test_a_column_is_called_by_its_description_where_that_is_short(description: str, name: str) -> None:
    assert called(column("some_column", description=description)) == name


def test_a_value_stands_among_all() -> None:
    quantiles = tuple(float(q) for q in (14, 15, 16, 18, 20, 21, 22, 23, 24))
    r = column("mag_r", "mag", description="r magnitude.", quantiles=quantiles)
    assert standing(r, 21.0) == "fainter than 75 % of the galaxies"
    assert standing(r, 13.0) == "brighter than 99 % of the galaxies"
    assert standing(r, None) == standing(column("mag_r", "mag"), 21.0) == ""
    assert standing(column("blended", quantiles=(0.0,) * 7 + (1.0, 1.0)), 1.0) == "", "a flag stands nowhere"
    assert explanation(r) == "r magnitude. Unit: mag. Larger numbers: fainter."


def test_an_amount_has_the_digits_that_its_spread_deserves() -> None:
    assert amount(column("g_minus_r", "mag"), -0.51197, 0.3) == "-0.512 mag"
    assert amount(column("jd", "d"), 2_459_000.51, 10.0) == "2459000.5 d"
    assert amount(column("mass", "solMass"), 1.234e12, 1e12) == "1.23e+12 solMass"


def test_the_demo_says_nothing_in_names_of_columns(demo: Atlas) -> None:
    words = [word.text for told in demo.space().cluster_words.values() for word in told]
    assert any(sense in word for word in words for sense in ("redder", "bluer"))
    assert not any("_" in word for word in words)
