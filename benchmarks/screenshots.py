"""The README's screenshots, made from the running program: `python -m benchmarks.screenshots docs`.

screenshot.png           the demo, dark, 1366 × 768: a galaxy and what is like it
screenshot-light.png     the demo, light, 1920 × 1080: a lasso, its filters
screenshot-filters.png   a rendered survey, dark, 1366 × 768: colour against magnitude, filtered
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

from benchmarks.serving import browser, serve, settle

DEMO = Path("data/xdf")
RENDERED = Path("data/rendered")


class Scene(NamedTuple):
    """A picture: its file, the window, whether the demo or a rendered survey is seen, and what is done."""

    name: str
    width: int
    height: int
    rendered: bool
    play: Callable[[Page], None]


def choose(page: Page) -> None:
    """A galaxy from the first screen."""
    page.locator(".gf-door .gf-tile").nth(1).click()
    settle(page)


def lasso_and_filter(page: Page) -> None:
    """The light theme, a galaxy, and galaxies like it among the bright ones."""
    page.keyboard.press("t")
    settle(page)
    choose(page)
    page.keyboard.press("f")
    settle(page)
    brush(page, 0, 0.25, 0.8)


def color_magnitude(page: Page) -> None:
    """Colour against magnitude, coloured by redshift, with a brush on a histogram."""
    page.select_option("#plane", "mag_g g_minus_r")
    page.wait_for_function("document.querySelector('#map .js-plotly-plot').layout.meta.key !== 'map'")
    settle(page)
    page.keyboard.press("f")
    settle(page)
    brush(page, 0, 0.1, 0.75)


def brush(page: Page, at: int, start: float, stop: float) -> None:
    """Drag over shares of a histogram's width."""
    box = page.locator("canvas.gf-hist").nth(at).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + stop * box["width"], box["y"] + 20, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    settle(page)


SCENES = (
    Scene("screenshot", 1366, 768, False, choose),
    Scene("screenshot-light", 1920, 1080, False, lasso_and_filter),
    Scene("screenshot-filters", 1366, 768, True, color_magnitude),
)


def main() -> None:
    """Play the scenes, keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demo", type=Path, default=DEMO)
    parser.add_argument("--rendered", type=Path, default=RENDERED, help="atlas of `simulate N --images`")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        atlas = args.rendered if scene.rendered else args.demo
        if not atlas.exists():
            print(f"{scene.name}: there is no {atlas}, the picture stays as it is")
            continue
        with tempfile.TemporaryDirectory() as scratch, serve(atlas, Path(scratch)) as server, browser() as chromium:
            page = chromium.new_page(viewport={"width": scene.width, "height": scene.height})
            page.goto(server.url)
            settle(page)
            scene.play(page)
            page.mouse.move(scene.width - 300, scene.height - 10)  # on the status line, which explains nothing there
            page.wait_for_timeout(2000)
            page.screenshot(path=args.folder / f"{scene.name}.png")


if __name__ == "__main__":
    main()
