"""SAMP's web profile: the page speaks to a real hub on its visitor's machine, which lets it in or not, and a second
program in TOPCAT's place receives and sends."""

from __future__ import annotations

import io
import queue
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table
from playwright.sync_api import Browser, expect
from pyvo.samp import SAMPHubServer, SAMPIntegratedClient, conf

from atlas import Atlas
from benchmarks import serving
from tests.browser.conftest import Watched, watch
from tests.browser.hands import choose

pytestmark = [
    pytest.mark.browser,
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning", "ignore::ResourceWarning"),
]


class Consent:
    """Whoever sits before the hub and is asked whether a page may come in; the hub fills in the queues."""

    def __init__(self) -> None:
        self.queue_request: queue.Queue[Any] = queue.Queue()
        self.queue_result: queue.Queue[bool] = queue.Queue()
        self.answer = True
        self.asked: list[Any] = []

    def __call__(self) -> None:
        """Answer what was asked; the hub calls this again and again."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[SAMPIntegratedClient, Consent]]:
    conf.use_internet = False
    consent = Consent()
    found = SAMPHubServer(
        web_profile=True, addr="127.0.0.1", lockfile=str(tmp_path / "samp"), web_profile_dialog=consent
    )
    found.start()
    client = SAMPIntegratedClient("TOPCAT", addr="127.0.0.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path / 'samp'}")
        client.connect()
    yield client, consent
    client.disconnect()
    found.stop()


def say(consent: Consent, on: Watched, what: str, answer: bool | None) -> str:
    """Send something by the menu, let whoever is asked answer, and tell what the page says."""
    page = on.page
    page.locator(".gf-downloads > summary").click()
    page.locator(".gf-downloads").get_by_role("button", name=what).click()
    if answer is not None:
        expect(page.locator("#toast")).to_contain_text("allow it there")
        consent.asked.append(consent.queue_request.get(timeout=20))
        consent.queue_result.put(answer)
        expect(page.locator("#toast")).not_to_contain_text("allow it there")
    page.keyboard.press("Escape")
    return str(page.locator("#toast .toast-body").inner_text())


TABLES = "Send the table to every program that takes tables"


def test_tables_and_positions_go_to_a_hub_of_the_visitor_and_come_from_it(
    chromium: Browser,
    hub: tuple[SAMPIntegratedClient, Consent],
    demo_path: Path,
    demo: Atlas,
    tmp_path: Path,
) -> None:
    client, consent = hub
    received: list[tuple[str, dict[str, str]]] = []
    for mtype in ("table.load.votable", "coord.pointAt.sky"):
        client.bind_receive_notification(mtype, lambda _, __, told, params, ___: received.append((told, dict(params))))
    with serving.serve(demo_path, tmp_path, labels=str(tmp_path / "labels.sqlite")) as server:
        for on in watch(chromium, server, demo):
            on.page.add_init_script("localStorage.setItem('gf-who', 'Ada')")
            _follow(on, demo, client, consent, received, tmp_path)


def _follow(
    on: Watched,
    demo: Atlas,
    client: SAMPIntegratedClient,
    consent: Consent,
    received: list[tuple[str, dict[str, str]]],
    tmp_path: Path,
) -> None:
    on.open()
    choose(on, 30)
    assert "did not let" in say(consent, on, TABLES, False)
    assert say(consent, on, TABLES, True) == "Sent to TOPCAT."
    assert consent.asked[-1][0]["samp.name"] == "Galaxy Finder"
    _, params = _first(received)
    with urllib.request.urlopen(params["url"]) as response:  # no cookies
        table = Table.read(io.BytesIO(response.read()), format="votable")
    assert table["id"].astype(str).tolist()[:24] == demo.identity.names(on.rows())
    say(consent, on, "Let them point", None)
    _, place = _first(received)
    assert (float(place["ra"]), float(place["dec"])) == pytest.approx(demo.position(30), abs=1e-7)
    third = on.rows()[3]
    client.enotify_all("table.highlight.row", **{"table-id": params["table-id"], "row": "3"})
    _wait(on, "id", demo.identity.name(third))
    ra_deg, dec_deg = demo.position(7)
    client.enotify_all("coord.pointAt.sky", ra=str(ra_deg), dec=str(dec_deg))
    _wait(on, "id", demo.identity.name(7))
    path = tmp_path / "five.vot"
    demo.similar(rows=30, k=5).save(path)
    client.enotify_all("table.load.votable", url=path.as_uri(), name="five")
    expect(on.page.locator("#drawer")).to_contain_text("five", timeout=20_000)
    assert on.complaints == []


def test_where_no_hub_is_the_page_says_so(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 3)
    consent = Consent()
    assert "start TOPCAT" in say(consent, on_demo, TABLES, None)


def _first(received: list[tuple[str, dict[str, str]]]) -> tuple[str, dict[str, str]]:
    deadline = time.monotonic() + 15
    while not received and time.monotonic() < deadline:
        time.sleep(0.01)
    return received.pop()


def _wait(on: Watched, field: str, value: str) -> None:
    deadline = time.monotonic() + 15
    while on.page.evaluate(f"window.galaxyFinder.state.focus.{field}") != value:
        assert time.monotonic() < deadline
        on.page.wait_for_timeout(50)
