"""Words for people: figures that explain themselves to the mouse and the keyboard, and clusters that are described."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser


def test_every_figure_explains_itself_to_mouse_and_keyboard(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 5)
    page, note = on_demo.page, on_demo.page.locator("#explanation")
    for place in (
        ".gf-status #status-selected",
        ".gf-status #status-drawn",
        "#status-answer",
        "#trust",
        "#details > dl dt",
    ):
        figure = page.locator(f"{place} .gf-figure").last
        page.mouse.move(2, 2)
        figure.hover()
        expect(note).to_be_visible()
        expect(note).to_have_text(figure.get_attribute("data-why") or "nothing")
        page.mouse.move(2, 2)
        expect(note).to_be_hidden()
        # Reached by keyboard, it is described to those who do not see it, too.
        figure.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        expect(note).to_be_visible()
        expect(figure).to_have_attribute("aria-describedby", "explanation")
        page.keyboard.press("Escape")
        expect(note).to_be_hidden()
    # What says most stands first; the rest is a click away.
    assert page.locator("#details dt:visible").count() < 10
    page.locator("#details summary", has_text="all columns").click()
    expect(page.locator("#details dt", has_text="gini")).to_be_visible()
    page.locator(".gf-sky .mode-pan").focus()
    page.keyboard.press("Tab")
    expect(note).to_have_text("Lasso (L)")
    assert page.locator("[title]:not(iframe)").count() == 0, "one kind of explanation on the page"
    # An image of the gallery is a button: its figure is explained when the button has the focus.
    page.locator("#gallery .gf-tile").first.focus()
    page.keyboard.press("Tab")
    expect(note).to_contain_text("cosine")
    box = note.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 1366 and box["y"] + box["height"] <= 768
    assert on_demo.complaints == []


def test_labels_of_the_map_and_heads_of_the_table_explain_themselves(on_demo: Watched) -> None:
    on_demo.open()
    page, note = on_demo.page, on_demo.page.locator("#explanation")
    label = page.locator("#map .annotation[data-why]").first
    box = label.bounding_box()
    assert box
    # The mouse is let through to the map: what lies under it is told all the same.
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 6)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 8)
    expect(note).to_contain_text("galaxies that look alike")
    page.mouse.move(2, 2)
    expect(note).to_be_hidden()
    page.locator("#map").locator("xpath=ancestor-or-self::*[@data-plane]").focus()
    page.keyboard.press("Tab")
    expect(label).to_be_focused()
    expect(note).to_contain_text("of 971 galaxies that look alike")
    expect(label).to_have_attribute("aria-describedby", "explanation")
    page.keyboard.press("Enter")
    on_demo.settle()
    cluster = max(on_demo.atlas.space().clusters, key=lambda one: one.size)
    assert on_demo.page.evaluate("galaxyFinder.state.selection.label") == cluster.label
    page.keyboard.press("Escape")
    on_demo.settle()
    page.keyboard.press("v")
    on_demo.settle()
    head = page.locator("#table .ag-header-cell[col-id=ra]")
    head.hover()
    expect(note).to_contain_text("ascension")
    page.mouse.move(2, 2)
    expect(note).to_be_hidden()
    page.locator("#table .ag-row .ag-cell[col-id=ra]").first.click()
    on_demo.settle()
    page.locator("#table .ag-row[row-index='0'] .ag-cell[col-id=ra]").focus()
    page.keyboard.press("ArrowUp")
    expect(note).to_contain_text("ascension")
    assert on_demo.complaints == []


def test_clusters_are_described_in_words_with_their_figures(on_demo: Watched) -> None:
    on_demo.open()
    labels = on_demo.page.evaluate("document.querySelector('#map .js-plotly-plot').layout.annotations.map(a => a.text)")
    assert any(label.startswith("redder<br>") and label.endswith(" galaxies") for label in labels)
    assert not any("_" in label for label in labels)
    on_demo.page.keyboard.press("c")
    on_demo.settle()
    words = on_demo.page.locator(".gf-cluster b", has_text="bluer").first
    words.hover()
    expect(on_demo.page.locator("#explanation")).to_contain_text("among all galaxies")
    expect(on_demo.page.locator("#card")).to_be_hidden()


def test_a_mistyped_condition_says_which_one_is_in_force_and_leads_back_to_it(on_demo: Watched) -> None:
    on_demo.open()
    page, says = on_demo.page, on_demo.page.locator("#expression-says .gf-in-force")
    page.keyboard.press("f")
    on_demo.settle()

    def typed(text: str) -> None:
        page.fill("#expression", text)
        page.press("#expression", "Enter")
        page.wait_for_timeout(300)
        on_demo.settle()

    typed("gini > 0.5")
    expect(says).to_have_count(0)
    passing = on_demo.text("#status-selected")
    typed("gini > 0.5 & nonsense < 3")
    expect(says).to_have_text("Not in force; still: gini > 0.5 back to it")
    assert on_demo.text("#status-selected") == passing
    says.get_by_role("button", name="back to it").click()
    assert page.input_value("#expression") == "gini > 0.5"
    expect(says).to_have_count(0)
    # Left without Enter, a condition is not in force either.
    page.fill("#expression", "gini > 0.6")
    page.press("#expression", "Tab")
    expect(says).to_contain_text("still: gini > 0.5")
    typed("gini > 0.6")
    expect(says).to_have_count(0)
    assert on_demo.page.evaluate("window.galaxyFinder.state.expression") == "gini > 0.6"
    typed("")
    typed("gini >")
    expect(says).to_contain_text("no condition is")
    assert on_demo.complaints == []
