"""One browser for all tests, one server an atlas, one page a test whose traffic and console are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Response

from atlas import Atlas
from benchmarks import serving


@dataclass
class Watched:
    """A page and what went over the wire.

    Attributes
    ----------
    requests : list of Request
    responses : list of Response
    complaints : list of str
        Errors of the console and of scripts.
    """

    page: Page
    url: str
    atlas: Atlas
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Open the page and wait until it is drawn."""
        self.page.goto(self.url + path)
        serving.settle(self.page)

    def settle(self) -> None:
        serving.settle(self.page)

    def forget(self) -> None:
        """Forget the traffic so far."""
        self.requests.clear()
        self.responses.clear()

    def posts(self) -> list[Request]:
        return [r for r in self.requests if r.method == "POST"]

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def rows(self) -> list[int]:
        """Rows of the gallery, in order."""
        return [int(r) for r in self.page.eval_on_selector_all("#gallery > .gf-tile", "e => e.map(t => t.dataset.row)")]

    def drawn(self, plane: str) -> list[int]:
        """Rows of the points that a graph shows."""
        script = f"Array.from(document.querySelector('#{plane} .js-plotly-plot')._fullData[0].customdata || [])"
        rows: list[int] = self.page.evaluate(script)
        return rows

    def pixel(self, plane: str, x: float, y: float) -> tuple[float, float]:
        """Where on the page a position of a plane is."""
        at = self.page.evaluate(
            """([plane, x, y]) => {
                const gd = document.querySelector('#' + plane + ' .js-plotly-plot');
                const box = gd.getBoundingClientRect(), l = gd._fullLayout;
                return [box.left + l._size.l + l.xaxis.d2p(x), box.top + l._size.t + l.yaxis.d2p(y)];
            }""",
            [plane, x, y],
        )
        return at[0], at[1]


def served(path: Path, scratch: pytest.TempPathFactory) -> Iterator[serving.Server]:
    with serving.serve(path, scratch.mktemp(path.name)) as server:
        yield server


@pytest.fixture(scope="session")
def demo_server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(demo_path, tmp_path_factory)


@pytest.fixture(scope="session")
def small_server(small_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(small_path, tmp_path_factory)


@pytest.fixture(scope="session")
def large_server(large_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(large_path, tmp_path_factory)


@pytest.fixture(scope="session")
def numbers_server(numbers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(numbers_path, tmp_path_factory)


@pytest.fixture(scope="session")
def words_server(words_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(words_path, tmp_path_factory)


def watch(chromium: Browser, server: serving.Server, atlas: Atlas) -> Iterator[Watched]:
    # The line that moves while an answer is awaited would be painted sixty times a second, without a graphics card.
    context = chromium.new_context(viewport={"width": 1366, "height": 768}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    page = context.new_page()
    watched = Watched(page, server.url, atlas)
    # Playwright keeps a mark on each handler, which a method of a list cannot carry.
    page.on("request", lambda r: watched.requests.append(r))  # noqa: PLW0108
    page.on("response", lambda r: watched.responses.append(r))  # noqa: PLW0108
    page.on("console", lambda m: watched.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: watched.complaints.append(str(e)))
    yield watched
    context.close()
    server.require_running()


@pytest.fixture
def on_demo(chromium: Browser, demo_server: serving.Server, demo: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, demo_server, demo)


@pytest.fixture
def on_small(chromium: Browser, small_server: serving.Server, small: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, small_server, small)


@pytest.fixture
def on_large(chromium: Browser, large_server: serving.Server, large: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, large_server, large)


@pytest.fixture
def on_numbers(chromium: Browser, numbers_server: serving.Server, numbers: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, numbers_server, numbers)


@pytest.fixture
def on_words(chromium: Browser, words_server: serving.Server, words: Atlas) -> Iterator[Watched]:
    yield from watch(chromium, words_server, words)
