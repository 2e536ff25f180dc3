"""What is nearly the same lies on one side, every label in about its share, and again on the same side."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.training import splits
from atlas.training.splits import duplicate_groups, split

RNG = np.random.default_rng(3)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_and_twins_are_of_one_group() -> None:
    ra, dec = np.array([0.0, 359.9999, 40.0, 80.0, 120.0]), np.array([0.0, 0.0, 89.9999, 10.0, 10.0])
    embeddings = unit(RNG.normal(size=(5, 16)))
    embeddings[4] = embeddings[2]
    groups = duplicate_groups(ra, dec, embeddings, within_arcsec=0.5, similarity=0.999)
    # 0.36″ apart across RA 0, and equal embeddings; the others stand alone.
    assert groups[0] == groups[1] and groups[2] == groups[4] and len(set(groups.tolist())) == 3


def test_groups_agree_with_every_pair_compared() -> None:
    ra, dec = 10 + RNG.uniform(0, 0.01, 300), RNG.uniform(0, 0.01, 300)
    embeddings = unit(RNG.normal(size=(300, 4)))
    groups = duplicate_groups(ra, dec, embeddings, within_arcsec=1.0, similarity=0.995)
    near = np.hypot((ra[:, None] - ra) * np.cos(np.radians(dec)), dec[:, None] - dec) * 3600 <= 1.0
    joined = near | (embeddings @ embeddings.T >= 0.995)
    first, second = np.nonzero(joined)
    assert (groups[first] == groups[second]).all()
    reach = joined.copy()
    for _ in range(9):
        reach = reach @ reach
    assert ((groups[:, None] == groups) == reach).all()


def test_alike_rows_are_found_block_by_block_as_among_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "WIDE", 50)
    rows = unit(RNG.normal(size=(700, 5)) * [3, 1, 1, 1, 1]).astype(np.float16).astype(np.float32)
    for similarity in (0.99, 0.9999, 1.01):
        pairs = [tuple(sorted(pair)) for pair in splits._alike(rows, similarity, chunk=64).tolist()]
        expected = np.argwhere(np.triu(rows @ rows.T >= similarity, 1)).tolist()
        assert sorted(pairs) == [tuple(pair) for pair in expected], similarity
    assert splits._alike(rows[:1, :1], 0.999).shape == (0, 2)


def test_sides_hold_whole_groups_in_the_wanted_shares() -> None:
    names = [str(i) for i in range(600)]
    labels = ["lens"] * 60 + ["ring"] * 540
    groups = np.arange(600) // 2
    sides = np.array(split(names, labels, groups, val=0.2, test=0.1, seed=1))
    assert (sides[::2] == sides[1::2]).all()
    for part, n in ((sides[:60], 60), (sides[60:], 540)):
        assert abs((part == "val").sum() - 0.2 * n) <= 2 and abs((part == "test").sum() - 0.1 * n) <= 2
    again = split(names[::-1], labels[::-1], groups[::-1], val=0.2, test=0.1, seed=1)
    assert again[::-1] == sides.tolist()
    assert split(names, labels, groups, val=0.2, test=0.1, seed=2) != sides.tolist()
