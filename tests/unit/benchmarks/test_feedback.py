"""The searcher of `benchmarks.feedback`, on a survey of points."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.feedback import (
    DEFAULT_ORDER,
    EXPECTED_AFTER,
    LEFT,
    ORACLES,
    OURS,
    UNTAUGHT,
    Measured,
    Search,
    allowed,
    as_text,
    by_oracle,
    expected,
    found_by,
)
from benchmarks.feedback_table import (
    FIGURES,
    SHOWN,
    Expected,
    Figure,
    counts,
    differences,
    of_intervals,
    times_the_best,
)

KNOWN = (DEFAULT_ORDER, "random")


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


def found(figures: list[int], after: int, kind: str, count: int) -> int:
    return figures[FIGURES.index(Figure(after, kind, count))]


def test_labels_find_what_a_detector_alone_does_not(search: Search) -> None:
    ours, alone = found_by(search, OURS, (1,)), found_by(search, DEFAULT_ORDER, (1,))
    assert len(ours) == len(FIGURES) and ours[:2] == alone[:2], "without a label both are the detector"
    assert len(expected(search, (1,))) == len(EXPECTED_AFTER)
    assert found(ours, 100, "looked", 100) >= 40 > found(alone, 100, "looked", 100), "nearly all in a hundred looks"
    left = found_by(search, DEFAULT_ORDER, (1,), looks_of=OURS)
    assert found(left, 100, "looked", 100) == found(ours, 100, "looked", 100)
    assert found(left, 100, "next", 1_000) == 41 - found(ours, 100, "looked", 100), "what is left is found by any"


def test_looks_are_counted_with_those_that_were_labelled() -> None:
    looked = np.array([True] * 3 + [False] * 17)
    listed = np.array([True, False] * 1_000)
    assert counts(looked, listed) == [3, 50, 500, 3 + 40, 3 + 490]
    heads = [FIGURES[at].head for at in SHOWN]
    assert heads == [
        *("next 100 after 0", "next 1,000 after 0", "in 20", "next 100 after 20", "next 1,000 after 20"),
        *("of 100, 20 labelled", "of 1,000, 20 labelled", "in 100", "next 100 after 100", "next 1,000 after 100"),
        "of 1,000, 100 labelled",
    ]


def test_gains_are_those_within_a_survey_and_over_the_best_of_each_column() -> None:
    base = np.arange(len(FIGURES)) + 10
    ways = {
        "ours": [(base * seed + 4).tolist() for seed in (1, 2, 3)],
        "one": [(base * seed).tolist() for seed in (1, 2, 3)],
        "poor": [[1] * len(FIGURES)] * 3,
    }
    rows = differences(ways, "ours").splitlines()
    assert rows[2].startswith("| less one | **+4.0 ± 0.0** |") and rows[3].startswith("| less poor |")
    first = FIGURES[SHOWN[0]].head
    assert f"{first}: {(2 * 11 + 4) / (2 * 11):.2f} (" in times_the_best(ways, "ours", ["one", "poor"])


def test_intervals_are_told_with_the_side_on_which_they_miss() -> None:
    told = of_intervals([Expected(20, 0.1, 0.3, 0.2), Expected(20, 0.1, 0.3, 0.05), Expected(40, 0.1, 0.3, 0.4)])
    assert "all: 1 of 3, poorer than told in 1; after 20: 1 of 2, poorer than told in 1; after 40: 0 of 1" in told


def test_labels_of_an_oracle_bound_what_labels_can_teach(search: Search) -> None:
    for name in ORACLES:
        mean, best = by_oracle(search, (1,), name)
        assert 25 < mean <= best <= 31, "of the 41 that are shown ten are labelled"


def test_who_is_told_most_ranks_what_the_embedding_allows(search: Search) -> None:
    in_100, in_1000 = allowed(search, (1,))
    assert in_1000 == 41 >= in_100 > found_by(search, DEFAULT_ORDER, (1,))[1]
    kernel = found_by(search, "kernel for every row", (1,))
    assert found(kernel, 100, "looked", 100) == 41


def test_all_is_told_of_each_interest(search: Search) -> None:
    ways = {name: [found_by(search, name, (1,))] for name in (OURS, *(n for n in UNTAUGHT if n in KNOWN))}
    ways |= {name: ways[DEFAULT_ORDER] for name in (*UNTAUGHT, LEFT) if name not in ways}
    oracles = {name: [by_oracle(search, (1,), name)] for name in ORACLES}
    text = as_text({"rare": Measured(ways, [allowed(search, (1,))], oracles, expected(search, (1,)))}, 500)
    for told in (f"| {OURS} |", f"| less {LEFT} |", "Told of three quarters", "best of 40 draws", "Both. The interval"):
        assert told in text
