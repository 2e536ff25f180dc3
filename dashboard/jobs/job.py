"""A job as everybody sees it, and the handle that its work holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec.structs import replace

from atlas.errors import InputError

Phase = Literal["waiting", "running", "done", "failed", "cancelled", "interrupted"]
TELL_EVERY_S = 0.1


class JobCancelledError(Exception):
    """Somebody does not want the work any more; ends it."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work.

    Attributes
    ----------
    id : str
        Hash of the build, the kind and the canonical request: who asks the same joins the same job.
    kind : str
        What sort of work it is.
    title : str
        What it does, for people.
    phase : str
        "interrupted" means that the process which ran it is gone.
    done, total : int
        How far it is, in units of its own; 0 of 0 before it has told.
    seconds : float
        How long it has run.
    said : str
        Why it failed, for people.
    """

    id: str
    kind: str
    title: str
    phase: Phase = "waiting"
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    said: str = ""

    @property
    def under_way(self) -> bool:
        """Whether it waits or runs."""
        return self.phase in ("waiting", "running")

    @property
    def share(self) -> float:
        """The part that is done, 0 … 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def rate(self) -> float:
        """Units a second; 0 where it is not known yet."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


class UnderWayError(InputError):
    """A request needs something that a job is making.

    Attributes
    ----------
    job : Job
        It, or how it ended where nothing came of it.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.title}: not ready yet; look again in a moment")
        self.job = job


class Run:
    """A job under way, as its work sees it. Safe to share between threads.

    Parameters
    ----------
    job : Job
        As it begins.
    tell : callable
        Publishes how the job stands.
    asked : callable
        Whether another process asked to cancel it; looked at no more often than every tenth of a second.
    """

    def __init__(self, job: Job, tell: Callable[[Job], object], asked: Callable[[], bool]) -> None:
        self.job = job
        self.ended = threading.Event()
        self._tell = tell
        self._asked = asked
        self._cancel = threading.Event()
        self._began = self._told = self._looked = time.monotonic()

    def begin(self) -> None:
        """It is no longer waiting."""
        self._began = time.monotonic()
        self.set("running")

    def progress(self, done: int, total: int) -> None:
        """Tell how far the work is. To be called at least every 0.2 s: this is also where it ends when it has to.

        Raises
        ------
        JobCancelledError
            If somebody cancelled it.
        """
        if self.cancelled():
            raise JobCancelledError
        now = time.monotonic()
        self.job = replace(self.job, done=int(done), total=int(total), seconds=now - self._began)
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            self._tell(self.job)

    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        now = time.monotonic()
        if not self._cancel.is_set() and now - self._looked >= TELL_EVERY_S:
            self._looked = now
            if self._asked():
                self._cancel.set()
        return self._cancel.is_set()

    def cancel(self) -> None:
        """End it at its next `progress`."""
        self._cancel.set()

    def set(self, phase: Phase, said: str = "") -> None:
        """Publish another phase."""
        seconds = time.monotonic() - self._began
        self.job = replace(self.job, phase=phase, said=said, seconds=seconds)
        self._tell(self.job)
