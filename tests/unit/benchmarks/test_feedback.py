"""The searcher of `benchmarks.feedback`, on a survey of points."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.feedback import AFTER, EXPECTED_AFTER, OURS, Search, allowed, expected_held, found_by


@pytest.fixture
def search() -> Search:
    """Five hundred galaxies, forty of them of class 1 and near each other; the detector tells them faintly."""
    rng = np.random.default_rng(0)
    is_rare = np.arange(500) % 12 == 0
    embeddings = rng.normal(size=(500, 8)) + 3 * is_rare[:, None] * np.eye(8)[0]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    odd = 100 * (np.argsort(np.argsort(rng.random(500) + 0.6 * is_rare)) + 0.5) / 500
    return Search(embeddings.astype(np.float32), {"anomaly": odd, "random": rng.random(500)}, is_rare * np.uint8(1),
                  np.arange(500) != 12)  # fmt: skip


def test_labels_find_what_a_detector_alone_does_not(search: Search) -> None:
    ours, alone = found_by(search, OURS, (1,)), found_by(search, "default detector", (1,))
    assert len(ours) == 3 * len(AFTER) and ours[:2] == alone[:2], "without a label both are the detector"
    assert len(expected_held(search, (1,))) == len(EXPECTED_AFTER)
    assert ours[6] >= 40 > alone[6], "nearly all of them in a hundred looks"


def test_who_is_told_most_ranks_what_the_embedding_allows(search: Search) -> None:
    in_100, in_1000 = allowed(search, (1,))
    assert in_1000 == 41 >= in_100 > found_by(search, "default detector", (1,))[1]
    assert found_by(search, "kernel for every row", (1,))[6] == 41
