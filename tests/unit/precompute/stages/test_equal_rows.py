"""Rows of equal embeddings: one stands for all on the map, and none is searched for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas import Atlas
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.sources.source import open_source
from precompute.stages.equal_rows import equal_rows


@pytest.mark.parametrize(("d", "dtype"), [(1, np.float16), (5, np.float16), (6, np.float32), (32, np.float16)])
def test_equal_rows_are_found_by_value(d: int, dtype: type) -> None:
    random = np.random.default_rng(d)
    distinct = random.normal(size=(50, d)).astype(dtype)
    of = random.integers(0, 50, 400)
    of[::3] = 7
    found = equal_rows(distinct[of], 12)
    _, inverse, counts = np.unique(distinct[of], axis=0, return_inverse=True, return_counts=True)
    expected = [np.flatnonzero(inverse == group)[0] for group in range(counts.size)]
    np.testing.assert_array_equal(found.first, np.sort(expected))
    np.testing.assert_array_equal(found.crowd >= 0, counts[inverse] > 13)
    assert all(
        (found.crowd[members] == crowd).all() and members.size == 13 for crowd, members in enumerate(found.members)
    )
    for row, nearest in zip((0, 3, 399), found.neighbors(np.array([0, 3, 399])), strict=True):
        assert nearest.size == 12 and row not in nearest and (of[nearest] == 7).all()


def test_numbers_that_differ_in_signs_alone_are_no_equals() -> None:
    rows = np.ones((4, 8), dtype=np.float16)
    rows[1, [3, 7]] *= -1
    rows[2], rows[3] = 0, -0.0
    assert equal_rows(rows, 1).first.tolist() == [0, 1, 2]


def survey(folder: Path, n: int, equal: int) -> Path:
    """Galaxies of four kinds, and `equal` whose picture is of nothing."""
    random = np.random.default_rng(8)
    folder.mkdir()
    centres = random.normal(size=(4, 16))
    rows = (centres[np.arange(n) % 4] + 0.25 * random.normal(size=(n, 16))).astype(np.float32)
    rows[random.choice(n, equal, replace=False)] = np.ones(16)
    np.save(folder / "embeddings.npy", rows)
    pq.write_table(
        pa.table({"ra": random.uniform(0, 9, n), "dec": random.uniform(0, 9, n)}), folder / "catalog.parquet"
    )
    return folder


@pytest.mark.parametrize("equal", [pytest.param(100, marks=pytest.mark.soak), 1_000])
def test_a_tenth_or_all_of_equal_galaxies_make_no_clusters(equal: int, tmp_path: Path) -> None:
    """As scaled down from 2,000 of 20,000, which made 23 clusters."""
    config = BuildConfig(n_epochs=30, recall_queries=10, threads=1)
    build(open_source(survey(tmp_path / "source", 1_000, equal)), tmp_path / "atlas", config, quiet=True)
    atlas = Atlas.open(tmp_path / "atlas")
    columns = atlas.columns("v1")
    same = (atlas.space().embeddings == np.full(16, 0.25, dtype=np.float16)).all(axis=1)
    assert np.count_nonzero(same) == equal
    places = np.stack([columns.array("map_x"), columns.array("map_y")], axis=1)[same]
    assert np.ptp(places, axis=0).max() == 0
    assert len(np.unique(columns.array("cluster")[same])) == 1
    assert len(atlas.space().clusters) <= (4 if equal < 1_000 else 0)
    assert same[atlas.space().neighbors[same]].all()
    assert any(f"{equal:,} galaxies share 1 embedding" in note for note in atlas.manifest.provenance.notes)
