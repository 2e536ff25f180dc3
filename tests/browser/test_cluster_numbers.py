"""A cluster has one number: on the page, in a condition, in CSV, in the link and in a notebook."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from atlas import Cluster, Expression
from tests.browser.conftest import Watched
from tests.browser.hands import expect_count


def test_a_cluster_has_the_same_number_wherever_it_is_named(on_demo: Watched) -> None:
    page, atlas = on_demo.page, on_demo.atlas
    on_demo.open()
    page.keyboard.press("c")
    on_demo.settle()
    rows = page.locator(".gf-row")
    assert rows.count() == len(atlas.space().clusters) > 1
    number = int(re.search(r"Cluster (\d+)", rows.last.inner_text()).group(1))  # type: ignore[union-attr]
    asked = json.loads(rows.last.get_attribute("data-event") or "")
    assert asked == {"is": "cluster", "label": number}
    members = atlas.mask(Expression(f"cluster == {number}"))
    assert members.count == atlas.mask(Cluster("v1", number)).count == atlas.space().cluster(number).size
    rows.last.click()
    expect_count(on_demo, members.count)
    assert on_demo.text("#gallery-title") == f"Cluster {number}, most typical first"
    assert f"cluster {number}" in on_demo.text("#within")
    assert set(on_demo.rows()) <= set(members.rows.tolist())

    page.locator("#gallery > .gf-tile").first.click()
    on_demo.settle()
    assert page.locator("#details dt", has_text=re.compile(r"^cluster\W*$")).locator("+ dd").inner_text() == str(number)
    exported = page.evaluate("fetch(document.getElementById('export').href).then(r => r.text())")
    lines = csv.DictReader(line for line in io.StringIO(exported) if not line.startswith("#"))
    assert {line["cluster"] for line in lines} == {str(number)}

    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    on_demo.settle()
    page.keyboard.press("f")
    page.fill("#expression", f"cluster == {number}")
    page.keyboard.press("Enter")
    expect_count(on_demo, members.count)
    assert on_demo.complaints == []


@pytest.mark.soak
def test_a_cluster_is_split_and_a_part_of_it_selected(on_demo: Watched) -> None:
    page = on_demo.page
    on_demo.open()
    page.keyboard.press("c")
    on_demo.settle()
    assert page.locator(".gf-sorts button", has_text="coarse").count() == 1
    page.locator(".gf-cluster").first.click()
    on_demo.settle()
    page.locator('[data-event*="split"]', has_text="3").click()
    page.locator(".gf-part").nth(2).wait_for()
    part = page.locator(".gf-part").nth(1)
    size = int(re.search(r"· ([\d,]+) galaxies", part.inner_text()).group(1).replace(",", ""))  # type: ignore[union-attr]
    part.click()
    expect_count(on_demo, size)
    assert "of 3 of cluster" in on_demo.text("#within")
    page.locator(".gf-drawer button", has_text="the clusters of the map").click()
    page.locator(".gf-kin").first.wait_for()
    assert on_demo.complaints == []
