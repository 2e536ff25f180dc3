"""The switch that hides spoilt images says how many, and is an ordinary filter."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.hands import expect_count


def test_spoilt_images_are_hidden_and_come_back(on_demo: Watched) -> None:
    score = np.asarray(on_demo.atlas.columns().array("artefact"))
    spoilt = int((score > 0.5).sum())
    assert 0 < spoilt < 0.02 * score.size
    on_demo.open()
    on_demo.page.keyboard.press("f")
    switch = on_demo.page.get_by_role("button", name="rtefacts")
    expect(switch).to_have_text(f"Hide artefacts: {spoilt}")
    switch.click()
    expect_count(on_demo, score.size - spoilt)
    expect(switch).to_have_text(f"Artefacts hidden: {spoilt}")
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert on_demo.page.evaluate("window.galaxyFinder.state.filters") == [
        {"is": "range", "column": "artefact", "low": None, "high": 0.5}
    ]
    switch.click()
    expect(on_demo.page.locator("#status-selected")).not_to_contain_text("selected")
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert on_demo.complaints == []
