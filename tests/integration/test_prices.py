"""Selections that are too dear are refused at the edge, and one visitor's masks do not fill the cache."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from atlas import Atlas, Mask
from atlas.errors import InputError
from atlas.parallel import in_threads
from atlas.queries.selection import And, Expression, Or, Range, Selection, canonical
from dashboard.app import create_app
from dashboard.cache.results import Cached
from dashboard.interaction.step import advance
from dashboard.jobs.job import UnderWayError
from dashboard.service import atlas_service, dear_selections
from dashboard.service.atlas_service import Service
from dashboard.service.dear_selections import PARTS_KEPT
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


def dear_jobs(demo_path: Path, folder: Path) -> Settings:
    return load({}, atlas=str(demo_path), cache_dir=str(folder / "jobs"), job_operations=1_000)


def test_what_takes_longer_than_a_request_is_a_job_and_its_event_waits(
    demo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dear_selections, "PATIENCE_S", 0.0)
    server, given = Flask("test"), dear_jobs(demo_path, tmp_path)
    service = Service(given, Cached(server, given))
    event = {"is": "open", "token": links.to_link(State(selection=DEAR), service.kept, 6_000)}
    with server.test_request_context("/"):
        step = advance(service, None, [event])
        assert step.after == State() and not step.message and step.held_back == (event,)
        job = step.job
        assert job is not None and job.title.endswith("at most 0.0 s of a core")
        assert service.jobs.wait(job.id, 20).phase == "done"  # type: ignore[union-attr]
        step = advance(service, None, [event])
        assert step.job is None and step.after.selection == DEAR
        mask = service.mask(DEAR)
        assert mask is not None and (mask.packed == service.atlas.mask(DEAR).packed).all()


def test_a_dear_selection_ends_when_its_visitor_says_so(
    demo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dear_selections, "PATIENCE_S", 0.0)
    server, given = Flask("test"), dear_jobs(demo_path, tmp_path)
    service = Service(given, Cached(server, given))

    begun = threading.Event()

    def slow(part: int) -> None:
        time.sleep(0.005)
        if part > 40:
            begun.set()

    def endless(*_: object) -> Mask:
        deque(in_threads(slow, range(100_000)), maxlen=0)
        raise AssertionError("nobody ended it")

    monkeypatch.setattr(atlas_service, "evaluate", endless)
    with server.test_request_context("/"):
        with pytest.raises(UnderWayError, match="Selecting among 971 galaxies") as refused:
            service.mask(CHEAP)
        job_id = refused.value.job.id
        begun.wait(5)
        service.jobs.cancel(job_id)
        ended = service.jobs.wait(job_id, 5)
        assert ended is not None and ended.phase == "cancelled" and ended.total > 0
        with pytest.raises(UnderWayError):
            service.mask(CHEAP)  # nobody begins it unasked


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


def test_a_download_of_what_is_not_ready_is_to_be_asked_for_again(
    demo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dear_selections, "PATIENCE_S", 0.0)
    server = create_app(settings=dear_jobs(demo_path, tmp_path)).server
    build = Atlas.open(demo_path).build_id
    asked = {"s": links.to_token(State(selection=DEAR)), "what": "selection"}
    client = server.test_client()
    answer = client.get(f"/export/{build}.csv", query_string=asked)
    assert answer.status_code == 503 and "look again in a moment" in answer.get_json()["error"]
    assert answer.headers["Retry-After"]
    for _ in range(100):
        if (answer := client.get(f"/export/{build}.csv", query_string=asked)).status_code == 200:
            break
        time.sleep(0.05)
    assert answer.status_code == 200


def test_of_many_parts_the_dearest_are_kept_and_the_mask_is_that_of_all(
    service: Service, demo: Atlas, tmp_path: Path
) -> None:
    ranges = tuple(Range("snr", 20 + i, 20.5 + i) for i in range(64))
    mask = service.mask(Or(ranges))
    assert mask is not None and (mask.packed == demo.mask(Or(ranges)).packed).all() and mask.count > 0
    kept = [path for path in (tmp_path / "own" / "entries").iterdir() if len(path.name) == 32]
    assert len(kept) <= PARTS_KEPT + 1
