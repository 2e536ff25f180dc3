"""Neighbours that a selection leaves out, beside the count over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atlas import Atlas, Cluster, Mask, Range
from atlas.queries.neighbourhoods import neighbours_outside


def truth(atlas: Atlas, dense: np.ndarray[Any, Any]) -> float:
    neighbours = np.asarray(atlas.space().neighbors)[dense]
    return float((~dense[neighbours]).mean())


def test_few_rows_are_counted_exactly(small: Atlas) -> None:
    trust = np.asarray(small.columns("v1").array("trust"), dtype=np.float64)
    for selection in (Cluster("v1", 0), Range("mag_r", high=18), Range("trust", low=0.9)):
        mask = small.mask(selection)
        found = neighbours_outside(small.space(), mask)
        assert 0 < mask.count <= 20_000
        assert (found.rows, found.sampled) == (mask.count, False)
        assert found.share == pytest.approx(truth(small, mask.dense))
        assert found.trust == pytest.approx(trust[mask.dense].mean())


def test_a_cluster_keeps_its_neighbourhoods_and_random_rows_do_not(small: Atlas) -> None:
    cluster = small.mask(Cluster("v1", 0))
    scattered = Mask.from_rows(
        np.random.default_rng(0).choice(small.n_rows, cluster.count, replace=False), small.n_rows
    )
    share = cluster.count / small.n_rows
    assert neighbours_outside(small.space(), scattered).share == pytest.approx(1 - share, abs=0.02)
    assert neighbours_outside(small.space(), cluster).share < 0.5 * (1 - share)


def test_everything_leaves_nothing_out_and_nothing_has_no_neighbours(small: Atlas) -> None:
    everything = small.mask(Range("ra"))
    assert neighbours_outside(small.space(), everything).share == 0
    nothing = neighbours_outside(small.space(), small.mask(Range("mag_r", 90, 91)))
    assert (nothing.share, nothing.trust, nothing.rows, nothing.sampled) == (0, None, 0, False)


def test_a_large_selection_is_sampled_fairly_and_only_the_sample_is_read(
    small: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = small.mask(Range("mag_r", high=19.5))
    assert mask.count > 8_000
    asked: list[np.ndarray[Any, Any]] = []
    stored = small.space().neighbors

    class Counted:
        def __getitem__(self, rows: np.ndarray[Any, Any]) -> Any:
            asked.append(rows)
            return stored[rows]

    monkeypatch.setattr(small.space(), "neighbors", Counted())
    found = neighbours_outside(small.space(), mask, sample=2_000)
    again = neighbours_outside(small.space(), mask, sample=2_000)
    monkeypatch.undo()
    assert found == again
    assert (found.rows, found.sampled) == (2_000, True)
    assert sum(rows.size for rows in asked) == 2 * 2_000
    assert mask.holds(asked[0]).all() and np.unique(asked[0]).size == 2_000
    assert found.share == pytest.approx(truth(small, mask.dense), abs=0.03)


def test_where_neighbours_of_a_sample_are_known_those_are_asked(small: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    known = np.sort(np.random.default_rng(1).choice(small.n_rows, 5_000, replace=False)).astype(np.uint32)
    stored = np.asarray(small.space().neighbors)
    mask = small.mask(Range("mag_r", high=19.5))
    monkeypatch.setattr(small.space(), "known_rows", known)
    monkeypatch.setattr(small.space(), "neighbors", stored[known])
    found = neighbours_outside(small.space(), mask)
    selected = known[mask.dense[known]]
    assert (found.rows, found.sampled) == (selected.size, True)
    assert found.share == pytest.approx(float((~mask.dense[stored[selected]]).mean()))
    assert neighbours_outside(small.space(), mask, sample=500).rows == 500
