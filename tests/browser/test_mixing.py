"""Detectors that are ticked are mixed: gallery, map, table and link follow, in any selection."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from tests.browser.conftest import Watched

FORM, LONELY = "anomaly_form", "anomaly_neighbors"


def first(watched: Watched, values: np.ndarray, n: int = 24) -> list[int]:
    rows = np.lexsort((np.arange(values.size), -values))
    artefact = np.asarray(watched.atlas.columns("v1").array("artefact"))
    return rows[artefact[rows] <= 0.5][:n].tolist()


def test_two_ticks_mix_and_the_page_says_by_which(on_demo: Watched) -> None:
    page, columns = on_demo.page, on_demo.atlas.columns("v1")
    form, lonely = (np.asarray(columns.array(name)) for name in (FORM, LONELY))
    on_demo.open()
    page.keyboard.press("a")
    on_demo.settle()
    page.get_by_role("button", name="Hide artefacts").click()
    on_demo.settle()
    page.get_by_role("checkbox", name="odd form").click()
    on_demo.settle()
    assert on_demo.rows() == first(on_demo, form)
    page.get_by_role("checkbox", name="lonely").click()
    on_demo.settle()
    assert on_demo.rows() == first(on_demo, np.maximum(form, lonely))
    expect(page.locator("#gallery .gf-score").first).to_contain_text(" · ")
    page.get_by_role("button", name="the mean").click()
    on_demo.settle()
    mean = (form + lonely) / np.float32(2)
    assert on_demo.rows() == first(on_demo, mean)
    expect(page.locator("#gallery-title")).to_have_text("Most anomalous: odd form and lonely")
    ringed = page.evaluate("window.galaxyFinder.state.mixture")
    assert ringed == {"detectors": [FORM, LONELY], "by": "mean"}
    page.reload()
    on_demo.settle()
    assert on_demo.rows() == first(on_demo, mean), "the link holds it"
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    page.keyboard.press("v")
    on_demo.settle()
    cells = page.locator(".ag-center-cols-container [row-index='0']").first
    expect(cells).to_have_attribute("row-id", str(first(on_demo, mean, 1)[0]))
    for name in ("odd form", "lonely"):
        page.get_by_role("checkbox", name=name).click()
        on_demo.settle()
    expect(page.locator("#toast")).to_contain_text("no detector is ticked")
    assert page.evaluate("window.galaxyFinder.state.order") == LONELY
    assert on_demo.complaints == []
