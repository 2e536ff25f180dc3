"""Wanted and unwanted examples as one embedding: beside the least squares that define it, and what it must not do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from atlas.errors import InputError
from atlas.queries.feedback import LOSS, embedding_of_examples, weighted_examples

CLASSES = 6
MEMBERS = 200
WIDTH = 32


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


@pytest.fixture(scope="module")
def galaxies() -> NDArray[np.float64]:
    """Classes that overlap, all of them alike: as similar as the galaxies of a survey are."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=WIDTH) + 0.3 * rng.normal(size=(CLASSES, WIDTH))
    return unit(np.repeat(centers, MEMBERS, axis=0) + 0.5 * rng.normal(size=(CLASSES * MEMBERS, WIDTH)))


def test_it_is_the_minimum_that_the_formula_names(galaxies: NDArray[np.float64]) -> None:
    wanted, unwanted = galaxies[:4], galaxies[[250, 500]]
    mean = unit(wanted.mean(axis=0))
    aims = np.concatenate([wanted @ mean, (1 - LOSS) * (unwanted @ mean)])

    def missed(q: NDArray[np.float64]) -> float:
        return float(((q - mean) ** 2).sum() + ((np.concatenate([wanted, unwanted]) @ q - aims) ** 2).sum())

    best = unit(minimize(missed, mean, tol=1e-12).x)
    assert np.allclose(embedding_of_examples(wanted, unwanted), best, atol=1e-5)


def test_wanted_keep_their_similarity_and_unwanted_lose_some(galaxies: NDArray[np.float64]) -> None:
    wanted, unwanted = galaxies[:5], galaxies[[250, 251]]
    alone = embedding_of_examples(wanted, unwanted[:0])
    both = embedding_of_examples(wanted, unwanted)
    assert (unwanted @ both < unwanted @ alone - 0.02).all()
    assert (wanted @ both > wanted @ alone - 0.02).all()
    assert np.linalg.norm(both) == pytest.approx(1)


def test_the_first_wrong_result_unwanted_makes_no_class_worse(galaxies: NDArray[np.float64]) -> None:
    label = np.repeat(np.arange(CLASSES), MEMBERS)
    rng = np.random.default_rng(1)
    gain = np.zeros((CLASSES, 3, 40))

    def right(q: NDArray[np.float32], examples: NDArray[np.int64], of: int) -> tuple[float, NDArray[np.int64]]:
        scores = galaxies @ q
        scores[examples] = -np.inf
        order = np.argsort(-scores)
        return float((label[order[:24]] == of).mean()), order

    for of in range(CLASSES):
        for size, count in enumerate((1, 2, 5)):
            for draw in range(40):
                wanted = rng.choice(np.flatnonzero(label == of), count, replace=False)
                before, order = right(embedding_of_examples(galaxies[wanted], galaxies[:0]), wanted, of)
                wrong = order[label[order] != of][:1]
                q = embedding_of_examples(galaxies[wanted], galaxies[wrong])
                gain[of, size, draw] = right(q, np.concatenate([wanted, wrong]), of)[0] - before
    assert (gain.mean(axis=2) > -0.005).all()
    assert gain.mean() > 0.005


def test_an_unwanted_galaxy_that_is_nothing_like_the_wanted_changes_nothing(galaxies: NDArray[np.float64]) -> None:
    away = -galaxies[300:301]
    assert (away @ galaxies[:3].T < 0).all()
    alone = embedding_of_examples(galaxies[:3], away[:0])
    assert np.allclose(embedding_of_examples(galaxies[:3], away), alone, atol=1e-6)


def test_unwanted_alone_are_searched_away_from(galaxies: NDArray[np.float64]) -> None:
    assert np.allclose(embedding_of_examples(galaxies[:0], galaxies[:1]), -galaxies[0], atol=1e-6)


def test_examples_that_leave_nothing_are_refused(galaxies: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="at least one"):
        embedding_of_examples(galaxies[:0], galaxies[:0])
    with pytest.raises(InputError, match="cancel"):
        embedding_of_examples(np.stack([galaxies[0], -galaxies[0]]), galaxies[:0])


def test_an_example_that_is_named_twice_counts_twice(galaxies: NDArray[np.float64]) -> None:
    a, b, unwanted = galaxies[0], galaxies[1], galaxies[[250]]
    weighted = unit((2 * a + b) / 3)
    assert np.allclose(embedding_of_examples(np.stack([a, a, b]), unwanted[:0]), weighted, atol=1e-6)
    once, twice = (embedding_of_examples(np.stack([a, b]), np.repeat(unwanted, n, axis=0)) for n in (1, 2))
    assert unwanted[0] @ twice < unwanted[0] @ once


def test_only_the_proportion_of_examples_of_one_sign_matters() -> None:
    assert weighted_examples((9, 3, 9, 3, 9, 9), ()) == ((3, 9, 9), ())
    assert weighted_examples((), ("b", "b")) == ((), ("b",))
    # Against what it is set off from, an example weighs more when it is named more often.
    assert weighted_examples((4, 4), (7, 7)) == ((4, 4), (7, 7))
    assert weighted_examples((4, 4), (), alone=False) == ((4, 4), ())
