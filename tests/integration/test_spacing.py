"""Near twins hidden and variety, in searches, receipts, the notebook and the page."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from atlas import Atlas, ByColumn, InputError, Query, Similar, Spacing
from atlas.receipts import make_receipt, read_receipt, replay
from dashboard.service.galaxies import galaxy
from dashboard.service.gallery_query import VARIETY, question_of
from dashboard.state.page_state import State
from dashboard.views.twins import count_twins, radius_of, twin_choice

RADIUS = 3_600.0  # twins of the simulated survey are rare: what lies this near will do


def of(atlas: Atlas, spacing: Spacing | None = None, limit: int = 60) -> Query:
    return Query(space=atlas.default_space, ranking=Similar((7,)), limit=limit, exact=True, spacing=spacing)


def test_near_twins_are_left_out_and_the_list_is_filled(small: Atlas) -> None:
    plain = small.run(of(small, limit=800))
    found = small.run(of(small, Spacing(apart_arcsec=RADIUS)))
    columns = small.columns()
    places = SkyCoord(columns.array("ra"), columns.array("dec"), unit="deg")
    kept = [7]
    for row in plain.rows.tolist():
        if (places[kept].separation(places[row]).arcsec > RADIUS).all():
            kept.append(row)
    assert found.rows.tolist() == kept[1:61]
    assert found.hidden == plain.rows.tolist().index(kept[60]) + 1 - 60 > 0
    second = small.run(Query(space=small.default_space, ranking=Similar((7,)), limit=20, offset=40, exact=True,
                             spacing=Spacing(apart_arcsec=RADIUS)))  # fmt: skip
    assert second.rows.tolist() == kept[41:61], "pages fit together"


def test_variety_is_taken_from_thousands(small: Atlas) -> None:
    plain, found = small.run(of(small)), small.run(of(small, Spacing(variety=0.5)))
    best = small.run(of(small, limit=5_000)).rows

    def likeness(rows: np.ndarray) -> float:
        e = np.asarray(small.space().embeddings[rows], dtype=np.float32)
        return float(np.triu(e @ e.T, 1).sum() / (len(e) * (len(e) - 1) / 2))

    assert found.rows[0] == plain.rows[0] and np.isin(found.rows, best).all()
    assert likeness(found.rows) < 0.95 * likeness(plain.rows)
    with pytest.raises(InputError, match="variety is among"):
        small.run(Query(space=small.default_space, ranking=ByColumn("mag_r"), spacing=Spacing(variety=0.5)))


def test_receipts_name_the_spacing_and_those_of_before_hold(small: Atlas) -> None:
    plain, none = small.run(of(small)), small.run(of(small, Spacing()))
    assert plain.receipt == none.receipt
    query = of(small, Spacing(apart_arcsec=RADIUS, variety=0.3))
    result = small.run(query)
    assert result.receipt != plain.receipt
    again = replay(small, read_receipt(make_receipt(small, query, result)))
    assert again.result.rows.tolist() == result.rows.tolist()


def test_a_notebook_has_both(small: Atlas) -> None:
    found = small.similar(rows=7, k=60, exact=True, apart_arcsec=RADIUS)
    assert found.index.tolist() == small.run(of(small, Spacing(apart_arcsec=RADIUS))).rows.tolist()
    varied = small.similar(rows=7, k=60, exact=True, variety=0.5)
    assert varied.index.tolist() == small.run(of(small, Spacing(variety=0.5))).rows.tolist()
    with pytest.raises(InputError, match="variety between 0 and"):
        small.similar(rows=7, variety=2)


def test_the_page_offers_to_hide_twins_where_there_are_some(demo: Atlas) -> None:
    state = State(focus=galaxy(demo, 30), exact=True)
    query = question_of(demo, state).query
    assert query is not None
    result = demo.run(query)
    assert radius_of(demo) < 2, "all of a deep field lies within a minute"
    assert count_twins(demo, query, result, 20.0) > 0
    hidden = question_of(demo, State(focus=state.focus, exact=True, apart_arcsec=20.0)).query
    assert hidden is not None
    told = str(twin_choice(demo, hidden, demo.run(hidden)))
    assert f"{demo.run(hidden).hidden} hidden within 20″" in told
    varied = question_of(demo, State(focus=state.focus, order="varied")).query
    assert varied is not None and varied.spacing == Spacing(variety=VARIETY)
