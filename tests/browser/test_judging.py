"""What is labelled while looking at anomalies teaches the gallery an order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from atlas import Atlas, ByLabels, Query
from atlas.labels.entry import Entry, new_id
from atlas.labels.store import Labels
from benchmarks import serving
from tests.browser.conftest import Watched, watch


@pytest.fixture
def judged(demo: Atlas, tmp_path: Path) -> Atlas:
    """The demo with labels on the first of its oddest galaxies."""
    labels = Labels(tmp_path / "labels.sqlite")
    entries = [
        Entry(id=new_id(), kind="class", who="Ada", key=key, label=label)
        for key, label in ((1, "interesting"), (2, "boring"))
    ]
    for at, row in enumerate(demo.space().outliers[:6].tolist()):
        ra_deg, dec_deg = demo.position(row)
        about = {"galaxy": demo.identity.name(row), "ra_deg": ra_deg, "dec_deg": dec_deg}
        entries.append(
            Entry(id=new_id(), kind="label", who="Ada", label="boring" if at % 3 else "interesting", **about)
        )
    labels.add(entries)
    return Atlas(demo.build, demo.manifest, labels=labels)


@pytest.fixture
def on_judged(chromium: Browser, demo_path: Path, judged: Atlas, tmp_path: Path) -> Iterator[Watched]:
    with serving.serve(demo_path, tmp_path / "server", labels=tmp_path / "labels.sqlite") as server:
        yield from watch(chromium, server, judged)


def test_labels_order_the_gallery_until_it_is_ranked_again_and_a_link_answers_as_it_did(on_judged: Watched) -> None:
    page, atlas = on_judged.page, on_judged.atlas
    page.add_init_script("localStorage.setItem('gf-who', 'Ada')")
    on_judged.open("/")
    page.evaluate("window.galaxyFinder.send({is: 'change', order: 'labels'})")
    on_judged.settle()
    revision = atlas.labels.revision()
    first = atlas.run(Query(space="v1", ranking=ByLabels(("interesting",), revision=revision), limit=24)).rows.tolist()
    assert on_judged.rows() == first
    expect(page.locator("#judging")).to_contain_text("2 found in 6 looks")
    for href in (page.get_attribute("#export", "href"), f"{page.get_attribute('#export', 'href')}&what=table"):
        lines = page.evaluate("href => fetch(href).then(answer => answer.text())", href).splitlines()
        told = [line.split(",")[0] for line in lines if not line.startswith("#")]
        assert told[1:11] == atlas.identity.names(first[:10]), "a download has the order of the page"
    link = page.url
    page.locator("#gallery .gf-tile").first.focus()
    page.keyboard.press("1")
    again = page.locator("#judging button", has_text="rank again · 1 new")
    again.wait_for()
    assert on_judged.rows() == first, "a list does not move under the hand"
    again.click()
    expect(page.locator("#judging")).to_contain_text("3 found in 7 looks")
    on_judged.settle()
    now = atlas.run(Query(space="v1", ranking=ByLabels(("interesting",)), limit=24)).rows.tolist()
    assert on_judged.rows() == now and first[0] not in now
    page.locator("#judging button", has_text="unlike all").click()
    on_judged.settle()
    assert (
        on_judged.rows()
        == atlas.run(Query(space="v1", ranking=ByLabels(("interesting",), "unlike"), limit=24)).rows.tolist()
    )
    page.goto(link)
    on_judged.settle()
    assert on_judged.rows() == first
    assert on_judged.complaints == []


@pytest.fixture
def on_rare(chromium: Browser, small_path: Path, small: Atlas, tmp_path: Path) -> Iterator[Watched]:
    with serving.serve(small_path, tmp_path / "server") as server:
        yield from watch(chromium, server, small)


@pytest.mark.soak
def test_a_class_of_one_in_ten_thousand_is_found_by_looking(on_rare: Watched) -> None:
    page, columns = on_rare.page, on_rare.atlas.columns()
    codes = np.asarray(columns.array("true_class"))
    lenses = np.flatnonzero(codes == columns.code("true_class", "lens")).tolist()
    assert len(lenses) * 10_000 == on_rare.atlas.n_rows
    page.add_init_script("localStorage.setItem('gf-who', 'Ada')")
    on_rare.open()
    page.keyboard.press("a")
    page.locator("#drawer .gf-detector").first.click()
    on_rare.settle()
    page.select_option("#shown", "250")
    on_rare.settle()
    page.locator("#drawer button", has_text="Judge with the keys").click()
    found = [row for row in on_rare.rows() if row in lenses]
    assert len(found) == 1
    tile = page.locator(f'#gallery .gf-tile[data-row="{found[0]}"]')
    page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
    tile.focus()
    page.keyboard.press("1")
    expect(tile).to_have_attribute("data-label", "interesting")
    tile.click()
    on_rare.settle()
    assert on_rare.rows()[0] == next(row for row in lenses if row not in found)
    assert on_rare.complaints == []


def test_keys_lead_on_past_the_last_image_to_more_of_the_list(on_judged: Watched) -> None:
    page = on_judged.page
    page.add_init_script("localStorage.setItem('gf-who', 'Ada')")
    on_judged.open("/")
    page.evaluate("window.galaxyFinder.send({is: 'change', order: 'anomaly'})")
    on_judged.settle()
    tiles = page.locator("#gallery > .gf-tile")
    shown = tiles.count()
    tiles.first.focus()
    for _ in range(shown + 5):  # of a hand that does not look at the end of the list
        page.keyboard.press("2")
    expect(tiles.nth(shown)).to_be_focused(timeout=30_000)
    expect(page.locator("#label-progress")).to_contain_text(f"{shown} of ")
    page.keyboard.press("a")
    page.locator("#drawer").get_by_role("button", name="Every galaxy by likeness").click(timeout=30_000)
    expect(page.locator("#judging")).to_contain_text(f"found in {shown} looks", timeout=30_000)
    assert on_judged.complaints == []


def test_what_waited_for_a_name_is_done_once_it_is_typed_and_the_page_goes_back(
    chromium: Browser, demo_path: Path, demo: Atlas, tmp_path: Path
) -> None:
    with serving.serve(demo_path, tmp_path / "server", labels=tmp_path / "labels.sqlite") as server:
        for on in watch(chromium, server, demo):
            on.open("/")
            on.page.keyboard.press("c")
            on.settle()
            on.page.get_by_role("button", name="Name cluster").first.click()
            on.page.keyboard.type("arcs")
            on.page.keyboard.press("Enter")
            expect(on.page.locator("#label-who")).to_be_focused(timeout=30_000)
            on.page.keyboard.type("Ada")  # key after key: what fills a field at once tells of its change earlier
            on.page.keyboard.press("Enter")
            expect(on.page.locator(".gf-cluster", has_text="arcs")).to_be_visible(timeout=30_000)
            expect(on.page.locator("#toast")).to_be_hidden()
            on.page.keyboard.press("n")
            on.page.locator("[data-key='1'] input").click()
            on.page.keyboard.type("lens")
            on.page.keyboard.press("Enter")
            known = on.page.get_by_role("button", name="leads to lens").bounding_box()
            room = on.page.locator("#drawer").bounding_box()
            assert known and room and known["x"] + known["width"] <= room["x"] + room["width"], "seen, not cut off"
            assert on.complaints == []
