"""Looks of images, one choice for gallery and details: made by the browser, kept by links, nothing fetched anew."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Watched

pytestmark = pytest.mark.browser


def middle(on: Watched, selector: str) -> np.ndarray:
    """Pixels of an image without its rounded corners, as it is on the screen, in 0…255."""
    shot = on.page.locator(selector).first.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(float)
    return pixels[10:-10, 10:-10]


@pytest.mark.soak
def test_a_channel_inverted_and_stretched_in_gallery_and_details(on_demo: Watched) -> None:
    page = on_demo.page
    on_demo.open()
    page.fill("#find", "30")
    page.press("#find", "Enter")
    on_demo.settle()
    images = ("#details .gf-portrait img", "#gallery > .gf-tile img")
    kept = [middle(on_demo, selector) for selector in images]
    on_demo.forget()
    page.locator(".gf-look > summary").click()
    for name in ("Show red", "Light as dark", "More faint parts"):
        page.locator(".gf-look").get_by_role("button", name=name).click()
        on_demo.settle()
    expect(page.locator(".gf-look").get_by_role("button", name="Show red")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    assert [r for r in on_demo.requests if "/cutout/" in r.url] == []
    told = page.url.removeprefix(on_demo.url)

    def as_told() -> None:
        for selector, before in zip(images, kept, strict=True):
            expected = 255 * (1 - np.arcsinh(3 * before[..., 0] / 255) / np.arcsinh(3))
            for channel in range(3):
                assert np.abs(middle(on_demo, selector)[..., channel] - expected).mean() < 4

    as_told()
    on_demo.open(told)
    as_told()
    page.locator(".gf-look > summary").click()
    page.locator(".gf-look").get_by_role("button", name="as the atlas keeps them").click()
    on_demo.settle()
    page.keyboard.press("Escape")
    assert np.abs(middle(on_demo, images[0]) - kept[0]).mean() < 1
    assert on_demo.complaints == []
