"""Colours of the points: values that few galaxies have are seen, and the legend says what they mean."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from atlas import Atlas
from tests import serving
from tests.browser.conftest import Watched, watch

GREY_SPREAD = 40


@pytest.fixture(scope="module")
def small_server(small_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    with serving.serve(small_path, tmp_path_factory.mktemp("small-server")) as server:
        yield server


@pytest.fixture
def on_small(chromium: Browser, small_server: serving.Server, small: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, small_server, small)


def test_the_few_galaxies_with_a_value_are_drawn_over_those_without(on_small: Watched) -> None:
    watched = on_small
    watched.open()
    watched.page.select_option("#color", "z_spec")
    watched.settle()
    z_spec = np.asarray(watched.atlas.columns().array("z_spec"))
    for plane in ("map", "sky"):
        known = np.isfinite(z_spec[watched.drawn(plane)])
        assert 0 < known.sum() < known.size / 10
        assert (np.diff(known.astype(int)) >= 0).all(), "those without a value are drawn first"
    # On the sky, where nothing else covers them: their very pixels are coloured.
    places = watched.page.evaluate(
        """() => {
            const gd = document.querySelector('#sky .js-plotly-plot'), data = gd._fullData[0];
            const box = gd.getBoundingClientRect(), l = gd._fullLayout;
            return Array.from(data.x, (x, i) => [box.left + l.xaxis.d2p(x), box.top + l.yaxis.d2p(data.y[i])]);
        }"""
    )
    shot = np.asarray(Image.open(io.BytesIO(watched.page.screenshot())).convert("RGB")).astype(int)
    at = np.floor(np.array(places)[np.isfinite(z_spec[watched.drawn("sky")])]).astype(int)
    colours = shot[at[:, 1], at[:, 0]]
    assert np.mean(np.ptp(colours, axis=1) > GREY_SPREAD) > 0.9


@pytest.mark.parametrize("size", [(1366, 768)])
def test_the_card_stays_inside_the_window_and_tells_what_colours(on_small: Watched, size: tuple[int, int]) -> None:
    watched = on_small
    watched.page.set_viewport_size({"width": size[0], "height": size[1]})
    watched.open("/")
    watched.page.select_option("#color", "z_spec", force=True)
    watched.settle()
    spots = watched.page.evaluate(
        """() => {
            const found = [];
            for (const plane of ["map", "sky"]) {
                const gd = document.querySelector(`#${plane} .js-plotly-plot`), data = gd._fullData[0];
                const box = gd.getBoundingClientRect(), l = gd._fullLayout;
                const all = Array.from(data.x, (x, i) => [box.left + l.xaxis.d2p(x), box.top + l.yaxis.d2p(data.y[i])])
                    .filter(([x, y]) => {
                        const at = document.elementFromPoint(x, y);
                        return at && at.closest(".nsewdrag") && gd.contains(at);
                    });
                for (const [a, b] of all.length ? [[1, 1], [-1, -1], [1, -1], [-1, 1]] : []) {
                    const far = (p) => a * p[0] + b * p[1];
                    found.push(all.reduce((p, q) => (far(p) > far(q) ? p : q)));
                }
            }
            return found;
        }"""
    )
    assert spots
    card = watched.page.locator("#card")
    for spot in spots:
        watched.page.mouse.move(2, 2)
        watched.page.mouse.move(*spot)
        card.wait_for(state="visible")
        box = card.bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["y"] >= 0
        assert box["x"] + box["width"] <= size[0] and box["y"] + box["height"] <= size[1]
        terms = card.locator("dt").all_inner_texts()
        assert terms == ["id", "RA, Dec", "mag_r", "z_phot", "z_spec", "cluster"]
        last = card.locator("dd").last.bounding_box()
        assert last is not None and last["y"] + last["height"] <= size[1], "the image gives way, not the facts"
