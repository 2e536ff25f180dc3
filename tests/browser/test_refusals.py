"""What is refused or fails is said at once, and a server that is away is waited for: the page is never deaf."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from atlas import Atlas
from benchmarks import serving
from tests.browser.conftest import Watched, watch
from tests.browser.hands import choose

PATH_OR_TYPE = set("$`[]{}")


def is_event(route: Route, word: str) -> bool:
    body = json.loads(route.request.post_data or "{}")
    return body["inputs"][0]["id"] == "event" and word in json.dumps(body["inputs"])


def fail_once(watched: Watched, word: str, how: Callable[[Route], None], times: int = 1) -> None:
    """Let the next requests whose event holds a word fail."""
    left = [times]

    def handle(route: Route) -> None:
        if left[0] and is_event(route, word):
            left[0] -= 1
            how(route)
        else:
            route.continue_()

    watched.page.route("**/_dash-update-component*", handle)


def says(watched: Watched) -> str:
    expect(watched.page.locator(".gf-toast .toast-body")).to_be_visible(timeout=3_000)
    return watched.text(".gf-toast .toast-body")


@pytest.mark.parametrize(
    ("status", "word"), [(400, "could not read"), (413, "more than the server takes"), (500, "went wrong")]
)
def test_a_refused_event_is_said_at_once_and_the_next_goes_out(on_demo: Watched, status: int, word: str) -> None:
    on_demo.open()
    choose(on_demo, 3)
    body = json.dumps({"error": "`$[0].low` is wrong" if status < 500 else "Something went wrong on the server."})
    fail_once(on_demo, '"shown"', lambda r: r.fulfill(status=status, content_type="application/json", body=body))
    on_demo.page.select_option("#shown", "48")
    told = says(on_demo)
    assert word in told and not PATH_OR_TYPE & set(told)
    assert on_demo.page.input_value("#shown") == "24", "the field shows what is in force"
    began = time.monotonic()
    choose(on_demo, 5)
    assert time.monotonic() - began < 10
    expect(on_demo.page.locator("#details")).to_contain_text(on_demo.atlas.identity.name(5))


def test_an_event_that_is_refused_takes_none_of_those_beside_it(on_demo: Watched) -> None:
    on_demo.open()
    body = json.dumps({"error": "no"})
    fail_once(on_demo, "beside", lambda r: r.fulfill(status=400, content_type="application/json", body=body), times=9)
    on_demo.page.evaluate(
        """() => {
            const gf = window.galaxyFinder;
            gf.send({is: "change", light: true});  // under way while the others gather
            gf.send({is: "find", text: "beside"});
            gf.send({is: "change", shown: 48});
        }"""
    )
    assert "could not read" in says(on_demo)
    on_demo.settle()
    assert on_demo.page.evaluate("window.galaxyFinder.get('shown')") == 48


def test_a_number_that_no_column_can_hold_is_answered_in_words(on_demo: Watched) -> None:
    on_demo.open()
    on_demo.page.evaluate("window.galaxyFinder.send({is: 'filter', column: 'mag_r', low: 2 ** 60, high: null})")
    assert not PATH_OR_TYPE & set(says(on_demo))
    choose(on_demo, 5)
    expect(on_demo.page.locator("#details")).to_contain_text(on_demo.atlas.identity.name(5))


@pytest.mark.soak
def test_a_server_that_is_away_is_waited_for_and_nothing_is_lost(
    chromium: Browser, demo_path: Path, demo: Atlas, tmp_path: Path
) -> None:
    with serving.serve(demo_path, tmp_path / "server") as server:
        port = urlsplit(server.url).port
        assert port is not None
        pages = watch(chromium, server, demo)
        watched = next(pages)
        watched.open()
        choose(watched, 3)
    watched.page.keyboard.press("/")
    watched.page.fill("#find", demo.identity.name(7))
    watched.page.keyboard.press("Enter")
    watched.page.select_option("#shown", "48")
    watched.page.keyboard.press("t")
    notice = watched.page.locator("#server-says")
    expect(notice).to_have_text("The server does not answer; trying again.", timeout=5_000)
    watched.page.wait_for_timeout(6_000)
    expect(notice).to_be_visible()
    with serving.serve(demo_path, tmp_path / "server", port=port) as server:
        expect(notice).to_be_hidden(timeout=15_000)
        watched.settle()
        expect(watched.page.locator("#details")).to_contain_text(demo.identity.name(7))
        expect(watched.page.locator("#gallery > .gf-tile")).to_have_count(48)
        assert watched.page.evaluate("document.documentElement.dataset.bsTheme") == "light"
        images = "Array.from(document.querySelectorAll('#gallery img'))"
        broken = f"{images}.filter(i => i.complete && !i.naturalWidth && i.src).length"
        watched.page.wait_for_timeout(500)
        assert watched.page.evaluate(broken) == 0
        assert not [c for c in watched.complaints if "Failed to load resource" not in c]
        watched.page.context.close()
