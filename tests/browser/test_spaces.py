"""An atlas of two embedding spaces: the page sees the galaxies in either, and compares what they answer."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.queries.selection import Named
from atlas.search.exact import exact_scores
from dashboard.state import url as links
from tests.browser.conftest import Watched
from tests.browser.hands import choose, expect_count, open_drawer

ROW = 30


def nearest(watched: Watched, space: str, k: int) -> list[int]:
    """The true nearest of the row in a space."""
    embeddings = watched.atlas.space(space).embeddings
    query = np.asarray(embeddings[ROW], dtype=np.float32)
    scores = exact_scores(embeddings, np.arange(watched.atlas.n_rows), query)
    scores[ROW] = -2
    return [int(row) for row in np.argsort(-scores, kind="stable")[:k]]


@pytest.mark.soak
def test_map_and_search_follow_the_space_and_the_answers_are_compared(on_spaces: Watched) -> None:
    page, atlas = on_spaces.page, on_spaces.atlas
    on_spaces.open()
    choose(on_spaces, ROW)
    assert set(on_spaces.rows()) == set(nearest(on_spaces, "v1", 24))
    page.click("#spaces button:has-text('v2')")
    page.wait_for_selector("#spaces button[aria-pressed=true]:has-text('v2')")
    on_spaces.settle()
    assert set(on_spaces.rows()) == set(nearest(on_spaces, "v2", 24))
    drawn = on_spaces.drawn("map")
    shown = page.evaluate("Array.from(document.querySelector('#map .js-plotly-plot')._fullData[0].x)")
    assert np.allclose(shown, atlas.columns("v2").array("map_x")[drawn], atol=1e-4)
    extent = page.evaluate("document.querySelector('#map .js-plotly-plot')._fullLayout.xaxis.range")
    assert extent[0] < min(shown) and max(shown) < extent[1]  # the whole of the other map is in view

    open_drawer(on_spaces, "q")
    ours, theirs = (set(nearest(on_spaces, name, 100)) for name in ("v2", "v1"))
    page.click(f"#drawer button:has-text('common {len(ours & theirs)}')")
    page.locator("#status-selected", has_text="selected").wait_for()
    on_spaces.settle()
    expect_count(on_spaces, len(ours & theirs))
    state = links.from_token(page.url.partition("?s=")[2])
    assert state.space == "v2" and isinstance(state.selection, Named)
    assert set(atlas.identity.rows(state.selection.ids).tolist()) == ours & theirs
    assert on_spaces.complaints == []


@pytest.mark.soak
def test_two_maps_stand_side_by_side_and_share_what_is_chosen(on_spaces: Watched) -> None:
    page, atlas = on_spaces.page, on_spaces.atlas
    on_spaces.open()
    choose(on_spaces, ROW)
    page.click("#sky-or button:has-text('map of v2')")
    page.locator("#second-title", has_text="Map of v2").wait_for()
    on_spaces.settle()
    assert page.locator("#sky").is_hidden() and page.locator("#second").is_visible()
    graph = "document.querySelector('#second .js-plotly-plot')"
    places = np.stack([atlas.columns("v2").array(f"map_{axis}") for axis in "xy"], axis=1)
    shown = page.evaluate(f"Array.from({graph}._fullData[0].x)")
    assert np.allclose(shown, places[on_spaces.drawn("second"), 0], atol=1e-4)
    ring = page.evaluate(f"[{graph}._fullData[3].x[0], {graph}._fullData[3].y[0]]")
    assert np.allclose(ring, places[ROW], atol=1e-4)

    before = page.evaluate(f"{graph}._fullLayout.xaxis.range.slice()")
    page.mouse.move(*on_spaces.pixel("second", *map(float, places[ROW])))
    page.mouse.wheel(0, -400)
    page.wait_for_function("new URLSearchParams(location.search).get('s') !== null")
    page.wait_for_timeout(400)
    on_spaces.settle()
    state = links.from_token(page.url.partition("?s=")[2])
    assert state.second_space == "v2" and state.second is not None and state.map is None
    assert state.second.x1 - state.second.x0 < before[1] - before[0]
    inside = (places[:, 0] > state.second.x0) & (places[:, 0] < state.second.x1)
    inside &= (places[:, 1] > state.second.y0) & (places[:, 1] < state.second.y1)
    assert page.text_content("#second-words") == f"all {np.count_nonzero(inside):,} in view drawn"
    page.click("#second-or button:has-text('sky')")
    on_spaces.settle()
    assert page.locator("#sky").is_visible() and page.locator("#second").is_hidden()
    assert on_spaces.complaints == []
