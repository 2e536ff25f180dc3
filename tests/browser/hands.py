"""What a hand does on the page, and what it left there."""

from __future__ import annotations

import numpy as np
import shapely
from playwright.sync_api import expect

from atlas.selection import canonical_vertices
from tests.browser.conftest import Watched


def choose(watched: Watched, row: int) -> None:
    """Type a galaxy's id."""
    watched.page.keyboard.press("/")
    watched.page.fill("#find", watched.atlas.identity.name(row))
    watched.page.keyboard.press("Enter")
    watched.settle()


def lasso(watched: Watched, plane: str, vertices: list[tuple[float, float]], key: str = "") -> None:
    """Draw a lasso with the mouse through positions of a plane, with a key held down."""
    watched.page.keyboard.press("l")
    points = [watched.pixel(plane, x, y) for x, y in vertices]
    if key:
        watched.page.keyboard.down(key)
    watched.page.mouse.move(*points[0])
    watched.page.mouse.down()
    for point in [*points[1:], points[0]]:
        watched.page.mouse.move(*point, steps=3)
    watched.page.mouse.up()
    if key:
        watched.page.keyboard.up(key)
    watched.page.keyboard.press("p")
    watched.page.wait_for_timeout(200)
    watched.settle()


def middle_of_the_map(watched: Watched, share: float) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]]]:
    """All map positions, and a circle around their middle that holds a share of them."""
    columns = watched.atlas.columns("v1")
    x, y = (np.asarray(columns.array(name), dtype=np.float64) for name in ("map_x", "map_y"))
    cx, cy = float(np.median(x)), float(np.median(y))
    radius = float(np.quantile(np.hypot(x - cx, y - cy), share))
    return x, y, circle(cx, cy, radius)


def state_polygon(watched: Watched) -> shapely.Polygon:
    """The lasso that the page's state holds."""
    vertices = watched.page.evaluate("window.galaxyFinder.state.selection.vertices")
    return shapely.Polygon(canonical_vertices(tuple(map(tuple, vertices))))


def circle(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """A lasso round a position."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles]


def selected(watched: Watched) -> int:
    """How many galaxies the page says are selected."""
    return int(watched.text("#status-selected").split(" of ")[0].replace(",", ""))


def expect_count(watched: Watched, expected: int) -> None:
    """Wait until the page says that so many galaxies are selected."""
    expect(watched.page.locator("#status-selected")).to_contain_text(f"{expected:,} of ")
    watched.settle()
