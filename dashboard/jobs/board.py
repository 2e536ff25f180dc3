"""Board of jobs, written so that every worker sees them: small files on one machine, Redis for several.

    <id>.json     the job as its owner last told it
    <id>.cancel   somebody does not want it any more
    a lock        held by the owner as long as it lives: a killed process lets go

Where Redis does not answer, jobs run as before, seen by their own process alone.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import msgspec
import redis

from atlas.errors import ResourceError
from atlas.storage.layout import write_atomically

from ..cache.file_backend import private_folder
from ..cache.locks import NAMESPACE, FileLocks, redis_options
from ..settings import Settings
from .job import Job

MOST_RECORDS = 500
"""Jobs that are remembered; beyond, the oldest go."""

GRACE_S = 0.1  # another may be looking whether the lock is held
KEEP_S = 86_400
DEAD_S = 5.0
_log = logging.getLogger(__name__)


class Board(Protocol):
    """Jobs by id, shared by processes."""

    def claim(self, job_id: str) -> ExitStack | None:
        """Become the owner until the stack is closed or the process ends; None where another is."""

    def owned(self, job_id: str) -> bool:
        """Whether the owner lives."""

    def write(self, job: Job) -> None:
        """Publish how a job stands."""

    def read(self, job_id: str) -> Job | None:
        """State of a job, as its owner last told it."""

    def drop(self, job_id: str) -> None:
        """Forget a job, and that it was cancelled."""

    def ask_cancel(self, job_id: str) -> None:
        """Ask the owner, whoever that is, to end a job."""

    def cancel_asked(self, job_id: str) -> bool:
        """Whether somebody did."""


def open_board(settings: Settings) -> Board:
    """The board that the settings ask for.

    Raises
    ------
    ResourceError
        The folder belongs to someone else or others may enter it.
    """
    if settings.cache_type == "RedisCache":
        return RedisBoard(settings.redis_url)
    return FileBoard(private_folder(settings.cache_dir) / "jobs")


class FileBoard:
    """Files in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._locks = FileLocks(private_folder(folder / "locks"))
        self._written = 0

    def claim(self, job_id: str) -> ExitStack | None:
        stack = ExitStack()
        try:
            stack.enter_context(self._locks.hold(job_id, GRACE_S))
        except ResourceError:
            return None
        return stack

    def owned(self, job_id: str) -> bool:
        stack = self.claim(job_id)
        if stack is None:
            return True
        stack.close()
        return False

    def write(self, job: Job) -> None:
        path = self._path(job.id)
        try:
            if not path.exists():
                self._prune()
            write_atomically(path, msgspec.json.encode(job))
        except OSError as error:
            _log.warning("job not told to others: %s", error)

    def read(self, job_id: str) -> Job | None:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path(job_id).read_bytes(), type=Job)
        return None

    def drop(self, job_id: str) -> None:
        for path in (self._path(job_id), self._cancel(job_id)):
            with suppress(OSError):
                path.unlink()

    def ask_cancel(self, job_id: str) -> None:
        with suppress(OSError):
            self._cancel(job_id).touch(mode=0o600)

    def cancel_asked(self, job_id: str) -> bool:
        return self._cancel(job_id).exists()

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"

    def _cancel(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.cancel"

    def _prune(self) -> None:
        files = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError):
                files.append((path.stat().st_mtime, path))
        for _, path in sorted(files)[: max(0, len(files) + 1 - MOST_RECORDS)]:
            self.drop(path.stem)


class RedisBoard:
    """The same in Redis; an owner says that it lives every second."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, **redis_options())

    def claim(self, job_id: str) -> ExitStack | None:
        lock = self._client.lock(self._name("owner", job_id), timeout=DEAD_S, thread_local=False)
        stack = ExitStack()
        try:
            if not lock.acquire(blocking=False):
                return None
        except redis.RedisError as error:
            _log.warning("job runs without a lock: %s", error)
            return stack
        over = threading.Event()

        def beat() -> None:
            while not over.wait(DEAD_S / 5):
                with suppress(redis.RedisError):
                    lock.reacquire()

        def release() -> None:
            over.set()
            with suppress(redis.RedisError):
                lock.release()

        stack.callback(release)
        threading.Thread(target=beat, name="job-owner", daemon=True).start()
        return stack

    def owned(self, job_id: str) -> bool:
        try:
            return bool(self._client.exists(self._name("owner", job_id)))
        except redis.RedisError:
            return True  # nobody knows: not the time to tell of a death

    def write(self, job: Job) -> None:
        try:
            self._client.set(self._name("job", job.id), msgspec.json.encode(job), ex=KEEP_S)
        except redis.RedisError as error:
            _log.warning("job not told to others: %s", error)

    def read(self, job_id: str) -> Job | None:
        with suppress(redis.RedisError, msgspec.DecodeError):
            found = self._client.get(self._name("job", job_id))
            return msgspec.json.decode(found, type=Job) if isinstance(found, bytes) else None
        return None

    def drop(self, job_id: str) -> None:
        with suppress(redis.RedisError):
            self._client.delete(self._name("job", job_id), self._name("cancel", job_id))

    def ask_cancel(self, job_id: str) -> None:
        with suppress(redis.RedisError):
            self._client.set(self._name("cancel", job_id), b"1", ex=KEEP_S)

    def cancel_asked(self, job_id: str) -> bool:
        with suppress(redis.RedisError):
            return bool(self._client.exists(self._name("cancel", job_id)))
        return False

    @staticmethod
    def _name(kind: str, job_id: str) -> str:
        return f"{NAMESPACE}{kind}:{job_id}"
