"""Numbers as text: exact where they are held, as long as their column deserves where they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.columns import describe_numbers
from atlas.errors import InputError
from atlas.manifest import Column
from atlas.numbers import column_text, exact_text, parse_number


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
