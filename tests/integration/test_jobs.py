"""What takes longer than a request: asked for, watched, ended and begun anew through the server's addresses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.app import create_app
from dashboard.cache.results import Cached
from dashboard.jobs.job import Job, Run
from dashboard.service.atlas_service import Service
from dashboard.settings import load
from dashboard.web.job_routes import register_job_routes


class Sum(msgspec.Struct, frozen=True):
    """An answer."""

    value: int


@pytest.fixture
def served(demo_path: Path, tmp_path: Path) -> Iterator[tuple[Service, FlaskClient]]:

    server = Flask("jobs")
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path / "cache"), kept_dir=str(tmp_path / "kept"))
    service = Service(settings, Cached(server, settings))
    register_job_routes(server, service)
    yield service, server.test_client()


def later(service: Service, compute: Any) -> Sum | Job:
    return service.later("sum", "1+1", compute, Sum, title="Adding up")


def test_a_quick_answer_is_no_job(served: tuple[Service, FlaskClient]) -> None:
    service, _ = served
    assert later(service, lambda run: Sum(2)) == Sum(2)
    assert later(service, lambda run: Sum(3)) == Sum(2), "it is kept, and not computed twice"


def test_a_slow_answer_is_watched_and_then_there(served: tuple[Service, FlaskClient]) -> None:
    service, client = served
    go = threading.Event()

    def slow(run: Run) -> Sum:
        run.progress(30, 100)
        time.sleep(0.11)
        run.progress(40, 100)
        go.wait(5)
        return Sum(2)

    job = later(service, slow)
    assert isinstance(job, Job) and job.phase == "running"
    told = client.get(f"/jobs.json?ids={job.id}").get_json()[job.id]
    assert told["phase"] == "running" and told["share"] == 0.4 and told["told"].startswith("40 % of 100")
    go.set()
    service.jobs.wait(job.id, 5)
    assert later(service, slow) == Sum(2)


def test_a_job_is_cancelled_and_begun_anew(served: tuple[Service, FlaskClient]) -> None:
    service, client = served

    def endless(run: Run) -> Sum:
        while True:
            run.progress(1, 2)
            time.sleep(0.01)

    job = later(service, endless)
    assert isinstance(job, Job)
    began = time.perf_counter()
    client.post(f"/jobs/{job.id}/cancel")
    service.jobs.wait(job.id, 5)
    assert time.perf_counter() - began < 0.2
    again = later(service, endless)
    assert isinstance(again, Job) and again.phase == "cancelled", "nobody begins it unasked"
    assert client.post(f"/jobs/{job.id}/again").get_json()["phase"] == "gone"
    assert later(service, lambda run: Sum(2)) == Sum(2)


def test_nonsense_is_refused(demo_path: Path, tmp_path: Path) -> None:
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path / "cache"), kept_dir=str(tmp_path / "kept"))
    client = create_app(settings=settings).server.test_client()
    for address in ("/jobs.json", "/jobs.json?ids=x", f"/jobs.json?ids={','.join(['0' * 64] * 21)}"):
        assert client.get(address).status_code == 400, address
    assert client.post("/jobs/x/cancel").status_code == 400
    assert client.get(f"/jobs.json?ids={'0' * 64}").get_json() == {"0" * 64: {"phase": "gone", "share": 0, "told": ""}}
