"""The page in a real browser, on real galaxies and on a million simulated ones."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import astropy.units as u
import numpy as np
import pytest
import shapely
from astropy.coordinates import SkyCoord
from playwright.sync_api import expect

from atlas import Query, Similar
from atlas.catalog.position_text import format_position
from dashboard.views.clusters import scale_shown
from dashboard.views.palette import PALETTES
from tests.browser.conftest import Watched
from tests.browser.hands import choose, lasso, middle_of_the_map, state_polygon

pytestmark = pytest.mark.browser

GRAPH_BYTES = 500_000
PAGE_BYTES = 3_000_000


@pytest.fixture(params=["on_demo", pytest.param("on_large", marks=pytest.mark.soak)])
def watched(request: pytest.FixtureRequest) -> Watched:
    page: Watched = request.getfixturevalue(request.param)
    page.open()
    return page


def test_the_page_is_small_its_own_and_silent(watched: Watched) -> None:
    hosts = {urlsplit(r.url).netloc for r in watched.requests if not r.url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(watched.url).netloc}
    sizes = [r.sizes() for r in watched.requests if not r.url.startswith(("data:", "blob:"))]
    assert sum(s["responseBodySize"] + s["responseHeadersSize"] for s in sizes) < PAGE_BYTES
    assert watched.complaints == []
    assert watched.page.locator(".no-webgl").count() == 0
    failed = [(r.status, r.url) for r in watched.responses if r.status >= 400]
    assert failed == []


def test_the_first_screen_fits_and_shows_three_doors(watched: Watched) -> None:
    assert watched.page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    assert watched.page.locator(".gf-door").count() == 3
    assert f"{watched.atlas.n_rows:,}" in watched.text("#status-selected")
    assert watched.drawn("map") and watched.drawn("sky")


def test_a_click_on_a_point_fills_the_gallery(watched: Watched) -> None:
    rows = watched.drawn("map")
    row = rows[len(rows) // 2]
    columns = watched.atlas.columns("v1")
    x, y = (float(columns.array(name)[row]) for name in ("map_x", "map_y"))
    watched.page.mouse.move(*watched.pixel("map", x, y))
    expect(watched.page.locator("#card")).to_be_visible()
    watched.page.mouse.click(*watched.pixel("map", x, y))
    watched.page.wait_for_timeout(300)
    watched.settle()
    focus = watched.atlas.identity.row(watched.page.evaluate("window.galaxyFinder.state.focus.id"))
    shown = watched.rows()
    assert len(shown) == 24
    assert focus not in shown
    expected = watched.atlas.similar(rows=[focus], k=24).index.tolist()
    assert shown == expected


def test_coordinates_find_the_galaxy_that_astropy_finds(watched: Watched) -> None:
    columns = watched.atlas.columns()
    sky = SkyCoord(np.asarray(columns.array("ra")) * u.deg, np.asarray(columns.array("dec")) * u.deg)
    for row, style in ((17, "deg"), (watched.atlas.n_rows // 2, "sexagesimal")):
        ra, dec = watched.atlas.position(row)
        text = format_position(ra, dec, style)
        watched.page.fill("#find", text)
        watched.page.press("#find", "Enter")
        watched.settle()
        typed = SkyCoord(text, unit=(u.deg if style == "deg" else u.hourangle, u.deg))
        nearest = int(typed.match_to_catalog_sky(sky)[0])
        assert watched.page.evaluate("window.galaxyFinder.state.focus.id") == watched.atlas.identity.name(nearest)
    assert watched.complaints == []


def test_a_position_with_nothing_near_says_how_far_and_goes_only_when_asked(on_demo: Watched) -> None:
    on_demo.open()
    on_demo.page.fill("#find", "03:32:38.5 -28:30:00")
    on_demo.page.press("#find", "Enter")
    on_demo.settle()
    assert "nearest is" in on_demo.text("#toast")
    assert on_demo.page.evaluate("window.galaxyFinder.state.focus || null") is None
    on_demo.page.click("#toast .gf-button")
    on_demo.settle()
    assert on_demo.page.evaluate("window.galaxyFinder.state.focus.id")


def test_what_cannot_be_understood_gets_a_clear_answer(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 3)
    answers = set()
    for text in ("99:99:99 -27", "no such thing", "53.1 -95", "<script>alert(1)</script>"):
        on_demo.page.fill("#find", text)
        on_demo.page.press("#find", "Enter")
        on_demo.settle()
        answers.add(on_demo.text("#toast .toast-body"))
        assert on_demo.page.evaluate("window.galaxyFinder.state.focus.id") == on_demo.atlas.identity.name(3), text
    assert len(answers) == 4 and min(map(len, answers)) > 20
    assert on_demo.complaints == []


def test_a_lasso_counts_every_row_not_the_sample(on_large: Watched) -> None:
    on_large.open()
    x, y, circle = middle_of_the_map(on_large, 0.45)
    on_large.forget()
    lasso(on_large, "map", circle)
    polygon = state_polygon(on_large)
    expected = int(shapely.contains_xy(polygon, x, y).sum())
    assert expected > 300_000
    assert f"{expected:,} of 1,000,000 selected" in on_large.text("#status-selected")
    drawn = on_large.drawn("map")
    assert 0 < len(drawn) <= 20_000
    assert shapely.contains_xy(polygon, x[drawn], y[drawn]).all()
    for post in on_large.posts():
        assert len(post.post_data_buffer or b"") < 20_000
    # The sky follows: its sample is of the same galaxies.
    on_sky = on_large.drawn("sky")
    assert 0 < len(on_sky) <= 20_000
    assert shapely.contains_xy(polygon, x[on_sky], y[on_sky]).all()
    # The gallery too.
    assert shapely.contains_xy(polygon, x[on_large.rows()], y[on_large.rows()]).all()
    on_large.page.keyboard.press("Escape")
    on_large.settle()
    assert "selected" not in on_large.text("#status-selected")
    assert on_large.complaints == []


def test_a_lasso_on_the_sky_is_seen_on_the_map(on_demo: Watched) -> None:
    on_demo.open()
    meta = on_demo.page.evaluate("document.querySelector('#sky .js-plotly-plot').layout.meta.projection")
    from atlas.sky.projection import Projection

    projection = Projection(**meta)
    columns = on_demo.atlas.columns()
    x, y = projection.forward(np.asarray(columns.array("ra")), np.asarray(columns.array("dec")))
    half = 0.004
    lasso(on_demo, "sky", [(-half, -half), (half, -half), (half, half), (-half, half)])
    expected = np.flatnonzero(shapely.contains_xy(state_polygon(on_demo), x, y))
    assert expected.size > 5
    assert f"{expected.size:,} of" in on_demo.text("#status-selected")
    assert sorted(on_demo.drawn("map")) == expected.tolist()
    assert sorted(on_demo.drawn("sky")) == expected.tolist()


def test_three_wheel_zooms_each_answer_little_and_reach_new_galaxies(on_large: Watched) -> None:
    on_large.open()
    first = set(on_large.drawn("map"))
    assert len(first) <= 20_000
    _, _, circle = middle_of_the_map(on_large, 0.2)
    for _ in range(3):
        on_large.forget()
        on_large.page.mouse.move(*on_large.pixel("map", *circle[0]))
        on_large.page.mouse.wheel(0, -600)
        on_large.page.wait_for_timeout(500)
        on_large.settle()
        answers = [r for r in on_large.responses if "_dash-update-component" in r.url]
        assert answers, "the zoom was answered by nobody"
        for answer in answers:
            assert len(answer.body()) <= GRAPH_BYTES
    last = set(on_large.drawn("map"))
    assert len(last) > 1_000
    assert last - first
    assert on_large.complaints == []


def test_a_reload_restores_and_back_undoes(watched: Watched) -> None:
    choose(watched, 5)
    shown = watched.rows()
    choose(watched, 11)
    assert watched.rows() != shown
    again = watched.rows()
    watched.page.reload()
    watched.settle()
    assert watched.rows() == again
    watched.page.go_back()
    watched.page.wait_for_timeout(200)
    watched.settle()
    assert watched.rows() == shown
    assert watched.page.evaluate("window.galaxyFinder.state.focus.id") == watched.atlas.identity.name(5)
    watched.page.go_back()
    watched.page.wait_for_timeout(200)
    watched.settle()
    assert watched.page.locator(".gf-door").count() == 3
    watched.page.go_forward()
    watched.page.wait_for_timeout(200)
    watched.settle()
    assert watched.rows() == shown


def test_a_click_on_a_neighbour_makes_it_the_query(watched: Watched) -> None:
    choose(watched, 21)
    second = watched.rows()[1]
    watched.page.locator("#gallery > .gf-tile").nth(1).click()
    watched.settle()
    assert watched.page.evaluate("window.galaxyFinder.state.focus.id") == watched.atlas.identity.name(second)
    assert watched.rows() == watched.atlas.similar(rows=[second], k=24).index.tolist()


@pytest.mark.soak
def test_least_similar_and_more_images_on_demand(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 4)
    on_demo.page.select_option("#order", "least")
    on_demo.settle()
    on_demo.page.select_option("#shown", "100")
    on_demo.settle()
    stored = np.asarray(on_demo.atlas.space().embeddings, dtype=np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    scores = (stored @ stored[4]).astype(np.float32)
    assert on_demo.rows() == np.lexsort((np.arange(scores.size), scores))[:100].tolist()


def test_clusters_and_anomalies_fill_the_gallery(watched: Watched) -> None:
    watched.page.keyboard.press("c")
    watched.settle()
    watched.page.locator(".gf-row").first.click()
    watched.settle()
    space = watched.atlas.space()
    scale = scale_shown(space, "")
    largest = max(space.cluster_tree.of(scale), key=lambda cluster: cluster.size)
    labels = space.columns.array(scale)
    assert (labels[watched.rows()] == largest.label).all()
    members = np.flatnonzero(labels == largest.label)
    likeness = np.asarray(space.embeddings[members], dtype=np.float64) @ largest.centroid
    nearest = members[np.argsort(-likeness)[:24]]
    assert len(np.intersect1d(watched.rows(), nearest)) >= 22, "the most typical, as far as a quick search finds them"
    for _ in range(2):  # the drawer, then the selection
        watched.page.keyboard.press("Escape")
        watched.settle()
    watched.page.keyboard.press("a")
    watched.settle()
    watched.page.locator(".gf-detector", has_text="Odd form").click()
    watched.settle()
    scores = np.asarray(watched.atlas.columns("v1").array("anomaly_form"), dtype=np.float64)
    best = np.lexsort((np.arange(scores.size), -scores))[:24]
    assert watched.rows() == best.tolist()


def test_examples_are_collected_as_chips_and_searched_together(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 6)
    on_demo.page.keyboard.press("+")
    on_demo.settle()
    choose(on_demo, 9)
    on_demo.page.keyboard.press("-")
    on_demo.settle()
    assert on_demo.page.locator(".gf-chip").count() == 2
    expected = on_demo.atlas.run(Query(space="v1", ranking=Similar((6,), (9,)), limit=24)).rows.tolist()
    assert on_demo.rows() == expected
    assert on_demo.page.locator("#gallery-title").inner_text() == "Most similar to 1, unlike 1"
    assert "1 unwanted" in on_demo.page.locator(".gf-status").inner_text()
    # An example that counts twice is a search in which it is named twice.
    on_demo.page.locator(".gf-chip").first.get_by_role("button", name="click to count twice").click()
    on_demo.settle()
    expected = on_demo.atlas.run(Query(space="v1", ranking=Similar((6, 6), (9,)), limit=24)).rows.tolist()
    assert on_demo.rows() == expected
    assert on_demo.page.locator(".gf-chip").first.inner_text() == "+2"
    assert on_demo.page.locator("#gallery-title").inner_text() == "Most similar to 1, unlike 1"
    on_demo.page.locator(".gf-chip").first.get_by_role("button", name="click to drop").click()
    on_demo.settle()
    assert on_demo.page.locator(".gf-chip").count() == 1
    assert on_demo.page.locator("#gallery-title").inner_text() == "Unlike 1"


def test_keys_mark_what_the_mouse_is_on_and_after_a_click_what_was_clicked(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 6)
    tile = on_demo.page.locator("#gallery > .gf-tile").nth(3)
    also = int(tile.get_attribute("data-row") or "")
    tile.hover()
    on_demo.page.keyboard.press("+")
    on_demo.settle()
    expected = on_demo.atlas.run(Query(space="v1", ranking=Similar((6, also)), limit=24)).rows.tolist()
    assert on_demo.rows() == expected, "beside the galaxy that the list was like"
    tile = on_demo.page.locator("#gallery > .gf-tile").nth(5)
    clicked = tile.get_attribute("data-id")
    tile.click()
    on_demo.settle()
    on_demo.page.keyboard.press("-")  # another galaxy may be under the mouse now
    on_demo.settle()
    assert [one["id"] for one in on_demo.page.evaluate("window.galaxyFinder.state.unwanted")] == [clicked]


def test_colour_by_a_column_and_the_light_theme(watched: Watched) -> None:
    watched.page.select_option("#color", "anomaly_knn")
    watched.settle()
    assert watched.page.locator(".gf-ramp").count() == 1
    color = watched.page.evaluate("document.querySelector('#map .js-plotly-plot')._fullData[0].marker.color")
    assert len(color) == len(watched.drawn("map"))
    scale = watched.page.evaluate("document.querySelector('#map .js-plotly-plot')._fullData[0].marker.colorscale")
    assert [step[1] for step in scale][-1] == PALETTES["viridis"][-1]
    watched.page.keyboard.press("t")
    watched.settle()
    assert watched.page.evaluate("document.documentElement.dataset.bsTheme") == "light"
    assert watched.complaints == []


@pytest.mark.soak
def test_the_sky_can_be_zoomed_from_all_of_it_to_a_field(on_large: Watched) -> None:
    on_large.open()
    kind = "document.querySelector('#sky .js-plotly-plot').layout.meta.projection.kind"
    assert on_large.page.evaluate(kind) == "ait"
    # Not far from the middle of the all-sky plane, where a tangent plane looks nearly the same.
    rows = np.array(on_large.drawn("sky"))
    ra, dec = (np.asarray(on_large.atlas.columns().array(name))[rows] for name in ("ra", "dec"))
    row = int(rows[np.argmin(np.hypot(ra - 185.0, dec - 12.0))])
    for _ in range(5):
        projection = on_large.page.evaluate("document.querySelector('#sky .js-plotly-plot').layout.meta.projection")
        from atlas.sky.projection import Projection

        x, y = Projection(**projection).forward(*on_large.atlas.position(row))
        on_large.page.mouse.move(*on_large.pixel("sky", float(x), float(y)))
        for _ in range(8):  # plotly takes a tenth a turn of the wheel, however far it was turned
            on_large.page.mouse.wheel(0, -200)
        on_large.page.wait_for_timeout(500)
        on_large.settle()
    assert on_large.page.evaluate(kind) == "tan"
    assert row in on_large.drawn("sky")
    assert on_large.complaints == []


def test_a_damaged_link_opens_the_page_and_says_so(on_demo: Watched) -> None:
    on_demo.open("/?s=damaged-link")
    assert "damaged" in on_demo.text("#toast") or "link" in on_demo.text("#toast")
    assert on_demo.page.locator(".gf-door").count() == 3


def test_a_link_to_a_galaxy_of_another_build_still_says_which(on_demo: Watched) -> None:
    from dashboard.state.page_state import Galaxy, State
    from dashboard.state.url import to_token

    on_demo.open("/?s=" + to_token(State(focus=Galaxy("gone-galaxy", 10.0, 10.0))))
    assert "gone-galaxy" in on_demo.text("#details")
    # By position it is found again, whatever its id is now.
    ra, dec = on_demo.atlas.position(8)
    on_demo.open("/?s=" + to_token(State(focus=Galaxy("renamed", ra, dec))))
    assert on_demo.atlas.identity.name(8) in on_demo.text("#details")


def test_requests_carry_polygons_and_never_points(on_demo: Watched) -> None:
    on_demo.open()
    _, _, circle = middle_of_the_map(on_demo, 0.5)
    on_demo.forget()
    lasso(on_demo, "map", circle)
    for post in on_demo.posts():
        body = json.loads(post.post_data or "{}")
        assert "selectedData" not in json.dumps(body)
        assert len(post.post_data or "") < 20_000
