"""Intervals of redshifts: found by the habits of surveys, told to the digit that they move."""

from __future__ import annotations

import math

import pytest

from atlas.catalog.intervals import Interval, interval_text, redshift_intervals
from atlas.storage.manifest import Column


def found(*names: str, **ucds: str) -> dict[str, tuple[str, ...]]:
    columns = tuple(
        Column(name=name, file=f"{name}.npy", dtype="float32", kind="number", ucd=ucds.get(name, "")) for name in names
    )
    return {name: interval.columns for name, interval in redshift_intervals(columns).items()}


def test_bounds_are_found_by_the_names_that_surveys_give_them() -> None:
    told = {"z_phot_mean": "src.redshift.phot", "z_phot_l68": "stat.min;src.redshift.phot"}
    ends = ("z_phot_l68", "z_phot_u68")
    legacy = ("z_phot_mean", "z_phot_median", "z_phot_std", "z_phot_l68", "z_phot_u68", "z_phot_l95", "z_phot_u95")
    assert found(*legacy, **told)["z_phot_mean"] == found(*legacy)["z_phot_median"] == ends
    assert found("zphot", "zphot_lower", "zphot_upper") == {"zphot": ("zphot_lower", "zphot_upper")}
    assert found("ZPHOT", "ZPHOT_STD") == {"ZPHOT": ("ZPHOT_STD",)}
    assert found("zphot", "e_zphot") == {"zphot": ("e_zphot",)}
    assert found("z_best", "z_best68_low", "z") == {}, "one end is no interval"
    assert found("z_spec", "z_spec_err") == {}, "a spectrum's error is not of a photometric redshift"
    assert found("mag_r", "mag_r_err", "z_phot") == {}


def test_an_interval_holds_its_value_or_is_none() -> None:
    ends, deviation = Interval(("low", "high")), Interval(None, "std")
    assert ends.around(0.42, (0.38, 0.47)) == (0.38, 0.47)
    assert deviation.around(0.5, (0.25,)) == (0.25, 0.75)
    for told in ((0.38, None), (math.nan, 0.47), (0.47, 0.38), (0.43, 0.47)):
        assert ends.around(0.42, told) is None
    assert deviation.around(None, (0.1,)) is None and deviation.around(0.5, (-0.1,)) is None


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.4213, 0.3812, 0.4671, "0.42 (0.38–0.47)"),
        (0.42137, 0.42011, 0.42263, "0.421 (0.420–0.423)"),
        (3.1, 1.2, 4.9, "3.10 (1.20–4.90)"),
        (0.5, 0.5 - 1e-9, 0.5 + 1e-9, "0.50000 (0.50000–0.50000)"),
    ],
)
def test_as_many_digits_are_told_as_the_interval_moves(value: float, low: float, high: float, text: str) -> None:
    assert interval_text(value, low, high) == text
