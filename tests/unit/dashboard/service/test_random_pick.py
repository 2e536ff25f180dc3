"""Random galaxies that are bright more often than others."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from atlas import Atlas, Mask
from atlas.storage.manifest import RandomPick
from dashboard.service.galaxies import bright_rank, random_row


def test_ranks_are_drawn_as_the_old_app_drew_them() -> None:
    n, pick = 42_272_646, RandomPick(mean=10.0, sigma=2.0, skip=2_500)
    drawn = np.random.default_rng(3).lognormal(10.0, 2.0, 200_000)
    kept = drawn[(drawn >= pick.skip) & (drawn < n)]
    shares = np.array([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    ours = [bright_rank(pick, n, share) for share in shares]
    np.testing.assert_allclose(ours, np.quantile(kept, shares), rtol=0.05)
    assert bright_rank(pick, n, 0.0) == 2_500 and bright_rank(pick, n, 1.0) <= n - 1


@pytest.mark.parametrize(
    "pick", [RandomPick(skip=0), RandomPick(mean=25.0, sigma=20.0), RandomPick(mean=0.0, sigma=0.01)]
)
def test_every_rank_is_one_of_the_survey(pick: RandomPick) -> None:
    ranks = [bright_rank(pick, 3_000, share) for share in (0.0, 1e-12, 0.3, 0.999999, 1.0)]
    assert all(pick.skip <= rank < 3_000 for rank in ranks) and ranks == sorted(ranks)


def test_an_atlas_that_says_so_shows_its_bright_galaxies(demo: Atlas) -> None:
    atlas = Atlas(demo.build, replace(demo.manifest, random_pick=RandomPick(mean=3.0, sigma=1.0, skip=10)))
    rows = [random_row(atlas, None) for _ in range(300)]
    assert min(rows) >= 10 and np.median(rows) < 60
    some = Mask.from_rows(np.arange(500, 971), 971)
    inside = [random_row(atlas, some) for _ in range(300)]
    assert min(inside) >= 500 and np.median(inside) < 540
    # Where the atlas says nothing, or has fewer than are skipped, any galaxy is as likely.
    for even in (demo, Atlas(demo.build, replace(demo.manifest, random_pick=RandomPick(skip=5_000)))):
        assert 300 < np.median([random_row(even, None) for _ in range(300)]) < 650
