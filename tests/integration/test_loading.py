"""While the index of a build is being loaded, everything that does not need it answers, and search says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from atlas import Atlas, Range
from atlas.queries.planner import SUBSET_ROWS
from atlas.search import segmented_index as opening
from benchmarks.callbacks import call, listed
from dashboard.app import create_app
from dashboard.service.galaxies import galaxy
from dashboard.settings import Settings, load
from dashboard.state.page_state import State, parts
from dashboard.state.url import to_json, to_token
from dashboard.views.gallery import NO_ANSWER


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Indexes open only once this is set."""
    event = threading.Event()
    open_index = opening.open_index

    def slowly(*arguments: Any) -> Any:
        assert event.wait(timeout=120)
        return open_index(*arguments)

    monkeypatch.setattr(opening, "open_index", slowly)
    yield event
    event.set()


@pytest.fixture
def settings(small_path: Path, tmp_path: Path) -> Settings:
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("cache", "kept", "scratch")}
    return load({}, atlas=str(small_path), **folders)


@pytest.fixture
def client(gate: threading.Event, settings: Settings) -> FlaskClient:
    return create_app(settings=settings).server.test_client()


def shown(client: FlaskClient, state: State) -> dict[str, Any]:
    """What the gallery's callback answers."""
    part = to_json(parts(state)["gallery"])
    return call(client, "gallery-told.children", {"part-gallery.data": part}, "part-gallery.data")


def wait_until_ready(client: FlaskClient) -> None:
    deadline = time.monotonic() + 60
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "the index was not loaded"
        time.sleep(0.02)


def test_search_says_that_it_is_loading_and_answers_once_it_is_there(
    client: FlaskClient, gate: threading.Event, small: Atlas
) -> None:
    state = State(focus=galaxy(small, 7))
    answer = shown(client, state)
    assert answer["gallery-told"]["children"][0]["props"]["children"] == NO_ANSWER["loading"]
    assert answer["status-engine"]["children"] == "search is loading"
    assert answer["search-again"]["disabled"] is False, "the page asks again"
    assert client.get("/readyz").status_code == 503
    receipt = client.get(f"/receipt/{small.build_id}/00000000.json", query_string={"s": to_token(state)})
    assert receipt.status_code == 400 and "loading" in receipt.get_json()["error"]
    gate.set()
    wait_until_ready(client)
    answer = shown(client, state)
    assert listed(answer)["rows"] == small.similar(rows=[7], k=24).index.tolist()
    assert answer["search-again"]["disabled"] is True
    assert answer["status-engine"]["children"] == "search by ScaNN"


@pytest.mark.parametrize(
    "state",
    [
        State(),
        State(order="anomaly_knn"),
        State(order="random"),
        State(filters=(Range("z_phot", 0.4),)),
        State(filters=(Range("z_phot", 0.4),), order="least"),
    ],
)
def test_what_needs_no_index_is_answered_meanwhile(client: FlaskClient, small: Atlas, state: State) -> None:
    answer = shown(client, state)
    assert "gf-empty" not in json.dumps(answer["gallery-told"])
    assert answer["search-again"]["disabled"] is False, "the status line is behind until the index is there"


def test_similarity_within_a_selection_is_exact_and_needs_no_index(client: FlaskClient, small: Atlas) -> None:
    bounds = Range("z_phot", 0.4)
    selected = small.mask(bounds).rows
    assert 24 < selected.size <= SUBSET_ROWS
    answer = shown(client, State(focus=galaxy(small, 7), filters=(bounds,)))
    stored = np.asarray(small.space().embeddings, dtype=np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    scores = (stored[selected] @ stored[7]).astype(np.float32)
    expected = [r for r in selected[np.lexsort((selected, -scores))].tolist() if r != 7][:24]
    assert listed(answer)["rows"] == expected


def test_planes_filters_and_the_table_answer_meanwhile(client: FlaskClient, small: Atlas) -> None:
    state = State(focus=galaxy(small, 7), filters=(Range("z_phot", 0.4),), drawer="filters")
    part = {name: to_json(value) for name, value in parts(state).items()}
    count = small.mask(Range("z_phot", 0.4)).count
    on_map = call(client, "map.figure", {"part-map.data": part["map"]}, "part-map.data")
    assert f"{count:,}" in json.dumps(on_map["status-selected"])
    assert call(client, "sky.figure", {"part-sky.data": part["sky"]}, "part-sky.data")["sky"]["figure"]
    drawer = call(client, "drawer.children", {"part-drawer.data": part["drawer"]}, "part-drawer.data")
    assert "z_phot" in json.dumps(drawer)
    table = call(client, "table.children", {"table-ready.data": "", "state.data": to_json(State(listing="table"))},
                 "table-ready.data")  # fmt: skip
    assert table["table"]["children"]
    csv = client.get(f"/export/{small.build_id}.csv", query_string={"s": to_token(state)})
    assert csv.status_code == 200 and csv.get_data(as_text=True).count("\n") == count + 1


def test_an_answer_that_is_kept_is_given_before_the_index_is_there(
    gate: threading.Event, settings: Settings, small: Atlas
) -> None:
    state = State(focus=galaxy(small, 9))
    gate.set()
    before = create_app(settings=settings).server.test_client()
    wait_until_ready(before)
    rows = listed(shown(before, state))["rows"]
    gate.clear()
    after = create_app(settings=settings).server.test_client()
    assert listed(shown(after, state))["rows"] == rows


def test_an_index_that_cannot_be_loaded_is_said_and_the_rest_of_the_page_works(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, small: Atlas
) -> None:
    broken = threading.Event()

    def fail(*_: object) -> None:
        broken.set()
        raise OSError("the disk is gone")

    monkeypatch.setattr(opening, "open_index", fail)
    client = create_app(settings=settings).server.test_client()
    assert broken.wait(timeout=60)
    deadline = time.monotonic() + 60
    while (answer := shown(client, State(focus=galaxy(small, 7))))["search-again"]["disabled"] is False:
        assert time.monotonic() < deadline, "the failure was not noticed"
        time.sleep(0.02)
    assert answer["gallery-told"]["children"][0]["props"]["children"] == NO_ANSWER["failed"]
    assert answer["status-engine"]["children"] == "search does not answer"
    assert "disk" not in json.dumps(answer)
    assert len(listed(shown(client, State(order="anomaly_knn")))["rows"]) == 24
