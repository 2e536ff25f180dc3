"""The score of every row: how scores are spread, and which rows lie between two of them."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.search.every_score import BINS, rows_between, score_counts
from atlas.search.exact import exact_scores
from tests.unit.atlas.search.cosines import cosines


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_scores_are_counted_to_a_thousandth(embeddings, dtype):
    rows, query = embeddings.astype(dtype), embeddings[7].astype(np.float32) * 3
    told = []
    counts = score_counts(rows, query, told.append)
    assert counts.sum() == len(rows) == told[-1]
    true = np.sort(cosines(rows, query))
    edges = -1 + np.arange(BINS + 1) * 2 / BINS
    for at in (200, 1000, 1500, 1900):
        # As many lie above an edge as in truth above one that is at most a step away.
        low, high = (len(true) - np.searchsorted(true, edges[at] + off) for off in (0.002, -0.002))
        assert low <= counts[at:].sum() <= high


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_between_two_scores_are_exact(embeddings, dtype):
    rows, query = embeddings.astype(dtype), embeddings[7].astype(np.float32)
    scores = exact_scores(rows, np.arange(len(rows)), query)
    ordered = np.sort(scores)
    # Bounds that are scores themselves: the row that has it is inside.
    for low, high in ((ordered[-20], None), (None, ordered[40]), (ordered[1200], ordered[1300]), (None, None)):
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        packed = rows_between(rows, query, low, high)
        inside = np.unpackbits(packed, count=len(rows), bitorder="little").astype(bool)
        expected = (scores >= (-2 if low is None else low)) & (scores <= (2 if high is None else high))
        assert np.array_equal(inside, expected)


def test_a_pass_ends_where_nobody_wants_it(embeddings):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_counts(embeddings, embeddings[0].astype(np.float32), stop)
