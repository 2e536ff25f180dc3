"""The measures of the benchmark of examples, on lists that can be counted by hand and on classes that are plain."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import examples
from benchmarks.examples import ALONE, LEFT_OUT, OURS, WAYS, ask, first_rows, gains, judge, to_markdown
from precompute.simulation.rendering.parameters import CLASS_NAMES, DISC, SPIRAL


def test_a_list_is_judged_by_what_could_be_found() -> None:
    assert judge(np.ones(24, dtype=bool), 100) == (1, pytest.approx(1), 1)
    assert judge(np.arange(24) < 4, 4) == (1, pytest.approx(1), 1), "there are four, and they come first"
    share, gain, precision = judge(np.arange(24) == 9, 100)
    assert (share, precision) == (1 / 24, 1 / 10)
    assert gain == pytest.approx((1 / np.log2(11)) / sum(1 / np.log2(2 + rank) for rank in range(10)))


def test_the_first_rows_are_the_best_without_the_examples() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.8, 0.3])
    assert first_rows(scores, np.array([1]), 3).tolist() == [3, 2, 4]


def test_ways_are_told_apart_beside_the_line_without_feedback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "WANTED", (2,))
    rng = np.random.default_rng(0)
    true_class = np.repeat([DISC, SPIRAL], 150).astype(np.uint8)
    centers = 2 * rng.normal(size=16) + 0.4 * rng.normal(size=(2, 16))
    rows = np.repeat(centers, 150, axis=0) + 0.6 * rng.normal(size=(300, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = ask(rows, true_class, 12, rng)
    assert {cell[0] for cell in found} == {ALONE, *WAYS}
    for name in ("disc", "spiral"):
        assert CLASS_NAMES.index(name) in (DISC, SPIRAL)
        assert found[ALONE, 2, 0, name][0] < found[LEFT_OUT, 2, 1, name][0] <= found[OURS, 2, 1, name][0]
    cells = {("descriptor", *cell): [values, values] for cell, values in found.items()}
    assert [(count, of) for _, _, count, of in gains(cells, "descriptor", OURS, 1, 0)] == [(2, "disc"), (2, "spiral")]
    assert gains(cells, "descriptor", LEFT_OUT, 1, 0)[0][:2] == (0, 0)
    cells |= {("raw pixels", *cell[1:]): values for cell, values in cells.items()}
    about = {"command": "c", "date": "d", "machine": "m", "versions": {}, "seeds": 2, "galaxies": 300, "draws": 12}
    text = to_markdown(about, cells)
    assert "| ours | +" in text and text.count("\n| disc | 2 |") == 1
