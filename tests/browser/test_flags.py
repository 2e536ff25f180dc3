"""Flags in the drawer of filters: a bar a bit, and galaxies that have it or have it not."""

from __future__ import annotations

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Watched
from tests.browser.hands import expect_count

SECTION = ".gf-filter[data-column=maskbits]"


@pytest.fixture
def page(on_small: Watched) -> Watched:
    on_small.open()
    on_small.page.keyboard.press("f")
    on_small.page.select_option("#brush", "maskbits")
    expect(on_small.page.locator(SECTION)).to_be_visible()
    return on_small


def row(page: Watched, bit: int) -> Locator:
    return page.page.locator(f"{SECTION} .gf-bit[data-why^='bit {bit}:']")


@pytest.mark.soak
def test_bits_are_demanded_and_excluded_and_filters_cross(page: Watched) -> None:
    flags = np.asarray(page.atlas.columns().array("maskbits")).astype(int)
    has = {bit: flags >> bit & 1 == 1 for bit in (1, 11, 12)}
    for bit, where in has.items():
        expect(row(page, bit)).to_have_attribute("data-why", f"bit {bit}: {where.sum():,} of {flags.size:,} galaxies")
    expect(page.page.locator(f"{SECTION} .gf-bit")).to_have_count(3)

    row(page, 1).get_by_role("button", name="Without").click()
    expect_count(page, int((~has[1]).sum()))
    expect(row(page, 1).get_by_role("button", name="Without")).to_have_attribute("aria-pressed", "true")
    row(page, 11).get_by_role("button", name="Only").click()
    expect_count(page, int((has[11] & ~has[1]).sum()))
    assert page.page.evaluate("window.galaxyFinder.state.filters") == [
        {"is": "bits", "column": "maskbits", "on": [11], "off": [1]}
    ]
    # What one could choose among stays; other histograms are under this filter.
    expect(row(page, 12)).to_have_attribute("data-why", f"bit 12: {has[12].sum():,} of {flags.size:,} galaxies")

    # From one to the other, and back to neither.
    row(page, 11).get_by_role("button", name="Without").click()
    expect_count(page, int((~has[11] & ~has[1]).sum()))
    row(page, 11).get_by_role("button", name="Without").click()
    expect_count(page, int((~has[1]).sum()))
    page.page.locator(SECTION).get_by_role("button", name="Drop the filter").click()
    expect(page.page.locator("#status-selected")).not_to_contain_text("selected")
    assert page.complaints == []


def test_bits_are_counted_under_the_other_filters(page: Watched) -> None:
    flags = np.asarray(page.atlas.columns().array("maskbits")).astype(int)
    bright = np.asarray(page.atlas.columns().array("mag_r")) <= 18
    field = page.page.locator(".gf-filter[data-column=mag_r] [data-side=high] input")
    field.fill("18")
    field.press("Enter")
    count, of = int((flags[bright] >> 11 & 1).sum()), int(bright.sum())
    expect(row(page, 11)).to_have_attribute("data-why", f"bit 11: {count:,} of {of:,} galaxies")


@pytest.mark.parametrize("light", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_axe_finds_nothing_to_complain_about(page: Watched, light: bool) -> None:
    row(page, 1).get_by_role("button", name="Without").click()
    row(page, 11).get_by_role("button", name="Only").click()
    if light:
        page.page.keyboard.press("t")
        page.page.wait_for_selector("[data-bs-theme=light]")
    page.settle()
    page.page.mouse.move(2, 2)  # where nothing explains itself
    expect(page.page.locator("#explanation")).to_be_hidden()
    found = Axe().run(page.page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_histograms_follow_the_theme(page: Watched) -> None:
    script = """() => {
        const canvas = document.querySelector(".gf-filter[data-column=mag_r] canvas");
        const all = Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
        const seen = new Set();
        for (let i = 0; i < all.length; i += 4) if (all[i + 3] === 255) seen.add(all.slice(i, i + 3).join());
        return [...seen];
    }"""
    dark = set(page.page.evaluate(script))
    page.page.keyboard.press("t")
    page.page.wait_for_selector("[data-bs-theme=light]")
    page.settle()
    light = set(page.page.evaluate(script))
    assert dark and light and not dark & light
