"""Galaxies that stand for their surroundings: true medoids, apart from each other, the same while the view moves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.planes.plane import Box, Plane, write_plane
from atlas.planes.representatives import MEMBERS, medoids, representatives, spread
from atlas.planes.sampling import Sample
from tests.unit.groups import grouped_embeddings

N = 60_000
DISTANCE = (0.5, 0.5)


@pytest.fixture(scope="module")
def embeddings() -> NDArray[np.float16]:
    return grouped_embeddings([N // 4] * 4, d=24)[0].astype(np.float16)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=N).astype(np.float32) * 3 for _ in range(2))
    folder = tmp_path_factory.mktemp("medoids")
    write_plane(folder, x, y, seed=2)
    return Plane.open(folder)


def overlaps(sample: Sample, chosen: list[int], distance: tuple[float, float] = DISTANCE) -> bool:
    x, y = sample.x[chosen].astype(float), sample.y[chosen].astype(float)
    near = (np.abs(x[:, None] - x) < distance[0]) & (np.abs(y[:, None] - y) < distance[1])
    return bool(np.triu(near, 1).any())


def test_a_medoid_is_the_member_most_like_the_mean_of_all(embeddings: NDArray[np.float16]) -> None:
    rng = np.random.default_rng(1)
    rows = rng.choice(N, 900, replace=False).astype(np.uint32)
    groups = np.concatenate([np.arange(30), rng.integers(0, 30, 870)])
    found = medoids(embeddings, rows, groups, 30)
    for group in range(30):
        members = np.flatnonzero(groups == group)
        vectors = embeddings[rows[members]].astype(np.float64)
        likeness = vectors @ vectors.mean(axis=0)
        assert groups[found[group]] == group
        assert likeness[members == found[group]][0] >= likeness.max() - 1e-6
    twice = np.array([5, 5, 9], dtype=np.uint32)  # equal members: the first
    assert medoids(embeddings, twice, np.array([0, 0, 1]), 2).tolist() == [0, 2]
    assert medoids(embeddings, rows[:0], groups[:0], 0).size == 0


def test_representatives_are_medoids_of_the_first_members_of_their_cells(
    plane: Plane, embeddings: NDArray[np.float16]
) -> None:
    sample = plane.viewport(plane.frame, 20_000)
    chosen = representatives(embeddings, sample.rows, sample.x, sample.y, DISTANCE, 30)
    assert len(chosen) == 30 and not overlaps(sample, chosen)
    side = 1.0  # the power of two at or above 1.5 × 0.5
    cell = np.stack([np.floor(sample.x / side), np.floor(sample.y / side)])
    for position in chosen:
        members = np.flatnonzero((cell == cell[:, [position]]).all(axis=0))[:MEMBERS]
        vectors = embeddings[sample.rows[members]].astype(np.float64)
        likeness = vectors @ vectors.mean(axis=0)
        assert likeness[members == position][0] >= likeness.max() - 1e-6


def test_the_same_galaxies_stay_while_the_view_moves(plane: Plane, embeddings: NDArray[np.float16]) -> None:
    def shown(box: Box) -> dict[int, tuple[float, float]]:
        sample = plane.viewport(box, 20_000)
        chosen = representatives(embeddings, sample.rows, sample.x, sample.y, DISTANCE, 200)
        return {int(sample.rows[i]): (float(sample.x[i]), float(sample.y[i])) for i in chosen}

    before = shown(Box(-4.0, 4.0, -3.0, 3.0))
    for shift in (0.1, 0.43, 0.77):
        after = shown(Box(-4.0 + shift, 4.0 + shift, -3.0 - shift, 3.0 - shift))
        # Away from the edges of both views, whose cells are cut.
        inner = [row for row, (x, y) in before.items() if -2 + shift < x < 3 and -2 < y < 2 - shift]
        assert len(inner) > 10
        assert np.mean([row in after for row in inner]) > 0.9


@pytest.mark.parametrize("distance", [DISTANCE, (0.02, 3.0), (2.0, 0.3)])
def test_none_hides_another_nor_what_is_there_already(
    plane: Plane, embeddings: NDArray[np.float16], distance: tuple[float, float]
) -> None:
    sample = plane.viewport(plane.frame, 5_000)
    taken = [(0.0, 0.0), (2.0, 1.0)]
    chosen = representatives(embeddings, sample.rows, sample.x, sample.y, distance, 40, taken=taken)
    assert len(chosen) > 5 and not overlaps(sample, chosen, distance)
    for x, y in taken:
        near = (np.abs(sample.x[chosen] - x) < distance[0]) & (np.abs(sample.y[chosen] - y) < distance[1])
        assert not near.any()


def test_only_galaxies_with_an_image_are_chosen(plane: Plane, embeddings: NDArray[np.float16]) -> None:
    sample = plane.viewport(plane.frame, 20_000)
    usable = np.random.default_rng(0).random(sample.rows.size) < 0.05
    chosen = representatives(embeddings, sample.rows, sample.x, sample.y, DISTANCE, 30, usable=usable)
    assert len(chosen) == 30 and usable[chosen].all()
    nothing = np.zeros(sample.rows.size, dtype=np.bool_)
    assert representatives(embeddings, sample.rows, sample.x, sample.y, DISTANCE, 30, usable=nothing) == []


def test_few_embeddings_are_read_however_many_are_drawn(plane: Plane, embeddings: NDArray[np.float16]) -> None:
    class Counted(np.ndarray):
        read = 0

        def __getitem__(self, rows: NDArray[np.uint32]) -> NDArray[np.float16]:
            Counted.read += rows.size
            return np.asarray(super().__getitem__(rows))

    sample = plane.viewport(plane.frame, 20_000)
    representatives(embeddings.view(Counted), sample.rows, sample.x, sample.y, (0.1, 0.1), 30)
    assert 0 < Counted.read <= 3 * 30 * MEMBERS


def test_points_are_spread_over_the_plane_and_near_the_middle_of_their_cells() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.random(5_000).astype(np.float32) * 10 for _ in range(2))
    chosen = spread(x, y, (1.0, 1.0), 40)
    assert 15 <= len(chosen) <= 40
    assert {(bool(x[i] > 5), bool(y[i] > 5)) for i in chosen} == {(a, b) for a in (True, False) for b in (True, False)}
    whole = [i for i in chosen if x[i] < 8 and y[i] < 8]
    away = np.hypot(x[whole] % 2 - 1, y[whole] % 2 - 1)
    assert np.median(away) < 0.4
    assert spread(x[:0], y[:0], (1.0, 1.0), 40) == []
    assert spread(x[:1], y[:1], (1.0, 1.0), 40) == [0]
