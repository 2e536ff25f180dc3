"""Jobs: equal requests are one, they end when somebody wants it, and no death of a process is a hang."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable

import pytest

from atlas.errors import InputError
from dashboard.jobs import board as boards
from dashboard.jobs.board import FileBoard, open_board
from dashboard.jobs.job import Job, Run
from dashboard.jobs.queue import Jobs
from dashboard.settings import Settings


def queue_of(settings: Settings, *, at_once: int = 2, waiting: int = 4) -> Jobs:
    """A process's view: two of them see each other through the board alone."""
    return Jobs(open_board(settings), at_once=at_once, waiting=waiting)


@pytest.fixture(autouse=True)
def nothing_before(request: pytest.FixtureRequest) -> None:
    """One Redis serves all tests."""
    if "settings" in request.fixturenames:
        open_board(request.getfixturevalue("settings")).drop("a")


def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def endless(run: Run) -> None:
    for done in range(10**9):
        run.progress(done, 10**9)
        time.sleep(0.005)


def phase(jobs: Jobs, job_id: str = "a") -> str:
    job = jobs.find(job_id)
    return "" if job is None else job.phase


def test_equal_requests_are_one_job_in_all_processes(settings: Settings) -> None:
    one, other = queue_of(settings), queue_of(settings)
    ran, go = [], threading.Event()

    def work(run: Run) -> None:
        ran.append(run)
        go.wait(5)

    told = [jobs.submit("a", "kind", "title", work) for jobs in (one, one, other)]
    until(lambda: phase(other) == "running")
    assert {job.id for job in told} == {"a"}
    go.set()
    until(lambda: phase(other) == "done")
    assert len(ran) == 1
    assert phase(one) == "done"


def test_progress_and_rate_are_seen_by_other_processes(settings: Settings) -> None:
    one, other = queue_of(settings), queue_of(settings)
    one.submit("a", "kind", "Scores of every galaxy", endless)
    until(lambda: (job := other.find("a")) is not None and job.done > 0)
    job = other.find("a")
    assert job is not None
    assert job.title == "Scores of every galaxy"
    assert 0 < job.share < 1
    assert job.rate == pytest.approx(job.done / job.seconds)
    one.cancel("a")


@pytest.mark.parametrize("who", ["the owner", "another"])
def test_cancelling_ends_a_job_at_its_next_step(settings: Settings, who: str) -> None:
    one, other = queue_of(settings), queue_of(settings)
    one.submit("a", "kind", "title", endless)
    until(lambda: phase(other) == "running")
    (one if who == "the owner" else other).cancel("a")
    until(lambda: phase(other) == "cancelled", 2.0)
    # It stays so until somebody wants it again.
    assert one.submit("a", "kind", "title", endless).phase == "cancelled"
    one.forget("a")
    assert one.submit("a", "kind", "title", lambda run: None).phase == "waiting"
    until(lambda: phase(other) == "done")


def test_a_job_is_cancelled_while_it_waits(file_settings: Settings) -> None:
    jobs = queue_of(file_settings, at_once=1)
    jobs.submit("a", "kind", "title", endless)
    ran = []
    jobs.submit("b", "kind", "title", ran.append)
    jobs.cancel("b")
    assert phase(jobs, "b") == "cancelled"
    jobs.cancel("a")
    until(lambda: phase(jobs) == "cancelled")
    jobs.submit("c", "kind", "title", lambda run: None)
    until(lambda: phase(jobs, "c") == "done")
    assert not ran


def own_an_endless_job(settings: Settings) -> None:
    queue_of(settings).submit("a", "kind", "title", endless)
    time.sleep(300)


def test_a_killed_process_leaves_an_interrupted_job(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "DEAD_S", 0.5)
    process = multiprocessing.get_context("spawn").Process(target=own_an_endless_job, args=(settings,), daemon=True)
    process.start()
    jobs = queue_of(settings)
    until(lambda: phase(jobs) == "running", 60)
    process.kill()
    process.join()
    until(lambda: phase(jobs) == "interrupted")
    jobs.forget("a")
    jobs.submit("a", "kind", "title", lambda run: None)
    until(lambda: phase(jobs) == "done")


def test_why_a_job_failed_is_said_and_nothing_internal(
    file_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: Run) -> None:
        raise InputError("a random order ranks nothing")

    def broken(_: Run) -> None:
        raise ZeroDivisionError("/secret/path")

    jobs = queue_of(file_settings)
    for name, work in (("a", refused), ("b", broken)):
        jobs.submit(name, "kind", "title", work)
        jobs.wait(name, 5)
    refusal = jobs.find("a")
    assert refusal is not None
    assert (refusal.phase, refusal.said) == ("failed", "a random order ranks nothing")
    failed = jobs.find("b")
    assert failed is not None
    assert "secret" not in failed.said
    assert "reference" in failed.said
    assert "/secret/path" in caplog.text


def test_too_many_waiting_jobs_are_refused(file_settings: Settings) -> None:
    jobs = queue_of(file_settings, at_once=1, waiting=1)
    jobs.submit("a", "kind", "title", endless)
    until(lambda: phase(jobs) == "running")
    jobs.submit("b", "kind", "title", endless)
    with pytest.raises(InputError, match="1 jobs wait on this server"):
        jobs.submit("c", "kind", "title", endless)
    for name in ("b", "a"):
        jobs.cancel(name)


def test_the_files_of_jobs_are_bounded(file_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "MOST_RECORDS", 10)
    board = open_board(file_settings)
    assert isinstance(board, FileBoard)
    for number in range(30):
        board.write(Job(id=f"{number:02d}", kind="kind", title="title", phase="done"))
    assert len(list((file_settings.cache_dir / "jobs").glob("*.json"))) == 10
    assert board.read("29") is not None
