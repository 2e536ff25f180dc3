"""Columns of many words and of text: searched, filtered by, and told apart in the legend."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.hands import expect_count

pytestmark = pytest.mark.browser


@pytest.fixture
def page(on_words: Watched) -> Watched:
    on_words.open()
    return on_words


def fields(page: Watched) -> np.ndarray:
    """The word of each galaxy."""
    columns = page.atlas.columns()
    return np.array(columns.describe("field").vocabulary)[columns.array("field")]


def test_the_legend_reaches_every_word_and_filters_by_it(page: Watched) -> None:
    of = fields(page)
    names, counts = np.unique(of, return_counts=True)
    page.page.select_option("#color", "field")
    page.settle()
    row = page.page.locator("#legend .gf-legend-row")
    shown = row.locator(".gf-word").all_inner_texts()
    assert len(shown) == 12 and shown[0] == names[counts.argmax()] == "Field 0", "the commonest first"
    colours = row.locator(".gf-word i").evaluate_all("all => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(colours)) == 12
    # The row scrolls, and what stands behind it is not cut off.
    last = row.locator(".gf-word").last
    last.scroll_into_view_if_needed()
    panel, word = page.page.locator(".gf-map").bounding_box(), last.bounding_box()
    assert panel and word and panel["x"] <= word["x"] and word["x"] + word["width"] <= panel["x"] + panel["width"]
    summary = page.page.locator(".gf-legend-menu summary")
    assert summary.inner_text() == f"all {names.size} words"
    assert (right := summary.bounding_box()) and right["x"] + right["width"] <= panel["x"] + panel["width"]
    # The figure to take along tells what its colours mean.
    with page.page.expect_download() as download:
        page.page.evaluate("galaxyFinder.local.figure({ plane: 'map', format: 'svg' })")
    figure = Path(download.value.path()).read_text()
    assert all(f">{word}<" in figure for word in shown) and f">and {names.size - 12} more<" in figure
    # By mouse in the menu, to the rarest; by keyboard in the row; and each away again.
    summary.click()
    assert f"36 colours for {names.size} words" in page.text(".gf-legend-menu")
    rarest = str(names[counts.argmin()])
    page.page.fill(".gf-legend-menu .gf-search", rarest.lower())
    page.page.locator(".gf-legend-menu .gf-word", has_text=rarest).first.click()
    page.settle()
    expect_count(page, int(counts.min()))
    expect(page.page.locator(".gf-legend-menu .gf-search")).to_have_value(rarest.lower())
    page.page.keyboard.press("Escape")
    first = row.locator(".gf-word").first
    first.focus()
    page.page.keyboard.press("Enter")
    page.settle()
    expect_count(page, int(counts.min() + counts.max()))
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(first).to_be_focused()
    page.page.keyboard.press("Enter")
    page.settle()
    expect_count(page, int(counts.min()))
    row.hover()
    page.page.mouse.wheel(0, 80)
    page.page.wait_for_function("document.querySelector('.gf-legend-row').scrollLeft > 40")
    # On a phone the menu lies over the other panels.
    page.page.mouse.move(2, 2)
    page.page.set_viewport_size({"width": 390, "height": 844})
    page.page.wait_for_timeout(700)
    page.settle()
    summary.click()
    page.page.fill(".gf-legend-menu .gf-search", "")
    covered = page.page.evaluate(
        """() => {
            const list = document.querySelector('.gf-legend-menu .gf-words').getBoundingClientRect();
            return Array.from(document.querySelectorAll('.gf-legend-menu .gf-word'))
                .map((word) => [word, word.getBoundingClientRect()])
                .filter(([, box]) => box.top >= list.top && box.bottom <= list.bottom)
                .filter(([word, box]) => !word.contains(document.elementFromPoint(box.x + 12, box.y + box.height / 2)))
                .map(([word]) => word.dataset.word);
        }"""
    )
    assert covered == []
    assert page.complaints == []


def test_words_are_searched_and_text_is_looked_into(page: Watched) -> None:
    of = fields(page)
    page.page.keyboard.press("f")
    page.settle()
    words = page.page.locator(".gf-filter[data-column=field]")
    expect(words.locator(".gf-word")).to_have_count(np.unique(of).size)
    words.locator(".gf-search").fill("field 17")
    visible = words.locator(".gf-word:visible")
    expected = [word for word in np.unique(of) if "Field 17" in word]
    expect(visible).to_have_count(len(expected))
    visible.first.click()
    page.settle()
    expect(visible).to_have_count(len(expected)), "what was looked for stays"
    chosen = page.page.evaluate("galaxyFinder.state.filters[0].values")
    expect_count(page, int(np.isin(of, chosen).sum()))
    words.get_by_role("button", name="Drop the filter").click()
    page.settle()
    remarks = page.atlas.columns().array("remark")
    holding = np.char.find(np.char.upper(remarks), b"NGC 01") >= 0
    field = page.page.locator(".gf-filter[data-column=remark] .gf-holds")
    if not field.count():
        page.page.select_option("#brush", "remark")
        page.settle()
    field.fill("ngc 01")
    field.press("Enter")
    page.settle()
    expect_count(page, int(holding.sum()))
    # The same as a condition, completed on the way.
    page.page.locator(".gf-filter[data-column=remark]").get_by_role("button", name="Drop the filter").click()
    page.settle()
    page.page.fill("#expression", "")
    page.page.locator("#expression").press_sequentially('remark == "NGC 0001')
    whole = remarks[1].decode()
    expect(page.page.locator("#expression-words button").first).to_have_text(f'"{whole}"')
    page.settle()  # what is still asked of the letters before would draw the words anew under the key
    page.page.keyboard.press("Tab")
    expect(page.page.locator("#expression")).to_have_value(re.compile(re.escape(whole)))
    page.page.keyboard.press("Enter")
    page.settle()
    page.settle()
    expect_count(page, 1)
    assert page.complaints == []
