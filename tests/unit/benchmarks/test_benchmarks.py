"""What stands side by side in a benchmark is the same question: each gives the same answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bare_atlas import bare_atlas
from benchmarks.planes import RASTER, Questions, draw_columns, duckdb_of, measure, to_markdown

N = 30_000


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, Any]]:
    """Of the atlas, numpy and duckdb, to every question about the tenth view."""
    folder = tmp_path_factory.mktemp("benchmark")
    columns = draw_columns(N)
    connection = duckdb_of(columns)
    questions = Questions(bare_atlas(folder / "build", columns), folder / "scratch")
    return {
        line.what: (
            line.ours(10),
            line.numpy and line.numpy(10),
            line.duckdb and connection.execute(line.duckdb(10)).fetchnumpy(),
        )
        for line in questions.lines()
    }


def test_views_show_the_same_rows(answers: dict[str, tuple[Any, Any, Any]]) -> None:
    sample, rows, table = answers["viewport, 20,000 points"]
    assert set(sample.rows) == set(rows) == set(table["row"])
    ours, numpy, table = answers["exact count in view"]
    assert ours == numpy == table["count_star()"][0] == sample.in_view > 100
    sample, rows, _ = answers["viewport, a tenth selected"]
    assert set(sample.rows) == set(rows)


def test_pictures_show_the_same_counts_and_means(answers: dict[str, tuple[Any, Any, Any]]) -> None:
    density, numpy, table = answers["density 480 × 480"]
    total = answers["exact count in view"][0]
    assert density.counts.sum() == numpy.sum() == table["count_star()"].sum() == total
    assert np.mean(density.counts == numpy.reshape(RASTER, RASTER)) > 0.999  # but for points on an edge, in float32
    mean, sums, _ = answers["mean of a column 480 × 480"]
    with np.errstate(invalid="ignore"):
        expected = sums.reshape(RASTER, RASTER) / numpy.reshape(RASTER, RASTER)
    assert np.mean(np.isclose(mean, expected, rtol=1e-5, equal_nan=True)) > 0.999


def test_selections_hold_the_same_rows(answers: dict[str, tuple[Any, Any, Any]]) -> None:
    for what in ("filter on three columns", "cone of 1°", "lasso with a tenth of all rows"):
        mask, numpy, table = answers[what]
        assert mask.count > 0
        assert np.count_nonzero(mask.dense != numpy) <= 1e-4 * N  # a lasso's corners are rounded
        if table is not None:
            assert np.array_equal(np.sort(table["row"]), mask.rows)
    assert abs(answers["lasso with a tenth of all rows"][0].count / N - 0.1) < 0.02
    assert abs(answers["lasso on two columns, no plane"][0].count / N - 0.1) < 0.02


def test_a_page_of_the_table_is_the_same(answers: dict[str, tuple[Any, Any, Any]]) -> None:
    rows, numpy, table = answers["page of a table, anywhere"]
    assert rows.size == 100
    assert np.array_equal(rows, numpy) and np.array_equal(rows, table["row"])


def test_results_come_as_tables(tmp_path: Path) -> None:
    runs = [measure(n, tmp_path / str(n)) for n in (2_000, 3_000)]
    about = {"command": "c", "date": "d", "cores": 2, "machine": "m", "versions": {"numpy": "2"}}
    tables = [line for line in to_markdown(about, runs).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4, 5, 6}
    assert "| what | 2,000 | 3,000 | target |" in tables
