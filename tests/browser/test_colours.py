"""Colours of the points: values that few galaxies have are seen, and the legend says what they mean."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.views.palette import PALETTES
from tests.browser.conftest import Watched

GREY_SPREAD = 40


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


@pytest.mark.soak
def test_range_and_colours_of_a_scale_are_chosen_and_kept(on_small: Watched, tmp_path: Path) -> None:
    watched, page = on_small, on_small.page
    watched.open()
    page.select_option("#color", "mag_r")
    watched.settle()
    menu = page.locator(".gf-shading")
    menu.locator("summary").click()
    for name in ("magma", "reversed", "log"):
        menu.get_by_role("button", name=name, exact=True).press("Enter")
        watched.settle()
        assert menu.locator("summary + div").is_visible()
    for side, value in (("low", "15"), ("high", "18.5")):
        menu.locator(f"[data-end={side}] input").fill(value)
        page.keyboard.press("Enter")
        watched.settle()
    page.keyboard.press("Escape")
    chosen = {"palette": "magma", "reversed": True, "low": 15, "high": 18.5, "log": True}
    assert page.evaluate("galaxyFinder.state.shading") == chosen
    page.goto(page.url)
    watched.settle()
    assert page.locator("#legend > span").all_inner_texts()[:2] == ["≤ 15", "≥ 18.5 mag, log"]
    mag_r = np.asarray(watched.atlas.columns().array("mag_r"), dtype=np.float64)
    for plane in ("map", "sky"):
        marker = f"document.querySelector('#{plane} .js-plotly-plot')._fullData[0].marker"
        colors = [color for _, color in page.evaluate(f"{marker}.colorscale")]
        assert colors[2:] == [PALETTES["magma"][-1], *PALETTES["magma"][::-1]]
        expected = np.clip(np.log10(mag_r[watched.drawn(plane)] / 15) / np.log10(18.5 / 15), 0, 1)
        np.testing.assert_allclose(page.evaluate(f"Array.from({marker}.color)"), expected, atol=1e-4)
    with page.expect_download() as download:
        page.evaluate("galaxyFinder.local.figure({ plane: 'map', format: 'svg' })")
    download.value.save_as(tmp_path / "figure.svg")
    figure = (tmp_path / "figure.svg").read_text()
    assert "≥ 18.5 mag, log" in figure
    watched.forget()
    page.locator("#paint button").click()
    watched.settle()
    page.wait_for_timeout(300)
    assert page.locator("#legend > span").all_inner_texts()[:2] == ["≤ 15", "≥ 18.5 mag, log"]
    pictures = [r for r in watched.responses if "column=mag_r" in r.url]
    assert {"map.png" in r.url for r in pictures} == {True, False}
    of_magma = {tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (PALETTES["magma"][0], PALETTES["magma"][-1])}
    for response in pictures:
        picture = np.asarray(Image.open(io.BytesIO(response.body())).convert("RGBA")).reshape(-1, 4)
        seen = {tuple(color[:3].tolist()) for color in picture[picture[:, 3] > 0]}
        assert seen & of_magma, "values beyond the ends have the colours of the ends"
    # Another column has other ends; the colours are a matter of taste, and stay.
    page.select_option("#color", "z_phot")
    watched.settle()
    assert page.evaluate("galaxyFinder.state.shading") == {"palette": "magma", "reversed": True}
    assert watched.complaints == []


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
        assert terms == ["id", "RA, Dec", "mag_r", "z_phot", "z_spec", "source_type", "cluster"]
        last = card.locator("dd").last.bounding_box()
        assert last is not None and last["y"] + last["height"] <= size[1], "the image gives way, not the facts"
