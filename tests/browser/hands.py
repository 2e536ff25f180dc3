"""What a hand does on the page, and what it left there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import shapely
from playwright.sync_api import expect

from atlas.queries.selection import canonical_vertices
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


def open_drawer(watched: Watched, key: str) -> None:
    """Open a drawer by its key."""
    watched.page.keyboard.press(key)
    expect(watched.page.locator(".gf-drawer h2")).to_be_visible()
    watched.settle()


def brush(watched: Watched, name: str, start: float, stop: float) -> None:
    """Drag over shares of a histogram's width."""
    canvas = watched.page.locator(f".gf-filter[data-column={name}] canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    watched.page.mouse.move(box["x"] + start * box["width"], y)
    watched.page.mouse.down()
    watched.page.mouse.move(box["x"] + stop * box["width"], y, steps=5)
    watched.page.mouse.up()
    watched.page.wait_for_timeout(200)
    watched.settle()


def histogram(watched: Watched, name: str) -> dict[str, list[float]]:
    """What a column's histogram draws."""
    text = watched.page.locator(f".gf-filter[data-column={name}] canvas").get_attribute("data-hist")
    found: dict[str, list[float]] = json.loads(text or "{}")
    return found


def click_export(page: Watched) -> None:
    """Ask for the CSV, from the menu of tools where the head of the gallery has no room for them."""
    export = page.page.locator("#export")
    if not export.is_visible():
        page.page.locator(".gf-fold:has(#export) > summary").click()
    export.click()


def downloaded(page: Watched) -> list[dict[str, str]]:
    """Lines of the CSV that the page's button downloads."""
    with page.page.expect_download() as download:
        click_export(page)
    return list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))


def table_column(page: Watched, column: str) -> list[str]:
    """What the table shows in a column, from its first row on."""
    cells: list[str] = page.page.evaluate(
        """column => Array.from(document.querySelectorAll(`#table .ag-row .ag-cell[col-id="${column}"]`))
            .map(c => [Number(c.closest('.ag-row').getAttribute('row-index')), c.textContent])
            .filter(([, text]) => text).sort((a, b) => a[0] - b[0]).map(([, text]) => text)""",
        column,
    )
    return cells
