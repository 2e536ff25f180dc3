"""Embeddings of a user's own survey: read in chunks, normalised, and every bad row counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from precompute.errors import SourceError
from precompute.source_description import (
    BackgroundDescription,
)
from precompute.sources.embeddings import EmbeddingReport, check_and_normalize
from precompute.sources.source import Source, open_source

from .written_sources import N, broken_positions, embeddings, positions, write_source


def chunked(source: Source, chunk: int) -> tuple[np.ndarray, EmbeddingReport]:
    parts, report, expected_start = [], EmbeddingReport(), 0
    for start, rows in source.embedding_chunks(chunk):
        assert start == expected_start and len(rows) <= chunk and rows.dtype == np.float32
        unit, found = check_and_normalize(rows, start)
        parts.append(unit)
        report += found
        expected_start += len(rows)
    return np.concatenate(parts), report


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_embeddings_of_any_float_are_normalised_and_that_is_counted(tmp_path: Path, dtype: str, chunk: int) -> None:
    rows = embeddings().astype(dtype)
    unit, report = chunked(open_source(write_source(tmp_path, positions(), rows=rows)), chunk)
    expected = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(unit, expected, rtol=1e-6)
    assert report.problems == []
    assert report.notes == ["embeddings normalised, since they were not of unit length: 12 of 12"]


def test_unit_rows_in_half_precision_are_not_called_normalised(tmp_path: Path) -> None:
    rows = embeddings(N, 128)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    _, report = chunked(open_source(write_source(tmp_path, positions(), rows=rows.astype(np.float16))), 5)
    assert report.notes == []


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_embeddings_in_a_parquet_column_are_found_and_read_in_chunks(tmp_path: Path, kind: str) -> None:
    rows = embeddings(50, 9)
    values = pa.array(rows.ravel())
    lists = {
        "list": lambda: pa.array(list(rows), pa.list_(pa.float32())),
        "large_list": lambda: pa.array(list(rows), pa.large_list(pa.float32())),
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(values, 9),
    }
    table = pa.table({**positions(50), "latent": lists[kind](), "mag": np.arange(50)})
    pq.write_table(table, tmp_path / "catalog.parquet", row_group_size=17)
    source = open_source(tmp_path)
    assert (source.dimension, source.column_names) == (9, ("mag",))
    for chunk in (7, 1000):
        unit, _ = chunked(source, chunk)
        np.testing.assert_allclose(unit, rows / np.linalg.norm(rows, axis=1, keepdims=True), rtol=1e-5)


def test_named_embeddings_go_before_embeddings_npy(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "v": list(embeddings(N, 4))})
    np.save(tmp_path / "other.npy", embeddings(N, 5))
    assert open_source(tmp_path).dimension == 6
    assert open_source(tmp_path, embeddings="v").dimension == 4
    assert open_source(tmp_path, embeddings="other.npy").dimension == 5
    assert open_source(tmp_path, embeddings=str(tmp_path / "other.npy")).dimension == 5


def test_bad_embeddings_are_counted_over_all_chunks_with_the_first_rows(tmp_path: Path) -> None:
    rows = embeddings(40)
    rows[[3, 11, 12, 25, 26, 39], [0, 1, 2, 3, 4, 5]] = [np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan]
    rows[[7, 38]] = 0
    unit, report = chunked(open_source(write_source(tmp_path, positions(40), rows=rows)), 6)
    assert report.problems == [
        "NaN or infinity in 6 embeddings; first rows (from 0): 3, 11, 12, 25, 26; --drop-bad-rows leaves such rows out",
        "only zeros in 2 embeddings; first rows (from 0): 7, 38; --drop-bad-rows leaves such rows out",
    ]
    assert np.isfinite(unit).all()
    good = np.setdiff1d(np.arange(40), [3, 7, 11, 12, 25, 26, 38, 39])
    np.testing.assert_allclose(np.linalg.norm(unit[good], axis=1), 1, rtol=1e-6)


@given(hnp.arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_row_is_of_unit_length_or_reported(rows: np.ndarray) -> None:
    unit, report = check_and_normalize(rows, 100)
    is_bad = ~np.isfinite(rows).all(axis=1)
    is_zero = (rows == 0).all(axis=1)
    assert list(report.first_bad) == (np.flatnonzero(is_bad) + 100).tolist()
    assert list(report.first_zero) == (np.flatnonzero(is_zero) + 100).tolist()
    np.testing.assert_allclose(np.linalg.norm(unit[~is_bad & ~is_zero].astype(np.float64), axis=1), 1, rtol=1e-6)
    assert not unit[is_bad | is_zero].any()


def test_null_lists_and_numbers_count_as_bad_embeddings(tmp_path: Path) -> None:
    rows: list[Any] = [list(row) for row in embeddings(N, 3)]
    rows[4] = None
    rows[6][1] = None
    lists = pa.array(rows, pa.list_(pa.float64()))
    pq.write_table(pa.table({**positions(), "embedding": lists}), tmp_path / "catalog.parquet")
    _, report = chunked(open_source(tmp_path), 5)
    assert report.first_bad == (4, 6)


def test_lists_of_different_lengths_are_named(tmp_path: Path) -> None:
    rows: list[Any] = [list(row) for row in embeddings(N, 3)]
    rows[8] = [1.0]
    lists = pa.array(rows, pa.list_(pa.float64()))
    pq.write_table(pa.table({**positions(), "embedding": lists}), tmp_path / "catalog.parquet")
    with pytest.raises(
        SourceError, match=r"lists of different lengths: the first has 3; first rows \(from 0\): 8 \(1\)"
    ):
        chunked(open_source(tmp_path), 5)


def test_different_numbers_of_rows_are_named(tmp_path: Path) -> None:
    write_source(tmp_path, positions(), rows=embeddings(N - 1))
    with pytest.raises(
        SourceError, match=r"the catalogue has 12 rows, but there are 11 embeddings \(embeddings\.npy\)"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(N, np.float32), r"holds float32 of shape \(12,\); embeddings are floats of shape"),
        (np.zeros((N, 2), np.int8), r"holds int8 of shape \(12, 2\)"),
        (np.array([[object()]]), "missing, truncated or not an .npy array"),
    ],
)
def test_arrays_that_are_no_embeddings_are_named(tmp_path: Path, array: np.ndarray, match: str) -> None:
    write_source(tmp_path, positions())
    np.save(tmp_path / "embeddings.npy", array, allow_pickle=True)
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"truncated"])
def test_broken_npy_files_are_named(tmp_path: Path, data: bytes) -> None:
    path = write_source(tmp_path, positions()) / "embeddings.npy"
    path.write_bytes(data if data != b"truncated" else path.read_bytes()[:-1])
    with pytest.raises(SourceError, match=r"embeddings\.npy is missing, truncated or not an \.npy array"):
        open_source(tmp_path)


def test_missing_embeddings_and_wrong_names_say_what_is_needed(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "mag": np.arange(N)})
    with pytest.raises(SourceError, match="embeddings 'nothing' are neither a file nor a column"):
        open_source(tmp_path, embeddings="nothing")
    with pytest.raises(SourceError, match=r"column 'mag' \(int64\) holds no embeddings"):
        open_source(tmp_path, embeddings="mag")
    (tmp_path / "embeddings.npy").unlink()
    with pytest.raises(
        SourceError, match=r"no embeddings: neither embeddings\.npy beside the catalogue nor a column of lists"
    ):
        open_source(tmp_path)


def test_arrays_beside_a_table_are_joined_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_source(tmp_path, positions())
    rows = embeddings(N)
    (tmp_path / "embeddings.npy").unlink()
    for number, start in ((2, 0), (9, 3), (10, 4)):
        np.save(tmp_path / f"model_outputs_{number}.npy", rows[start : {0: 3, 3: 4, 4: N}[start]])
    source = open_source(tmp_path)
    np.testing.assert_array_equal(np.concatenate([part for _, part in source.embedding_chunks(2)]), rows)
    np.save(tmp_path / "embeddings_0.npy", rows)
    with pytest.raises(SourceError, match="2 sets of embeddings"):
        open_source(tmp_path)
    assert open_source(tmp_path, embeddings="model_outputs").dimension == rows.shape[1]


def test_all_that_is_wrong_on_opening_is_said_at_once(tmp_path: Path) -> None:
    background = BackgroundDescription("sky.png", 0, 0, 1, 1)
    write_source(tmp_path, {"x": np.arange(N)}, rows=embeddings(3), sky_background=background, image_column="picture")
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path, images=tmp_path / "pictures")
    text = str(caught.value)
    assert "6 problems" in text
    for part in (
        "no column 'picture'",
        "no column of right ascension",
        "no column of declination",
        "12 rows, but there are 3 embeddings",
        "pictures is not a folder of images",
        "the picture of the sky, sky.png, is missing",
    ):
        assert part in text


def test_all_that_is_wrong_with_the_rows_is_said_at_once(tmp_path: Path) -> None:
    columns = broken_positions("dec", {1: 95, 2: np.nan})
    write_source(tmp_path, {**columns, "objid": [1] * N}, id_columns=("objid",))
    with pytest.raises(SourceError, match="3 problems"):
        open_source(tmp_path).check()
