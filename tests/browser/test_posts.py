"""What the page asks its server for, a hand's move."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import Watched
from tests.browser.hands import choose

pytestmark = pytest.mark.browser


def asked(watched: Watched) -> list[str]:
    """The first output of each callback that was posted."""
    outputs = [json.loads(post.post_data or "{}").get("output", "") for post in watched.posts()]
    return [output.strip(".").split("...")[0].split("@")[0] for output in outputs]


@pytest.mark.parametrize("plane", ["map", "sky"])
def test_a_zoom_takes_two_posts(on_demo: Watched, plane: str) -> None:
    on_demo.open()
    choose(on_demo, 3)  # so that there are rings, which stay where they are
    panel = on_demo.page.locator(f"#{plane}").bounding_box()
    assert panel is not None
    on_demo.page.mouse.move(panel["x"] + panel["width"] / 2, panel["y"] + panel["height"] / 2)
    for _ in range(2):  # the first leaves the opening view
        on_demo.forget()
        on_demo.page.mouse.wheel(0, -300)
        on_demo.page.wait_for_timeout(700)
        on_demo.settle()
    assert asked(on_demo) == ["state.data", f"{plane}.figure"]
    assert on_demo.complaints == []
