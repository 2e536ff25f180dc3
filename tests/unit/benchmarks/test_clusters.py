"""The measures of the benchmark of clusters, on labels for which they can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import clusters
from benchmarks.clusters import as_text, evoc_layers, judge, of_count, steady, with_nearest


def test_measures_are_what_one_counts() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    labels = np.array([5, 5, 5, 5, 7, 7, 7, -1])
    count, _, purity, _, rare, _, outside = judge(labels, truth, np.array([2]), 0.5)
    assert count == 2
    assert purity == pytest.approx(6 / 7)
    assert rare == 0.5, "one of the two of the rare class is in one cluster, the other in none"
    assert outside == 1 / 8


def test_what_is_found_again_is_stable() -> None:
    labels = np.repeat([0, 1], 50)
    assert steady(lambda part: labels[part], labels) == 1
    assert steady(lambda part: np.zeros(part.size, np.int64), labels) == pytest.approx(0.5, abs=0.05)


def test_the_table_leaves_out_what_was_not_measured() -> None:
    text = as_text({"a way": [[3, 0.4, 0.6, 0.3, 0.7, float("nan"), 0.0]]}, 4_000)
    assert "| a way | 3 | 0.40 (0.40 to 0.40)" in text and " |  | 0.00" in text


def test_noise_goes_to_the_cluster_of_the_most_similar() -> None:
    angle = np.array([0.0, 0.1, 0.3, 1.2, 1.4, 1.5])
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    assert with_nearest(embeddings, np.array([0, 0, -1, -1, 1, 1])).tolist() == [0, 0, 0, 1, 1, 1]


def test_the_layer_of_the_nearest_number_is_compared() -> None:
    layers = [np.arange(30), np.arange(9), np.arange(3)]
    assert [of_count(layers, count).size for count in (28, 12, 6, 2)] == [30, 9, 9, 3]


def test_rows_are_left_out_where_a_peer_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clusters, "EVoC", None)
    monkeypatch.setattr(clusters, "measure", lambda *_: {"a way": [[3, 0.4, 0.6, 0.3, 0.7, 0.5, 0.0]]})
    monkeypatch.setattr("sys.argv", ["clusters"])
    assert evoc_layers(np.eye(8, dtype=np.float32), 2, 0) == []
    clusters.main()
    assert "pip install evoc" in capsys.readouterr().out
