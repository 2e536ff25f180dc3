"""Filtered search is measured beside the exact answer."""

from __future__ import annotations

import numpy as np

from atlas import Atlas
from benchmarks.filtered import measure, random_share, side_of_the_map


def test_a_share_of_the_galaxies_is_searched_and_judged(small: Atlas) -> None:
    share = random_share(small, 0.01)
    few = measure(small, "1 %", share, ~share, 4)
    assert 150 < few.rows < 250 and few.recall == few.worst == 1.0 and few.ways == "exact on the selection 4"
    again = measure(small, "1 %", share, ~share, 4)
    assert few[1:4] == again[1:4]


def test_a_side_of_the_map_is_what_lies_left_of_the_rest(small: Atlas) -> None:
    side = side_of_the_map(small, 0.25)
    x = np.asarray(small.columns(small.default_space).array("map_x"))
    assert abs(side.mean() - 0.25) < 0.001 and x[side].max() < x[~side].min()
