"""Filtered search is measured beside the exact answer."""

from __future__ import annotations

from atlas import Atlas
from benchmarks.filtered import measure


def test_a_share_of_the_galaxies_is_searched_and_judged(small: Atlas) -> None:
    few = measure(small, 0.01, 4)
    assert 150 < few.rows < 250 and few.recall == few.worst == 1.0 and few.ways == "exact on the selection 4"
    assert few == measure(small, 0.01, 4)._replace(median_ms=few.median_ms, slowest_ms=few.slowest_ms)
