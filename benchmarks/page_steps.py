"""Steps on the page: what a hand does, and what has to be there before it does so."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from playwright.sync_api import Page

from atlas import Atlas
from atlas.catalog.anomalies import ARTEFACT, SPOILT, offered
from atlas.catalog.mixtures import mixable
from atlas.storage.manifest import Column
from benchmarks.serving import settle

WHO = "Ada"
LISTED = 100
LASSO_RADIUS = 0.06  # of the map's width


class Hand:
    """A hand on a page of an atlas.

    Parameters
    ----------
    page : Page
        Open, and `WHO` typed before it was.
    atlas : Atlas
    """

    def __init__(self, page: Page, atlas: Atlas) -> None:
        self.page = page
        self.atlas = atlas
        self.rng = np.random.default_rng(1)
        columns = atlas.columns(atlas.default_space)
        self.columns = columns
        self.rows = self.rng.choice(atlas.n_rows, min(1_000, atlas.n_rows), replace=False)
        self.map_x, self.map_y = (np.asarray(columns.array(name)[self.rows]) for name in ("map_x", "map_y"))
        self.radius = LASSO_RADIUS * float(np.ptp(self.map_x))
        self.numbers = [c for c in atlas.columns() if c.kind == "number" and len(c.quantiles) > 6 and not c.truth]
        self.at = 0

    def send(self, **event: Any) -> None:
        """Send an event, as a button does."""
        self.page.evaluate(
            "e => window.galaxyFinder.send(e)", {("is" if k == "is_" else k): v for k, v in event.items()}
        )

    def do(self, **event: Any) -> None:
        """Send an event and wait for what becomes of it."""
        self.send(**event)
        self.page.wait_for_timeout(100)
        self.wait()

    def wait(self) -> None:
        """Wait until nothing is under way, jobs neither."""
        settle(self.page, 180)
        under_way = "() => !document.querySelector('[data-job]:is([data-phase=waiting], [data-phase=running])')"
        self.page.wait_for_function(under_way, timeout=600_000)
        settle(self.page, 180)

    def begin_anew(self) -> None:
        """Show the page as it opens."""
        self.do(is_="open", token="")

    def another(self) -> int:
        """Row of a galaxy that was not used before."""
        self.at += 1
        return int(self.rows[self.at % self.rows.size])

    def pick(self) -> None:
        """Click a galaxy."""
        self.send(is_="pick", row=self.another(), build=self.page.evaluate("window.galaxyFinder.build"))

    def lasso(self) -> None:
        """Draw a lasso around another galaxy."""
        self.another()
        at = self.at % self.rows.size
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        x, y = (float(of[at]) for of in (self.map_x, self.map_y))
        corners = [[x + self.radius * float(np.cos(a)), y + self.radius * float(np.sin(a))] for a in angles]
        self.send(is_="lasso", plane="map", vertices=corners)

    def bounds(self, column: Column) -> tuple[float, float]:
        """Bounds of a filter that keeps a good part of a column."""
        q = column.quantiles
        low = float(self.rng.uniform(q[2], q[4]))
        return low, low + 0.4 * (q[6] - q[2])

    def label(self, key: int) -> None:
        """Label the next galaxy of the gallery that has none, by its key."""
        self.page.locator("#gallery .gf-tile:not([data-label])").first.focus()
        with self.page.expect_response(lambda answer: "/labels" in answer.url and answer.request.method == "POST"):
            self.page.keyboard.press(str(key))

    def name_labels(self) -> None:
        """Name the labels that keys 1 and 2 stand for."""
        named = [
            {"id": uuid.uuid4().hex[:16], "kind": "class", "who": WHO, "key": key, "label": label}
            for key, label in ((1, "interesting"), (2, "boring"))
        ]
        post = """body => fetch('/labels', {method: 'POST', body: body,
                  headers: {'Content-Type': 'application/json'}}).then(answer => answer.text())"""
        self.page.evaluate(post, json.dumps({"entries": named}))
        self.page.reload()
        self.wait()


class Step(NamedTuple):
    """A step: its name, what the hand does, given the number of the time, and what is there before; neither waits."""

    name: str
    move: Callable[[Hand, int], object]
    before: Callable[[Hand, int], object] = lambda hand, n: None


def zoom(hand: Hand, n: int) -> None:
    """Turn the wheel over the map."""
    box = hand.page.locator("#map").bounding_box()
    assert box is not None
    hand.page.mouse.move(box["x"] + box["width"] * (0.4 + 0.04 * n), box["y"] + box["height"] * 0.5)
    hand.page.mouse.wheel(0, -300)


def _picked(hand: Hand, n: int) -> None:
    hand.pick()
    hand.wait()


def _selected(hand: Hand, n: int) -> None:
    hand.lasso()
    hand.wait()


def _filter(hand: Hand, n: int) -> None:
    low, high = hand.bounds(hand.numbers[n % 3])
    hand.send(is_="filter", column=hand.numbers[n % 3].name, low=low, high=high)


def _type_condition(hand: Hand, n: int) -> None:
    a, b = hand.numbers[n % 3], hand.numbers[3 + n % 3]
    text = f"{a.name} > {hand.bounds(a)[0]:.6g} & {b.name} - {a.name} < {b.quantiles[6] - a.quantiles[2]:.6g}"
    hand.send(is_="express", text=text)


def _open(drawer: str) -> Callable[[Hand, int], None]:
    return lambda hand, n: hand.send(is_="change", drawer=drawer)


def _with_drawer(drawer: str) -> Callable[[Hand, int], None]:
    return lambda hand, n: hand.do(is_="change", drawer=drawer)


def _two_answers(hand: Hand, n: int) -> None:
    _picked(hand, n)
    hand.do(is_="keepanswer", take=True)
    _picked(hand, n)


def _color(hand: Hand, n: int) -> None:
    hand.send(is_="change", color=hand.numbers[n % len(hand.numbers)].name)


def _mean(hand: Hand, n: int) -> None:
    hand.do(is_="change", color=hand.numbers[(n + 5) % len(hand.numbers)].name, paint="points")


def _detect(hand: Hand, n: int) -> None:
    names = offered(hand.columns)
    hand.send(is_="change", order=names[n % len(names)])


def _mix(hand: Hand, n: int) -> None:
    several = list(combinations(mixable(hand.columns), 2))
    hand.send(is_="mix", detectors=list(several[n % len(several)]), by=("highest", "mean")[n % 2])


def _selected_anomalies(hand: Hand, n: int) -> None:
    _selected(hand, n)
    hand.do(is_="change", order="anomaly", drawer="anomalies")


def _taught(hand: Hand, n: int) -> None:
    hand.do(is_="change", order="anomaly")
    for key in (1, 2):
        hand.label(key)
        hand.wait()


def _table(hand: Hand, n: int) -> None:
    hand.do(is_="change", listing="table")


def _sort(hand: Hand, n: int) -> None:
    hand.page.locator(".ag-center-cols-viewport").first.wait_for()
    hand.page.locator(".ag-header-viewport .ag-header-cell").nth(n).click()


def _project(hand: Hand, n: int) -> None:
    hand.send(is_="seesky", projection=("mol", "ait", "tan")[n % 3])


def _project_before(hand: Hand, n: int) -> None:
    if n % 3 == 2:
        hand.do(is_="seesky", projection="mol")


def _against(hand: Hand, n: int) -> None:
    pairs = list(combinations([c.name for c in hand.numbers[:6]], 2))
    hand.send(is_="against", x=pairs[n % len(pairs)][0], y=pairs[n % len(pairs)][1])


def _list(hand: Hand, n: int) -> None:
    hand.do(is_="change", drawer="labels")
    rows = hand.rng.choice(hand.atlas.n_rows, min(LISTED, hand.atlas.n_rows), replace=False)
    ra, dec = (np.asarray(hand.columns.array(name)[rows]) for name in ("ra", "dec"))
    text = "\n".join(f"{a:.6f} {b:.6f}" for a, b in zip(ra.tolist(), dec.tolist(), strict=True))
    hand.page.fill("#list-text", text)
    hand.page.fill("#collection-name", f"list {n}")


def _collection(hand: Hand, n: int) -> None:
    _selected(hand, n)
    hand.do(is_="change", drawer="labels")
    hand.page.fill("#collection-name", f"set {n}")


def _press(name: str, path: str) -> Callable[[Hand, int], None]:
    """Press a button of the drawer, and wait for the answer that it asks an address for."""

    def press(hand: Hand, n: int) -> None:
        with hand.page.expect_response(lambda answer: path in answer.url and answer.request.method == "POST"):
            hand.page.locator("#drawer button", has_text=re.compile(f"^{name}$")).first.click()

    return press


def _export(hand: Hand, n: int) -> None:
    begun = """() => fetch(document.querySelector('#export').href).then(answer => {
        const reader = answer.body.getReader();
        return reader.read().then(() => reader.cancel());
    })"""
    hand.page.evaluate(begun)


def steps(hand: Hand) -> Iterator[Step]:
    """All steps that an atlas allows, in the order in which they are timed."""
    yield Step("zoom", zoom)
    yield Step("click a galaxy: its neighbours", lambda hand, n: hand.pick())
    yield Step("random galaxy", lambda hand, n: hand.send(is_="random"))
    yield Step("search exactly", lambda hand, n: hand.send(is_="change", exact=True), _picked)
    yield Step("lasso", lambda hand, n: hand.lasso())
    yield Step("filter", _filter)
    yield Step("typed condition", _type_condition)
    yield Step("like all that is selected", lambda hand, n: hand.send(is_="group", take=True), _selected)
    for drawer, before in (
        ("filters", _selected), ("subsets", _selected), ("clusters", None), ("anomalies", _selected),
        ("labels", _selected), ("scores", _picked), ("compare", _two_answers),
    ):  # fmt: skip
        yield Step(f"drawer: {drawer}", _open(drawer), *([before] if before else []))
    yield Step("why here? and is it real?", _open("why"), _selected)
    yield Step("split", lambda hand, n: hand.send(is_="split", count=6), _selected)
    labels = [one.label for one in hand.atlas.space().clusters]
    yield Step("cluster card", lambda hand, n: hand.send(is_="cluster", label=labels[n % len(labels)]),
               _with_drawer("clusters"))  # fmt: skip
    yield Step("colour by a column", _color)
    yield Step("its mean in each spot", lambda hand, n: hand.send(is_="change", paint="mean"), _mean)
    yield Step("another detector", _detect, _with_drawer("anomalies"))
    if len(mixable(hand.columns)) > 2:
        yield Step("detectors mixed", _mix, _with_drawer("anomalies"))
    if ARTEFACT in offered(hand.columns):
        hide = {"is_": "filter", "column": ARTEFACT, "high": SPOILT}
        yield Step("hide artefacts", lambda hand, n: hand.send(**hide), _selected_anomalies)
    yield Step("label by a key", lambda hand, n: hand.label(1), lambda hand, n: hand.do(is_="change", order="anomaly"))
    yield Step("rank by labels", lambda hand, n: hand.send(is_="teach"), _taught)
    yield Step("table", lambda hand, n: hand.send(is_="change", listing="table"), _selected)
    yield Step("sort the table by a column, once", _sort, _table)
    yield Step("projection of the sky", _project, _project_before)
    yield Step("plane of two columns, once", _against)
    yield Step("paste a list", _press("keep list", "/lists/"), _list)
    yield Step("save a collection", _press("selection", "/labels"), _collection)
    yield Step("export, first bytes", _export, _selected)
