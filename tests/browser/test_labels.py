"""Galaxies are labelled by keyboard alone, and what is labelled is kept."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from atlas import Atlas
from atlas.labels.store import Labels
from atlas.training import export
from atlas.training.splits import SPLITS
from atlas.training.write import safe
from benchmarks import serving
from tests.browser.conftest import Watched, watch

PRESSED = "1212312112" * 10


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


@pytest.fixture
def on_own(chromium: Browser, demo_path: Path, demo: Atlas, tmp_path: Path, place: Path) -> Iterator[Watched]:
    """A page of a server of its own: what is labelled here is not seen by other tests."""
    with serving.serve(demo_path, tmp_path / "server", labels=place) as server:
        yield from watch(chromium, server, demo)


def kept(on: Watched, labelled: int) -> None:
    """Wait until the server has acknowledged everything, and look at the progress that the page tells."""
    on.page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
    on.settle()
    expect(on.page.locator("#label-progress")).to_have_text(f"{labelled} of {on.atlas.n_rows} labelled")


@pytest.mark.soak
def test_a_gallery_of_a_thousand_is_labelled_by_keyboard_alone(
    on_own: Watched, demo: Atlas, place: Path, tmp_path: Path
) -> None:
    on_own.open()
    keyboard = on_own.page.keyboard
    keyboard.press("r")
    on_own.settle()
    on_own.page.evaluate("window.galaxyFinder.send({is: 'change', order: 'anomaly'})")
    on_own.settle()
    on_own.page.select_option("#shown", "1000")
    on_own.settle()
    # All are there, and images only where one looks.
    assert sorted(on_own.rows()) == list(range(demo.n_rows))
    assert len({request.url for request in on_own.requests if "/cutout/" in request.url}) < 300
    names = on_own.page.eval_on_selector_all("#gallery > .gf-tile", "all => all.map(t => t.dataset.id)")
    keyboard.press("n")
    on_own.settle()
    # The page asks for a name before the first label, and for the word of a key that has none.
    on_own.page.locator("#label-who").focus()
    keyboard.type("Ada")
    keyboard.press("Enter")
    for key, word in enumerate(("spiral", "edge-on", "merger"), 1):
        keyboard.press(str(key))
        on_own.page.wait_for_function(f"() => document.activeElement.closest('[data-key=\"{key}\"]')")
        keyboard.type(word)
        keyboard.press("Enter")
        on_own.page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
        on_own.settle()
    keyboard.press("Escape")
    on_own.settle()
    for key in f"J{PRESSED}":
        keyboard.press(key)
    kept(on_own, len(PRESSED))
    on_own.page.reload()
    on_own.settle()
    kept(on_own, len(PRESSED))
    keyboard.press("z")
    kept(on_own, len(PRESSED) - 1)
    # The one whose label was taken back is the first without one; from the next, the way back leads there.
    for key in "jjk":
        keyboard.press(key)
        on_own.page.wait_for_timeout(50)
    assert on_own.page.evaluate("document.activeElement.dataset.id") == names[len(PRESSED) - 1]
    # A grade and a note, by keyboard too.
    for key in ("Shift+Tab", "d", "d", "o"):
        keyboard.press(key)
    keyboard.type("a tail?")
    keyboard.press("Enter")
    kept(on_own, len(PRESSED) - 1)
    words = {"1": "spiral", "2": "edge-on", "3": "merger"}
    expected = [[name, words[key], "Ada"] for name, key in zip(names, PRESSED[:-1], strict=False)]
    response = on_own.page.request.get(f"{on_own.url}/labels/{demo.build_id}.csv")
    table = pd.read_csv(io.BytesIO(response.body()), dtype={"id": str})
    assert table[["id", "label", "who"]].to_numpy().tolist() == expected
    assert table[["grade", "note"]].iloc[-1].tolist() == ["B", "a tail?"]
    read_by_loaders(Atlas.open(demo.build.parent.parent, labels=Labels(place)), tmp_path / "set", expected)
    # On the map a labelled galaxy has a dot on its image.
    shown = on_own.page.evaluate("window.galaxyFinder.above.rows()")[0]
    entry = {
        "id": "from-elsewhere",
        "kind": "label",
        "who": "Vera",
        "galaxy": demo.identity.name(shown),
        "label": "odd",
    }
    assert on_own.page.request.post(f"{on_own.url}/labels", data={"entries": [entry]}).ok
    on_own.page.evaluate("window.galaxyFinder.send({is: 'labels'})")
    on_own.page.wait_for_function("() => document.querySelector('.gf-badge title')?.textContent.includes('odd')")
    # A label is a selection.
    keyboard.press("n")
    on_own.settle()
    on_own.page.get_by_role("button", name="Select merger", exact=True).click()
    on_own.settle()
    assert on_own.text("#status-selected").startswith(str(PRESSED[:-1].count("3")))
    assert not on_own.complaints


@pytest.mark.soak
def test_a_tap_labels_where_fingers_are(on_own: Watched, chromium: Browser, place: Path) -> None:
    classes = [{"id": f"class-000{key}", "kind": "class", "who": "Ada", "key": key, "label": word}
               for key, word in ((1, "lens"), (2, "ring"))]  # fmt: skip
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    assert page.request.post(f"{on_own.url}/labels", data={"entries": classes}).ok
    page.add_init_script("window.localStorage.setItem('gf-who', 'Ada')")
    page.goto(on_own.url)
    serving.settle(page)
    page.get_by_role("button", name="Random galaxy", exact=True).tap()
    serving.settle(page)
    before = page.evaluate("window.galaxyFinder.state.focus.id")
    page.get_by_role("button", name="A tap labels ring").tap()
    for at in (1, 2, 3, 2):  # the second tap takes it away again
        page.locator("#gallery > .gf-tile").nth(at).tap()
    page.get_by_role("button", name="Label it lens (1)").tap()
    page.get_by_role("button", name="Grade A (D)").tap()
    page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
    names = page.eval_on_selector_all("#gallery > .gf-tile", "all => all.map(t => t.dataset.id)")
    assert page.evaluate("window.galaxyFinder.state.focus.id") == before
    labels = Labels(place).labels()
    assert [(one.galaxy, one.label, one.grade) for one in labels] == [
        (names[1], "ring", ""), (names[3], "ring", ""), (before, "lens", "A")
    ]  # fmt: skip
    context.close()


def read_by_loaders(atlas: Atlas, folder: Path, expected: list[list[str]]) -> None:
    """A training set of labels, as the documents of pandas, of torchvision's `ImageFolder` and of Zoobot read it."""
    export(atlas, folder)
    labels = {name: label for name, label, _ in expected}
    table = pd.read_parquet(folder / "training_set.parquet")
    assert dict(zip(table["id"], table["label"], strict=True)) == labels
    images = {path.stem: path.parent.name for path in folder.glob("images/*/*/*.png")}
    assert images == {safe(name): safe(label) for name, label in labels.items()}
    for side in SPLITS:
        catalogue = pd.read_csv(folder / f"{side}.csv", dtype={"id_str": str}).set_index("id_str")
        assert all(Path(file).is_file() for file in catalogue.pop("file_loc"))
        assert (catalogue.idxmax(axis=1) == pd.Series(labels)[catalogue.index]).all()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.soak
def test_what_was_labelled_while_the_server_was_away_is_kept_once(
    chromium: Browser, demo_path: Path, demo: Atlas, tmp_path: Path
) -> None:
    """Labels given to a server that is killed wait in the browser and reach the next one."""
    place = tmp_path / "labels.sqlite"
    with serving.serve(demo_path, tmp_path / "a", labels=place) as first:
        page = chromium.new_page()
        page.goto(first.url)
        serving.settle(page)
        page.evaluate("() => window.localStorage.setItem('gf-who', 'Ada')")
        lens = {"id": "class-0001", "kind": "class", "who": "Ada", "key": 1, "label": "lens"}
        assert page.request.post(f"{first.url}/labels", data={"entries": [lens]}).ok
        page.reload()
        serving.settle(page)
        page.keyboard.press("r")
        serving.settle(page)
        page.locator("#gallery .gf-tile").first.focus()
        port = int(first.url.rsplit(":", 1)[1])
        first.process.kill()
        first.process.wait()
        while listening(port):  # its worker ends when it finds itself alone
            time.sleep(0.1)
        for _ in range(5):
            page.keyboard.press("1")
    assert page.evaluate("window.galaxyFinder.labels.waiting()") == 5
    with serving.serve(demo_path, tmp_path / "b", labels=place, port=port):
        page.wait_for_function("() => !window.galaxyFinder.labels.waiting()", timeout=30_000)
    page.close()
    labels = Labels(place).labels()
    assert len(labels) == 5 and len({one.galaxy for one in labels}) == 5


@pytest.mark.soak
def test_a_pasted_list_becomes_a_collection_that_can_be_selected(on_own: Watched, demo: Atlas) -> None:
    on_own.open()
    on_own.page.keyboard.press("n")
    on_own.settle()
    on_own.page.fill("#label-who", "Ada")
    on_own.page.keyboard.press("Enter")
    on_own.page.fill("#collection-name", "from a paper")
    position = "{:.6f} {:+.6f}".format(*demo.position(7))
    on_own.page.fill("#list-text", f"{demo.identity.name(3)}\n{position}\n10 10\n")
    on_own.page.get_by_role("button", name="Keep the galaxies of the pasted list").click()
    toast = on_own.page.locator("#toast")
    expect(toast).to_contain_text("2 of 3 are galaxies of this atlas. Not found: 10.00000 +10.00000.", timeout=60_000)
    on_own.settle()
    on_own.page.get_by_role("button", name="Select from a paper").click()
    on_own.settle()
    assert sorted(on_own.rows()) == [3, 7]
    assert on_own.complaints == []


@pytest.mark.soak
def test_a_cluster_gets_a_name(on_own: Watched) -> None:
    page = on_own.page
    page.add_init_script("localStorage.setItem('gf-who', 'Ada')")
    on_own.open("/")
    page.keyboard.press("c")
    on_own.settle()
    label = page.locator(".gf-cluster").first.get_attribute("data-event")
    page.get_by_role("button", name="Name cluster").first.click()
    page.keyboard.type("<b>arcs</b>")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
    on_own.settle()
    card = page.locator(".gf-cluster", has_text="<b>arcs</b>")
    expect(card).to_have_attribute("data-event", label or "")
    card.click()
    on_own.settle()
    assert on_own.text("#gallery-title") == "<b>arcs</b>, most typical first"
    page.keyboard.press("z")
    page.wait_for_function("() => !window.galaxyFinder.labels.waiting()")
    on_own.settle()
    expect(card).to_have_count(0)
    assert on_own.complaints == []
