"""What to expect of the next galaxies, from the last ones."""

from __future__ import annotations

import pytest

from atlas.queries.looks import share_expected


@pytest.mark.parametrize(("found", "looks"), [(0, 20), (5, 20), (20, 20), (1, 1)])
def test_the_interval_holds_half_of_what_was_found_and_all_of_it(found: int, looks: int) -> None:
    low, high = share_expected(found, looks)
    assert 0 <= low <= found / looks / 2 + 0.01 and found / looks <= high + 1e-9 <= 1 + 2e-9
    assert share_expected(10 * found, 10 * looks)[1] - share_expected(10 * found, 10 * looks)[0] < high - low


def test_nothing_is_known_before_the_first_look() -> None:
    assert share_expected(0, 0) == (0.0, 1.0)
