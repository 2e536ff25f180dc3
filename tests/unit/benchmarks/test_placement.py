"""Placement is compared by what the stage does and by measures that know good from bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.storage import layout
from benchmarks.placement import Placed, draw, fit_umap, judge, kept_share, place_by_umap, place_ours, to_markdown
from precompute.config import BuildConfig
from precompute.stages import place
from precompute.stages.stage import StageContext
from precompute.stages.umap import ANCHORS_XY, normalise_map, pca_layout

ANCHORS = 1_200
HELD_OUT = 300


@pytest.fixture(scope="module")
def survey() -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    embeddings = draw(ANCHORS + HELD_OUT)
    return embeddings[:ANCHORS], embeddings[ANCHORS:]


def test_ours_is_what_the_stage_writes(survey: tuple[NDArray, NDArray], tmp_path: Path) -> None:
    anchors, rows = survey
    raw = pca_layout(anchors.astype(np.float32))
    ctx = StageContext(tmp_path, BuildConfig(), name="place", quiet=True)
    ctx.save(ctx.space / layout.EMBEDDINGS, np.concatenate([anchors, rows]))
    ctx.save(ctx.space / layout.MAP / "subsample.npy", np.arange(ANCHORS, dtype=np.uint32))
    ctx.save(ctx.space / layout.MAP / ANCHORS_XY, normalise_map(raw))
    place.STAGE.run(ctx)
    written = np.stack([np.load(ctx.space / layout.COLUMNS / f"map_{axis}.npy") for axis in "xy"], axis=1)

    placed = place_ours(anchors, raw, rows, BuildConfig())
    assert np.array_equal(placed.positions, written[ANCHORS:])
    assert np.array_equal(placed.anchors, written[:ANCHORS])


def test_share_kept_counts_common_neighbours_in_any_order() -> None:
    nearest = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert kept_share(nearest, nearest[:, ::-1]) == 1
    assert kept_share(nearest, np.array([[4, 9, 10, 11], [5, 6, 20, 21]])) == pytest.approx(3 / 8)
    assert kept_share(nearest, nearest + 100) == 0


def test_measures_know_a_right_place_from_a_wrong_one() -> None:
    rng = np.random.default_rng(3)
    true = rng.uniform(-0.3, 0.3, (1_500, 2)).astype(np.float32)
    # A patch of a sphere: neighbours by inner product are neighbours in the plane, but for its slight curvature.
    patch = np.column_stack([true, np.sqrt(1 - (true**2).sum(axis=1))])
    anchors, rows = patch[:1_200], patch[1_200:]
    right = judge(anchors, rows, Placed("right", true[:1_200], true[1_200:], 0.0, 3.0))
    wrong = judge(anchors, rows, Placed("wrong", true[:1_200], rng.permutation(true[1_200:]), 0.0, 3.0))
    assert right["neighbors_kept"] > 0.9 > 0.1 > wrong["neighbors_kept"]
    assert right["trustworthiness"] > 0.99 and wrong["trustworthiness"] < 0.7
    assert right["strays"] == 0 and wrong["strays"] > 0.7
    assert right["seconds_a_row"] == 0.01

    larger = judge(anchors, rows, Placed("right", 40 * true[:1_200] + 7, 40 * true[1_200:] + 7, 0.0, 3.0))
    assert larger == right  # the units of a map do not matter


def test_umap_places_rows_near_what_they_resemble(survey: tuple[NDArray, NDArray]) -> None:
    anchors, rows = survey
    reducer = fit_umap(anchors[:600], BuildConfig(n_epochs=50))
    placed = place_by_umap(reducer, rows[:120])
    assert placed.positions.shape == (120, 2) and placed.anchors.shape == (600, 2)
    found = judge(anchors[:600], rows[:120], placed)
    shuffled = Placed("shuffled", placed.anchors, placed.positions[::-1], 0.0, 1.0)
    by_chance = judge(anchors[:600], rows[:120], shuffled)
    assert found["neighbors_kept"] > 4 * by_chance["neighbors_kept"]
    run = {"held_out": 120, "anchors": 600, "umap_fit_s": 1.0, "machine_load": 0.5, "methods": [found, by_chance]}
    text = to_markdown({"command": "c", "date": "d", "machine": "m", "versions": {"numpy": "2"}}, run)
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {7}
