"""Aladin Lite as npm has it, in Chromium, over a tiny sky of tiles: the selection lies over it, a click leads to the
galaxy in Galaxy Finder, other hosts are not asked, and what does not answer is said."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from atlas import Atlas
from benchmarks import serving
from tests.browser.conftest import Watched, watch
from tests.hips_server import COLOR, HipsServer, hips_server

PACKAGE = Path(__file__).resolve().parents[2] / "node_modules" / "aladin-lite"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PACKAGE.is_dir(), reason="needs npm's aladin-lite: `npm ci`, as `make lint` does"),
]


@pytest.fixture(scope="module")
def hips() -> Iterator[HipsServer]:
    with hips_server() as server:
        yield server


@pytest.fixture(scope="module")
def server(demo_path: Path, hips: HipsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    gone = "Gone=http://127.0.0.1:9/hips"
    settings = {"aladin_lite": str(PACKAGE), "aladin_hips": f"{hips.setting},{gone}"}
    with serving.serve(demo_path, tmp_path_factory.mktemp("aladin"), **settings) as running:
        yield running


@pytest.fixture
def watched(chromium: Browser, server: serving.Server, demo: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, server, demo)


def ready(page: Page) -> None:
    expect(page.locator("#count")).to_contain_text("gala")  # no `wait_for_function`: the page's policy forbids eval


def pixel(page: Page, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Where on the page a position is, as Aladin Lite has it."""
    x, y, left, top = page.evaluate(
        """([ra, dec]) => { const box = document.querySelector('#sky').getBoundingClientRect();
        return [...window.galaxyFinderAladin.world2pix(ra, dec), box.left, box.top]; }""",
        [ra_deg, dec_deg],
    )
    return left + x, top + y


def test_the_details_lead_to_aladin_lite_and_a_click_there_leads_back(
    watched: Watched, server: serving.Server, hips: HipsServer, demo: Atlas
) -> None:
    watched.open()
    watched.page.locator("#find").fill(demo.identity.name(10))
    watched.page.keyboard.press("Enter")
    watched.settle()
    link = watched.page.locator("#details a.gf-aladin")
    with watched.page.context.expect_page() as opened:
        link.click()
    page, asked, complaints = opened.value, [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.reload()
    ready(page)
    expect(page.locator("#said")).to_have_text("")
    expect(page.locator("#credit")).to_have_text("The Tilers, 2026")
    x, y = pixel(page, *demo.position(10))
    size = page.evaluate("[window.innerWidth, document.querySelector('#sky').getBoundingClientRect().height]")
    assert x == pytest.approx(size[0] / 2, abs=2), "the galaxy lies in the middle"
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme.startswith("http")}
    assert hosts == {urlsplit(server.url).netloc, f"127.0.0.1:{hips.server_port}"} and complaints == []
    page.mouse.click(x, y)
    page.wait_for_url(f"{server.url}/?s=*")
    serving.settle(page)
    assert page.evaluate("window.galaxyFinder.state.focus.id") == demo.identity.name(10)


def test_tiles_lie_behind_and_the_count_is_that_of_the_selection_in_view(
    watched: Watched, server: serving.Server, demo: Atlas
) -> None:
    page, (ra_deg, dec_deg) = watched.page, demo.position(10)
    page.goto(f"{server.url}/aladin?ra={ra_deg}&dec={dec_deg}&fov=10")
    ready(page)
    expect(page.locator("#count")).to_have_text(f"{demo.n_rows:,} galaxies in view")
    page.evaluate("window.galaxyFinderAladin.setFoV(0.01)")
    expect(page.locator("#count")).not_to_have_text(f"{demo.n_rows:,} galaxies in view")
    few = int(page.text_content("#count").split()[0])
    low, high = sorted(page.evaluate("window.galaxyFinderAladin.getFov()"))
    drawn = page.evaluate("window.galaxyFinderAladin.view.catalogs[0].sources.length")
    _, away = demo.sky.cone(ra_deg, dec_deg, 3600 * 0.01)
    inside, outside = (int((away <= 3600 * r).sum()) for r in (low / 2, (low**2 + high**2) ** 0.5 / 2))
    assert inside <= few <= outside and drawn == few
    page.wait_for_timeout(500)  # tiles fade in
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))[150:650]
    colors, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    np.testing.assert_allclose(colors[counts.argmax()], COLOR, atol=6)


def test_what_does_not_answer_is_said(watched: Watched, server: serving.Server, demo: Atlas) -> None:
    page, (ra_deg, dec_deg) = watched.page, demo.position(10)
    here = f"{server.url}/aladin?ra={ra_deg}&dec={dec_deg}&fov=0.03"
    page.goto(here)
    ready(page)
    page.locator("#survey").select_option("Gone")
    expect(page.locator("#said")).to_have_text("Gone does not answer: Tiny stays.")
    expect(page.locator("#survey")).to_have_value("Tiny")
    expect(page.locator("#credit")).to_have_text("The Tilers, 2026")
    page.route("**/aladin/lite/*", lambda route: route.abort())
    page.goto(here)
    expect(page.locator("#said")).to_contain_text("Aladin Lite cannot be shown: its script could not be loaded")
    page.unroute_all()
    page.route("**/tiny/**", lambda route: route.abort())
    page.goto(here)
    ready(page)
    expect(page.locator("#said")).to_contain_text("Tiny does not answer: the sky is drawn without it. Are you offline?")
    expect(page.locator("#count")).to_contain_text("in view")
    page.route("**/aladin/galaxies/**", lambda route: route.abort())
    page.evaluate("window.galaxyFinderAladin.setFoV(0.02)")
    expect(page.locator("#count")).to_have_text("This server does not answer.")


def test_the_selection_goes_along_from_the_menu_of_the_sky(watched: Watched, server: serving.Server) -> None:
    watched.open()
    watched.page.evaluate("window.galaxyFinder.send({ is: 'express', text: 'snr > 100' })")
    watched.settle()
    watched.page.locator(".gf-sky-look summary").click()
    with watched.page.context.expect_page() as opened:
        watched.page.locator(".gf-sky-look a.gf-aladin").click()
    page = opened.value
    ready(page)
    mask = watched.atlas.mask("snr > 100")
    expect(page.locator("#count")).to_contain_text("of the selection in view")
    shown = int(page.text_content("#count").replace(",", "").split()[0])
    assert 0 < shown <= mask.count < watched.atlas.n_rows
    assert page.get_by_role("link", name="Galaxy Finder").get_attribute("href") != "/"
