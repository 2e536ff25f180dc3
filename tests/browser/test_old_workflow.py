"""What the first Galaxy Finder was used for: coordinates, the most similar, a table, a file that astropy opens."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from playwright.sync_api import expect

from tests.browser.conftest import Watched

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")]


def test_from_coordinates_to_a_table_that_astropy_opens(on_demo: Watched, tmp_path: object) -> None:
    page, atlas = on_demo.page, on_demo.atlas
    on_demo.open()
    ra_deg, dec_deg = atlas.position(30)
    page.fill("#find", f"RA={ra_deg:.7f} Dec={dec_deg:.7f}")
    page.press("#find", "Enter")
    on_demo.settle()
    similar = atlas.similar(rows=30, k=24)
    assert on_demo.rows() == similar.index.tolist()
    page.select_option("#shown", "100")
    on_demo.settle()
    assert on_demo.rows() == atlas.similar(rows=30, k=100).index.tolist()
    page.locator(".gf-gallery").get_by_role("button", name="Gallery or table").click()
    on_demo.settle()
    page.locator(".gf-downloads > summary").click()
    with page.expect_download() as download:
        page.locator(".gf-downloads").get_by_role("button", name="Download as FITS").last.click()
    table = Table.read(download.value.path(), format="fits")
    assert table.colnames[:4] == ["id", "similarity", "ra", "dec"]
    assert table["id"].astype(str).tolist()[:24] == atlas.identity.names(similar.index.to_numpy())
    np.testing.assert_allclose(table["similarity"][:24], similar["similarity"], atol=1e-6)
    # A radius selects around the same place, and the circle says how many.
    page.fill("#find", f"{ra_deg:.7f} {dec_deg:.7f} 12″")
    page.press("#find", "Enter")
    on_demo.settle()
    count = page.locator("#status-selected b").inner_text()
    expect(page.locator("#sky .annotation-text", has_text=f"{count} galaxies selected")).to_be_visible()
    assert on_demo.complaints == []
