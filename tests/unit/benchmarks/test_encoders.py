"""Encoders are compared on the same surveys: what differs between surveys does not hide what differs between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.encoders import DESCRIPTOR, difference, differences_as_text, untrained


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
