"""Details of a galaxy: scale and directions, values that are copied, columns that are pinned; captions of images."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dashboard.views.facts import value_texts
from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser


def pasted(on: Watched) -> str:
    """What the clipboard holds."""
    on.page.fill("#find", "")
    on.page.keyboard.press("Control+V")
    return on.page.input_value("#find")


@pytest.mark.soak
def test_values_are_copied_and_columns_pinned_and_captioned(on_demo: Watched) -> None:
    page, atlas = on_demo.page, on_demo.atlas
    on_demo.open()
    choose(on_demo, 30)
    expect(page.locator("#details .gf-bar b")).to_have_text("2″")
    expect(page.locator("#details .gf-compass")).to_have_attribute("style", "transform: rotate(-51.2deg);")

    columns = atlas.columns("v1")
    fact = page.locator("#details dt:has-text('half_light_radius') + dd .gf-copy")
    fact.click()
    expect(fact).to_have_attribute("data-copied", "copied")
    assert pasted(on_demo) == str(columns.array("half_light_radius")[30])
    # Over plain HTTP a page has no clipboard.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    page.locator("#details dt:has-text('RA, Dec') + dd .gf-copy").click()
    ra_deg, dec_deg = map(float, pasted(on_demo).split())
    assert (ra_deg, dec_deg) == pytest.approx(atlas.position(30), abs=1e-6)
    page.fill("#find", "")

    page.locator("#details .gf-all-facts > summary").click()
    page.locator("#details").get_by_role("button", name="Keep asymmetry on top").click()
    on_demo.settle()
    expect(page.locator("#details > .gf-all-facts")).to_have_attribute("open", "")
    first = page.locator("#details > dl > dt .gf-figure")
    assert first.all_inner_texts()[-1] == "asymmetry"
    page.locator("#details > dl").get_by_role("button", name="No longer keep cluster on top").click()
    on_demo.settle()
    page.locator(".gf-look > summary").click()
    page.locator("#captions summary").click()
    page.locator("#captions").get_by_role("button", name="gini", exact=True).click()
    on_demo.settle()
    page.keyboard.press("Escape")

    told = page.url.removeprefix(on_demo.url)
    on_demo.open(told)
    names = first.all_inner_texts()
    assert "cluster" not in names and names[-1] == "asymmetry"
    captions = page.locator("#gallery > .gf-tile .gf-caption").all_inner_texts()
    assert captions == value_texts(atlas, columns.describe("gini"), on_demo.rows())
    assert on_demo.complaints == []
