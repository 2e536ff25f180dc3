"""How far galaxies lie from others of their brightness, against plain numpy and against planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from atlas.catalog.anomalies import LEVELS, percentiles, quantiles_of
from precompute.stages import anomaly_model
from precompute.stages.anomalies import distance_to_cluster
from precompute.stages.anomaly_model import AnomalyModel

N, D = 4_000, 8


@pytest.fixture
def survey(random: np.random.Generator):
    """Embeddings widened by noise as galaxies fade, magnitudes, and a bright row that is wide for a bright one."""
    magnitude = random.uniform(14, 20, N).astype(np.float32)
    width = 0.02 * 1.5 ** (magnitude - 14)
    scale = np.linspace(3, 0.5, D)
    rows = (np.ones(D) + random.standard_normal((N, D)) * width[:, None] * scale).astype(np.float32)
    magnitude[0] = 14.2
    rows[0] = 1 + 0.02 * 8 * scale / np.sqrt(D)
    return rows, magnitude


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def test_scores_are_mahalanobis_distances_as_scikit_learn_has_them(survey, monkeypatch) -> None:
    monkeypatch.setattr(anomaly_model, "CORE", 1.0)
    rows, _ = survey
    model = AnomalyModel(rows, None, np.zeros(N, np.float32), components=3)
    assert (model.groups, model.leading, model.kept) == (1, 3, D)
    scores = model.score(rows, None, np.zeros(N, np.float32))
    axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2]
    for found, on in ((scores.form, rows @ axes[:3].T), (scores.detail, rows)):
        log = np.log(EmpiricalCovariance().fit(on).mahalanobis(on))
        expected = (log - np.median(log)) / np.median(np.abs(log - np.median(log)))
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_what_is_odd_for_its_brightness_comes_first_and_faint_noise_does_not(survey) -> None:
    rows, magnitude = survey
    distance = np.linalg.norm(rows - 1, axis=1).astype(np.float32)
    given = AnomalyModel(rows, magnitude, distance, components=0)
    assert given.groups == N // anomaly_model.GROUP_ROWS
    blind = AnomalyModel(rows, None, distance, components=0)
    by_brightness, plain = given.score(rows, magnitude, distance), blind.score(rows, None, distance)
    for name in ("form", "detail", "neighbors"):
        assert (getattr(by_brightness, name) > getattr(by_brightness, name)[0]).mean() < 0.01, name
        assert (getattr(plain, name) > getattr(plain, name)[0]).mean() > 0.1, name
    faint = magnitude > 19
    assert faint[np.argsort(-by_brightness.detail)[:200]].mean() < 0.3 < faint[np.argsort(-plain.detail)[:200]].mean()


def test_rows_without_a_magnitude_are_measured_by_all(survey) -> None:
    rows, magnitude = survey
    magnitude[:50] = np.nan
    distance = np.ones(N, np.float32)
    scores = AnomalyModel(rows, magnitude, distance, components=2).score(rows, magnitude, distance)
    alone = AnomalyModel(rows, None, distance, components=2).score(rows[:50], None, distance[:50])
    np.testing.assert_allclose(scores.form[:50], alone.form, rtol=1e-4)
    assert np.isfinite(np.stack(scores)).all()


@pytest.mark.parametrize("n", [2, 16])
def test_few_rows_and_equal_rows_have_finite_scores(n: int) -> None:
    for rows in (np.eye(n, 5, dtype=np.float32), np.ones((n, 5), np.float32)):
        distance, magnitude = np.zeros(n, np.float32), np.full(n, np.nan, np.float32)
        model = AnomalyModel(rows, magnitude, distance, components=0)
        assert np.isfinite(np.stack(model.score(rows.astype(np.float16), magnitude, distance))).all()


def test_percentiles_are_the_share_below_and_keep_the_order(random: np.random.Generator) -> None:
    scores = random.gamma(2, size=50_000).astype(np.float32)
    found = percentiles(scores, quantiles_of(scores))
    expected = 100 * np.argsort(np.argsort(scores)) / scores.size
    np.testing.assert_allclose(found, expected, atol=0.5)
    top = np.argsort(-scores)[:100]
    assert (np.diff(found[top]) <= 0).all() and np.unique(found[top]).size > 90
    np.testing.assert_allclose(found[top], expected[top], atol=0.01)
    assert percentiles(np.array([-9, 1e9, np.nan], np.float32), quantiles_of(scores))[:2].tolist() == [0, 100]


def test_equal_scores_stand_in_their_middle_and_unknown_ones_nowhere() -> None:
    equal = np.full(9, 3, np.float32)
    np.testing.assert_allclose(percentiles(equal, quantiles_of(equal)), 50)
    unknown = np.full(4, np.nan, np.float32)
    assert np.isnan(percentiles(unknown, quantiles_of(unknown))).all()
    assert quantiles_of(unknown).shape == LEVELS.shape


def test_distance_is_to_the_own_cluster_or_to_the_nearest() -> None:
    centroids = np.eye(2, dtype=np.float32)
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    labels = np.array([1, 1, -1], dtype=np.int16)
    np.testing.assert_allclose(distance_to_cluster(rows, labels, centroids), [1, 0, 0.2], atol=1e-6)
    assert np.isnan(distance_to_cluster(rows, labels, centroids[:0])).all()
