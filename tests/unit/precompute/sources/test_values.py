"""Values of columns: kept where their type can hold them, missing where they are, cut with a note."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from precompute.source_description import (
    ColumnDescription,
)
from precompute.sources.column_types import normalize_column

NOTHING = ColumnDescription()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_stay_integers_when_none_is_missing(dtype: str) -> None:
    info = np.iinfo(dtype)
    column = normalize_column(np.array([info.min, 0, info.max], dtype=dtype), NOTHING)
    assert column.array.dtype == dtype
    assert column.array.tolist() == [info.min, 0, info.max]


def test_missing_integers_become_nan_and_those_that_would_lose_digits_text() -> None:
    column = normalize_column(np.ma.MaskedArray([1, 2**53, 3], mask=[True, False, False]), NOTHING)
    assert np.isnan(column.array[0]) and column.array.dtype == np.float64
    assert column.notes == ("integers stored as float64, since some are missing: 1",)
    column = normalize_column(np.ma.MaskedArray([1, 2**60 + 1, -(2**63)], mask=[True, False, False]), NOTHING)
    assert (column.kind, column.array.tolist()) == ("text", [b"", b"1152921504606846977", b"-9223372036854775808"])
    assert column.notes == ("integers above 2^53 stored as text to keep their digits, since some are missing: 1",)


@pytest.mark.parametrize(
    ("values", "missing", "expected"),
    [
        (np.array([-99, 5, 7], np.int32), -99.0, [np.nan, 5, 7]),
        (np.array([-99, 5, 7], np.float32), -99.0, [np.nan, 5, 7]),
        (np.array([0.1, 5, 7], np.float32), 0.1, [np.nan, 5, 7]),
        (np.array([255, 5, 7], np.uint8), -99.0, [255, 5, 7]),
        (np.array([1, 5, 7], np.int16), 0.5, [1, 5, 7]),
    ],
)
def test_sentinels_are_missing_where_the_type_can_hold_them(
    values: np.ndarray, missing: float, expected: list[float]
) -> None:
    column = normalize_column(values, ColumnDescription(missing=missing))
    assert np.array_equal(column.array, expected, equal_nan=True)
    assert column.missing_count == np.isnan(expected).sum()


def test_infinite_values_are_missing_and_counted() -> None:
    column = normalize_column(np.array([np.inf, 1, -np.inf, np.nan], np.float32), NOTHING)
    assert column.missing_count == 3
    assert column.notes == ("infinite values, read as missing: 2",)
    assert column.array.dtype == np.float32


def test_half_and_extended_floats_become_common_ones() -> None:
    assert normalize_column(np.array([1.5], np.float16), NOTHING).array.dtype == np.float32
    assert normalize_column(np.array([1.5], np.longdouble), NOTHING).array.dtype == np.float64


def test_normalising_leaves_the_values_given_as_they_are() -> None:
    values = np.ma.MaskedArray([np.inf, -99.0, 3.0], mask=[False, False, True])
    normalize_column(values, ColumnDescription(missing=-99))
    assert values.tolist() == [np.inf, -99.0, None]


def test_flags_stay_integers_also_where_some_are_missing() -> None:
    column = normalize_column(np.ma.MaskedArray([3, 4], mask=[False, True], dtype="u2"), ColumnDescription(flags=True))
    assert (column.kind, column.array.tolist(), column.missing_count) == ("flags", [3, 0], 1)
    assert column.notes == ("rows without flags, read as 0: 1",)


def as_bytes(words: list[str]) -> np.ndarray:
    return np.array([word.encode() for word in words])


@pytest.mark.parametrize("make", [as_bytes, np.array, lambda words: np.array([w or None for w in words], dtype=object)])
def test_few_words_are_a_category_with_missing_as_255(make: Callable[[list[str]], np.ndarray]) -> None:
    column = normalize_column(make(["b ", "", "ä", "b"]), NOTHING)
    assert (column.kind, column.vocabulary) == ("category", ("b", "ä"))
    assert column.array.tolist() == [0, 255, 1, 0]
    assert column.missing_count == 1


@pytest.mark.parametrize(("n_words", "kind"), [(255, "category"), (256, "text")])
def test_up_to_255_words_are_a_category(n_words: int, kind: str) -> None:
    words = [f"word {i:03d}" for i in range(n_words)]
    column = normalize_column(np.array([*words, "", *words], dtype=object), NOTHING)
    assert (column.kind, column.missing_count) == (kind, 1)
    if kind == "category":
        assert [column.vocabulary[code] for code in column.array[:n_words]] == words
    else:
        assert column.array.dtype == "S8"
        assert column.array[[0, n_words]].tolist() == [b"word 000", b""]


def test_masked_text_is_missing() -> None:
    column = normalize_column(np.ma.MaskedArray(["a", "b"], mask=[False, True]), NOTHING)
    assert (column.array.tolist(), column.vocabulary) == ([0, 255], ("a",))


def test_text_of_an_id_is_never_a_category() -> None:
    column = normalize_column(np.array(["ä1", "b"], dtype=object), NOTHING, identifier=True)
    assert (column.kind, column.array.tolist()) == ("text", ["ä1".encode(), b"b"])


def test_long_text_is_cut_between_characters_with_a_note() -> None:
    column = normalize_column(np.array(["ä" * 300, "b"], dtype=object), NOTHING, identifier=True)
    assert column.array[0].decode() == "ä" * 128
    assert column.notes == ("texts cut after 128 characters: 1",)


def test_bytes_that_are_no_utf8_are_read_all_the_same() -> None:
    assert normalize_column(np.array([b"caf\xe9", b"b"]), NOTHING).vocabulary == ("b", "café")
