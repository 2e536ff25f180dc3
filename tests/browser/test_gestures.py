"""What slips and changes of size must not do to the planes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import expect

from dashboard.state.viewports import home_box
from tests.browser.conftest import Watched

pytestmark = pytest.mark.browser

RANGES = """plane => {
    const l = document.querySelector('#' + plane + ' .js-plotly-plot')._fullLayout;
    return [...l.xaxis.range, ...l.yaxis.range, l.xaxis._length, l.yaxis._length];
}"""


WORDS = """() => {
    const panel = document.querySelector('#map').getBoundingClientRect();
    const words = Array.from(document.querySelectorAll('#map .annotation[data-event]'))
        .filter((word) => getComputedStyle(word).visibility === 'visible').map((word) => word.getBoundingClientRect());
    const outside = words.filter((w) => w.left < panel.left || w.right > panel.right);
    const over = words.filter((a, i) => words.slice(0, i).some(
        (b) => a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top));
    return [words.length, outside.length, over.length];
}"""


def looks(watched: Watched, plane: str) -> tuple[np.ndarray, float]:
    """The view of a plane, as x0, x1, y0, y1, and its scale in units a pixel; once it rests."""
    for _ in range(2):  # a change of size is told after a moment, and answered after another
        watched.page.wait_for_timeout(700)
        watched.settle()
    *view, width, height = watched.page.evaluate(RANGES, plane)
    x0, x1, y0, y1 = view
    assert (x1 - x0) / width == pytest.approx((y1 - y0) / height, rel=1e-3), "both axes have one scale"
    return np.array(view), (x1 - x0) / width


def drawn_words(watched: Watched, plane: str) -> str:
    return watched.text("#status-drawn" if plane == "map" else "#sky-words")


def in_view(watched: Watched, view: np.ndarray) -> int:
    """Galaxies inside a view of the map, counted over all rows."""
    columns = watched.atlas.columns("v1")
    x, y = columns.array("map_x"), columns.array("map_y")
    return int(np.count_nonzero((x >= view[0]) & (x <= view[1]) & (y >= view[2]) & (y <= view[3])))


def middle(view: np.ndarray) -> np.ndarray:
    return view.reshape(2, 2).mean(axis=1)


def press(key: str) -> Callable[[Watched], None]:
    return lambda watched: watched.page.keyboard.press(key)


def window(width: int, height: int) -> Callable[[Watched], None]:
    return lambda watched: watched.page.set_viewport_size({"width": width, "height": height})


SIZES = {
    "a drawer": (press("f"), press("f")),
    "an enlarged panel": (press("m"), press("m")),
    "a larger window": (window(1700, 1000), window(1366, 768)),
    "a smaller window": (window(1150, 700), window(1366, 768)),
}


def holds_just(view: np.ndarray, home: np.ndarray) -> bool:
    """Whether a view holds a box, as large as its panel shows it: no room is left around it one way."""
    around = (view - home) * [-1, 1, -1, 1] / np.ptp(home.reshape(2, 2), axis=1).repeat(2)
    return bool((around > -1e-3).all()) and min(around[:2].max(), around[2:].max()) < 1e-3


@pytest.mark.parametrize("size", ["a drawer", pytest.param("an enlarged panel", marks=pytest.mark.soak),
                                  pytest.param("a smaller window", marks=pytest.mark.soak)])  # fmt: skip
def test_the_opening_view_holds_the_whole_map_at_every_size(on_demo: Watched, size: str) -> None:
    on_demo.open()
    opened = home_box(on_demo.atlas.space("v1").plane)
    home = np.array([opened.x0, opened.x1, opened.y0, opened.y1])
    before, _ = looks(on_demo, "map")
    words = drawn_words(on_demo, "map")
    assert holds_just(before, home)
    change, back = SIZES[size]
    for _ in range(2):
        change(on_demo)
        during, _ = looks(on_demo, "map")
        assert holds_just(during, home)
        assert drawn_words(on_demo, "map") == words
        read, outside, over = on_demo.page.evaluate(WORDS)
        assert read and not outside and not over, "words that cannot be read"
        back(on_demo)
        after, scale = looks(on_demo, "map")
        np.testing.assert_allclose(after, before, atol=scale)
    # Nothing of this is a view of the visitor's own, which a link would carry.
    assert on_demo.page.evaluate("window.galaxyFinder.state.map") is None
    assert on_demo.complaints == []


@pytest.mark.soak
def test_a_change_of_size_keeps_middle_and_scale_and_comes_back(on_demo: Watched) -> None:
    on_demo.open()
    on_demo.page.locator("#map").focus()
    for key in (".", ".", "ArrowLeft"):
        on_demo.page.locator("[data-plane=map]").press(key)
    before, scale = looks(on_demo, "map")
    words = drawn_words(on_demo, "map")
    for change, back in (SIZES["a drawer"], *SIZES.values()):
        change(on_demo)
        during, same_scale = looks(on_demo, "map")
        np.testing.assert_allclose(middle(during), middle(before), atol=2 * scale)
        assert same_scale == pytest.approx(scale, rel=1e-3)
        expect(on_demo.page.locator("#status-drawn")).to_contain_text(f"{in_view(on_demo, during):,} in view")
        back(on_demo)
        after, _ = looks(on_demo, "map")
        np.testing.assert_allclose(after, before, atol=scale)
        assert drawn_words(on_demo, "map") == words
    assert on_demo.complaints == []


def test_an_enlarged_sky_counts_and_is_ruled_to_its_edges(on_demo: Watched) -> None:
    on_demo.open()
    on_demo.page.locator("[data-plane=sky]").press(".")
    before, scale = looks(on_demo, "sky")
    words = drawn_words(on_demo, "sky")
    on_demo.page.keyboard.press("s")
    during, same_scale = looks(on_demo, "sky")
    assert same_scale == pytest.approx(scale, rel=1e-3)
    state = on_demo.page.evaluate("window.galaxyFinder.state.sky.box")
    np.testing.assert_allclose([state[k] for k in ("x0", "x1", "y0", "y1")], during, atol=2 * scale)
    assert drawn_words(on_demo, "sky") != words
    on_demo.page.keyboard.press("s")
    after, _ = looks(on_demo, "sky")
    np.testing.assert_allclose(after, before, atol=scale)
    assert drawn_words(on_demo, "sky") == words


SLIPS = {"1 px": (1, 0), "4 px": (4, 0), "a row": (80, 0), "a column": (0, 80), "a slope": (60, 40)}


@pytest.mark.parametrize("plane", ["map", pytest.param("sky", marks=pytest.mark.soak)])
def test_slips_in_lasso_mode_leave_the_plane_alive(on_demo: Watched, plane: str) -> None:
    on_demo.open()
    panel = on_demo.page.locator(f"#{plane}").bounding_box()
    assert panel is not None
    x, y = panel["x"] + panel["width"] / 2, panel["y"] + panel["height"] / 2
    mouse = on_demo.page.mouse
    on_demo.page.keyboard.press("l")
    for dx, dy in SLIPS.values():
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + dx, y + dy, steps=5)
        mouse.up()
        alive(on_demo, plane)
    mouse.dblclick(x, y)
    alive(on_demo, plane)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 40, y, steps=3)
    for key in ("p", "f", "Escape"):
        on_demo.page.keyboard.press(key)
    mouse.move(x + 40, y + 40, steps=3)
    mouse.up()
    alive(on_demo, plane)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 50, -20, steps=4)
    mouse.move(2000, y + 30, steps=4)
    mouse.up()
    alive(on_demo, plane)


def alive(watched: Watched, plane: str) -> None:
    """No script has failed, and the wheel still zooms."""
    watched.page.wait_for_timeout(200)
    panel = watched.page.locator(f"#{plane}").bounding_box()
    assert panel is not None
    watched.page.mouse.move(panel["x"] + panel["width"] / 2, panel["y"] + panel["height"] / 2)
    before = watched.page.evaluate(RANGES, plane)
    watched.page.mouse.wheel(0, -60)
    watched.page.wait_for_timeout(300)
    watched.settle()
    assert watched.complaints == []
    selections = f"document.querySelector('#{plane} .js-plotly-plot')._fullLayout.selections.length"
    assert watched.page.evaluate(selections) == 0
    after = watched.page.evaluate(RANGES, plane)
    assert after[1] - after[0] < before[1] - before[0]
