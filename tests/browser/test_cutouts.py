"""Cut-outs of another server on the page: shown when they have come, with what the search saw, or said to be away."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from atlas import Atlas
from benchmarks import serving
from tests.browser.conftest import Watched, watch
from tests.browser.hands import choose
from tests.cutout_viewer import cutout_viewer

pytestmark = pytest.mark.browser


@pytest.mark.soak
def test_a_cutout_is_shown_once_it_has_come(chromium: Browser, demo_path: Path, demo: Atlas, tmp_path: Path) -> None:
    with cutout_viewer() as viewer, serving.serve(demo_path, tmp_path, remote_images=viewer.template) as server:
        for on in watch(chromium, server, demo):
            _look(on)
            viewer.answer = (503, "text/plain", b"")
            choose(on, next(row for row in range(demo.n_rows) if row not in on.rows()))  # none that is kept by now
            portrait = on.page.locator("#details .gf-portrait")
            expect(portrait.locator(".gf-away")).to_be_visible()
            expect(portrait.locator(".gf-compass")).to_be_hidden()
            assert on.complaints == []


def _look(on: Watched) -> None:
    on.open()
    choose(on, 30)
    page = on.page
    page.locator(".gf-look > summary").click()
    for name in ("256 pixels, of which the search saw the middle 96", "Cut-outs of Viewer, which this server asks for"):
        page.locator(".gf-look").get_by_role("button", name=name).click()
        on.settle()
    page.keyboard.press("Escape")
    shown = page.locator("#details .gf-picture:has(img[data-remote='shown'])")
    expect(shown.locator(".gf-seen")).to_have_attribute("style", "inset: 31.25%;")
    expect(page.locator("#details .gf-of-service")).to_have_text("Viewer, 36.6″ wide")
    expect(page.locator("#gallery img[data-remote='shown']").first).to_be_visible()
    assert page.evaluate("window.galaxyFinder.state.look") == {"source": "Viewer", "context": 256}
