"""Values of a further catalogue, in the columns of an atlas: without loss, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.storage.manifest import Column
from precompute.build.conform import conform
from precompute.errors import SourceError
from precompute.sources.column_types import MISSING_CODE, NormalizedColumn


def column(kind: str, dtype: str, *vocabulary: str) -> Column:
    return Column(name="x", file="columns/x.npy", dtype=dtype, kind=kind, vocabulary=vocabulary)  # type: ignore[arg-type]


def test_words_that_are_new_come_after_those_known() -> None:
    values = NormalizedColumn("category", np.array([0, 1, 2, MISSING_CODE], dtype=np.uint8), ("COMP", "DEV", "SER"))
    codes, words = conform(values, column("category", "uint8", "DEV", "EXP", "SER"))
    assert words == ("DEV", "EXP", "SER", "COMP")
    assert codes.tolist() == [3, 0, 2, MISSING_CODE] and codes.dtype == np.uint8


def test_text_of_few_words_and_of_many_go_either_way() -> None:
    few = NormalizedColumn("category", np.array([1, 0, MISSING_CODE], dtype=np.uint8), ("Abell 1", "Coma"))
    array, _ = conform(few, column("text", "S8"))
    assert array.tolist() == [b"Coma", b"Abell 1", b""]
    many = NormalizedColumn("text", np.array([b"DEV", b"", b"PSF"], dtype="S3"))
    codes, words = conform(many, column("category", "uint8", "DEV"))
    assert codes.tolist() == [0, MISSING_CODE, 1] and words == ("DEV", "PSF")


@pytest.mark.parametrize(
    ("array", "dtype", "expected"),
    [
        (np.array([1, 2, 3], dtype=np.int16), "int64", [1, 2, 3]),
        (np.array([1, 2, 3], dtype=np.int64), "float32", [1.0, 2.0, 3.0]),
        (np.array([1.0, 250.0]), "uint8", [1, 250]),
        (np.array([19.123456789]), "float32", [np.float32(19.123456789)]),
    ],
)
def test_numbers_take_the_type_of_the_atlas(array: np.ndarray, dtype: str, expected: list[float]) -> None:
    found, _ = conform(NormalizedColumn("number", array), column("number", dtype))
    assert found.dtype == dtype and found.tolist() == expected


def test_missing_numbers_stay_missing() -> None:
    found, _ = conform(NormalizedColumn("number", np.array([np.nan, 1.0])), column("number", "float32"))
    assert np.isnan(found[0]) and found[1] == 1


@pytest.mark.parametrize(
    ("values", "stored", "told"),
    [
        (NormalizedColumn("number", np.array([1.0, np.nan])), column("number", "int32"), "is missing in 1 row"),
        (NormalizedColumn("number", np.array([1, 300])), column("number", "uint8"), "the first is 300 in row 1"),
        (NormalizedColumn("number", np.array([1.5])), column("number", "int32"), "cannot hold; the first is 1.5"),
        (NormalizedColumn("number", np.array([2**60 + 1])), column("number", "float64"), "float64"),
        (NormalizedColumn("number", np.array([1e300])), column("number", "float32"), "float32"),
        (
            NormalizedColumn("number", np.array([1.0])),
            column("category", "uint8", "a"),
            "holds numbers where the atlas has words",
        ),
        (
            NormalizedColumn("text", np.array([b"DEV"])),
            column("number", "float32"),
            "holds texts where the atlas has numbers",
        ),
        (NormalizedColumn("text", np.array([b"much too long"])), column("text", "S8"), "text of 13 bytes"),
        (
            NormalizedColumn("text", np.array([f"w{i}".encode() for i in range(200)])),
            column("category", "uint8", *(f"v{i}" for i in range(60))),
            "200 words that the atlas does not know",
        ),
    ],
)
def test_what_a_column_cannot_hold_is_refused(values: NormalizedColumn, stored: Column, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        conform(values, stored)
