"""The drawer of scores: a threshold on the histogram of similarities selects exactly what lies above it."""

from __future__ import annotations

import numpy as np

from atlas.search.exact import exact_scores
from tests.browser.conftest import Watched
from tests.browser.hands import choose, expect_count, open_drawer, selected


def test_all_above_a_similarity_are_selected_exactly(on_demo: Watched) -> None:
    page, atlas = on_demo.page, on_demo.atlas
    on_demo.open()
    choose(on_demo, 30)
    open_drawer(on_demo, "e")
    box = page.locator("canvas.gf-hist").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 5, box["y"] + 20, steps=3)
    page.mouse.up()
    page.locator("#status-selected", has_text="selected").wait_for()
    on_demo.settle()
    bound = float(page.locator(".gf-alike [data-side=low] input").input_value())
    embeddings = atlas.space().embeddings
    true = exact_scores(embeddings, np.arange(atlas.n_rows), np.asarray(embeddings[30], dtype=np.float32))
    expect_count(on_demo, int(np.count_nonzero(true >= np.float32(bound))))
    assert 0 < selected(on_demo) < atlas.n_rows
    assert on_demo.complaints == []
