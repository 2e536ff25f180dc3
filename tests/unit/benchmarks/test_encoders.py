"""Encoders are compared on the same surveys: what differs between surveys does not hide what differs between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.encoders import (
    DESCRIPTOR,
    PIXELS,
    RINGS,
    as_text,
    difference,
    differences_as_text,
    fill_up,
    measure_together,
    share_among_nearest,
    untrained,
)
from precompute.simulation.rendering.parameters import CLASSES, ELLIPTICAL, LENS, SPIRAL, draw_parameters


def test_a_difference_is_taken_survey_by_survey() -> None:
    mean, half = difference([0.2, 0.5, 0.81], [0.1, 0.4, 0.7])
    assert mean == pytest.approx(0.1033, abs=1e-3)
    assert half == pytest.approx(4.303 * np.std([0.1, 0.1, 0.11], ddof=1) / 3**0.5, rel=1e-3)


def test_only_what_is_surely_another_is_in_bold() -> None:
    found = {
        DESCRIPTOR: {"spiral": [0.5, 0.6, 0.7], "ring": [0.2, 0.3, 0.1], "MB for 100,000": [6.4] * 3},
        "net": {"spiral": [0.3, 0.41, 0.5], "ring": [0.3, 0.1, 0.2], "MB for 100,000": [25.6] * 3},
        "net untrained": {"spiral": [0.1, 0.21, 0.3], "ring": [0.3, 0.1, 0.2], "MB for 100,000": [25.6] * 3},
    }
    text = differences_as_text(found)
    assert "| less the descriptor | net | net untrained | net less itself untrained |" in text
    assert "| spiral | **-0.197 ± 0.014** | **-0.397 ± 0.014** | **+0.200 ± 0.000** |" in text
    assert "| ring | +0.000 ± 0.430 |" in text and "MB" not in text


def test_a_network_before_its_first_step_is_that_of_its_seed(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    network = pytest.importorskip("precompute.embedding.network")
    (tmp_path / "new").mkdir()
    trained = tmp_path / "mine.safetensors"
    trained.with_suffix(".json").write_text('{"network": "small", "pixels": 64, "seed": 5, "steps": 9}')
    encoder = untrained(trained, tmp_path / "new")
    weights = safetensors.load_file(tmp_path / "new" / "mine.safetensors")
    first = network.draw_network(network.ARCHITECTURES["small"], 5)
    assert encoder.width == 128 and all(np.array_equal(weights[name], first[name]) for name in first)


def test_rare_classes_are_filled_up_after_the_survey_itself() -> None:
    survey = draw_parameters(7, np.arange(1_000))
    filled = fill_up(7, survey, 30)
    assert np.array_equal(filled[:1_000], survey)
    before, after = (np.bincount(p["true_class"], minlength=len(CLASSES)) for p in (survey, filled))
    assert np.array_equal(after, np.maximum(before, 30)) and before.min() < 30
    assert len(np.unique(filled["number"])) == len(filled)


def test_a_filled_up_class_counts_as_much_as_it_has_members_by_chance() -> None:
    rng = np.random.default_rng(2)
    true_class = np.array([ELLIPTICAL] * 4_000 + [LENS] * 100 + [SPIRAL] * 50, np.uint8)
    drawn = np.arange(4_150) < 4_004  # lenses but four are filled up, and so are spirals
    # All lenses and spirals lie at one place, among eight of the ellipticals.
    near = rng.normal(0, 1e-4, 4_150)
    angle = np.where(np.arange(4_150) < 3_992, rng.uniform(1, 2, 4_150), near)
    rows = np.column_stack([np.cos(angle), np.sin(angle)])
    share = share_among_nearest(rows, true_class, np.flatnonzero(true_class == LENS), drawn)
    assert share == pytest.approx(4 / (4 + 8), rel=0.2)
    assert share_among_nearest(rows, true_class, np.arange(200), drawn) > 0.99


def test_surveys_are_looked_at_as_one() -> None:
    found = measure_together(range(31, 33), 100, {}, 3)
    assert all(len(found[DESCRIPTOR][c.name]) == 2 for c in CLASSES)
    assert set(found) == {DESCRIPTOR, RINGS, PIXELS} and len(found[PIXELS]["rare in the first 100"]) == 1
    assert found[DESCRIPTOR]["elliptical"] > found[PIXELS]["elliptical"]
    assert "| minutes for 100,000 | " in as_text(found, 100) and "| less the descriptor |" in differences_as_text(found)
