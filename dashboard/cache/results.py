"""Results that are costly to make: each is made once, kept, and shared by threads, processes and machines.

Flask-Caching keeps them, in files by default and in Redis by setting. What it lacks is here:

- No pickle. Values become JSON and npy bytes under a checksum (`dashboard.cache.codec`): a planted or damaged entry is
  a miss, never code and never an error. `dashboard.cache.file_backend` bounds the files and keeps others out of their
  folder.
- A single flight: equal calls of `Cached.get_or_compute` at the same time compute once. Threads meet at a table,
  processes and machines at a lock (`dashboard.cache.locks`).
- `cache_key` accepts primitives only. Flask-Caching's own keys use `repr`, which abbreviates arrays: two that differ in
  the middle would share an answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import redis
from flask import Flask
from flask_caching import Cache

import atlas

from ..settings import Settings
from .codec import CorruptEntryError
from .file_backend import ArraySerializer, private_folder
from .locks import NAMESPACE, FileLocks, Locks, RedisLocks, busy, redis_options

T = TypeVar("T")
Key = str | tuple[Any, ...]

_log = logging.getLogger(__name__)


class Cached:
    """The cache of one application.

    Parameters
    ----------
    server : Flask
        The application that Flask-Caching is bound to.
    settings : Settings
        `cache_type` and the other `cache_*` settings.

    Raises
    ------
    ResourceError
        The cache folder belongs to someone else or others may enter it.
    """

    def __init__(self, server: Flask, settings: Settings) -> None:
        flask_cache = Cache(with_jinja2_ext=False)
        self._wait_s = settings.cache_wait_s
        self._flights: dict[str, Future[Any]] = {}
        self._guard = threading.Lock()
        self._locks: Locks
        config: dict[str, Any]
        if settings.cache_type == "RedisCache":
            config = {
                "CACHE_TYPE": "RedisCache",
                "CACHE_REDIS_URL": settings.redis_url,
                "CACHE_KEY_PREFIX": NAMESPACE,
                "CACHE_OPTIONS": redis_options(),
            }
            self._locks = RedisLocks(settings.redis_url)
        else:
            folder = private_folder(settings.cache_dir)
            config = {
                "CACHE_TYPE": f"{__package__}.file_backend.PrivateFileCache",
                "CACHE_DIR": str(private_folder(folder / "entries")),
                "CACHE_THRESHOLD": settings.cache_entries,
                "CACHE_MAX_BYTES": settings.cache_bytes,
            }
            self._locks = FileLocks(private_folder(folder / "locks"))
        config |= {"CACHE_DEFAULT_TIMEOUT": settings.cache_seconds, "CACHE_SERIALIZER": ArraySerializer}
        flask_cache.init_app(server, config=config)
        self._backend = server.extensions["cache"][flask_cache]

    def get_or_compute(self, key: Key, compute: Callable[[], T], timeout: int | None = None) -> tuple[T, bool]:
        """The stored value of a key, or the computed one, which is then stored.

        Parameters
        ----------
        key : str or tuple
            From `cache_key`, or its arguments.
        compute : callable
            Makes the value, of the types that `dashboard.cache.codec.encode` takes. What it raises reaches every caller
            that waits in this process, and nothing is stored; other processes then try for themselves.
        timeout : int, optional
            Seconds to keep the value; the setting `cache_seconds` when not given.

        Returns
        -------
        value
            Shared with other callers: not to be changed.
        hit : bool
            False when this call computed it.

        Raises
        ------
        ResourceError
            An equal call was still under way after `cache_wait_s`.
        """
        name = key if isinstance(key, str) else cache_key(*key)
        if (stored := self._read(name)) is not None:
            return stored[0], True
        with self._guard:
            flight = self._flights.get(name)
            leads = flight is None
            if flight is None:
                flight = self._flights[name] = Future()
        if not leads:
            if not wait([flight], timeout=self._wait_s).done:
                raise busy(self._wait_s)
            return flight.result(), True
        try:
            value, hit = self._compute_once(name, compute, timeout)
            flight.set_result(value)
            return value, hit
        except BaseException as error:
            flight.set_exception(error)
            raise
        finally:
            with self._guard:
                del self._flights[name]

    def answer(self, key: Key, compute: Callable[[], T], of: type[T]) -> T:
        """The stored answer of a key, or the computed one, which is then stored.

        Parameters
        ----------
        of : type
            Of the answer: a Struct or a dataclass of what `dashboard.cache.codec.encode` takes, tuples and Structs.
        """
        stored, _ = self.get_or_compute(key, lambda: _fields(compute()))
        return msgspec.convert(stored, of, dec_hook=lambda _, value: value)  # arrays are as they were

    def stored(self, key: Key, of: type[T]) -> T | None:
        """The stored answer of a key, where there is one."""
        found = self._read(key if isinstance(key, str) else cache_key(*key))
        return None if found is None else msgspec.convert(found[0], of, dec_hook=lambda _, value: value)

    def holds(self, key: str) -> bool:
        """Whether there is something under a key; it is not read."""
        try:
            return bool(self._backend.has(key))
        except redis.RedisError as error:
            _log.warning("cache not read: %s", error)
            return False

    def clear(self) -> None:
        """Forget everything."""
        self._backend.clear()

    def _compute_once(self, name: str, compute: Callable[[], T], timeout: int | None) -> tuple[T, bool]:
        with self._locks.hold(name, self._wait_s):
            if (stored := self._read(name)) is not None:  # by the one who held the lock before us
                return stored[0], True
            value = compute()
            try:
                self._backend.set(name, [value], timeout)  # in a list, so that None differs from nothing
            except redis.RedisError as error:
                _log.warning("result not cached: %s", error)
            return value, False

    def _read(self, name: str) -> Any:
        try:
            return self._backend.get(name)
        except CorruptEntryError as error:
            _log.warning("cache entry %s removed: %s", name, error)
            with suppress(redis.RedisError):
                self._backend.delete(name)
        except redis.RedisError as error:
            _log.warning("cache not read: %s", error)
        return None


def cache_key(build_id: str, kind: str, *primitives: object) -> str:
    """The name under which a result is kept.

    Parameters
    ----------
    build_id : str
        The build that the result was made from.
    kind : str
        What sort of result it is.
    *primitives
        What it depends on: str, int, finite float, bool, None, bytes, and tuples or lists of these.

    Returns
    -------
    str
        sha256 of these and of the code that runs, hexadecimal: a new build or new code starts afresh.

    Raises
    ------
    TypeError
        Something else is in it: its text might be the same for different values.
    ValueError
        A float is NaN or infinite.
    """
    parts = _canonical((code_version(), build_id, kind, *primitives))
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode("ascii")).hexdigest()


def _fields(value: Any) -> Any:
    """A Struct or a dataclass as a dict, and what is in it."""
    if isinstance(value, msgspec.Struct):
        return {name: _fields(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value):
        return {field.name: _fields(getattr(value, field.name)) for field in fields(value)}
    return [_fields(item) for item in value] if isinstance(value, tuple) else value


def _canonical(value: object) -> object:
    kind = type(value)
    if kind in (str, int, bool, type(None)):
        return value
    if isinstance(value, float) and kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be part of a cache key")
        return value
    if isinstance(value, bytes) and kind is bytes:
        return {"bytes": value.hex()}
    if isinstance(value, tuple | list) and kind in (tuple, list):
        return [_canonical(part) for part in value]
    raise TypeError(
        f"{kind.__module__}.{kind.__qualname__} cannot be part of a cache key: allowed are str, int, float, bool, "
        "None, bytes, and tuples or lists of these"
    )


@cache
def code_version() -> str:
    """Hash of the source of `atlas` and `dashboard`: what other code computed is not trusted."""
    digest = hashlib.sha256()
    for package in (Path(atlas.__file__).parent, Path(__file__).parents[1]):
        for path in sorted(package.rglob("*.py")):
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
