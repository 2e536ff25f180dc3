"""Selections that are too dear are refused at the edge, and one visitor's masks do not fill the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from atlas import Atlas
from atlas.errors import InputError
from atlas.queries.selection import And, Expression, Or, Range, Selection, canonical
from dashboard.app import create_app
from dashboard.cache.results import Cached
from dashboard.interaction.step import advance
from dashboard.service.atlas_service import PARTS_KEPT, Service
from dashboard.settings import Settings, load
from dashboard.state import url as links
from dashboard.state.page_state import State

POWERS = " + ".join(f"snr ** 1.{i}" for i in range(1, 31))
DEAR = canonical(And(tuple(Expression(f"{POWERS} > {i}") for i in range(5))))
CHEAP = Expression("snr > 20")


def settings(demo_path: Path, folder: Path) -> Settings:
    return load({}, atlas=str(demo_path), cache_dir=str(folder / "own"), max_operations=1_000_000)


@pytest.fixture
def service(demo_path: Path, tmp_path: Path) -> Iterator[Service]:
    server, given = Flask("test"), settings(demo_path, tmp_path)
    with server.test_request_context("/"):
        yield Service(given, Cached(server, given))


def with_selection(selection: Selection) -> str:
    return links.to_json(State(selection=selection))


def test_an_event_that_would_make_a_dear_selection_changes_nothing_and_says_why(service: Service) -> None:
    link = links.to_link(State(selection=DEAR), service.kept, 6_000)
    done = advance(service, None, [{"is": "open", "token": link}])
    assert done.after == State() and "would take" in done.message and "allowed are 1 million" in done.message
    link = links.to_link(State(selection=CHEAP), service.kept, 6_000)
    assert advance(service, None, [{"is": "open", "token": link}]).after.selection == canonical(CHEAP)


def test_what_holds_a_dear_selection_all_the_same_is_not_evaluated(
    service: Service, demo_path: Path, tmp_path: Path
) -> None:
    for ask in (service.mask, lambda one: service.remember(one, service.atlas)):
        with pytest.raises(InputError, match="would take"):
            ask(DEAR)
    client = create_app(settings=settings(demo_path, tmp_path / "app")).server.test_client()
    token = links.to_token(State(selection=DEAR))
    answer = client.get(f"/export/{service.atlas.build_id}.csv", query_string={"s": token, "what": "selection"})
    assert answer.status_code == 400 and "would take" in answer.get_json()["error"]


def test_of_many_parts_the_dearest_are_kept_and_the_mask_is_that_of_all(
    service: Service, demo: Atlas, tmp_path: Path
) -> None:
    ranges = tuple(Range("snr", 20 + i, 20.5 + i) for i in range(64))
    mask = service.mask(Or(ranges))
    assert mask is not None and (mask.packed == demo.mask(Or(ranges)).packed).all() and mask.count > 0
    kept = [path for path in (tmp_path / "own" / "entries").iterdir() if len(path.name) == 32]
    assert len(kept) <= PARTS_KEPT + 1
