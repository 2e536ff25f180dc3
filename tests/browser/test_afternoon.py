"""Somebody plays with the page for an afternoon; after each action it shows what numpy says, and no script has failed.

`make soak` plays for some minutes; with `--actions 300 --seed 7 -o faulthandler_timeout=0` it plays for longer.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from playwright.sync_api import Error

from atlas.catalog.anomalies import DETECTORS
from atlas.errors import AtlasError
from atlas.planes.column_plane import column_axes
from dashboard.state import url as links
from dashboard.state.page_state import State, Viewport, active, is_narrowed
from dashboard.state.viewports import home_box
from tests.browser.afternoon import act
from tests.browser.conftest import Watched
from tests.browser.oracle import Oracle

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(7200)]

SHOWN = """() => {
    const words = (id) => (document.getElementById(id) || {}).textContent || '';
    const graph = (plane) => document.querySelector('#' + plane + ' .js-plotly-plot');
    const rows = (plane) => Array.from(graph(plane)._fullData[0].customdata || []);
    const failed = (i) => i.complete && !i.naturalWidth && i.currentSrc && i.loading !== 'lazy';
    return {
        state: JSON.stringify(window.galaxyFinder.state),
        selected: words('status-selected'), drawn: words('status-drawn'), toast: words('toast'),
        map: rows('map'), sky: rows('sky'),
        key: graph('map').layout.meta.key,
        gallery: [...document.querySelectorAll('#gallery > .gf-tile')].map((t) => Number(t.dataset.row)),
        broken: [...document.images].filter(failed).map((i) => i.currentSrc),
    };
}"""
INTERNAL = ("Traceback", "Error:", "$.", "object at 0x", "site-packages", "undefined", "NaN")
RANKED = 400_000
"""Where every row's similarity is found by numpy, no atlas is larger."""


def test_nothing_trips_on_the_demo(on_demo: Watched, afternoon: tuple[int, int]) -> None:
    play(on_demo, *afternoon)


def test_nothing_trips_at_a_million(on_large: Watched, afternoon: tuple[int, int]) -> None:
    play(on_large, *afternoon)


def play(watched: Watched, actions: int, seed: int) -> None:
    random = Random(seed)
    oracle = Oracle(watched.atlas)
    watched.open()
    done: list[str] = []
    try:
        for _ in range(actions):
            done.append(act(watched, random))
            watched.page.wait_for_timeout(150)
            watched.settle()
            try:
                check(watched, oracle)
            except AssertionError:
                # A panel that has changed its size asks for its view a moment later, on a busy machine later still:
                # only what stays wrong is wrong.
                watched.page.wait_for_timeout(1500)
                watched.settle()
                check(watched, oracle)
    except (AssertionError, Error) as error:
        error.add_note(
            "what was done: " + "\n  ".join(f"{i}. {one}" for i, one in enumerate(done[-15:], len(done) - 14))
        )
        raise


def check(watched: Watched, oracle: Oracle) -> None:
    """What the page shows is what its state says."""
    assert watched.complaints == []
    assert [f"{r.status} {r.url}" for r in watched.responses if r.status >= 400] == []
    shown = watched.page.evaluate(SHOWN)
    assert shown["broken"] == []
    assert not any(word in shown["toast"] for word in INTERNAL), shown["toast"]
    state = links.from_json(shown["state"])
    mask = oracle.mask(active(state))
    check_counts(shown, state, oracle, mask)
    for plane in ("map", "sky"):
        assert mask[shown[plane]].all(), f"points on the {plane} that the selection leaves out"
    if state.listing == "gallery":
        check_gallery(shown["gallery"], state, oracle, mask)
    watched.forget()


def check_counts(shown: dict, state: State, oracle: Oracle, mask: np.ndarray) -> None:
    n_rows, count = oracle.atlas.n_rows, int(mask.sum())
    expected = f"{count:,} of {n_rows:,} selected" if is_narrowed(state) else f"{n_rows:,} galaxies"
    assert shown["selected"] == expected
    if state.axes is None:
        x, y = oracle.column("map_x"), oracle.column("map_y")
        assert shown["key"] == "map"
        box = state.map or home_box(oracle.atlas.space().plane)
    else:
        axes = column_axes(oracle.columns, state.axes.x, state.axes.y)
        x = oracle.along(state.axes.x, axes.x.log, axes.x.zero, axes.x.unit)
        y = oracle.along(state.axes.y, axes.y.log, axes.y.zero, axes.y.unit)
        box = state.map or Viewport(-1e200, 1e200, -1e200, 1e200)
        if state.map is None:
            return
    least, most = oracle.in_view(x, y, box, mask)
    drawn = len(shown["map"])
    words = shown["drawn"]
    if words.startswith("all "):
        told = int(words.split()[1].replace(",", ""))
        assert drawn == told
    else:
        told = int(words.split(" of ")[1].split()[0].replace(",", ""))
        assert drawn == int(words.split()[0].replace(",", "")) < told
    assert least <= told <= most, f"{told:,} in view by the page, {least:,} to {most:,} by numpy"


def check_gallery(rows: list[int], state: State, oracle: Oracle, mask: np.ndarray) -> None:
    """The galaxies listed are inside, as many as were asked for, and the first in their order."""
    inside = mask if state.within else np.ones(mask.shape, dtype=bool)
    assert inside[rows].all(), "listed though the selection leaves it out"
    assert len(set(rows)) == len(rows) <= state.shown
    mixed = state.mixture
    if state.order in DETECTORS or (mixed is not None and mixed.by == "highest"):
        several = (state.order,) if mixed is None else mixed.detectors
        values = np.where(inside, np.max([oracle.column(name) for name in several], axis=0), -np.inf)
        best = np.sort(values[inside])[::-1][: len(rows)]
        np.testing.assert_array_equal(values[rows], best)
    if state.order == "most" and state.focus is not None and not (state.wanted or state.unwanted or state.group):
        focus = row_of(oracle, state.focus.id)
        if focus is None or oracle.atlas.n_rows > RANKED:
            return
        similarity = np.where(inside, oracle.similarity(focus), -np.inf)
        similarity[focus] = -np.inf
        best = np.sort(similarity[np.isfinite(similarity)])[::-1][: state.shown]
        np.testing.assert_allclose(similarity[rows], best, atol=2e-3)


def row_of(oracle: Oracle, name: str) -> int | None:
    try:
        return oracle.atlas.identity.row(name)
    except AtlasError:
        return None
