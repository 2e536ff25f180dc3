"""What is being typed in a drawer outlives the answers that draw it anew."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched

pytestmark = pytest.mark.browser

BOUND = ".gf-filter[data-column=trust] [data-side=low] input"
HOLDS = ".gf-filter[data-column=remark] .gf-holds"
SEARCH = ".gf-filter[data-column=field] .gf-search"
SLOW = """() => {
    const now = window.fetch;
    window.fetch = (...all) => new Promise((go) => setTimeout(go, 300)).then(() => now(...all));
}"""
TYPED = "galaxyFinder.state.filters.filter((one) => one.column !== 'field').length + galaxyFinder.get('expression')"


def type_meanwhile(page: Watched, selector: str, text: str, word: str) -> None:
    """Type slowly while the answer to a click on a word is late; the caret stands before the last sign then."""
    field = page.page.locator(selector)
    field.fill("")
    field.evaluate("field => { field.old = true; }")
    page.page.evaluate("word => galaxyFinder.send({is: 'filter', column: 'field', values: [word]})", word)
    field.press_sequentially(text[:2] + text[3], delay=20)
    page.page.keyboard.press("ArrowLeft")
    expect(field).not_to_have_js_property("old", True, timeout=45_000)
    expect(field).to_be_focused()
    page.page.keyboard.type(text[2])
    page.page.keyboard.press("End")
    page.page.keyboard.type(text[4:])
    expect(field).to_have_value(text)


@pytest.mark.soak
def test_what_is_half_typed_is_neither_sent_nor_lost_when_its_drawer_is_drawn_anew(on_words: Watched) -> None:
    page = on_words.page
    on_words.open()
    page.keyboard.press("f")
    on_words.settle()
    page.evaluate("galaxyFinder.send({is: 'brush', column: 'remark'})")
    page.evaluate("galaxyFinder.send({is: 'filter', column: 'field', values: ['Field 1', 'Field 2']})")
    on_words.settle()
    page.evaluate(SLOW)
    for number, (selector, text) in enumerate({SEARCH: "field 17", "#expression": "mag_r > 15"}.items()):
        type_meanwhile(on_words, selector, text, f"Field {number}")
        on_words.settle()
        assert page.evaluate(TYPED) == "0", "nothing half typed is sent"
    # A condition that is left is still there, and says that it is not in force; a search goes on.
    expect(page.locator(SEARCH)).to_have_value("field 17")
    page.locator(BOUND).click()
    expect(page.locator(".gf-in-force")).to_contain_text("Not in force")
    type_meanwhile(on_words, BOUND, "0.25", "Field 2")
    expect(page.locator(".gf-in-force")).to_contain_text("Not in force")
    expect(page.locator("#expression")).to_have_value("mag_r > 15")
    # The browser itself sees no change in a field that was filled for somebody.
    type_meanwhile(on_words, BOUND, "0.25", "Field 3")
    page.evaluate("galaxyFinder.send({is: 'filter', column: 'field', values: ['Field 4']})")
    on_words.settle()
    page.keyboard.press("Enter")
    on_words.settle()
    assert page.evaluate("galaxyFinder.state.filters.find((one) => one.column === 'trust').low") == 0.25
    type_meanwhile(on_words, HOLDS, "NGC 01", "Field 0")
    page.keyboard.press("Tab")
    on_words.settle()
    assert page.evaluate("galaxyFinder.state.filters.find((one) => one.column === 'remark').text") == "NGC 01"
    assert on_words.complaints == []
