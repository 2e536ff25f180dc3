"""Dates, masses and long ids on their way from a file through every action of the page and back, beside numpy."""

from __future__ import annotations

import io

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from atlas.catalog.numbers import column_text, exact_text, parse_number
from dashboard.state.page_state import Axes, State, Table
from dashboard.state.url import to_token
from dashboard.views.facts import words
from dashboard.views.map import axis_words
from tests.browser.conftest import Watched
from tests.browser.hands import brush, choose, downloaded, expect_count, lasso, table_column

pytestmark = pytest.mark.browser
WIDE = ("jd", "mjd", "t_ms", "mass", "lum", "rate", "healpix29")


@pytest.fixture
def page(on_numbers: Watched) -> Watched:
    return on_numbers


def column(page: Watched, name: str) -> NDArray:
    return np.asarray(page.atlas.columns("v1").array(name))


def opened(page: Watched, state: State) -> None:
    page.open(f"/?s={to_token(state)}")


def bounds(page: Watched, name: str) -> list[str]:
    """What the fields beneath a histogram hold."""
    fields = page.page.locator(f".gf-filter[data-column={name}] .gf-bound input")
    return [fields.nth(i).input_value() for i in (0, 1)]


def within(values: NDArray, low: str, high: str) -> NDArray[np.bool_]:
    return (values >= parse_number(low)) & (values <= parse_number(high))


@pytest.mark.soak
def test_brushes_typed_bounds_conditions_and_links_select_the_very_rows(page: Watched) -> None:
    opened(page, State(drawer="filters", brushed=WIDE))
    chosen = np.ones(page.atlas.n_rows, dtype=bool)
    for name in ("jd", "t_ms", "lum", "rate", "healpix29"):
        values = column(page, name)
        brush(page, name, 0.2, 0.7)
        low, high = bounds(page, name)
        inside = within(values, low, high)
        assert 0.2 < inside.mean() < 0.95, name
        expect_count(page, int((chosen & inside).sum()))
        page.page.wait_for_timeout(400)
        # The other bound is typed: this one stays as it was.
        typed = exact_text(np.sort(values)[1_900].item())
        field = page.page.locator(f".gf-filter[data-column={name}] [data-side=high] input")
        field.fill(typed)
        field.press("Enter")
        chosen &= within(values, low, typed)
        expect_count(page, int(chosen.sum()))
        assert bounds(page, name) == [low, typed]
    page.page.locator(".gf-typed").get_by_text("clear all").click()
    page.page.wait_for_timeout(200)
    page.settle()
    ids, dates = column(page, "healpix29"), column(page, "jd")
    page.page.fill("#expression", f"healpix29 < {2**60 + 777} & 2459010.5 <= jd < 2459020.75")
    page.page.keyboard.press("Enter")
    count = int(((ids < 2**60 + 777) & (dates >= 2459010.5) & (dates < 2459020.75)).sum())
    assert 100 < count < 777
    expect_count(page, count)
    page.page.reload()
    page.settle()
    expect_count(page, count)
    # What is selected downloads with every digit.
    lines = downloaded(page)
    assert sorted(int(line["healpix29"]) for line in lines) == sorted(
        ids[(ids < 2**60 + 777) & (dates >= 2459010.5) & (dates < 2459020.75)].tolist()
    )
    rows = [page.atlas.identity.row(line["galaxy_id"]) for line in lines]
    for name in WIDE:
        assert [parse_number(line[name]) for line in lines] == column(page, name)[rows].tolist(), name
    assert page.complaints == []


@pytest.mark.parametrize(("x", "y"), [("jd", "rate"), pytest.param("healpix29", "lum", marks=pytest.mark.soak)])
def test_planes_show_zoom_and_select_every_galaxy_where_it_is(page: Watched, x: str, y: str) -> None:
    drawn = page.atlas.column_axes(x, y)
    px, py = (axis.coordinates(column(page, name)) for axis, name in ((drawn.x, x), (drawn.y, y)))
    opened(page, State(axes=Axes(x, y)))
    page.page.wait_for_function("document.querySelector('#map .js-plotly-plot').layout.meta.key !== 'map'")
    page.settle()
    assert sorted(page.drawn("map")) == list(range(page.atlas.n_rows))
    titles = page.page.locator("#map .xtitle, #map .ytitle").all_text_contents()
    assert titles == [axis_words(x, drawn.x), axis_words(y, drawn.y)]
    ticks = page.page.locator("#map .xtick text").all_text_contents()
    assert len(set(ticks)) == len(ticks) >= 4
    # The density lies beneath its points: wherever one is, the picture is not empty.
    picture = page.page.evaluate("document.querySelector('#map .js-plotly-plot').layout.images[0]")
    response = page.page.request.get(page.url + picture["source"])
    alpha = np.asarray(Image.open(io.BytesIO(response.body())).convert("RGBA"))[:, :, 3]
    across = ((px - picture["x"]) / picture["sizex"] * alpha.shape[1]).astype(int)
    down = ((picture["y"] - py) / picture["sizey"] * alpha.shape[0]).astype(int)
    seen = (across >= 0) & (across < alpha.shape[1]) & (down >= 0) & (down < alpha.shape[0])
    assert seen.mean() > 0.98 and (alpha[down[seen], across[seen]] > 0).mean() > 0.98
    # Close to one galaxy: what is in view is what numpy finds there.
    row = int(np.argsort(px)[1_000])
    page.page.mouse.move(*page.pixel("map", float(px[row]), float(py[row])))
    for _ in range(6):
        page.page.mouse.wheel(0, -300)
    page.page.wait_for_timeout(500)
    page.settle()
    view = page.page.evaluate("window.galaxyFinder.state.map")
    inside = (px >= view["x0"]) & (px <= view["x1"]) & (py >= view["y0"]) & (py <= view["y1"])
    assert 0 < inside.sum() < 1_900 and sorted(page.drawn("map")) == np.flatnonzero(inside).tolist()
    # A lasso there, and its outline.
    (x0, x1), (y0, y1) = ((v[f"{e}0"], v[f"{e}1"]) for v, e in ((view, "x"), (view, "y")))
    left, right, low, high = x0 + (x1 - x0) * 0.2, x0 + (x1 - x0) * 0.8, y0 + (y1 - y0) * 0.2, y0 + (y1 - y0) * 0.8
    lasso(page, "map", [(left, low), (right, low), (right, high), (left, high)])
    vertices = page.page.evaluate("window.galaxyFinder.state.selection.vertices")
    expected = shapely.contains_xy(shapely.Polygon(vertices), px.astype(float), py.astype(float))
    assert expected[row] and abs(vertices[0][0] - left) < 0.02 * (x1 - x0)
    expect_count(page, int(expected.sum()))
    assert sorted(page.drawn("map")) == np.flatnonzero(inside & expected).tolist()
    assert page.complaints == []


@pytest.mark.soak
def test_colours_cards_details_and_the_table_tell_galaxies_apart(page: Watched) -> None:
    columns = page.atlas.columns("v1")
    opened(page, State(color="jd"))
    colour = "Array.from(document.querySelector('#map .js-plotly-plot')._fullData[0].marker.color)"
    row = 1_234
    for name in ("jd", "healpix29"):
        page.page.select_option("#color", name)
        page.settle()
        places, drawn = np.array(page.page.evaluate(colour)), page.drawn("map")
        assert np.unique(places).size > 1_800
        ranks = (np.argsort(np.argsort(v, kind="stable")) for v in (places, column(page, name)[drawn]))
        assert np.corrcoef(*ranks)[0, 1] > 0.999
        low, high = (column_text(columns.describe(name), columns.describe(name).quantiles[i], 3) for i in (1, -2))
        assert low in page.text("#legend") and high in page.text("#legend")
    # An end beyond 2⁵³ is kept as it was typed, the legend and the colours are of that very number.
    low, high = 2**60 + 501, 2**60 + 1_501
    page.page.locator(".gf-shading summary").click()
    for side, end in (("low", low), ("high", high)):
        page.page.locator(f".gf-shading [data-end={side}] input").fill(str(end))
        page.page.keyboard.press("Enter")
        page.settle()
    page.page.keyboard.press("Escape")
    page.page.goto(page.page.url)
    page.settle()
    assert page.page.evaluate("[galaxyFinder.state.shading.low, galaxyFinder.state.shading.high]") == [
        str(low),
        str(high),
    ]
    assert f"≤ {low}" in page.text("#legend") and f"≥ {high}" in page.text("#legend")
    ids = column(page, "healpix29")[page.drawn("map")]
    places = np.array(page.page.evaluate(colour))
    assert ((places > 0) == (ids > low)).all() and ((places < 1) == (ids < high)).all()
    # The card of a galaxy under the mouse says what colours it.
    x, y = (float(column(page, name)[row]) for name in ("map_x", "map_y"))
    page.page.mouse.move(*page.pixel("map", x, y))
    expect(page.page.locator("#card")).to_be_visible()
    cards = page.page.locator("#card dd").all_inner_texts()
    found = page.atlas.identity.row(cards[0])
    assert str(column(page, "healpix29")[found]) in cards
    choose(page, row)
    details = page.page.locator("#details").text_content() or ""
    for name in WIDE:
        assert words(columns.describe(name), column(page, name)[row].item()) in details, name
    opened(page, State(listing="table", table=Table(columns=("healpix29", "jd"))))
    page.page.locator("#table .ag-header-cell[col-id=healpix29]").click()
    page.settle()
    expect(page.page.locator("#table .ag-row[row-index='0'] .ag-cell[col-id=healpix29]")).to_have_text(str(2**60))
    shown = table_column(page, "healpix29")
    assert len(shown) > 5 and shown == [str(2**60 + i) for i in range(len(shown))]
    first = np.argsort(column(page, "healpix29"))[: len(shown)]
    dates = [float(text) for text in table_column(page, "jd")]
    assert np.allclose(dates, column(page, "jd")[first], rtol=0, atol=1e-3)
    assert page.complaints == []
