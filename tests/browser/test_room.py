"""Windows of every size, and large text: nothing that can be used is cut off or covered."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser

# The window, and the size of the root's text in pixels; a page at 150 % in 1366 × 768 has 911 × 512 pixels.
SIZES = ((1366, 768, 16), (1366, 768, 24), (1024, 700, 16), (911, 512, 16), (390, 844, 16))

# Controls that lie outside the window, or under something else once they are scrolled to.
LOST = """(within) => Array.from(document.querySelectorAll(within))
    .filter(e => e.checkVisibility({ visibilityProperty: true }) && !e.closest('.gf-hidden, .tab-sentinel'))
    .filter(e => {
        e.scrollIntoView({ block: 'nearest' });
        const box = e.getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        const hit = document.elementFromPoint(x, y);
        const out = box.left < -0.5 || box.right > window.innerWidth + 0.5 || box.top < -0.5 || box.bottom > window.innerHeight + 0.5;
        return out || !hit || !(e.contains(hit) || (hit.tagName === 'LABEL' && hit.contains(e)));
    }).map(e => e.outerHTML.slice(0, 120))"""  # noqa: E501
CONTROLS = ":is(button, select, input, a, summary)"
HEADS = ", ".join(f"{part} {CONTROLS}" for part in (".gf-header", ".gf-rail", ".gf-panel > header", ".gf-details"))


@pytest.mark.soak
def test_no_tool_is_cut_off_or_covered_at_any_size(on_demo: Watched) -> None:
    page = on_demo.page
    on_demo.open()
    choose(on_demo, 7)
    for width, height, text in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(f"document.documentElement.style.fontSize = '{text}px'")
        page.wait_for_timeout(400)
        on_demo.settle()
        assert page.evaluate(LOST, HEADS) == [], (width, height, text)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (width, height, text)
        for fold in page.locator("details.gf-fold.gf-menu > summary").all():
            fold.click()
            assert page.evaluate(LOST, f"details.gf-fold.gf-menu[open] > div {CONTROLS}") == []
            page.keyboard.press("Escape")
        page.locator("#gallery .gf-tile").last.hover()
        card = page.locator("#card")
        expect(card).to_be_visible()
        box = card.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= height
        page.mouse.move(1, 1)
    # Columns in view have menus of their own; that of the plane still says what it is.
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.keyboard.press("x")
    for width, height, _ in (SIZES[0], SIZES[-1]):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(400)
        on_demo.settle()
        assert page.evaluate(LOST, HEADS) == [], (width, "columns")
        plane = page.locator("#plane")
        assert plane.evaluate("e => e.selectedOptions[0].text") == "Columns"
        assert plane.evaluate("e => e.offsetWidth") >= 80 and "0, 0, 0, 0" not in plane.evaluate(
            "e => getComputedStyle(e).color"
        )
    # On a phone the names of drawers are one row, the tools fold, a tool from the menu does its work, and the gallery
    # comes before the catalogue.
    tops = page.eval_on_selector_all(".gf-rail button", "all => all.map(one => one.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    page.locator(".gf-fold-map > summary").click()
    page.locator(".gf-fold-map .mode-lasso").click()
    expect(page.locator(".gf-fold-map .mode-lasso")).to_be_hidden()
    assert page.evaluate("document.querySelector('#map .js-plotly-plot')._fullLayout.dragmode") == "lasso"
    gallery, catalogue = (page.locator(part).bounding_box() for part in (".gf-gallery", ".gf-details > dl"))
    assert gallery and catalogue and gallery["y"] + gallery["height"] <= catalogue["y"]
    assert on_demo.complaints == []


@pytest.mark.soak
def test_words_stand_beside_icons_where_there_is_room_and_drawers_over_the_map_where_there_is_none(
    on_demo: Watched,
) -> None:
    page = on_demo.page
    beside = page.locator(".gf-map .mode-lasso .gf-beside")
    drawer_over_map = """() => {
        const [drawer, map] = ['.gf-drawer', '.gf-map'].map(e => document.querySelector(e).getBoundingClientRect());
        return drawer.right > map.left + 1;
    }"""
    on_demo.open()
    for width, words, over in ((1920, True, False), (1366, False, False), (1024, False, True)):
        page.set_viewport_size({"width": width, "height": 800})
        expect(beside).to_be_visible(visible=words)
        page.keyboard.press("c")
        on_demo.settle()
        assert page.evaluate(drawer_over_map) is over
        page.keyboard.press("c")
        on_demo.settle()
