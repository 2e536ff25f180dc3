"""A class of one galaxy in ten thousand gets a region of its own on the map; a uniform subsample scatters it."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.search.exact import top_k_exact_many
from benchmarks.rare import draw, measure, share_around, to_markdown
from precompute.config import BuildConfig

GALAXIES = 200_000
"""Some twenty lenses, as many as the sample holds of a larger survey."""

ANCHORS = 5_000
DIMENSION = 32
"""Few, so that groups lie close together."""


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_a_rare_class_has_a_region_of_its_own(seed: int) -> None:
    embeddings, is_rare = draw(GALAXIES, seed, DIMENSION)
    assert 15 <= is_rare.sum() <= 25

    # No outliers: as near to their neighbours as others are, and those are lenses.
    rows = np.concatenate([np.flatnonzero(is_rare), np.flatnonzero(~is_rare)[:200]])
    nearest, similarity = top_k_exact_many(embeddings, embeddings[rows].astype(np.float32), 6)
    distance, is_lens = 1 - similarity[:, -1], is_rare[rows]
    assert np.median(distance[is_lens]) < 1.3 * np.median(distance[~is_lens])
    assert is_rare[nearest[is_lens]].mean() > 0.9

    config = BuildConfig(seed=seed, subsample=ANCHORS, n_epochs=100)
    ours, uniform = measure(embeddings, is_rare, config, placed_rows=20_000)
    assert ours["anchors"] >= 14, "as many as a group is granted, or nearly"
    assert ours["share"] > 0.9, "lenses are surrounded by lenses"
    assert uniform["anchors"] <= 4
    assert uniform["share"] < 0.1, "galaxies of other classes lie all around a lens"


def test_the_share_around_is_what_numpy_counts() -> None:
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(600, 2)).astype(np.float32)
    is_rare = np.arange(600) < 30
    weight = np.where(is_rare, 1.0, rng.choice([1.0, 12.0], 600))
    expected = []
    for member in range(30):
        distance = np.linalg.norm(positions - positions[member], axis=1)
        radius = np.sort(distance[:30])[10]
        expected.append(10 / (10 + weight[30:][distance[30:] <= radius].sum()))
    np.testing.assert_allclose(share_around(positions, is_rare, weight), expected)

    positions[:30] += 100
    assert (share_around(positions, is_rare, weight) == 1).all()
    assert (share_around(positions[25:], is_rare[25:], weight[25:]) == 1).all(), "of five, each has four fellows"


def test_results_come_as_a_table() -> None:
    line = {"method": "ours", "members": 104, "anchors": 16, "share": 0.98, "least_share": 0.9}
    about = {"command": "c", "date": "d", "machine": "m", "versions": {"numpy": "2"}, "galaxies": 10**6, "anchors": 50}
    table = [row for row in to_markdown(about, [[line, line], [line, line]]).splitlines() if row.startswith("|")]
    assert {row.count("|") for row in table} == {7} and len(table) == 4
