"""The drawer that says what tells the selected galaxies from all others."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched


@pytest.mark.soak
def test_a_filter_is_what_tells_its_galaxies_from_the_others(on_demo: Watched) -> None:
    page, columns = on_demo.page, on_demo.atlas.columns()
    on_demo.open()
    page.keyboard.press("w")
    on_demo.settle()
    drawer = page.locator("#drawer")
    expect(drawer).to_contain_text("Select galaxies first")
    radius = np.asarray(columns.array("half_light_radius"))
    bound = float(np.quantile(radius, 0.8))
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.fill("#expression", f"half_light_radius > {bound!r}")
    page.keyboard.press("Enter")
    on_demo.settle()
    page.locator(".gf-rail button", has_text="Why?").click()
    on_demo.settle()
    inside = radius > np.float32(bound)
    expect(drawer).to_contain_text(f"{inside.sum()} selected galaxies against the {(~inside).sum()} others")
    told = drawer.locator(".gf-contrast", has_text="larger").first
    expect(told).to_contain_text("half_light_radius")
    assert told.locator(".gf-bars span").count() == 16
    expect(drawer.locator(".gf-real")).to_be_visible()
    assert drawer.locator(".gf-excess i").count() == 240
    assert on_demo.complaints == []
