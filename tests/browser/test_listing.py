"""Gallery, table and download tell one order; the keyboard walks through them."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.hands import choose, downloaded, table_column

pytestmark = pytest.mark.browser


@pytest.fixture
def page(on_demo: Watched) -> Watched:
    on_demo.open()
    choose(on_demo, 7)
    return on_demo


def focused(page: Watched) -> str:
    where: str = page.page.evaluate(
        "(document.activeElement.closest('#gallery .gf-tile, #table .ag-cell') || document.activeElement).className"
    )
    return where


def test_a_random_sample_beside_a_galaxy_is_one_and_downloads_as_it_is_seen(page: Watched) -> None:
    similar = page.rows()
    page.page.select_option("#order", "random")
    page.settle()
    shown = page.rows()
    assert shown != similar and len(shown) == 24
    assert page.page.input_value("#order") == "random"
    lines = downloaded(page)
    assert [line["id"] for line in lines[:24]] == [page.atlas.identity.name(row) for row in shown]
    assert len(lines) == page.atlas.n_rows
    page.page.select_option("#order", "most")
    page.settle()
    assert page.rows() == similar


def test_a_sorted_table_keeps_similarity_and_its_download_is_what_is_seen(page: Watched) -> None:
    page.page.keyboard.press("v")
    page.page.keyboard.press("g")
    header = page.page.locator(".ag-header-cell[col-id=cluster]")
    header.click()
    page.page.wait_for_function("(window.galaxyFinder.state.table || {}).sort === 'cluster'")
    page.settle()
    assert page.page.input_value("#order") == "column"
    assert "By cluster, low first" in page.text("#order option:checked")
    ids, similarities = table_column(page, "_id"), table_column(page, "_score")
    assert len(ids) > 10 and len(similarities) == len(ids)
    q = np.asarray(page.atlas.space().embeddings[7], dtype=np.float64)
    for name, similarity in zip(ids, similarities, strict=True):
        embedding = np.asarray(page.atlas.space().embeddings[page.atlas.identity.row(name)], dtype=np.float64)
        assert float(similarity) == pytest.approx(float(embedding @ q), abs=2e-3)
    heads: list[str] = page.page.eval_on_selector_all(
        ".ag-header-cell", "e => e.map(h => h.getAttribute('col-id')).filter(c => !c.startsWith('_'))"
    )
    lines = downloaded(page)
    assert [line["id"] for line in lines[: len(ids)]] == ids
    assert set(lines[0]) == {"id", "similarity", *page.page.evaluate(COLUMNS), "origin"} and set(heads) <= set(lines[0])
    # The menu takes the sort back, and then both say the same again.
    page.page.select_option("#order", "most")
    page.page.wait_for_function("!(window.galaxyFinder.state.table || {}).sort")
    page.settle()
    assert page.page.input_value("#order") == "most"
    assert page.page.locator(".ag-header-cell[aria-sort=ascending]").count() == 0
    best = page.atlas.similar(rows=[7], k=5).index.tolist()
    page.page.wait_for_function(
        f"document.querySelector(\"#table .ag-row[row-index='0'] .ag-cell[col-id=_id]\")?.textContent"
        f" === '{page.atlas.identity.name(best[0])}'"
    )
    assert [line["id"] for line in downloaded(page)[:5]] == [page.atlas.identity.name(row) for row in best]
    assert page.complaints == []


COLUMNS = (
    "window.dash_ag_grid.getApi(document.querySelector('#table .gf-grid').id)"
    ".getColumns().map(c => c.getColId()).filter(c => !c.startsWith('_'))"
)


def test_arrows_and_enter_walk_the_gallery_and_the_focus_stays(page: Watched) -> None:
    tiles = page.page.locator("#gallery > .gf-tile")
    tiles.first.focus()
    page.page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    across = page.page.evaluate(
        "Array.from(document.querySelectorAll('#gallery > .gf-tile'), t => t.offsetTop)"
        ".filter((top, _, all) => top === all[0]).length"
    )
    page.page.keyboard.press("ArrowDown")
    expect(tiles.nth(1 + across)).to_be_focused()
    page.page.keyboard.press("ArrowUp")
    expect(tiles.nth(1)).to_be_focused()
    for _ in range(2):
        chosen = page.rows()[1]
        page.page.keyboard.press("Enter")
        page.page.wait_for_timeout(300)
        page.settle()
        assert page.page.evaluate("window.galaxyFinder.state.focus.id") == page.atlas.identity.name(chosen)
        assert "gf-tile" in focused(page)
        page.page.keyboard.press("Home")
        page.page.keyboard.press("ArrowRight")


def test_arrows_and_enter_walk_the_table_and_the_focus_stays(page: Watched) -> None:
    page.page.keyboard.press("v")
    page.page.keyboard.press("g")
    page.page.locator(".ag-row[row-index='0'] .ag-cell[col-id=_id]").wait_for()
    page.page.locator(".ag-header-cell[col-id=cluster]").click()
    page.page.wait_for_function("(window.galaxyFinder.state.table || {}).sort === 'cluster'")
    page.settle()
    page.page.evaluate(
        "window.dash_ag_grid.getApi(document.querySelector('#table .gf-grid').id).setFocusedCell(0, '_id')"
    )
    for down in (3, 2):
        for _ in range(down):
            page.page.keyboard.press("ArrowDown")
        name = page.page.evaluate("document.activeElement.textContent")
        row = page.page.evaluate("document.activeElement.closest('.ag-row').getAttribute('row-index')")
        page.page.keyboard.press("Enter")
        page.page.wait_for_timeout(300)
        page.settle()
        assert page.page.evaluate("window.galaxyFinder.state.focus.id") == name
        page.page.wait_for_function("document.activeElement.closest('#table .ag-cell')")
        again = page.page.evaluate("document.activeElement.closest('.ag-row').getAttribute('row-index')")
        assert again == row, "a list that keeps its order keeps its place"
    assert page.complaints == []
