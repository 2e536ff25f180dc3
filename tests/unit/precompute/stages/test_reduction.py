"""Wide embeddings made narrow: the components against numpy's SVD, the neighbours against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from precompute.config import BuildConfig
from precompute.stages.reduction import (
    SAMPLE_ROWS,
    Moments,
    NearestOfSample,
    Reduction,
    neighbors_kept,
    reduced_width,
    sampled_rows,
)


def unit_rows(n: int, d: int, rank: int = 0, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Off the origin, as a network's are; in a subspace of `rank` dimensions but for the noise."""
    rng = np.random.default_rng(seed)
    rank = rank or d
    rows = (rng.normal(size=(n, rank)) * np.linspace(3, 1, rank) + 1) @ rng.normal(size=(rank, d))
    rows += noise * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def reduce(rows: NDArray[np.float32], width: int, chunk: int = 64) -> Reduction:
    moments = Moments(rows.shape[1])
    for start in range(0, len(rows), chunk):
        moments.add(rows[start : start + chunk])
    return moments.reduction(width)


def projected(rows: NDArray[np.float32], reduction: Reduction) -> NDArray[np.float32]:
    narrow = rows @ reduction.axes
    return narrow / np.linalg.norm(narrow, axis=1, keepdims=True)


def nearest(rows: NDArray[np.float32], sample: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """By sorting every row."""
    scores = rows[sample].astype(np.float64) @ rows.T.astype(np.float64)
    scores[np.arange(len(sample)), sample] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def watched(rows: NDArray[np.float32], sample: NDArray[np.int64], k: int, chunk: int) -> NearestOfSample:
    found = NearestOfSample(sample, rows[sample], k)
    for start in range(0, len(rows), chunk):
        found.add(start, rows[start : start + chunk])
    return found


@pytest.mark.parametrize(
    ("dimension", "wanted", "width"),
    [(128, 0, 128), (256, 0, 256), (257, 0, 128), (2048, 0, 128), (2048, 64, 64), (128, 32, 32), (2048, 4096, 2048)],
)
def test_embeddings_of_more_than_256_numbers_become_128_unless_asked_otherwise(
    dimension: int, wanted: int, width: int
) -> None:
    assert reduced_width(dimension, wanted) == width


def test_a_width_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="pca is 1"):
        BuildConfig(pca=1)


def test_the_axes_span_the_strongest_components_of_numpys_svd() -> None:
    rows = unit_rows(400, 30)
    reduction = reduce(rows, 7)
    assert (reduction.axes.shape, reduction.axes.dtype) == ((30, 7), np.float32)
    strongest = np.linalg.svd(rows.astype(np.float64), full_matrices=False)[2][:7].T
    np.testing.assert_allclose(reduction.axes @ reduction.axes.T, strongest @ strongest.T, atol=1e-4)
    np.testing.assert_allclose(reduction.axes.T @ reduction.axes, np.eye(7), atol=1e-5)


def test_inner_products_are_kept_better_than_by_any_other_projection_tried() -> None:
    rows = unit_rows(300, 24, rank=8, noise=0.5)
    exact = rows @ rows.T

    def error(axes: NDArray[np.floating]) -> float:
        narrow = rows @ axes
        return float(np.abs(narrow @ narrow.T - exact).mean())

    about_origin = error(reduce(rows, 4).axes)
    centred = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:4].T
    random = np.linalg.qr(np.random.default_rng(1).normal(size=(24, 4)))[0]
    assert about_origin < error(centred)
    assert about_origin < error(random)


def test_the_variance_kept_is_that_of_the_projected_rows() -> None:
    rows = unit_rows(500, 40).astype(np.float64)
    reduction = reduce(rows.astype(np.float32), 6)
    expected = (rows @ reduction.axes).var(axis=0).sum() / rows.var(axis=0).sum()
    assert 0.1 < reduction.variance_kept < 0.9
    assert reduction.variance_kept == pytest.approx(expected, abs=1e-5)


def test_nothing_is_lost_where_the_rows_lie_in_a_subspace() -> None:
    rows = unit_rows(600, 50, rank=5)
    reduction = reduce(rows, 5)
    assert reduction.variance_kept == pytest.approx(1, abs=1e-5)
    sample = sampled_rows(len(rows))
    assert neighbors_kept(watched(rows, sample, 10, 100), sample, projected(rows, reduction)) > 0.99


@pytest.mark.parametrize("chunk", [1, 64, 1000])
def test_chunks_of_any_length_give_the_same_axes(chunk: int) -> None:
    rows = unit_rows(300, 20)
    np.testing.assert_allclose(reduce(rows, 5, chunk).axes, reduce(rows, 5, 300).axes, atol=1e-4)


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = unit_rows(300, 20)
    assert np.array_equal(reduce(rows, 5).axes, reduce(rows.copy(), 5).axes)


def test_rows_that_are_all_alike_lose_nothing() -> None:
    rows = np.tile(unit_rows(1, 20), (30, 1))
    assert reduce(rows, 3).variance_kept == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("chunk", [3, 97, 5000])
def test_the_nearest_of_the_sample_are_those_of_a_full_sort(chunk: int) -> None:
    rows = unit_rows(900, 16)
    sample = np.array([0, 5, 440, 899])
    assert np.array_equal(watched(rows, sample, 10, chunk).rows, nearest(rows, sample, 10))


def test_neighbours_kept_is_the_share_of_the_ten_nearest_that_survive() -> None:
    rows = unit_rows(800, 60)
    narrow = projected(rows, reduce(rows, 6)).astype(np.float16)
    sample = sampled_rows(len(rows))
    kept = neighbors_kept(watched(rows, sample, 10, 128), sample, narrow)
    before, after = nearest(rows, sample, 10), nearest(narrow.astype(np.float32), sample, 10)
    expected = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(before, after, strict=True)])
    assert 0.02 < kept < 0.9
    assert kept == pytest.approx(expected, abs=0.002)


def test_the_sample_is_seeded_and_never_larger_than_the_survey() -> None:
    assert sampled_rows(40).tolist() == list(range(40))
    many = sampled_rows(100_000)
    assert np.array_equal(many, sampled_rows(100_000))
    assert len(np.unique(many)) == SAMPLE_ROWS and (np.diff(many) > 0).all()
