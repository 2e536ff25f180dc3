"""Looking at a million galaxies: filters, subsets, planes, colours, the table, links, the keyboard."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import shapely
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from atlas.queries.neighbourhoods import neighbours_outside
from atlas.queries.selection import MapPolygon, canonical
from dashboard.views.palette import CLUSTER_COLORS
from tests.browser.conftest import Watched
from tests.browser.hands import (
    brush,
    choose,
    circle,
    click_export,
    expect_count,
    histogram,
    lasso,
    middle_of_the_map,
    open_drawer,
    selected,
)

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["on_small", pytest.param("on_large", marks=pytest.mark.soak)])
def page(request: pytest.FixtureRequest) -> Watched:
    page: Watched = request.getfixturevalue(request.param)
    page.open()
    return page


def column(watched: Watched, name: str) -> np.ndarray:
    return np.asarray(watched.atlas.columns("v1").array(name), dtype=np.float64)


# Views


def test_a_late_answer_never_overwrites_a_newer_one(page: Watched) -> None:
    page.page.evaluate(
        """() => {
            const ask = window.fetch;
            let held = false;
            window.fetch = async (...a) => {
                const answer = await ask(...a);
                const body = a[1] && a[1].body;
                if (typeof body === 'string' && body.startsWith('{"output":"..map.figure...map-shown') && !held) {
                    held = true;
                    await new Promise((go) => setTimeout(go, 2500));
                    window.late = true;
                }
                return answer;
            };
        }"""
    )
    box = page.page.locator("#map").bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(2):
        for _ in range(4):
            page.page.mouse.wheel(0, -300)
        page.page.wait_for_timeout(700)
    page.page.wait_for_function("window.late === true")
    page.settle()
    view = page.page.evaluate("window.galaxyFinder.state.map")
    drawn = page.drawn("map")
    x, y = column(page, "map_x")[drawn], column(page, "map_y")[drawn]
    assert (x >= view["x0"]).all() and (x <= view["x1"]).all() and (y >= view["y0"]).all() and (y <= view["y1"]).all()


def test_clusters_are_named_by_size_and_their_number_fits_the_zoom(page: Watched) -> None:
    labels = "Array.from(document.querySelectorAll('#map .annotation-text')).map(t => t.textContent)"
    far = page.page.evaluate(labels)
    sizes = {f"{c.size:,}" for c in page.atlas.space().cluster_tree.every}
    assert 3 <= len(far) <= 12
    assert all(any(f"{size} galaxies" in text for size in sizes) for text in far)
    middle = page.atlas.space().clusters[0]
    page.page.mouse.move(*page.pixel("map", middle.map_x, middle.map_y))
    for _ in range(12):
        page.page.mouse.wheel(0, -300)
    page.page.wait_for_timeout(500)
    page.settle()
    view = page.page.evaluate("window.galaxyFinder.state.map")
    inside = [c for c in page.atlas.space().cluster_tree.every
              if view["x0"] < c.map_x < view["x1"] and view["y0"] < c.map_y < view["y1"]]  # fmt: skip
    near = page.page.evaluate(labels)
    assert len(near) <= len(inside) and f"{middle.size:,}" in " ".join(near)


def test_colours_say_what_is_missing_and_means_are_pictures(page: Watched) -> None:
    page.page.select_option("#color", "z_spec")
    page.settle()
    drawn = page.drawn("map")
    missing = int(np.isnan(column(page, "z_spec")[drawn]).sum())
    assert missing > 0
    assert f"{missing:,} of those drawn have none" in page.text("#legend")
    page.forget()
    page.page.locator("#paint button").click()
    page.page.wait_for_timeout(300)
    page.settle()
    pictures = [r for r in page.responses if "column=z_spec" in r.url]
    assert {"map.png" in r.url for r in pictures} == {True, False}, "map and sky both show the mean"
    for response in pictures:
        assert response.status == 200
        picture = np.asarray(Image.open(io.BytesIO(response.body())).convert("RGBA"))
        assert 0.01 < (picture[:, :, 3] > 0).mean() < 0.99
    opacity = "document.querySelector('#map .js-plotly-plot')._fullData[0].marker.opacity"
    assert page.page.evaluate(opacity) == 0


# Filters


def test_a_brush_counts_what_numpy_counts_and_filters_cross(page: Watched) -> None:
    open_drawer(page, "f")
    before = histogram(page, "z_phot")
    brush(page, "mag_r", 0.25, 0.6)
    (filtered,) = page.page.evaluate("window.galaxyFinder.state.filters")
    low, high = filtered["low"], filtered["high"]
    mag_r, z_phot = column(page, "mag_r"), column(page, "z_phot")
    inside = (mag_r >= low) & (mag_r <= high)
    expect_count(page, int(inside.sum()))
    assert inside[page.drawn("map")].all() and inside[page.drawn("sky")].all() and inside[page.rows()].all()
    # The other histogram shows what passes, its own filter aside; the brushed one still shows what it could choose.
    after = histogram(page, "z_phot")
    edges = np.array(after["edges"])
    expected, _ = np.histogram(z_phot[inside], edges)
    assert np.abs(np.array(after["now"]) - expected).max() <= 2  # edges travel in six digits
    assert after["total"] == before["total"]
    assert histogram(page, "mag_r")["now"] == histogram(page, "mag_r")["total"]
    brush(page, "z_phot", 0.1, 0.4)
    second = page.page.evaluate("window.galaxyFinder.state.filters[1]")
    both = inside & (z_phot >= second["low"]) & (z_phot <= second["high"])
    expect_count(page, int(both.sum()))
    page.page.locator(".gf-filter[data-column=mag_r] canvas").dblclick()
    expect_count(page, int(((z_phot >= second["low"]) & (z_phot <= second["high"])).sum()))
    page.page.locator(".gf-typed").get_by_text("clear all").click()
    expect(page.page.locator("#status-selected")).not_to_contain_text("selected")
    assert page.complaints == []


def test_bounds_can_be_typed(page: Watched) -> None:
    open_drawer(page, "f")
    field = page.page.locator(".gf-filter[data-column=mag_r] [data-side=high] input")
    field.fill("17.5")
    field.press("Enter")
    expect_count(page, int((column(page, "mag_r") <= 17.5).sum()))
    low = page.page.locator(".gf-filter[data-column=mag_r] [data-side=low] input")
    low.fill("18")
    low.press("Enter")
    page.page.wait_for_timeout(300)
    assert selected(page) == int((column(page, "mag_r") <= 17.5).sum()), "bounds that cross change nothing"


def test_words_of_a_category_are_chosen_by_a_click(page: Watched) -> None:
    open_drawer(page, "f")
    codes = page.atlas.columns().array("source_type")
    words = page.atlas.columns().describe("source_type").vocabulary
    page.page.locator(".gf-filter[data-column=source_type] .gf-word", has_text="DEV").click()
    expect_count(page, int((codes == words.index("DEV")).sum()))
    page.page.locator(".gf-filter[data-column=source_type] .gf-word", has_text="SER").click()
    expect_count(page, int(np.isin(codes, [words.index("DEV"), words.index("SER")]).sum()))


def test_a_typed_condition_completes_names_points_at_errors_and_counts(page: Watched) -> None:
    open_drawer(page, "f")
    page.page.click("#expression")
    page.page.keyboard.type("mag_g - mag_r > 0.8 & z_ph")
    expect(page.page.locator("#expression-words button").first).to_have_text("z_phot")
    page.page.keyboard.press("Tab")
    page.page.keyboard.type(" <")
    page.page.keyboard.press("Enter")
    expect(page.page.locator("#expression-says p")).not_to_be_empty()
    assert "selected" not in page.text("#status-selected"), "what is wrong changes nothing"
    page.page.fill("#expression", "mag_g - mag_q > 0.8")
    page.page.keyboard.press("Enter")
    expect(page.page.locator("#expression-says mark")).to_have_text("mag_q")
    expect(page.page.locator("#expression-says p")).to_contain_text("mag_")
    page.page.fill("#expression", "mag_g - mag_r > 0.8 & z_phot < 0.3")
    page.page.keyboard.press("Enter")
    columns = page.atlas.columns()
    g, r, z = (np.asarray(columns.array(name)) for name in ("mag_g", "mag_r", "z_phot"))
    expect_count(page, int(((g - r > 0.8) & (z < 0.3)).sum()))
    page.page.reload()
    page.settle()
    assert page.page.input_value("#expression") == "mag_g - mag_r > 0.8 & z_phot < 0.3"
    expect(page.page.locator(".gf-typed .gf-note")).to_have_count(0)


def test_a_condition_says_how_many_galaxies_have_a_value_that_few_have(page: Watched) -> None:
    open_drawer(page, "f")
    page.page.fill("#expression", "z_spec < 0.1 & mag_r < 19")
    page.page.keyboard.press("Enter")
    known = int(np.isfinite(np.asarray(page.atlas.columns().array("z_spec"))).sum())
    assert known < page.atlas.n_rows / 2
    note = page.page.locator(".gf-typed .gf-note")
    expect(note).to_have_text(
        f"z_spec is known for {known:,} of {page.atlas.n_rows:,} galaxies; no comparison holds for others"
    )


# Subsets


@pytest.mark.soak
def test_shift_adds_alt_takes_away_and_subsets_are_kept_in_colour(page: Watched) -> None:
    x, y, _ = middle_of_the_map(page, 0.2)
    cx, cy = float(np.median(x)), float(np.median(y))
    around = [(cx - 2.5, cy, 2.2), (cx + 3.0, cy + 1.0, 1.5), (cx - 2.0, cy, 1.0)]
    for (px, py, radius), key in zip(around, ("", "Shift", "Alt"), strict=True):
        lasso(page, "map", circle(px, py, radius), key)
    selection = page.page.evaluate("window.galaxyFinder.state.selection")

    def inside(part: dict) -> np.ndarray:
        match part["is"]:
            case "mappolygon":
                return shapely.contains_xy(shapely.Polygon(part["vertices"]), x, y)
            case "and":
                return np.logical_and.reduce([inside(one) for one in part["of"]])
            case "or":
                return np.logical_or.reduce([inside(one) for one in part["of"]])
        assert part["is"] == "not"
        return ~inside(part["of"])

    expected = inside(selection)
    assert expected.sum() > 200  # of every map that a build may draw
    expect_count(page, int(expected.sum()))
    open_drawer(page, "u")
    page.page.fill("#subset-name", "two lobes")
    page.page.keyboard.press("Enter")
    page.settle()
    page.page.get_by_text("Invert", exact=True).click()
    expect_count(page, int((~expected).sum()))
    assert f"{int(expected.sum()):,}" in page.text(".gf-subset")
    assert "two lobes" in page.text("#legend")
    # Outside the subset all is grey, inside all has its colour.
    colors = page.page.evaluate("Array.from(document.querySelector('#map .js-plotly-plot')._fullData[0].marker.color)")
    assert set(colors) == {0}
    page.page.get_by_label("Select two lobes", exact=True).click()
    expect_count(page, int(expected.sum()))
    colors = page.page.evaluate("Array.from(document.querySelector('#map .js-plotly-plot')._fullData[0].marker.color)")
    assert set(colors) == {1}
    assert page.page.locator(".gf-dot").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(86, 180, 233)"
    assert CLUSTER_COLORS[0] == "#56b4e9"
    assert page.complaints == []


# Planes


@pytest.mark.soak
def test_columns_against_each_other_with_a_lasso_of_their_own(page: Watched) -> None:
    page.page.keyboard.press("x")
    page.page.wait_for_function("document.querySelector('#map .js-plotly-plot').layout.meta.key !== 'map'")
    page.settle()
    axes = page.page.evaluate("window.galaxyFinder.state.axes")
    x, y = (np.asarray(page.atlas.columns().array(axes[name])) for name in ("x", "y"))
    drawn = page.drawn("map")
    shown = page.page.evaluate("Array.from(document.querySelector('#map .js-plotly-plot')._fullData[0].y)")
    assert np.array_equal(np.array(shown, dtype=np.float32), y[drawn].astype(np.float32))
    top, bottom = (page.pixel("map", float(np.median(x)), float(q))[1] for q in np.quantile(y, (0.1, 0.9)))
    assert axes["y"].startswith("mag") and top < bottom, "bright galaxies are above faint ones"
    lx, ly = np.quantile(x, (0.3, 0.7)), np.quantile(y, (0.3, 0.7))
    lasso(page, "map", [(lx[0], ly[0]), (lx[1], ly[0]), (lx[1], ly[1]), (lx[0], ly[1])])
    vertices = page.page.evaluate("window.galaxyFinder.state.selection.vertices")
    expected = shapely.contains_xy(shapely.Polygon(vertices), x.astype(float), y.astype(float))
    expect_count(page, int(expected.sum()))
    assert expected[page.drawn("map")].all() and expected[page.drawn("sky")].all()
    # The map shows the same galaxies, and the way back restores the plane.
    page.page.select_option("#plane", "map")
    page.page.wait_for_function("document.querySelector('#map .js-plotly-plot').layout.meta.key === 'map'")
    page.settle()
    assert expected[page.drawn("map")].all()
    page.page.go_back()
    page.page.wait_for_function("document.querySelector('#map .js-plotly-plot').layout.meta.key !== 'map'")
    page.settle()
    assert expected[page.drawn("map")].all()
    assert page.complaints == []


def test_a_drawer_pushes_the_plane_aside_and_leaves_the_view_as_it_was(on_demo: Watched) -> None:
    on_demo.open()
    sizes = "document.querySelector('#map .js-plotly-plot').layout.images.map(i => i.sizex)"
    width = "document.querySelector('#map .js-plotly-plot').clientWidth"
    before = on_demo.page.evaluate(sizes), on_demo.page.evaluate(width)
    open_drawer(on_demo, "f")
    on_demo.page.wait_for_function(f"{width} < {before[1] - 200}")
    on_demo.page.keyboard.press("f")
    on_demo.page.wait_for_function(f"{width} === {before[1]}")
    on_demo.page.wait_for_timeout(600)
    on_demo.page.wait_for_function("!window.galaxyFinder.state.map")
    on_demo.settle()
    assert on_demo.page.evaluate(sizes) == before[0]


# The table


def test_the_table_sorts_everything_and_shows_any_part_of_it(on_large: Watched) -> None:
    (page := on_large).open()
    assert not [r for r in page.requests if "dash_ag_grid" in r.url], "the table's script waits for a table"
    page.page.keyboard.press("v")
    page.page.keyboard.press("g")
    page.page.locator(".ag-header-cell", has_text="z_phot").first.click()
    page.page.wait_for_function("(window.galaxyFinder.state.table || {}).sort === 'z_phot'")
    page.settle()
    z = column(page, "z_phot")
    order = np.lexsort((np.arange(z.size), z))
    names = """Array.from(document.querySelectorAll('.ag-row .ag-cell[col-id=_id]'))
        .map(c => [Number(c.closest('.ag-row').getAttribute('row-index')), c.textContent])"""
    page.page.wait_for_function(
        f"({names}).some(([i, t]) => i === 0 && t === '{page.atlas.identity.name(int(order[0]))}')"
    )
    page.page.evaluate("document.querySelector('.ag-body-viewport, .ag-grid-viewport').scrollTop = 15000000")
    page.page.wait_for_function(f"({names}).some(([i, t]) => i > 100000 && t)")
    for index, name in page.page.evaluate(names):
        if name:
            assert name == page.atlas.identity.name(int(order[index]))
    assert page.complaints == []


def test_the_table_follows_the_selection_and_a_click_chooses_a_galaxy(page: Watched) -> None:
    choose(page, 12)
    page.page.keyboard.press("v")
    cell = page.page.locator(".ag-row[row-index='2'] .ag-cell[col-id=_id]").first
    expected = page.atlas.similar(rows=[12], k=3).index.tolist()[2]
    expect(cell).to_have_text(page.atlas.identity.name(expected))
    cell.click()
    page.page.wait_for_timeout(300)
    page.settle()
    assert page.page.evaluate("window.galaxyFinder.state.focus.id") == page.atlas.identity.name(expected)
    page.page.locator(".gf-columns summary").click()
    page.page.locator(".gf-columns button", has_text="ebv").click()
    page.settle()
    page.page.reload()
    page.settle()
    shown = page.page.evaluate("window.galaxyFinder.state.table.columns")
    assert "ebv" in shown, "columns that were chosen are kept"


def test_what_is_active_downloads_as_csv_in_order(on_large: Watched) -> None:
    (page := on_large).open()
    open_drawer(page, "f")
    page.page.fill("#expression", "mag_r < 15.5 & z_phot < 0.1")
    page.page.keyboard.press("Enter")
    expected = np.flatnonzero((column(page, "mag_r") < 15.5) & (column(page, "z_phot") < 0.1))
    assert expected.size > 50
    expect_count(page, expected.size)
    choose(page, int(expected[3]))
    with page.page.expect_download() as download:
        click_export(page)
    lines = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert len(lines) == expected.size
    stored = np.asarray(page.atlas.space().embeddings[expected], dtype=np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    scores = stored @ stored[3]
    assert np.allclose([float(line["similarity"]) for line in lines], np.sort(scores)[::-1], atol=1e-5)
    mag_r = np.sort(column(page, "mag_r")[expected])
    assert np.allclose(np.sort([float(line["mag_r"]) for line in lines]), mag_r, atol=1e-4)


# Trust


@pytest.mark.soak
def test_a_lasso_says_how_far_it_cuts_through_neighbourhoods(page: Watched) -> None:
    assert "of neighbours kept" in page.text("#trust")
    lasso(page, "map", middle_of_the_map(page, 0.15)[2])
    vertices = page.page.evaluate("window.galaxyFinder.state.selection.vertices")
    mask = page.atlas.mask(canonical(MapPolygon("v1", tuple(map(tuple, vertices)))))
    share = neighbours_outside(page.atlas.space(), mask).share
    assert f"{100 * share:.0f} % of neighbours outside" in page.text("#trust")


# Links and receipts


@pytest.mark.soak
def test_a_long_state_travels_by_its_hash_and_survives_reload_and_back(page: Watched) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        angles = np.sort(rng.random(90)) * 2 * np.pi
        radii = 1 + 0.3 * rng.random(90)
        corners = [[float(i * 0.1 + r * np.cos(a)), float(r * np.sin(a))] for r, a in zip(radii, angles, strict=True)]
        page.page.evaluate("v => galaxyFinder.send({is: 'lasso', plane: 'map', vertices: v})", corners)
        page.page.evaluate("n => galaxyFinder.send({is: 'keep', name: n})", f"subset {i}")
    page.page.wait_for_timeout(500)
    page.settle()
    expect(page.page.locator("#status-selected")).to_contain_text("selected")
    assert "?s=~" in page.page.url and len(page.page.url) < 200
    count = selected(page)
    page.page.reload()
    page.settle()
    expect_count(page, count)
    assert len(page.page.evaluate("window.galaxyFinder.state.subsets")) == 12
    page.page.go_back()
    page.page.wait_for_timeout(300)
    page.settle()
    assert page.complaints == []


def test_a_receipt_repeats_the_question(page: Watched, tmp_path: Path) -> None:
    choose(page, 40)
    page.page.keyboard.press("+")
    page.settle()
    with page.page.expect_download() as download:
        page.page.locator("#status-receipt a").click()
    path = tmp_path / "receipt.json"
    download.value.save_as(path)
    command = [sys.executable, "-m", "atlas", "replay", str(path), "--atlas", str(page.atlas.build.parent.parent)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for row in page.rows():
        assert page.atlas.identity.name(row) in result.stdout
    assert page.text("#status-receipt").split()[-1] in path.read_text()


# Keyboard and access


def test_a_plane_is_panned_zoomed_and_chosen_from_by_keyboard(page: Watched) -> None:
    page.page.locator(".gf-plane[data-plane=map]").focus()
    before = page.page.evaluate("document.querySelector('#map .js-plotly-plot')._fullLayout.xaxis.range.slice()")
    page.page.keyboard.press("ArrowRight")
    for _ in range(3):
        page.page.keyboard.press(".")
    page.page.wait_for_timeout(500)
    page.settle()
    after = page.page.evaluate("document.querySelector('#map .js-plotly-plot')._fullLayout.xaxis.range.slice()")
    assert after[0] > before[0] and after[1] - after[0] < 0.6 * (before[1] - before[0])
    page.page.keyboard.press("Enter")
    page.page.wait_for_timeout(300)
    page.settle()
    focus = page.atlas.identity.row(page.page.evaluate("window.galaxyFinder.state.focus.id"))
    drawn = np.array(page.drawn("map"))
    x, y = column(page, "map_x"), column(page, "map_y")
    middle = sum(after) / 2
    height = page.page.evaluate("document.querySelector('#map .js-plotly-plot')._fullLayout.yaxis.range.slice()")
    away = np.hypot(x - middle, y - sum(height) / 2)
    assert away[focus] <= away[drawn].min() + 1e-6


@pytest.mark.soak
def test_axe_finds_nothing_to_complain_about(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 7)

    def press(key: str) -> None:
        on_demo.page.keyboard.press(key)
        on_demo.page.wait_for_timeout(600)
        on_demo.settle()

    def complaints() -> list[tuple[str, str, list[str]]]:
        found = Axe().run(on_demo.page).response["violations"]
        return [(v["id"], v["impact"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found]

    def state() -> str:
        shown: str = on_demo.page.evaluate("JSON.stringify(window.galaxyFinder.state)")
        return shown

    assert complaints() == []
    before = state()
    for key in ("f", "u", "c", "v", "t"):
        press(key)
        assert state() != before, f"{key} opens something"
        assert complaints() == [], key
        press(key)
        # A drawer that closes gives the map its size back, and the map then asks for its view.
        on_demo.page.wait_for_function("before => JSON.stringify(window.galaxyFinder.state) === before", arg=before)


def test_figures_are_taken_along_with_their_axes(on_demo: Watched) -> None:
    on_demo.open()
    for plane, kind in product(("map", "sky"), ("png", "svg")):
        on_demo.page.locator(f".gf-figure-{plane} summary").click()
        with on_demo.page.expect_download() as download:
            on_demo.page.get_by_label(f"Download the {plane} as {kind.upper()}, with axes").click()
        on_demo.page.locator(f".gf-figure-{plane} summary").click()
        data = Path(download.value.path()).read_bytes()
        if kind == "png":
            picture = Image.open(io.BytesIO(data))
            assert picture.width > 1000
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 10
        else:
            text = data.decode()
            assert ("UMAP 1" if plane == "map" else "Right ascension") in text and on_demo.atlas.manifest.title in text
