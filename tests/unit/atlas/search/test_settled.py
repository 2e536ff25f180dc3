"""Searches for embeddings between the groups that galaxies fall into, on a real index, beside the exact scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.queries.feedback import embedding_of_examples
from atlas.search.exact import exact_scores, top_k_exact
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import ExactIndex, open_index
from atlas.search.quality import Quality, choose_setting
from atlas.search.settled import search_as
from precompute.stages import measure
from precompute.stages.index.stage import build_index
from precompute.stages.stage import BuildConfig

ROWS = 10_000
WIDTH = 32
GROUPS = 8
K = 100
LITTLE = SearchSetting(10, 200)


@pytest.fixture(scope="module")
def galaxies() -> NDArray[np.float16]:
    """Wide groups in all directions: the mean of examples from several lies in none."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(GROUPS, WIDTH))
    rows = np.repeat(centers, ROWS // GROUPS, axis=0) + rng.normal(size=(ROWS, WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def index(galaxies: NDArray[np.float16], tmp_path_factory: pytest.TempPathFactory) -> NeighborIndex:
    folder: Path = tmp_path_factory.mktemp("settled") / "index"
    build_index(galaxies, folder, engine="scann", config=BuildConfig(threads=1), step=lambda _: None)
    return open_index(folder, galaxies)


def recall(kind: str, index: NeighborIndex, galaxies: NDArray[np.float16], setting: SearchSetting, wanted: int,
           unwanted: int, apart: bool) -> NDArray[np.float64]:  # fmt: skip
    """Of searches for examples that are of one group or of any."""
    rng = np.random.default_rng([wanted, unwanted, apart])
    found = []
    for _ in range(20):
        among = ROWS if apart else ROWS // GROUPS
        rows = rng.choice(among, wanted + unwanted, replace=False)
        q = embedding_of_examples(galaxies[rows[:wanted]], galaxies[rows[wanted:]])
        skip = rows.tolist()
        _, truth = top_k_exact(galaxies, q, K, skip=skip)
        rows_found, scores = search_as(kind, index, galaxies, q, K, setting, skip)
        assert not set(rows_found.tolist()) & set(skip)
        assert np.array_equal(scores, exact_scores(galaxies, rows_found, q))
        found.append((scores >= truth[-1] - 1e-6).mean())
    return np.array(found)


MIXTURES = [(2, 0, True), (3, 0, False), (3, 0, True), (3, 3, True), (10, 1, True), (1, 3, False)]


@pytest.mark.parametrize(("wanted", "unwanted", "apart"), MIXTURES)
def test_recall_that_is_told_is_true_for_every_mixture_of_examples(
    index: NeighborIndex, galaxies: NDArray[np.float16], told: Quality, wanted: int, unwanted: int, apart: bool
) -> None:
    setting, line = choose_setting(told, "examples", K)
    assert line is not None
    found = recall("examples", index, galaxies, setting, wanted, unwanted, apart)
    assert found.mean() == pytest.approx(line.mean, abs=0.01)
    assert found.min() > 0.9


@pytest.fixture(scope="module")
def told(index: NeighborIndex, galaxies: NDArray[np.float16]) -> Quality:
    """What a build would measure of it."""
    known = np.arange(0, ROWS, 100, dtype=np.uint32)
    nearest = np.array([top_k_exact(galaxies, galaxies[row].astype(np.float32), 3, skip=[row])[0] for row in known])
    kinds = measure.make_queries(
        galaxies, known, nearest.astype(np.uint32), galaxies[:0].astype(np.float32), 40, np.random.default_rng(0)
    )
    table = measure.measure_recall(index, galaxies, {"examples": kinds["examples"]})
    return Quality(engine="scann", recall=table, trustworthiness=1, trustworthiness_rows=0,
                   trustworthiness_neighbors=0, trust_mean=1, trust_share=1)  # fmt: skip


def test_a_little_search_is_widened_only_where_queries_differ(
    index: NeighborIndex, galaxies: NDArray[np.float16]
) -> None:
    once = recall("row", index, galaxies, LITTLE, 3, 0, apart=True)
    assert once.mean() < 0.9, "or there is nothing to see here"
    assert recall("examples", index, galaxies, LITTLE, 3, 0, apart=True).mean() > 0.99


def test_an_exact_index_is_asked_once(galaxies: NDArray[np.float16], monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ExactIndex(galaxies)
    asked: list[SearchSetting] = []
    candidates = exact.candidates
    monkeypatch.setattr(exact, "candidates", lambda q, setting: (asked.append(setting), candidates(q, setting))[1])
    search_as("examples", exact, galaxies, galaxies[0].astype(np.float32), 5, SearchSetting(1, 100))
    assert len(asked) == 1
