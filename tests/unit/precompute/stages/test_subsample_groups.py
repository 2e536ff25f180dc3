"""Groups find what is rare: a class whose members are one another's neighbours, wherever it lies."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from precompute.stages import subsample_groups as groups
from precompute.stages.subsample_groups import Groups, closed_swarms, find_groups, link_rows
from tests.unit.groups import grouped_embeddings

SIZES = [1_500, 900, 560, 40]
RARE = 3


@pytest.fixture(scope="module")
def survey():
    """Unit rows, and the true group of each; the last is rare."""
    return grouped_embeddings(SIZES, d=24, seed=2)


@pytest.fixture(scope="module")
def links(survey):
    """True neighbours of each row and their similarities."""
    return nearest_by_numpy(survey[0], groups.LINKS)


def nearest_by_numpy(rows, k):
    products = rows @ rows.T
    np.fill_diagonal(products, -np.inf)
    nearest = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return nearest.astype(np.int32), np.take_along_axis(products, nearest, axis=1)


class TestLinks:
    def test_are_the_nearest_others_where_every_cell_is_looked_at(self, survey, links):
        rows = survey[0]
        neighbors, similarity = link_rows(rows, rows[:: len(rows) // groups.CELLS_A_ROW][: groups.CELLS_A_ROW])
        np.testing.assert_allclose(similarity, links[1], atol=1e-6)
        assert (neighbors == links[0]).mean() > 0.999, "but for ties in float32"

    def test_are_most_of_the_nearest_where_few_cells_are(self, survey, links):
        rows = survey[0]
        neighbors, similarity = link_rows(rows, rows[:60], threads=2)
        assert (links[0][:, :, None] == neighbors[:, None, :]).any(axis=2).mean() > 0.75
        assert (neighbors != np.arange(len(rows))[:, None]).all()
        assert (np.diff(similarity, axis=1) <= 0).all()
        np.testing.assert_allclose(similarity, np.einsum("nd,nkd->nk", rows, rows[neighbors]), atol=1e-6)

    def test_hold_in_both_directions_but_where_nearer_ones_take_the_place(self, survey):
        rows = survey[0]
        neighbors, similarity = link_rows(rows, rows[:60])
        for row, others in enumerate(neighbors):
            is_mutual = (neighbors[others] == row).any(axis=1)
            assert (is_mutual | (similarity[others, -1] >= similarity[row] - 1e-6)).all()

    def test_of_a_class_that_no_seed_falls_on_are_found(self, survey):
        rows, of = survey
        neighbors, _ = link_rows(rows, rows[of != RARE][:60])
        assert (of[neighbors[of == RARE]] == RARE).mean() > 0.75

    def test_are_missing_where_there_are_no_more_rows(self, survey):
        neighbors, similarity = link_rows(survey[0][:5], survey[0][:2])
        np.testing.assert_array_equal(np.sort(neighbors[:, :4]), [[j for j in range(5) if j != i] for i in range(5)])
        assert (neighbors[:, 4:] == -1).all() and np.isneginf(similarity[:, 4:]).all()

    def test_of_very_many_equal_rows_look_at_some_of_them(self, monkeypatch):
        monkeypatch.setattr(groups, "MOST_MEMBERS", 50)
        rows = np.zeros((3_000, 4), dtype=np.float32)
        rows[:, 0] = 1
        tracemalloc.start()
        neighbors, similarity = link_rows(rows, rows[:3])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000 * 3_000 * 4 / 2, "never all pairs at once"
        assert (similarity == 1).all() and (neighbors >= 0).all()
        assert (neighbors != np.arange(3_000)[:, None]).all()


class TestSwarms:
    def test_are_what_following_the_links_finds(self, links):
        neighbors, similarity = links
        density = similarity[:, -1]

        def peak_of(row):
            closer = [j for j in neighbors[row] if (density[j], -j) > (density[row], -row)]
            return peak_of(closer[0]) if closer else row

        peaks = np.array([peak_of(row) for row in range(len(neighbors))])
        kept = {p: np.mean(peaks[neighbors[peaks == p]] == p) for p in np.unique(peaks)}
        swarms = closed_swarms(neighbors, similarity, 1_000)
        closed = [p for p, share in kept.items() if share > groups.CLOSED]
        assert 0 < len(closed) == swarms.max() + 1 < len(kept)
        for p in closed:
            (number,) = np.unique(swarms[peaks == p])
            assert number == sum(kept[other] > kept[p] for other in closed), "the most closed comes first"
        assert (swarms[~np.isin(peaks, closed)] == -1).all()

    def test_a_rare_class_is_the_most_closed(self, survey, links):
        swarms = closed_swarms(*links, 5)
        assert swarms.max() < 5
        assert (swarms[survey[1] == RARE] == 0).mean() > 0.9
        assert (survey[1][swarms == 0] == RARE).all()

    def test_there_are_none_without_links(self):
        lonely = np.full((7, 3), -1, dtype=np.int32), np.full((7, 3), -np.inf, dtype=np.float32)
        assert (closed_swarms(*lonely, 9) == -1).all()


class TestGroups:
    def test_a_rare_class_is_a_group_of_its_own(self, survey):
        rows, of = survey
        # Three groups of which two are cells: nothing but its links can tell it from the rest.
        found = find_groups(rows.astype(np.float16), 5, np.random.default_rng(0))
        group = found.of(rows.astype(np.float16))
        assert len(found.centres) == 5 and found.reach.size == 1
        assert (group[of == RARE] == 4).mean() > 0.9
        assert (of[group == 4] == RARE).all()

    def test_a_row_belongs_to_the_nearest_centre_that_reaches_it(self):
        found = Groups(
            centres=np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32),
            # Rows at most 0.1 from the third: |x − c|² = 1 + |c|² − 2 x·c, and nearness is x·c − |c|²/2.
            reach=np.array([(1 - 0.1**2) / 2], dtype=np.float32),
        )
        angle = np.radians([0, 20, 48, 52, 58, 60, 90])
        rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        assert [int(g) for g in found.of(rows)] == [0, 0, 2, 2, 2, 1, 1]

    def test_do_not_depend_on_threads_nor_exceed_what_is_asked(self, survey, monkeypatch):
        monkeypatch.setattr(groups, "CHUNK_ROWS", 500)
        monkeypatch.setattr(groups, "SAMPLE_ROWS", 2_000)
        one, two = (find_groups(survey[0], 40, np.random.default_rng(3), threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one.centres, two.centres)
        np.testing.assert_array_equal(one.reach, two.reach)
        assert len(one.centres) <= 40
        assert one.of(survey[0]).max() < len(one.centres)

    def test_are_no_more_than_the_sample_has_rows(self, survey, monkeypatch):
        monkeypatch.setattr(groups, "SAMPLE_ROWS", 60)
        assert len(find_groups(survey[0], 100, np.random.default_rng(0)).centres) <= 100

    def test_equal_rows_make_one_group(self):
        rows = np.zeros((300, 4), dtype=np.float32)
        rows[:, 1] = 1
        group = find_groups(rows, 15, np.random.default_rng(0)).of(rows)
        assert len(np.unique(group)) == 1
