"""One holder of a name at a time: across the processes of a machine, or across machines.

Both locks degrade: where the folder or Redis does not answer, the caller goes on without a lock, since doing work twice
is better than not doing it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from atlas.errors import ResourceError

NAMESPACE = "galaxy-finder:"

_log = logging.getLogger(__name__)


def redis_options() -> dict[str, Any]:
    """A cache that does not answer must cost less than the work it saves: no retries, short patience."""
    return {"socket_timeout": 5, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 0)}


class Locks(Protocol):
    """Lets one holder of a name in at a time, across processes."""

    def hold(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """Enter when no other holds the name; `ResourceError` after `wait_s` seconds."""


class FileLocks:
    """A file for each name that is held, locked with flock: a killed holder lets go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, name: str, wait_s: float) -> Iterator[None]:
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()
        deadline = time.monotonic() + wait_s
        pause = 0.002
        handle = None
        try:
            while (handle := _try_lock(path)) is None:
                if time.monotonic() >= deadline:
                    raise busy(wait_s)
                time.sleep(pause)
                pause = min(2 * pause, 0.05)
        except OSError as error:
            _log.warning("computing without a lock: %s", error)
        try:
            yield
        finally:
            if handle is not None:
                with suppress(OSError):  # while we hold it: whoever waits on this file finds it gone and makes it anew
                    path.unlink()
                os.close(handle)


def _try_lock(path: Path) -> int | None:
    """A locked descriptor of the file that has this name now, or None."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # locked by another, or removed since it was opened
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    os.close(handle)
    return None


class RedisLocks:
    """A lock in Redis for each name; it ends with the waiters' patience: a killed holder blocks nobody for longer."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, **redis_options())

    @contextmanager
    def hold(self, name: str, wait_s: float) -> Iterator[None]:
        lock = self._client.lock(f"{NAMESPACE}lock:{name}", timeout=wait_s, sleep=0.02, thread_local=False)
        held = False
        try:
            held = lock.acquire(blocking_timeout=wait_s)
            if not held:
                raise busy(wait_s)
        except redis.RedisError as error:
            _log.warning("computing without a lock: %s", error)
        try:
            yield
        finally:
            if held:
                with suppress(redis.RedisError):  # it ended before we did
                    lock.release()


def busy(wait_s: float) -> ResourceError:
    """Error of a waiter whose patience ended."""
    return ResourceError(f"an equal request was still under way after {wait_s:g} s")
