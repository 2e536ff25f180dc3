"""Ids and names of columns: found, cleaned, unique, and every assumption noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.catalog.reserved_names import OF_AN_ATLAS
from atlas.errors import UnknownColumnError
from atlas.storage.layout import NAME
from precompute.errors import SourceError
from precompute.source_description import (
    ColumnDescription,
)
from precompute.sources.checks import find_repeated
from precompute.sources.column_types import clean_name, plan_columns
from precompute.sources.source import open_source
from precompute.sources.tables.file_column import FileColumn

from .written_sources import BIG, N, a_table, embeddings, normalized, positions, write_fits, write_source

# Ids


def test_ids_that_are_unique_only_together_are_found(tmp_path: Path) -> None:
    ids = {"release": [9010, 9011] * 6, "brickid": np.arange(N) // 4, "objid": (np.arange(N) // 2) % 2}
    write_source(tmp_path, {**positions(), **ids})
    catalog = open_source(tmp_path).check()
    assert catalog.id_columns == ("release", "brickid", "objid")
    assert "galaxies are named by release, brickid, objid" in catalog.notes


@pytest.mark.parametrize("name", ["objid", "SOURCE_ID", "id", "object_id"])
@pytest.mark.parametrize("values", [np.arange(N) + BIG, [f"J{i:04d}" for i in range(N)]])
def test_a_unique_id_column_is_found_by_its_name(tmp_path: Path, name: str, values: Any) -> None:
    write_source(tmp_path, {**positions(), name: values})
    assert open_source(tmp_path).check().id_columns == (name,)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1] * N, "the id (objid) of an earlier row is repeated in 11 rows"),
        (np.arange(N, dtype=np.float64), "holds float64; ids are integers or text"),
        (pa.array([None, *range(N - 1)]), "is missing in 1 row"),
    ],
)
def test_without_a_good_id_the_row_becomes_the_id_and_the_reason_is_noted(
    tmp_path: Path, values: Any, why: str
) -> None:
    write_source(tmp_path, {**positions(), "objid": values})
    source = open_source(tmp_path)
    catalog = source.check()
    assert catalog.id_columns == ("source_row",)
    assert catalog.column_names == ("objid", "source_row")
    assert source.read_column("source_row").tolist() == list(range(N))
    assert source.description.columns["source_row"].ucd == "meta.id;meta.main"
    assert any("objid cannot name the galaxies" in note and why in note for note in catalog.notes)
    assert "no column names the galaxies; source_row, counted from 0, does" in catalog.notes


def test_repeated_ids_are_counted_with_examples(tmp_path: Path) -> None:
    ids = {"field": ["a"] * 6 + ["b"] * 6, "number": [0, 1, 2, 3, 4, 2, 0, 1, 2, 3, 3, 3]}
    write_source(tmp_path, {**positions(), **ids}, id_columns=("field", "number"))
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path).check()
    assert "the id (field, number) of an earlier row is repeated in 3 rows" in str(caught.value)
    assert "a, 2 in rows 2 and 5; b, 3 in rows 9 and 10; b, 3 in rows 9 and 11" in str(caught.value)


def test_ids_repeated_in_a_fits_file_are_found_too(tmp_path: Path) -> None:
    table = a_table()
    table["objid"][5] = table["objid"][2]
    write_fits(tmp_path / "catalog.fits", table)
    np.save(tmp_path / "embeddings.npy", embeddings())
    with pytest.raises(
        SourceError, match=rf"the id \(objid\) of an earlier row is repeated in 1 row; .* {BIG + 2} in rows 2 and 5"
    ):
        open_source(tmp_path, id_columns=("objid",)).check()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.arange(N) + 0.0, "id column 'key' holds float64; ids are integers or text"),
        (pa.array([None, *range(N - 1)]), r"id column 'key' is missing in 1 row; first rows \(from 0\): 0"),
        (["a", " ", *"cdefghijkl"], r"id column 'key' is missing in 1 row; first rows \(from 0\): 1"),
        (["x" * 200, *"bcdefghijkl"], "id column 'key': texts cut after 128 characters: 1"),
    ],
)
def test_ids_that_cannot_name_a_galaxy_are_refused(tmp_path: Path, values: Any, match: str) -> None:
    write_source(tmp_path, {**positions(), "key": values}, id_columns=("key",))
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path).check()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-2, 2), st.sampled_from(["", "a", "ab", "ä"])), min_size=1, max_size=40
    )
)
@settings(max_examples=200, derandomize=True, database=None)
def test_repeated_rows_are_those_that_a_set_has_seen(rows: list[tuple[int, int, str]]) -> None:
    seen: set[tuple[int, int, str]] = set()
    expected = [i for i, row in enumerate(rows) if row in seen or seen.add(row)]
    columns = [
        np.array([row[0] for row in rows], dtype=np.uint8),
        np.array([row[1] for row in rows]),
        np.array([row[2].encode() for row in rows], dtype="S4"),
    ]
    assert find_repeated(columns).tolist() == expected


def test_an_id_equal_to_its_sentinel_is_missing(tmp_path: Path) -> None:
    told = {"key": ColumnDescription(missing=-1)}
    write_source(tmp_path, {**positions(), "key": np.arange(N) - 1}, id_columns=("key",), columns=told)
    with pytest.raises(SourceError, match=r"id column 'key' is missing in 1 row; first rows \(from 0\): 0"):
        open_source(tmp_path).check()


def test_integer_ids_are_stored_as_the_integers_they_are(tmp_path: Path) -> None:
    told = {"key": ColumnDescription(missing=-1)}
    write_source(tmp_path, {**positions(), "key": np.arange(N) + BIG}, id_columns=("key",), columns=told)
    source = open_source(tmp_path)
    source.check()
    assert normalized(source, "key").array.tolist() == [BIG + i for i in range(N)]


# Names


def test_unknown_columns_are_all_named_with_the_nearest_name(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "objid": np.arange(N)})
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path, ra="raa", id_columns=("obj_id", "objid"))
    assert "2 problems" in str(caught.value)
    assert "no column 'raa'; did you mean 'ra'?" in str(caught.value)
    assert "no column 'obj_id'; did you mean 'objid'?" in str(caught.value)


def test_reading_an_unknown_column_suggests_the_nearest(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "mag_r": np.arange(N)})
    with pytest.raises(UnknownColumnError, match="did you mean 'mag_r'"):
        open_source(tmp_path).read_column("mag_rr")


def test_names_are_cleaned_without_collisions_and_that_is_noted(tmp_path: Path) -> None:
    value = np.arange(N)
    names = ["flux b", "flux_b", "2mass_j", "Cluster", "map_x", "é mag", "Mag", "mag", "_x", "%"]
    write_source(tmp_path, {**positions(), **{name: value + i for i, name in enumerate(names)}})
    source = open_source(tmp_path)
    assert source.column_names == (
        "flux_b_2",
        "flux_b",
        "c_2mass_j",
        "survey_Cluster",
        "survey_map_x",
        "e_mag",
        "Mag",
        "mag_2",
        "x",
        "column",
    )
    assert [int(source.read_column(name)[0]) for name in source.column_names] == list(range(len(names)))
    [note] = [note for note in source.notes if "renamed" in note]
    assert "'flux b' is called flux_b_2" in note and "'Cluster' is called survey_Cluster" in note


def test_ids_and_truth_follow_a_renamed_column(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "my id": np.arange(N)}, id_columns=("my id",), ground_truth=("my id",))
    source = open_source(tmp_path)
    assert source.check().id_columns == ("my_id",)
    assert source.description.ground_truth == ("my_id",)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=12, unique=True))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_stored_name_is_allowed_free_and_different_beyond_case(names: list[str]) -> None:
    stored, _ = plan_columns([FileColumn(name=name, kind="number", type_name="int64") for name in names])
    assert [column.file_name for column in stored] == names
    assert all(NAME.fullmatch(column.name) for column in stored)
    assert not OF_AN_ATLAS & {column.name.lower() for column in stored}
    assert len({column.name.lower() for column in stored}) == len(names)


@given(
    st.from_regex(NAME, fullmatch=True).filter(lambda name: name.lower() not in OF_AN_ATLAS and not name.endswith("_"))
)
@settings(max_examples=100, derandomize=True, database=None)
def test_a_good_name_is_its_own_clean_name(name: str) -> None:
    assert clean_name(name) == name
