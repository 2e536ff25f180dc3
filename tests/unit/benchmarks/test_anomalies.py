"""The measures of the benchmark of anomalies, on scores for which they can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.anomalies import MIXTURES, as_text, gains


def test_gains_are_shares_among_the_first_over_those_of_all_that_are_shown() -> None:
    is_rare = np.arange(2_000) < 40
    score = np.zeros(2_000, np.float32)
    score[:20] = 2  # half of the rare come first
    score[1_000:1_200] = 1
    every = np.ones(2_000, bool)
    assert gains(score, is_rare, every)[0] == pytest.approx(20 / 100 / 0.02)
    shown = np.arange(2_000) >= 20
    assert gains(score, is_rare, shown) == pytest.approx([0, 20 / 1_000 / (20 / 1_980)], abs=0.01)


def test_the_table_names_each_detector_once_and_says_which_are_not_offered() -> None:
    names = ("anomaly", "anomaly_form", "anomaly_detail", "anomaly_neighbors", "anomaly_cluster", "artefact")
    text = as_text(
        {name: [[1.0, 2.0, 3.0, 4.0]] for name in (*names, *MIXTURES, "anomaly_knn", "forest", "lof")}, 4_000
    )
    assert text.count("(not offered)") == 3 and text.count("\n| ") == 2 + 9 + len(MIXTURES), "two lines of a head"
