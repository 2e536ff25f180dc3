"""The head of the page: examples, the search box, the title of the tab, and the drawer of clusters."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from atlas import Expression, Not, Query, SimilarToGroup
from dashboard.service.galaxies import galaxy
from dashboard.state.page_state import State
from dashboard.state.url import to_token
from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser


def test_fourteen_examples_can_each_be_reached_and_all_cleared(on_demo: Watched) -> None:
    wanted = tuple(galaxy(on_demo.atlas, row) for row in range(14))
    on_demo.open("/?s=" + to_token(State(wanted=wanted)))
    assert on_demo.page.title() == "14 examples · Galaxy Finder"
    on_demo.page.locator(".gf-example-menu summary").click()
    chips = on_demo.page.locator(".gf-chip")
    expect(chips).to_have_count(14)
    for at in range(14):
        box = chips.nth(at).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 1366 and box["y"] + box["height"] <= 768
    chips.nth(13).get_by_role("button", name="click to drop").click()
    on_demo.settle()
    expect(chips).to_have_count(13)
    expect(chips.first).to_be_visible()
    on_demo.page.keyboard.press("Escape")
    expect(chips.first).to_be_hidden()
    on_demo.page.locator("#examples").get_by_role("button", name="Drop all examples").click()
    on_demo.settle()
    expect(chips).to_have_count(0)
    assert on_demo.complaints == []


def test_all_that_is_selected_is_searched_for_as_one_example(on_demo: Watched) -> None:
    group = Expression("snr > 60")
    on_demo.open("/?s=" + to_token(State(expression=group.text)))
    on_demo.page.locator("#examples").get_by_role("button", name="like the selection").click()
    on_demo.settle()
    count = on_demo.atlas.mask(group).count
    chip = on_demo.page.locator(".gf-chip")
    expect(chip).to_have_text(f"all {count:,}+")
    assert on_demo.text("#gallery-title") == "Most like the group"
    like = SimilarToGroup((), group=group)
    asked = Query(space="v1", ranking=like, selection=Not(group), limit=24)
    assert on_demo.rows() == on_demo.atlas.run(asked).rows.tolist()
    with on_demo.page.expect_download() as download:
        on_demo.page.locator("#export").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == on_demo.atlas.n_rows - count + 1
    assert lines[1].split(",")[0] == on_demo.atlas.identity.name(on_demo.rows()[0])
    chip.click()
    on_demo.settle()
    expect(chip).to_have_count(0)
    assert on_demo.complaints == []


def test_what_was_found_leaves_the_box_and_names_the_tab(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 5)
    assert on_demo.page.input_value("#find") == ""
    assert on_demo.page.title().startswith("J") and on_demo.page.title().endswith(" · Galaxy Finder")
    on_demo.page.fill("#find", "no such thing")
    on_demo.page.press("#find", "Enter")
    on_demo.settle()
    assert on_demo.page.input_value("#find") == "no such thing", "what was refused can be mended"
    ra_deg, dec_deg = on_demo.atlas.position(7)
    on_demo.page.fill("#find", f"{ra_deg} {dec_deg + 0.2 / 3600}")
    on_demo.page.press("#find", "Enter")
    on_demo.settle()
    assert on_demo.text("#toast .toast-body").endswith(f"is {on_demo.atlas.identity.name(7)}, 0.2″ away.")
    assert on_demo.page.input_value("#find") == ""
    icon = on_demo.page.get_attribute("link[rel=icon]", "href")
    assert icon and icon.startswith("data:")


def test_one_clicks_through_the_clusters_and_no_galaxy_before_stays(on_demo: Watched) -> None:
    on_demo.open()
    choose(on_demo, 5)
    on_demo.page.keyboard.press("c")
    on_demo.settle()
    for at in range(2):
        on_demo.page.locator(".gf-drawer .gf-row").nth(at).click()
        on_demo.settle()
        assert on_demo.rows()[0] == on_demo.atlas.space().clusters[at].medoid
        assert on_demo.page.evaluate("window.galaxyFinder.state.focus || null") is None
        assert on_demo.page.title().startswith("cluster ")
    assert on_demo.complaints == []


@pytest.mark.parametrize("size", [(1366, 768), (1024, 700), (390, 844)])
def test_the_menu_of_columns_stays_open_inside_the_window_until_it_is_dismissed(
    on_demo: Watched, size: tuple[int, int]
) -> None:
    on_demo.page.set_viewport_size({"width": size[0], "height": size[1]})
    on_demo.open()
    on_demo.page.keyboard.press("v")
    on_demo.page.locator(".gf-columns summary").click()
    for name in ("snr", "gini"):
        on_demo.page.locator(".gf-columns button", has_text=name).first.click()
        on_demo.settle()
        box = on_demo.page.locator(".gf-columns > div").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]
    on_demo.page.locator(".gf-header h1").click()
    expect(on_demo.page.locator(".gf-columns > div")).to_be_hidden()


def test_a_click_on_credit_shows_whose_survey_this_is(on_demo: Watched) -> None:
    on_demo.open()
    on_demo.page.locator(".gf-status").get_by_text("credit", exact=True).click()
    told = on_demo.atlas.manifest.provenance
    drawer = on_demo.page.locator("#drawer")
    for words in (told.survey, told.licence, told.acknowledgement):
        assert words
        expect(drawer).to_contain_text(words)
    assert on_demo.complaints == []
