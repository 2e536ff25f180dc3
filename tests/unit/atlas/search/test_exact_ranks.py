"""Ranks of given rows, beside numpy's sort of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.search.exact import exact_scores
from atlas.search.exact_ranks import ranks_by_similarity, ranks_by_value

WIDTH = 16


def embeddings(n: int, seed: int, dtype: str) -> NDArray[np.floating]:
    """Unit rows, of which some are equal and many nearly so."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=WIDTH) + 1e-3 * rng.normal(size=(n, WIDTH)) * rng.choice([1, 1e-4, 300], size=(n, 1))
    rows[n // 2] = rows[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


@settings(max_examples=40)
@given(st.integers(3, 300), st.integers(0, 2**16), st.sampled_from(["float16", "float32"]), st.booleans())
def test_ranks_are_those_of_a_sort_of_all(n: int, seed: int, dtype: str, masked: bool) -> None:
    rows = embeddings(n, seed, dtype)
    rng = np.random.default_rng(seed + 1)
    query = rows[rng.integers(n)].astype(np.float32) * np.float32(3)
    mask = rng.random(n) < 0.6 if masked else None
    wanted = rng.choice(n, size=min(n, 20), replace=False)
    scores = exact_scores(rows, np.arange(n), query)
    ranked = scores if mask is None else scores[mask]
    expected = [1 + int(np.count_nonzero(ranked > scores[row])) for row in wanted]
    ranks, found = ranks_by_similarity(rows, query, wanted, mask=mask)
    assert ranks.tolist() == expected
    assert np.array_equal(found, scores[wanted])


def test_steps_of_the_pass_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.search.exact_ranks.SCAN_ROWS", 37)
    rows = embeddings(500, 3, "float16")
    scores = exact_scores(rows, np.arange(500), rows[7].astype(np.float32))
    ranks, _ = ranks_by_similarity(rows, rows[7].astype(np.float32), np.arange(500))
    assert ranks.tolist() == [1 + int(np.count_nonzero(scores > one)) for one in scores]


@pytest.mark.parametrize("descending", [True, False])
def test_ranks_by_a_column_leave_what_is_missing_for_the_end(descending: bool) -> None:
    values = np.array([3, np.nan, 1, 2, 3, np.nan], dtype=np.float32)
    ranks = ranks_by_value(values, np.arange(6), descending=descending)
    assert ranks.tolist() == ([1, 5, 4, 3, 1, 5] if descending else [3, 5, 1, 2, 3, 5])
    assert ranks_by_value(values, np.array([0]), descending=descending, mask=np.arange(6) != 4).tolist() == (
        [1] if descending else [3]
    )


def test_a_query_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        ranks_by_similarity(embeddings(9, 0, "float16"), np.ones(3, dtype=np.float32), np.array([0]))
