"""What somebody does who plays with the page for an afternoon: seeded, and nothing but the mouse and the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from playwright.sync_api import Error

from tests.browser.conftest import Watched
from tests.browser.oracle import CONDITIONS

SIZES = ((1366, 768), (1366, 768), (1920, 1080), (1024, 700), (390, 844))
KEYS = "rplbmsgvxfucaith+-"
GARBAGE = ("", "400 10", "no such thing", "<script>alert(1)</script>", "53.1 -95", "é∞", "12:99:00 +10")
BROKEN = ("anomaly_knn >", "no_such_column > 1", "((((", "cluster == 'x'")
CONTROLS = (
    "button:not([disabled]), summary, a.gf-tile, .gf-tile, .gf-row, .gf-word, .ag-header-cell, .ag-row, select, "
    "input[type=checkbox]"
)

Action = Callable[[Watched, Random], str]


def spot(watched: Watched, random: Random, plane: str, margin: float = 0.1) -> tuple[float, float] | None:
    """A place on a plane; None where the plane is not in view."""
    panel = watched.page.locator(f"#{plane} .nsewdrag").first
    box = panel.bounding_box() if panel.count() else None
    if box is None or box["width"] < 80 or box["height"] < 80:
        return None
    fx, fy = (random.uniform(margin, 1 - margin) for _ in range(2))
    return box["x"] + fx * box["width"], box["y"] + fy * box["height"]


def on_plane(do: Callable[[Watched, Random, str, tuple[float, float]], str]) -> Action:
    """An action on one of the planes that are in view."""

    def act(watched: Watched, random: Random) -> str:
        plane = random.choice(("map", "map", "sky"))
        at = spot(watched, random, plane)
        return f"{plane} is not in view" if at is None else f"{plane}: {do(watched, random, plane, at)}"

    return act


def wheel(watched: Watched, random: Random, plane: str, at: tuple[float, float]) -> str:
    by = random.choice((-600, -300, -300, 300, 900))
    watched.page.mouse.move(*at)
    watched.page.mouse.wheel(0, by)
    return f"wheel {by} at {at}"


def drag(watched: Watched, random: Random, plane: str, at: tuple[float, float]) -> str:
    to = spot(watched, random, plane, margin=-0.05) or at
    watched.page.mouse.move(*at)
    watched.page.mouse.down()
    watched.page.mouse.move(*to, steps=4)
    if random.random() < 0.15:
        watched.page.keyboard.press(random.choice("pfm"))
    watched.page.mouse.up()
    return f"drag {at} → {to}"


def loop(watched: Watched, random: Random, plane: str, at: tuple[float, float]) -> str:
    """A lasso of some corners, which may be a slip."""
    held = random.choice(("", "", "Shift", "Alt"))
    corners = [spot(watched, random, plane, margin=0.02) or at for _ in range(random.choice((0, 1, 3, 5, 8)))]
    watched.page.keyboard.press("l")
    if held:
        watched.page.keyboard.down(held)
    watched.page.mouse.move(*at)
    watched.page.mouse.down()
    for corner in (*corners, (at[0] + 1, at[1])):
        watched.page.mouse.move(*corner, steps=2)
    watched.page.mouse.up()
    if held:
        watched.page.keyboard.up(held)
    watched.page.keyboard.press("p")
    return f"{held} lasso of {len(corners) + 1} from {at}"


def click(watched: Watched, random: Random, plane: str, at: tuple[float, float]) -> str:
    watched.page.mouse.move(*at)
    for _ in range(random.choice((1, 1, 2))):
        watched.page.mouse.click(*at)
    return f"click at {at}"


def key(watched: Watched, random: Random) -> str:
    pressed = random.choice(KEYS)
    watched.page.keyboard.press(pressed)
    return f"key {pressed}"


def walk(watched: Watched, random: Random) -> str:
    plane = watched.page.locator(f"[data-plane={random.choice(('map', 'sky'))}]")
    if not plane.is_visible():
        return "no plane to walk on"
    plane.focus()
    pressed = [random.choice(("ArrowLeft", "ArrowUp", "ArrowRight", ",", ".", ".", "Enter")) for _ in range(3)]
    for one in pressed:
        watched.page.keyboard.press(one)
    return f"keys {' '.join(pressed)}"


def escape(watched: Watched, random: Random) -> str:
    watched.page.keyboard.press("Escape")
    return "Esc"


def control(watched: Watched, random: Random) -> str:
    """Whatever can be clicked."""
    shown = [one for one in watched.page.locator(CONTROLS).all() if one.is_visible()]
    if not shown:
        return "nothing to click"
    one = random.choice(shown)
    name = one.evaluate("e => (e.getAttribute('aria-label') || e.title || e.textContent || e.id).slice(0, 40)")
    if one.evaluate("e => e.tagName") == "SELECT":
        values = one.evaluate("e => [...e.options].filter(o => !o.disabled).map(o => o.value)")
        chosen = random.choice(values)
        one.select_option(chosen, timeout=2000)
        return f"choice {name!r}: {chosen}"
    try:
        one.click(timeout=1500)
    except Error:
        return f"{name!r} is covered"
    return f"click on {name!r}"


def find(watched: Watched, random: Random) -> str:
    row = random.randrange(watched.atlas.n_rows)
    ra, dec = watched.atlas.position(row)
    text = random.choice((watched.atlas.identity.name(row), f"{ra:.5f} {dec:.5f}", random.choice(GARBAGE)))
    field = watched.page.locator("#find")
    if not field.is_visible():
        return "no search field"
    field.fill(text)
    field.press("Enter")
    return f"find {text!r}"


def condition(watched: Watched, random: Random) -> str:
    field = watched.page.locator("#expression")
    if not field.is_visible():
        watched.page.keyboard.press("f")
        watched.page.wait_for_timeout(400)
        watched.settle()
    if not field.is_visible():
        return "no field for conditions"
    text = random.choice((*CONDITIONS, *CONDITIONS, *BROKEN, ""))
    field.fill(text)
    field.press("Enter")
    field.blur()
    return f"condition {text!r}"


def brush(watched: Watched, random: Random) -> str:
    shown = [one for one in watched.page.locator(".gf-filter canvas").all() if one.is_visible()]
    if not shown:
        return "no histogram"
    one = random.choice(shown)
    one.scroll_into_view_if_needed(timeout=2000)
    box = one.bounding_box()
    assert box is not None
    low, high = sorted(random.uniform(-0.1, 1.1) for _ in range(2))
    y = box["y"] + box["height"] / 2
    watched.page.mouse.move(box["x"] + low * box["width"], y)
    watched.page.mouse.down()
    watched.page.mouse.move(box["x"] + high * box["width"], y, steps=3)
    watched.page.mouse.up()
    return f"brush {low:.2f} … {high:.2f}"


def size(watched: Watched, random: Random) -> str:
    width, height = random.choice(SIZES)
    watched.page.set_viewport_size({"width": width, "height": height})
    watched.page.wait_for_timeout(500)
    return f"window {width} × {height}"


def back(watched: Watched, random: Random) -> str:
    to = "forward" if random.random() < 0.3 else "back"
    before = watched.page.evaluate("history.length")
    watched.page.evaluate(f"void setTimeout(() => history.{to}(), 0)")
    watched.page.wait_for_timeout(300)
    if watched.page.url == "about:blank":  # there was nothing before the page
        watched.page.goto(watched.url)
    return f"{to}, of {before}"


def reload(watched: Watched, random: Random) -> str:
    watched.page.reload()
    return "reload"


ACTIONS: dict[Action, int] = {
    on_plane(wheel): 14,
    on_plane(drag): 8,
    on_plane(loop): 12,
    on_plane(click): 8,
    key: 12,
    walk: 4,
    escape: 6,
    control: 20,
    find: 5,
    condition: 5,
    brush: 6,
    size: 4,
    back: 4,
    reload: 2,
}
"""What is done, and how often out of a hundred times or so."""


def act(watched: Watched, random: Random) -> str:
    """Do something, and say what."""
    return random.choices(list(ACTIONS), list(ACTIONS.values()))[0](watched, random)
