"""Numbers as text: exact where they are held, as long as their column deserves where they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.catalog.columns import describe_numbers, from_zero
from atlas.catalog.numbers import column_text, exact_text, parse_number, percent_text, short_text
from atlas.errors import InputError
from atlas.storage.manifest import Column
from dashboard.views.palette import color_by


def column(values: np.ndarray) -> Column:
    missing, quantiles = describe_numbers(values)
    return Column(name="x", file="x.npy", kind="number", dtype=values.dtype.name, missing=missing, quantiles=quantiles)


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64)))
def test_a_field_holds_the_very_number(value: float) -> None:
    assert parse_number(exact_text(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14", 14.0),
        ("−3.5", -3.5),
        (" 2e12 ", 2e12),
        ("1152921504606846977", 2**60 + 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_numbers_are_read_as_people_type_them(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "14,5", "nan", "inf", "1e999", "0x10", "1_000", "99999999999999999999", "12 kpc"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(InputError, match=r"number"):
        parse_number(text)


@pytest.mark.parametrize(
    ("values", "value", "text"),
    [
        (2459000.5 + np.linspace(0, 30, 99), 2459005.53125, "2459005.531"),
        (59000 + np.linspace(0, 2, 99), 59001.123456, "59001.1235"),
        (np.linspace(0, 1, 99), 0.123456, "0.12346"),
        (np.linspace(0, 1, 99), 0.000123456, "0.00012346"),
        (np.linspace(0, 1e-17, 99), 1.23456789e-17, "1.23457e-17"),
        (np.geomspace(1e8, 1e12, 99), 3.16227766e10, "3.1623e10"),
        (np.linspace(1e43, 9e43, 99), 1.0123456e43, "1.0123e43"),
        (1.6e12 + np.linspace(0, 1e8, 99), 1600000012345.0, "1600000012345"),
        (1.6e9 + np.linspace(0, 1e5, 99), 1600012345.678, "1600012346"),
        (np.linspace(14, 22, 99, dtype=np.float32), float(np.float32(18.2)), "18.2"),
        (np.linspace(14, 22, 99), 18.0, "18"),
        (2**60 + np.arange(99), 2**60 + 1, "1152921504606846977"),
        (np.linspace(-1, 1, 99), 0.0, "0"),
    ],
)
def test_digits_follow_the_range_of_the_column(values: np.ndarray, value: float, text: str) -> None:
    assert column_text(column(values), value) == text


@pytest.mark.parametrize(("value", "text"), [(14.123456, "14.12"), (0.00123456, "0.00123"), (2.0, "2")])
def test_a_legend_needs_fewer_digits(value: float, text: str) -> None:
    assert column_text(column(np.linspace(14, 22, 99)), value, 3) == text


@pytest.mark.parametrize("zero", [2**60, -(2**62), 2**63 + 5])
def test_quantiles_and_differences_of_long_whole_numbers_keep_every_digit(zero: int) -> None:
    values = np.array([zero + i for i in range(101)], dtype=np.uint64 if zero > 2**63 else np.int64)
    _, quantiles = describe_numbers(values)
    assert quantiles == tuple(zero + i for i in (0, 1, 5, 25, 50, 75, 95, 99, 100))
    assert from_zero(values, zero + 50).tolist() == list(range(-50, 51))
    assert column_text(column(values), quantiles[1], 3) == str(zero + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_galaxy_is_coloured_by_its_own_date(dtype: type) -> None:
    dates = 2459000.5 + np.arange(0, 2, 0.25 if dtype is np.float32 else 1 / 64).astype(dtype)
    told = color_by(column(dates), dates, "#000")
    assert np.unique(told.values).size > 0.9 * dates.size
    assert told.ends[0].startswith("≤ 2459000.5") and told.ends[1].startswith("≥ 2459002")


def test_a_short_figure_is_never_a_power_of_ten() -> None:
    values = (0.0, 0.0512, 0.25, 2.512, 9.96, 100.0, 160.4, 1_600.0)
    assert [short_text(v) for v in values] == ["0", "0.051", "0.25", "2.5", "10", "100", "160", "1,600"]
    assert [percent_text(s) for s in (0.0, 0.00123, 0.0996, 1.0)] == ["0 %", "0.12 %", "10 %", "100 %"]
