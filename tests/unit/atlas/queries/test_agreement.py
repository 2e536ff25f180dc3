"""Two answers: what both have, and how far they order it alike."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from atlas.queries.agreement import agreement


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def test_shares_are_of_the_first_of_both_lists() -> None:
    a, b = np.arange(30, dtype=np.uint32), np.arange(5, 35, dtype=np.uint32)
    found = agreement(a, b)
    assert found.shared == ((10, 5), (25, 20), (30, 25))
    assert found.common.tolist() == list(range(5, 30))
    assert found.only_a.tolist() == list(range(5)) and found.only_b.tolist() == list(range(30, 35))
    assert found.correlation is None


def test_correlation_is_over_the_galaxies_of_either_list() -> None:
    score = np.random.default_rng(1).random((2, 40)).astype(np.float32)
    a, b = (np.argsort(-of)[:8].astype(np.uint32) for of in score)
    found = agreement(a, b, lambda r: score[0][r], lambda r: score[1][r])
    union = sorted({*a.tolist(), *b.tolist()})
    expected = np.corrcoef(rankdata(score[0][union]), rankdata(score[1][union]))[0, 1]
    assert found.correlation is not None and abs(found.correlation - expected) < 1e-3


def test_what_cannot_be_ordered_has_no_correlation() -> None:
    same = lambda r: np.ones(r.size, dtype=np.float32)  # noqa: E731
    assert agreement(rows(1, 2, 3), rows(4, 5, 6), same, same).correlation is None
    empty = agreement(rows(), rows())
    assert empty.shared == () and empty.common.size == 0
