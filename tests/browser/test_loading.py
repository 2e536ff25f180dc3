"""A page that is opened before the index is in memory: it works, says so, and goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import shapely
from playwright.sync_api import Browser, expect

from atlas import Atlas
from benchmarks import serving
from dashboard.service.galaxies import galaxy
from dashboard.state.page_state import State
from dashboard.state.url import to_token
from dashboard.views.figure import FOCUS, NEIGHBORS
from tests.browser.conftest import Watched, watch
from tests.browser.hands import expect_count, lasso, middle_of_the_map, state_polygon

pytestmark = [pytest.mark.browser, pytest.mark.soak]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server keeps its things, and looks for the gate."""
    return tmp_path / "server"


@pytest.fixture
def page(chromium: Browser, small_path: Path, small: Atlas, folder: Path) -> Iterator[Watched]:
    module = "tests.slow_dashboard"
    with serving.serve(small_path, folder, module=module, until_ready=False) as server:
        yield from watch(chromium, server, small)


def ringed(watched: Watched, trace: int) -> list[int]:
    """Rows that have a ring on the map."""
    script = f"Array.from(document.querySelector('#map .js-plotly-plot')._fullData[{trace}].customdata || [])"
    rows: list[int] = watched.page.evaluate(script)
    return rows


def test_the_page_works_while_search_is_loading_and_fills_its_gallery_by_itself(page: Watched, folder: Path) -> None:
    page.open(f"/?s={to_token(State(focus=galaxy(page.atlas, 7)))}")
    expect(page.page.locator("#gallery")).to_contain_text("Search is loading")
    expect(page.page.locator("#status-engine")).to_have_text("search is loading")
    expect(page.page.locator("#details")).to_contain_text(page.atlas.identity.name(7))
    assert ringed(page, FOCUS) == [7] and ringed(page, NEIGHBORS) == []
    x, y, vertices = middle_of_the_map(page, 0.3)
    lasso(page, "map", vertices)
    inside = shapely.contains_xy(state_polygon(page), x, y)
    expect_count(page, int(inside.sum()))
    expect(page.page.locator("#gallery > .gf-tile")).to_have_count(24)
    assert inside[page.rows()].all(), "so few are compared one by one"
    page.page.keyboard.press("Escape")
    expect(page.page.locator("#gallery")).to_contain_text("Search is loading")
    (folder / "gate").touch()
    expect(page.page.locator("#status-engine")).to_have_text("search by ScaNN", timeout=60_000)
    page.settle()
    assert page.rows() == page.atlas.similar(rows=[7], k=24).index.tolist()
    assert sorted(ringed(page, NEIGHBORS)) == sorted(page.rows())
    page.forget()
    page.page.wait_for_timeout(2_000)
    assert page.posts() == [], "nothing is left to ask for"
    assert page.complaints == []
