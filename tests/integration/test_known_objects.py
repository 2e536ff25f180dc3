"""A list from elsewhere: matched to the atlas, and judged by where a search ranks it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from atlas import Atlas, ByColumn, InputError, Query, Range, Shuffled, Similar
from atlas.search.exact import exact_scores


@pytest.fixture(scope="module")
def positions(small: Atlas) -> SkyCoord:
    columns = small.columns()
    return SkyCoord(columns.array("ra"), columns.array("dec"), unit="deg")


def test_positions_find_what_astropy_finds(small: Atlas, positions: SkyCoord) -> None:
    rng = np.random.default_rng(0)
    rows = rng.choice(small.n_rows, 60, replace=False)
    asked = positions[rows].directional_offset_by(rng.uniform(0, 360, 60) * u.deg, rng.uniform(0, 3, 60) * u.arcsec)
    found = small.match(asked, radius_arcsec=1.5)
    nearest, away, _ = asked.match_to_catalog_sky(positions)
    near = away.arcsec <= 1.5
    assert 0 < near.sum() < 60
    assert np.array_equal(found["row"], np.where(near, nearest, -1))
    np.testing.assert_allclose(found["separation_arcsec"][near], away.arcsec[near], atol=1e-6)
    assert (found["outcome"][~near] == "unmatched").all() and found["separation_arcsec"][~near].isna().all()
    assert found["id"][near].tolist() == small.identity.names(nearest[near])


def test_what_may_be_another_is_said(small: Atlas, positions: SkyCoord) -> None:
    twice = small.match(positions[[5, 5, 9]])
    assert twice["outcome"].tolist() == ["ambiguous", "ambiguous", "matched"], "two of the list have one galaxy"
    wide = small.match(positions[[5]], radius_arcsec=3600)
    within = int(np.count_nonzero(positions.separation(positions[5]).deg <= 1))
    assert within > 1 and wide["candidates"].tolist() == [within] and wide["outcome"].tolist() == ["ambiguous"]
    assert small.match(ra_deg=[np.nan, 12.0], dec_deg=[0.0, 95.0])["outcome"].tolist() == ["unmatched"] * 2


def test_ids_tables_and_frames_are_lists_too(small: Atlas) -> None:
    names = small.identity.names([7, 3])
    assert small.match(id=[*names, "1-2-3"])["row"].tolist() == [7, 3, -1]
    columns = small.columns()
    frame = pd.DataFrame({"RA": columns.array("ra")[[3]], "DEC": columns.array("dec")[[3]]})
    assert small.match(frame)["row"].tolist() == small.match(Table.from_pandas(frame))["row"].tolist() == [3]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "give one of these"),
        ({"id": ["1"], "ra_deg": 3.0}, "give one of these"),
        ({"galaxies": [1, 2]}, "list is no list of galaxies"),
        ({"ra_deg": [1.0]}, "dec_deg is missing"),
        ({"ra_deg": [1.0], "dec_deg": [1.0, 2.0]}, "as many RA as Dec"),
        ({"ra_deg": 1.0, "dec_deg": 1.0, "radius_arcsec": 0}, "radius_arcsec"),
    ],
)
def test_what_is_no_list_is_refused(small: Atlas, given: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        small.match(**given)  # type: ignore[arg-type]


def test_known_objects_stand_where_a_sort_of_all_puts_them(small: Atlas) -> None:
    space, magnitude = small.space(), small.columns().array("mag_r")
    known = np.random.default_rng(1).choice(small.n_rows, 50, replace=False)
    examples = (int(known[0]), 11)
    query = Query(space="v1", ranking=Similar(examples), selection=Range("mag_r", high=float(np.median(magnitude))))
    found = small.recovery(query, known)
    inside = np.asarray(small.mask(query.selection).dense).copy()
    inside[list(examples)] = False
    order = small.run(Query(space="v1", ranking=query.ranking, selection=query.selection, limit=1000, exact=True)).rows
    first = {int(row): place for place, row in enumerate(order, 1)}
    assert found.total == int(inside.sum()) and sorted(found.rows.tolist()) == sorted(known[inside[known]].tolist())
    for row, rank in zip(found.rows.tolist(), found.ranks.tolist(), strict=True):
        assert first.get(row, rank) == rank, "where the search itself has it"
        assert row in first or rank > 1000
    assert found.found(1000) == len(set(found.rows.tolist()) & set(first))
    assert found.by_chance(found.total) == found.rows.size
    assert found.looks_for(1.0) == found.ranks[-1] and 0 < found.purity(0.5) <= 1
    assert f"among {found.total:,}" in str(found)
    q = np.asarray(space.embeddings[7], dtype=np.float32)
    alone = small.recovery(Query(space="v1", ranking=Similar((7,))), known)
    scores = exact_scores(space.embeddings, np.arange(small.n_rows), q)
    assert (np.diff(scores[alone.rows]) <= 0).all()


def test_a_column_ranks_and_chance_does_not(small: Atlas) -> None:
    values = np.asarray(small.columns().array("mag_r"))
    found = small.recovery(Query(space="v1", ranking=ByColumn("mag_r", descending=False)), [5, 6])
    assert found.ranks.tolist() == sorted(1 + int(np.count_nonzero(values < values[row])) for row in (5, 6))
    with pytest.raises(InputError, match="random order"):
        small.recovery(Query(space="v1", ranking=Shuffled()), [5])
    with pytest.raises(InputError, match="rows lie in"):
        small.recovery(Query(space="v1", ranking=Similar((7,))), [small.n_rows])
    with pytest.raises(InputError, match="completeness"):
        found.looks_for(0)
