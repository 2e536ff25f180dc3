"""The page in another embedding space: what was chosen stays, all that is of a space follows."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flask import Flask
from msgspec.structs import replace

from atlas import Atlas, receipts
from atlas.errors import InputError
from atlas.queries.selection import Expression, MapPolygon
from atlas.search.exact import exact_scores
from dashboard.cache.results import Cached
from dashboard.interaction.held_state import read_state
from dashboard.interaction.step import Step, advance
from dashboard.service.atlas_service import Service
from dashboard.service.comparison import COMPARED, TwoAnswers, two_answers
from dashboard.service.gallery_query import question_of
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.page_state import State, Viewport, is_step, parts, question
from dashboard.views import map as map_view
from dashboard.views.drawers import drawer
from dashboard.views.spaces import space_choice


@pytest.fixture(scope="module")
def server(spaces_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, Service]:
    settings = load({}, atlas=str(spaces_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    flask = Flask("test")
    return flask, Service(settings, Cached(flask, settings))


@pytest.fixture
def service(server: tuple[Flask, Service]) -> Iterator[Service]:
    """A service during a request of its own."""
    flask, service = server
    with flask.test_request_context("/"):
        yield service


def step(service: Service, *events: dict[str, Any], state: State | None = None) -> Step:
    return advance(service, None if state is None else links.to_json(state), list(events))


def test_what_was_chosen_stays_and_the_map_is_another(service: Service) -> None:
    before = step(
        service,
        {"is": "find", "text": service.atlas.identity.name(5)},
        {"is": "express", "text": "snr > 20"},
        {"is": "view", "plane": "map", "box": {"x0": 0, "x1": 1, "y0": 0, "y1": 1}},
    ).after
    seen = step(service, {"is": "see", "space": "v2"}, state=before)
    assert not seen.message
    assert (seen.after.space, seen.after.map) == ("v2", None)
    assert (seen.after.focus, seen.after.expression) == (before.focus, before.expression)
    assert seen.remember
    changed = {name for name, part in parts(seen.after).items() if part != parts(before)[name]}
    assert changed == set(parts(before))
    back = step(service, {"is": "see", "space": "v1"}, state=seen.after)
    assert back.after.space == ""


def test_a_request_is_about_the_space_of_its_state(service: Service, spaces: Atlas) -> None:
    state = read_state(service, links.to_json(State(space="v2", expression="anomaly > 90")))
    assert service.atlas.default_space == "v2"
    expected = np.flatnonzero(spaces.columns("v2").array("anomaly") > 90)
    mask = service.mask(Expression(state.expression))
    assert mask is not None and mask.rows.tolist() == expected.tolist()
    shown = map_view.picture(service, state)
    assert shown is not None and shown.key == "map of v2"
    rows, x = (
        np.frombuffer(base64.b64decode(shown.points[name]["bdata"]), shown.points[name]["dtype"])
        for name in ("customdata", "x")
    )
    assert len(rows) > 20 and np.allclose(x, spaces.columns("v2").array("map_x")[rows])


def test_a_lasso_stays_of_the_map_that_it_was_drawn_on(service: Service, spaces: Atlas) -> None:
    drawn = [[-100.0, -100.0], [100.0, -100.0], [0.0, 100.0]]
    state = step(service, {"is": "lasso", "plane": "map", "vertices": drawn, "join": "new"}).after
    seen = step(service, {"is": "see", "space": "v2"}, state=state).after
    assert isinstance(seen.selection, MapPolygon) and seen.selection.space == "v1"
    here, there = (service.mask(one.selection) for one in (state, seen))
    assert here is not None and there is not None and here.rows.tolist() == there.rows.tolist()


def test_the_map_of_another_space_shows_the_same_galaxies_in_its_own_places(service: Service, spaces: Atlas) -> None:
    beside = {"is": "second", "space": "v2"}
    state = step(service, {"is": "express", "text": "anomaly > 90"}, beside).after
    assert state.second_space == "v2" and is_step(State(), state) == is_step(State(), replace(state, second_space=""))
    assert parts(state)["second"] != parts(State())["second"]
    shown = map_view.picture(service, replace(state, map=state.second), service.atlas.seen_in("v2"))
    assert shown.key == "map of v2"
    rows, x = (
        np.frombuffer(base64.b64decode(shown.points[name]["bdata"]), shown.points[name]["dtype"])
        for name in ("customdata", "x")
    )
    # Which are anomalous is told by the page's own space.
    assert {*rows.tolist()} <= {*np.flatnonzero(spaces.columns("v1").array("anomaly") > 90).tolist()}
    assert np.allclose(x, spaces.columns("v2").array("map_x")[rows])
    assert all(f"/{service.atlas.build_id}/map.png" in one["source"] and "of=v2" in one["source"]
               for one in shown.images if "/raster/" in one["source"])  # fmt: skip


def test_both_maps_are_zoomed_and_drawn_on_and_change_places(service: Service) -> None:
    box, second = {"x0": 0.0, "x1": 1.0, "y0": 0.0, "y1": 2.0}, {"x0": 1.0, "x1": 2.0, "y0": 1.0, "y1": 2.0}
    drawn = [[-100.0, -100.0], [100.0, -100.0], [0.0, 100.0]]
    state = step(
        service,
        {"is": "second", "space": "v2"},
        {"is": "view", "plane": "map", "box": box},
        {"is": "view", "plane": "second", "box": second},
        {"is": "lasso", "plane": "second", "vertices": drawn, "join": "new"},
    ).after
    assert (state.map, state.second) == (Viewport(**box), Viewport(**second))
    assert isinstance(state.selection, MapPolygon) and state.selection.space == "v2"
    assert step(service, {"is": "open", "token": links.to_token(state)}).after == state
    seen = step(service, {"is": "see", "space": "v2"}, state=state).after
    assert (seen.space, seen.map, seen.second_space, seen.second) == ("v2", None, "v1", None)
    opening = step(service, {"is": "view", "plane": "second"}, state=state)
    assert opening.after.second is None and set(opening.moves) == {"second"}
    assert step(service, {"is": "second"}, state=state).after.second_space == ""
    for wrong, told in (({"is": "second", "space": "v1"}, "the page's own"), ({"is": "second", "space": "v9"}, "v9")):
        refused = step(service, wrong, state=state)
        assert told in refused.message and refused.after == state
    gone = step(service, {"is": "open", "token": links.to_token(State(second_space="v9", second=Viewport(**box)))})
    assert gone.after == State()
    assert (
        "no second map" in step(service, {"is": "lasso", "plane": "second", "vertices": drawn, "join": "new"}).message
    )


def test_an_unknown_space_is_refused_and_a_link_to_one_opens_the_first(service: Service) -> None:
    refused = step(service, {"is": "see", "space": "v9"})
    assert "no space 'v9'" in refused.message and refused.after == State()
    opened = step(service, {"is": "open", "token": links.to_token(State(space="v9", shown=48))})
    assert opened.after == State(shown=48)
    opened = step(service, {"is": "open", "token": links.to_token(State(space="v2", map=Viewport(0, 1, 0, 1)))})
    assert opened.after.space == "v2" and service.atlas.default_space == "v2"


def test_a_receipt_of_another_space_gives_the_same_rows_again(service: Service, spaces_path: Path) -> None:
    state = step(service, {"is": "find", "text": service.atlas.identity.name(5)}, {"is": "see", "space": "v2"}).after
    query = question_of(service.atlas, state).query
    assert query is not None and query.space == "v2"
    ready(service)
    result = service.run(query)
    assert result is not None
    receipt = receipts.read_receipt(receipts.make_receipt(service.atlas, service.pinned(query), result))
    again = receipts.replay(receipts.open_for(spaces_path, receipt), receipt)
    assert again.result.rows.tolist() == result.rows.tolist() and not again.notes


def test_addresses_name_the_space(service: Service) -> None:
    build = service.atlas.build_id
    assert service.build(f"{build}.v2").default_space == "v2"
    assert service.build(build).default_space == "v1"
    with pytest.raises(InputError, match="no space"):
        service.build(f"{build}.v9")


def test_the_choice_is_there_where_there_is_one(demo: Atlas, spaces: Atlas) -> None:
    assert space_choice(demo) == []
    _, *buttons = space_choice(spaces.seen_in("v2"))
    assert [(b.children, getattr(b, "aria-pressed")) for b in buttons] == [("v1", "false"), ("v2", "true")]


def test_conditions_of_a_notebook_are_of_the_space_that_is_searched(spaces: Atlas) -> None:
    found = spaces.similar(rows=3, space="v2", within="anomaly > 80", k=20)
    assert (spaces.columns("v2").array("anomaly")[found.index] > 80).all()
    assert np.allclose(found["map_x"], spaces.columns("v2").array("map_x")[found.index])


def test_the_same_question_in_two_spaces_is_compared_exactly(service: Service, spaces: Atlas) -> None:
    state = step(service, {"is": "find", "text": service.atlas.identity.name(5)}).after
    found = two_answers(service, state, msgspec.structs.replace(state, space="v2"))
    assert isinstance(found, TwoAnswers)
    expected = []
    for name in ("v1", "v2"):
        scores = exact_scores(spaces.space(name).embeddings, np.arange(spaces.n_rows), unit(spaces, name, 5))
        scores[5] = -2
        expected.append(np.argsort(-scores, kind="stable")[:COMPARED])
    assert [set(found.a), set(found.b)] == [set(one) for one in expected]
    assert found.agreement.shared[-1] == (COMPARED, len(set(expected[0]) & set(expected[1])))
    told = str(drawer(service, msgspec.structs.replace(state, drawer="compare")))
    assert f"only v2 {found.agreement.only_b.size}" in told


def unit(atlas: Atlas, space: str, row: int) -> np.ndarray:
    return np.asarray(atlas.space(space).embeddings[row], dtype=np.float32)


def test_an_answer_that_was_kept_is_compared_with_the_next(service: Service) -> None:
    names = service.atlas.identity.names(np.array([5, 60]))
    kept = step(service, {"is": "find", "text": names[0]}, {"is": "keepanswer", "take": True}).after
    assert kept.kept is not None and kept.kept.focus == kept.focus
    now = step(service, {"is": "find", "text": names[1]}, {"is": "change", "drawer": "compare"}, state=kept).after
    assert "A in v1" in str(drawer(service, now))
    chosen = step(service, {"is": "named", "ids": names}, state=now).after
    mask = service.mask(chosen.selection)
    assert mask is not None and sorted(mask.rows.tolist()) == [5, 60]
    found = two_answers(service, kept.kept, chosen)
    assert isinstance(found, TwoAnswers) and found.b.size == COMPARED  # a part of a comparison does not narrow it
    back = step(service, {"is": "seekept"}, state=now).after
    assert question(back) == question(kept) and back.drawer == "compare"
    assert step(service, {"is": "keepanswer", "take": False}, state=now).after.kept is None
    assert links.from_token(links.to_token(now)) == now


def ready(service: Service) -> None:
    while service.progress(service.atlas) == "loading":
        time.sleep(0.05)
