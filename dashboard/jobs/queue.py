"""The queue: equal requests are one job, run by a few threads of the process that was asked first.

    submit ──> waiting ──> running ──> done
                  │            ├─────> failed        its sentence says why
                  └────────────┴─────> cancelled     within a step of its work
                                       interrupted   the process that ran it is gone

Why no task queue from a library: of what is asked of it (equal requests join, progress, an end within 200 ms, a dead
owner noticed at once, no pickle) Huey brings none; it would bring a consumer beside the server and pickled messages.
What remains to write is the record of a job and a lock on it (`dashboard.jobs.board`).

What a job made is no business of the queue: its work keeps it, in the cache or as derived files, both of which are
bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from msgspec.structs import replace

from atlas.errors import InputError

from ..error_answers import explain
from .board import Board
from .job import Job, JobCancelledError, Phase, Run

Work = Callable[[Run], object]


class _Task(NamedTuple):
    run: Run
    work: Work
    hold: ExitStack


class Jobs:
    """Runs jobs and tells how they stand. Safe to share between threads.

    Parameters
    ----------
    board : Board
        Where other processes see them.
    at_once : int
        How many run at once in this process.
    waiting : int
        How many may wait in it.
    """

    def __init__(self, board: Board, *, at_once: int, waiting: int) -> None:
        self._board = board
        self._at_once = at_once
        self._tasks: queue.Queue[_Task] = queue.Queue(maxsize=waiting)
        self._mine: dict[str, _Task] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def submit(self, job_id: str, kind: str, title: str, work: Work) -> Job:
        """Begin a job, or join the one that is under way.

        One that failed, was cancelled or interrupted is told as it ended, and begins anew after `forget`.

        Parameters
        ----------
        job_id : str
            Equal for equal requests: a `cache_key`.
        kind, title : str
            What it is, for programs and for people.
        work : callable
            Does it, and keeps what comes of it. Calls `run.progress(done, total)` at least every 0.2 s.

        Raises
        ------
        InputError
            If too many wait already.
        """
        with self._lock:
            found = self.find(job_id)
            if found is not None and found.phase != "done":
                return found
            hold = self._board.claim(job_id)
            new = Job(id=job_id, kind=kind, title=title)
            if hold is None:
                return found or new  # another process began it a moment ago
            run = Run(new, self._board.write, lambda: self._board.cancel_asked(job_id))
            task = _Task(run, work, hold)
            try:
                self._tasks.put_nowait(task)
            except queue.Full:
                hold.close()
                raise InputError(
                    f"{self._tasks.maxsize} jobs wait on this server already; try again in a moment"
                ) from None
            self._board.drop(job_id)
            self._mine[job_id] = task
            self._board.write(new)
            if len(self._threads) < self._at_once:
                # A thread that waits for work must not keep a server from ending.
                self._threads.append(threading.Thread(target=self._serve, name="job", daemon=True))
                self._threads[-1].start()
            return new

    def find(self, job_id: str) -> Job | None:
        """State of a job; None where nobody asked for it, or long ago."""
        task = self._mine.get(job_id)
        if task is not None:
            return task.run.job
        job = self._board.read(job_id)
        if job is None or not job.under_way or self._board.owned(job_id):
            return job
        ended = self._board.read(job_id)  # its owner may have ended it while we looked
        return replace(ended, phase="interrupted") if ended is not None and ended.under_way else ended

    def wait(self, job_id: str, seconds: float) -> Job | None:
        """State of a job of this process when it has ended, or after some seconds."""
        task = self._mine.get(job_id)
        if task is not None:
            task.run.ended.wait(seconds)
        return self.find(job_id)

    def cancel(self, job_id: str) -> None:
        """End a job, whichever process runs it; nothing where it has ended."""
        with self._lock:
            task = self._mine.get(job_id)
            if task is not None:
                task.run.cancel()
                if task.run.job.phase == "waiting":
                    self._end(task, "cancelled")  # its turn may be long in coming
                return
        if (job := self.find(job_id)) is not None and job.under_way:
            self._board.ask_cancel(job_id)

    def forget(self, job_id: str) -> None:
        """Let a job that has ended begin anew when it is asked for again."""
        job = self.find(job_id)
        if job is not None and not job.under_way:
            self._board.drop(job_id)

    def _serve(self) -> None:
        while True:
            self._do(self._tasks.get())

    def _do(self, task: _Task) -> None:
        with self._lock:
            if task.run.ended.is_set():
                return  # cancelled while it waited
            task.run.begin()
        phase: Phase = "done"
        said = ""
        try:
            task.work(task.run)
        except JobCancelledError:
            phase = "cancelled"
        except Exception as error:
            phase, said = "failed", explain(error)
        with self._lock:
            self._end(task, phase, said)

    def _end(self, task: _Task, phase: Phase, said: str = "") -> None:
        """The record first, then the lock: whoever finds it free finds how the job ended."""
        task.run.set(phase, said)
        task.hold.close()
        del self._mine[task.run.job.id]
        task.run.ended.set()
