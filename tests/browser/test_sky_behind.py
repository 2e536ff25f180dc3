"""A picture of the sky behind the points: chosen in the menu, laid under the galaxies, followed through zooms and
projections, named, in the link, and said to be away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from atlas import Atlas
from benchmarks import serving
from tests.browser.conftest import Watched, watch
from tests.sky_server import SkyServer, sky_server

pytestmark = pytest.mark.browser


@pytest.mark.soak
def test_a_picture_of_the_sky_lies_behind_the_points(
    chromium: Browser, small_path: Path, small: Atlas, tmp_path: Path
) -> None:
    with sky_server() as sky, serving.serve(small_path, tmp_path, sky_images=sky.template) as server:
        for on in watch(chromium, server, small):
            on.open()
            assert images(on) == [] and not sky.asked
            choose_behind(on, "Mine")
            expect(on.page.locator("#sky-credit")).to_have_text("Mine: The Surveyors, 2026")
            lies_under_the_view(on, sky)
            look(on, "Mollweide")
            expect(on.page.locator("#sky-credit")).to_have_text("Mine: The Surveyors, 2026")
            on.page.wait_for_function(
                "document.querySelector('#sky .js-plotly-plot').layout.images[0].source.includes('kind=mol')"
            )
            assert sky.asked[-1]["CTYPE1"] == "RA---MOL"
            lies_under_the_view(on, sky)
            before = images(on)
            sky.answer = (503, "text/plain", b"")
            look(on, "Tangent")
            expect(on.page.locator("#sky-credit")).to_have_text("Mine does not answer; the sky is drawn without it.")
            assert before and images(on) == [], "what lay on another plane is gone"
            on.open(on.page.evaluate("window.location.search"))
            assert on.page.evaluate("window.galaxyFinder.state.sky_look.behind") == "Mine"
            assert on.complaints == []


def look(on: Watched, word: str) -> None:
    """Press a button of the sky's menu; of several one is marked then."""
    menu = on.page.locator(".gf-sky-look")
    if not menu.get_by_role("radiogroup").first.is_visible():
        menu.locator("summary").click()
    menu.locator("button", has_text=word).click()
    on.settle()
    expect(menu.locator("button[aria-checked=true]", has_text=word)).to_be_visible()
    marked = menu.get_by_role("radiogroup", name="Projection").locator("button[aria-checked=true]")
    expect(marked).to_have_count(1)
    on.page.keyboard.press("Escape")


def choose_behind(on: Watched, name: str) -> None:
    look(on, name)


def images(on: Watched) -> list[str]:
    sources: list[str] = on.page.evaluate(
        "(document.querySelector('#sky .js-plotly-plot').layout.images || []).map((i) => i.source)"
    )
    return [source for source in sources if source.startswith("/behind/")]


def lies_under_the_view(on: Watched, sky: SkyServer) -> None:
    """The picture that was asked for last fills the panel, by the ranges that the browser draws."""
    header = sky.asked[-1]
    (drawn,) = on.page.evaluate(
        """() => { const gd = document.querySelector('#sky .js-plotly-plot');
        return gd.layout.images.filter((i) => i.source.startsWith('/behind/'))
          .map((i) => [i.x, i.x + i.sizex, i.y - i.sizey, i.y,
                       ...gd._fullLayout.xaxis.range, ...gd._fullLayout.yaxis.range]); }"""
    )
    x0, x1, y0, y1, *seen = drawn
    steps = (x1 - x0) / float(header["NAXIS1"]), (y1 - y0) / float(header["NAXIS2"])
    np.testing.assert_allclose([header["CDELT1"], header["CDELT2"]], [-steps[0], steps[1]], rtol=1e-9)
    np.testing.assert_allclose(float(header["CRPIX1"]), 0.5 - x0 / steps[0], rtol=1e-9)
    if str(header["CTYPE1"]).endswith("TAN"):
        assert x0 <= seen[0] and seen[1] <= x1 and y0 <= seen[2] and seen[3] <= y1
