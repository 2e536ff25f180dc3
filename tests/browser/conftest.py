"""One browser for all tests, one server and one page an atlas; each test sees traffic and console of its own.

A page that is opened anew where it was takes half of what another takes: its scripts are compiled already.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, ViewportSize

from atlas import Atlas
from benchmarks import serving

VIEWPORT: ViewportSize = {"width": 1366, "height": 768}
FAILED = pytest.StashKey[bool]()


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


On = Callable[[serving.Server, Atlas], Watched]


def served(path: Path, scratch: pytest.TempPathFactory) -> Iterator[serving.Server]:
    with serving.serve(path, scratch.mktemp(path.name)) as server:
        yield server


@pytest.fixture(scope="session")
def demo_server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(demo_path, tmp_path_factory)


@pytest.fixture(scope="session")
def spaces_server(spaces_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    yield from served(spaces_path, tmp_path_factory)


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


def new_page(chromium: Browser) -> Page:
    # The line that moves while an answer is awaited would be painted sixty times a second, without a graphics card.
    context = chromium.new_context(viewport=VIEWPORT, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    return context.new_page()


def listen(watched: Watched) -> dict[str, Callable[[Any], object]]:
    """Keep what the page does; returns who listens to what."""

    def console(message: Any) -> None:
        if message.type == "error":
            watched.complaints.append(message.text)

    # Playwright keeps a mark on each handler, which a method of a list cannot carry.
    listeners: dict[str, Callable[[Any], object]] = {
        "request": lambda r: watched.requests.append(r),  # noqa: PLW0108
        "response": lambda r: watched.responses.append(r),  # noqa: PLW0108
        "console": console,
        "pageerror": lambda e: watched.complaints.append(str(e)),
    }
    for event, listener in listeners.items():
        watched.page.on(event, listener)  # type: ignore[call-overload]
    return listeners


def watch(chromium: Browser, server: serving.Server, atlas: Atlas) -> Iterator[Watched]:
    """A page that no other test sees."""
    page = new_page(chromium)
    watched = Watched(page, server.url, atlas)
    listen(watched)
    yield watched
    page.context.close()
    server.require_running()


@pytest.fixture(scope="session")
def pages() -> dict[str, Page]:
    """The page that tests of a server use one after the other, by the server's address."""
    return {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report


@pytest.fixture
def on(request: pytest.FixtureRequest, chromium: Browser, pages: dict[str, Page]) -> Iterator[On]:
    """A page as if it were new, on a server; after a test that failed the next one gets another."""
    after: list[Callable[[], None]] = []

    def look(server: serving.Server, atlas: Atlas) -> Watched:
        page = pages.get(server.url) or new_page(chromium)
        pages[server.url] = page
        watched = Watched(page, server.url, atlas)
        listeners = listen(watched)

        def leave() -> None:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            if request.node.stash.get(FAILED, False):
                pages.pop(server.url).context.close()
            else:
                tidy(page)
            server.require_running()

        after.append(leave)
        return watched

    yield look
    for leave in after:
        leave()


def tidy(page: Page) -> None:
    """Leave nothing of a test to the next one but compiled scripts."""
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    page.context.clear_cookies()
    page.set_viewport_size(VIEWPORT)


@pytest.fixture
def on_demo(on: On, demo_server: serving.Server, demo: Atlas) -> Watched:
    return on(demo_server, demo)


@pytest.fixture
def on_spaces(on: On, spaces_server: serving.Server, spaces: Atlas) -> Watched:
    return on(spaces_server, spaces)


@pytest.fixture
def on_small(on: On, small_server: serving.Server, small: Atlas) -> Watched:
    return on(small_server, small)


@pytest.fixture
def on_large(on: On, large_server: serving.Server, large: Atlas) -> Watched:
    return on(large_server, large)


@pytest.fixture
def on_numbers(on: On, numbers_server: serving.Server, numbers: Atlas) -> Watched:
    return on(numbers_server, numbers)


@pytest.fixture
def on_words(on: On, words_server: serving.Server, words: Atlas) -> Watched:
    return on(words_server, words)
