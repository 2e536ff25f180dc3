"""What stands above the points: the images of the map, and above all the rings around the galaxy in the details."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dashboard.views.figure import FOCUS, OUTLIERS
from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser

IMAGES = """() => Array.from(document.querySelectorAll('#map .layer-above .imagelayer image'), (image) => {
    const box = image.getBoundingClientRect();
    const row = Number(/cutout\\/\\w+\\/(\\d+)/.exec(image.href.baseVal)[1]);
    return { row, x: box.x + box.width / 2, y: box.y + box.height / 2, half: Math.min(box.width, box.height) / 2 };
})"""
ACCENT = np.array([255, 180, 84])
HARDLY = 0.002  # a pixel at an edge, while something is still coming in
ROUNDING = 4  # words over an image are blended anew with other layers beneath them


def pixels(watched: Watched) -> np.ndarray:
    """The page as it is seen."""
    return np.asarray(Image.open(io.BytesIO(watched.page.screenshot())).convert("RGB")).astype(int)


def focus_is_ringed(watched: Watched, plane: str) -> bool:
    """Whether a ring of the accent's colour is seen around the galaxy in the details."""
    trace = f"document.querySelector('#{plane} .js-plotly-plot')._fullData[{FOCUS}]"
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for _ in range(5):  # a view may change between the question where the galaxy is and the look at the page
        x, y = watched.pixel(plane, *watched.page.evaluate(f"[{trace}.x[0], {trace}.y[0]]"))
        at = np.rint([y + 11 * np.sin(turn) - 0.5, x + 11 * np.cos(turn) - 0.5]).astype(int)
        seen = pixels(watched)[at[0], at[1]]
        if np.mean(np.abs(seen - ACCENT).max(axis=1) < 60) > 0.9:
            return True
    return False


def points_over_images(watched: Watched) -> float:
    """Share of the images' pixels that the canvases of the points change."""
    for _ in range(5):  # an image may come in between the two looks at the page
        share = _points_over_images(watched)
        if share < HARDLY:
            break
        watched.settle()
    return share


def _points_over_images(watched: Watched) -> float:
    boxes: list[dict[str, Any]] = watched.page.evaluate(IMAGES)
    assert boxes
    inside = np.zeros((768, 1366), dtype=np.bool_)
    for box in boxes:
        x, y, half = round(box["x"]), round(box["y"]), int(0.6 * box["half"])
        inside[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = True
    with_points = pixels(watched)
    style = watched.page.add_style_tag(content="#map .gl-container { visibility: hidden }")
    changed = np.abs(with_points - pixels(watched)).max(axis=2) > ROUNDING
    style.evaluate("style => style.remove()")
    assert changed[~inside].any(), "there are points beside the images"
    return float(changed[inside].mean())


@pytest.mark.soak
def test_images_stand_above_the_points_and_the_ring_of_the_focus_above_all(on_demo: Watched, tmp_path: Path) -> None:
    page = on_demo.page
    on_demo.open()
    page.select_option("#color", "snr")
    on_demo.settle()
    assert points_over_images(on_demo) < HARDLY
    # An image is its own galaxy to its edges, whatever points lie behind it.
    panel = page.locator("#map").bounding_box()
    assert panel is not None
    middle = panel["x"] + panel["width"] / 2, panel["y"] + panel["height"] / 2
    image = min(page.evaluate(IMAGES), key=lambda one: np.hypot(one["x"] - middle[0], one["y"] - middle[1]))
    corner = image["x"] - 0.8 * image["half"], image["y"] - 0.8 * image["half"]
    page.mouse.move(*corner)
    page.locator("#card").wait_for(state="visible")
    assert page.locator("#card img").get_attribute("src").endswith(f"/{image['row']}.webp")
    page.mouse.move(panel["x"] + 8, panel["y"] + panel["height"] - 8)
    page.locator("#card").wait_for(state="hidden")
    page.mouse.click(*corner)
    page.wait_for_timeout(300)
    on_demo.settle()
    assert page.evaluate("galaxyFinder.state.focus.id") == on_demo.atlas.identity.name(image["row"])
    assert focus_is_ringed(on_demo, "map") and focus_is_ringed(on_demo, "sky")
    # Outliers are dots above the images, as many as plotly draws beneath them.
    dots = page.locator("#map .gf-dots .gf-ring-outliers")
    assert (
        dots.count()
        == page.evaluate(f"document.querySelector('#map .js-plotly-plot')._fullData[{OUTLIERS}].x.length")
        > 0
    )
    # Under the wheel, in mid-pan, in another size, and back.
    page.mouse.move(image["x"] + 60, image["y"] + 60)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(20)
    assert focus_is_ringed(on_demo, "map")
    on_demo.settle()
    page.mouse.down()
    page.mouse.move(image["x"] + 20, image["y"] + 90, steps=4)
    assert focus_is_ringed(on_demo, "map"), "the ring goes with the hand"
    page.mouse.up()
    page.keyboard.press("f")
    page.wait_for_timeout(700)
    on_demo.settle()
    assert focus_is_ringed(on_demo, "map") and points_over_images(on_demo) < HARDLY
    page.keyboard.press("f")
    # The figure to take along is what is seen.
    with page.expect_download() as download:
        page.evaluate("galaxyFinder.local.figure({ plane: 'map', format: 'svg' })")
    figure = tmp_path / "figure.svg"
    download.value.save_as(figure)
    drawn = figure.read_text()
    order = [drawn.index(layer) for layer in ('class="glimages"', 'class="imagelayer"', 'class="shapelayer"')]
    above = drawn[drawn.index('class="layer-above"') :]
    assert order[0] < drawn.index('class="layer-above"')
    assert "data:image" in above and above.index("data:image") < above.index("rgb(255, 180, 84)")


def test_the_ring_of_the_focus_stands_above_columns_too(on_demo: Watched) -> None:
    choose_after_opening(on_demo)
    on_demo.page.keyboard.press("x")
    on_demo.page.wait_for_timeout(700)
    on_demo.settle()
    assert focus_is_ringed(on_demo, "map")
    on_demo.page.select_option("#color", "snr")
    on_demo.settle()
    assert points_over_images(on_demo) < HARDLY
    assert on_demo.complaints == []


def choose_after_opening(watched: Watched) -> None:
    watched.open()
    choose(watched, 100)
