"""The measures of the quality benchmark, on embeddings for which they can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulated_quality import artefact_detection, as_text, lens_retrieval, measure, precision
from benchmarks.simulated_sheet import to_rgb
from precompute.simulation.rendering.parameters import CLASS_NAMES, DISC, ELLIPTICAL, LENS, TRAIL

AXES = np.eye(8, dtype=np.float32)


def test_precision_counts_the_class_among_the_most_similar_without_the_query() -> None:
    true_class = np.repeat([ELLIPTICAL, LENS], [40, 4]).astype(np.uint8)
    embeddings = np.concatenate([np.tile(AXES[0], (40, 1)), np.tile(AXES[1], (2, 1)), np.tile(AXES[2], (2, 1))])
    scores = precision(
        embeddings + 1e-3 * np.random.default_rng(0).normal(size=(44, 8)).astype(np.float32), true_class, 1
    )
    assert scores["elliptical @10"] == 1
    # Of the three other lenses one is nearest; where the other two come is a matter of chance.
    assert 1 / 3 <= scores["lens @10"] <= 1
    assert scores["elliptical @100"] == pytest.approx(1)  # of fewer than 100 where there are no more
    assert "ring @10" not in scores


def test_lens_retrieval_is_one_where_lenses_stand_apart_and_chance_where_nothing_does() -> None:
    true_class = np.where(np.arange(400) % 40 == 0, LENS, DISC).astype(np.uint8)
    apart = AXES[(true_class == LENS).astype(int)]
    assert lens_retrieval(apart, true_class) == 1
    noise = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    assert lens_retrieval(noise / np.linalg.norm(noise, axis=1, keepdims=True), true_class) < 0.2


def test_artefacts_that_lie_far_from_everything_are_found() -> None:
    rng = np.random.default_rng(0)
    true_class = np.where(np.arange(600) < 12, TRAIL, DISC).astype(np.uint8)
    embeddings = np.where(
        (true_class == TRAIL)[:, None], rng.normal(size=(600, 8)), AXES[0] + 0.1 * rng.normal(size=(600, 8))
    )
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    magnitude = rng.uniform(14, 20, 600).astype(np.float32)
    scores = artefact_detection(embeddings.astype(np.float32), magnitude, true_class)
    assert scores["anomaly_knn, area under ROC"] > 0.95
    assert scores["anomaly, area under ROC"] > 0.95
    assert set(scores) == {
        f"{s}, {m}" for s in ("anomaly_knn", "anomaly") for m in ("area under ROC", "average precision")
    }


def test_red_light_is_shown_red_with_north_up() -> None:
    images = np.zeros((1, 3, 4, 4), np.float32)
    images[0, 2, 0, 1] = 5.0  # z, in the southernmost row
    images[0, 0, 3, 2] = 5.0  # g, in the northernmost
    rgb = to_rgb(images)[0]
    assert rgb[3, 1, 0] > 200 and rgb[3, 1, 2] < 60
    assert rgb[0, 2, 2] > 200 and rgb[0, 2, 0] < 60


def test_the_descriptor_beats_raw_pixels_but_is_not_perfect() -> None:
    result = measure(1, 700)
    ours, raw = result["scores"]["descriptor"], result["scores"]["raw pixels"]  # type: ignore[index]
    for name in ("elliptical @10", "edge-on @10", "spiral @10"):
        assert raw[name][0] < ours[name][0] < 0.99
    text = as_text(result)
    assert all(name in text for name in CLASS_NAMES if result["share"][name] > 0.01)  # type: ignore[index]
