"""Planes of two columns and sort orders are made by jobs: what needs one waits for it, and no request does."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from atlas.catalog import sort_order
from atlas.planes.plane import Box
from atlas.storage import derived_files
from dashboard.cache.results import Cached
from dashboard.interaction.step import advance
from dashboard.jobs.job import Job, UnderWayError
from dashboard.service import derived
from dashboard.service.atlas_service import Service
from dashboard.service.result_list import listing_of
from dashboard.settings import load
from dashboard.state.page_state import Axes, State

EVERYTHING = Box(-1e9, 1e9, -1e9, 1e9)
AGAINST = {"is": "against", "x": "inst_mag_red", "y": "snr"}


@pytest.fixture
def service(demo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(derived, "PATIENCE_S", 0.0)
    server = Flask("test")
    given = load({}, atlas=str(demo_path), cache_dir=str(tmp_path / "own"), scratch_dir=str(tmp_path / "scratch"))
    with server.test_request_context("/"):
        yield Service(given, Cached(server, given))


@pytest.fixture
def disk_in_use(tmp_path: Path) -> Iterator[threading.Event]:
    """Another process makes something in the folder of derived files, until the event is set."""
    (tmp_path / "scratch").mkdir()
    let_go, held = threading.Event(), threading.Event()

    def hold() -> None:
        with (tmp_path / "scratch" / derived_files.LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held.set()
            let_go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    yield let_go
    let_go.set()
    holder.join()


def ended(service: Service, job: Job | None) -> Job:
    assert job is not None
    found = service.jobs.wait(job.id, 20)
    assert found is not None
    return found


def test_an_event_that_changes_the_axes_waits_for_their_plane(service: Service, disk_in_use: threading.Event) -> None:
    step = advance(service, None, [AGAINST])
    assert step.after == State() and not step.message and step.held_back == (AGAINST,)
    assert step.job is not None and step.job.title == "Putting 971 galaxies in order by inst_mag_red and snr"
    disk_in_use.set()
    done = ended(service, step.job)
    assert done.phase == "done" and 0 < done.done <= done.total == 971
    again = advance(service, None, [AGAINST])
    assert again.job is None and again.after.axes == Axes("inst_mag_red", "snr")
    columns = service.atlas.columns(service.atlas.default_space)
    both = np.isfinite(columns.number("inst_mag_red")) & np.isfinite(columns.number("snr"))
    assert service.plane(again.after.axes).count(EVERYTHING) == both.sum()


def test_what_waits_for_the_disk_ends_when_its_visitor_says_so(
    service: Service, disk_in_use: threading.Event, tmp_path: Path
) -> None:
    step = advance(service, None, [AGAINST])
    assert step.job is not None
    service.jobs.cancel(step.job.id)
    assert ended(service, step.job).phase == "cancelled"
    disk_in_use.set()
    assert not list((tmp_path / "scratch").glob("*/*"))
    later = advance(service, None, [AGAINST])
    assert later.job is not None and later.job.phase == "cancelled", "nobody begins it unasked"


def test_a_plane_that_cannot_be_is_refused_and_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, demo_path: Path
) -> None:
    monkeypatch.setattr(derived, "PATIENCE_S", 20.0)

    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("atlas.planes.column_plane.write_plane", no_room)
        step = advance(service, None, [AGAINST])
        assert step.after == State() and step.message and step.job is None
    assert advance(service, None, [AGAINST]).after.axes == Axes("inst_mag_red", "snr")


def test_a_table_is_not_read_in_an_order_that_is_still_being_made(
    service: Service, monkeypatch: pytest.MonkeyPatch, disk_in_use: threading.Event
) -> None:
    monkeypatch.setattr(sort_order, "FEW_ROWS", 0)
    listing = listing_of(service, State(), "inst_mag_red", descending=True)
    with pytest.raises(UnderWayError, match="Sorting 971 galaxies by inst_mag_red") as refused:
        listing.require_ready()
    disk_in_use.set()
    assert ended(service, refused.value.job).phase == "done"
    listing.require_ready()
    values = service.atlas.columns(service.atlas.default_space).number("inst_mag_red")
    known = np.sort(values[np.isfinite(values)])[::-1]
    assert (values[listing.page(0, 50)[0]] == known[:50]).all()
