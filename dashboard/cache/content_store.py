"""Store for what is too long for a link: kept by the hash of its content, for as long as there is room.

The folder stands beside the cache and is not pruned with it, since a link that was sent to a colleague should open
next year. Names are hashes, so nobody finds what nobody gave away, and equal contents are kept once. Where Redis is
shared by several machines, contents are kept there, without an end.
"""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import redis

from atlas.errors import InputError
from atlas.storage.layout import write_atomically

from ..settings import Settings
from .file_backend import private_folder
from .locks import NAMESPACE, redis_options

NAME = re.compile(r"[0-9a-f]{24}")
SUFFIX = ".kept"
_log = logging.getLogger(__name__)


class Kept(Protocol):
    """Contents by their hash."""

    def put(self, content: bytes) -> str:
        """Keep a content; returns its name, 24 hexadecimal digits."""

    def get(self, name: str) -> bytes:
        """The content of a name; `InputError` where it is not kept here."""


def open_kept(settings: Settings) -> Kept:
    """The store that the settings ask for.

    Raises
    ------
    ResourceError
        The folder belongs to someone else or others may enter it.
    """
    if settings.cache_type == "RedisCache":
        return KeptInRedis(settings.redis_url)
    return KeptFiles(settings.kept_dir, settings.kept_entries)


class KeptFiles:
    """A file a content; beyond `most`, those that were used longest ago go.

    Parameters
    ----------
    folder : Path
        Used by nothing else.
    most : int
        Contents that are kept.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = private_folder(folder)
        self._most = most
        self._written = most  # what earlier processes left is counted at the first write

    def put(self, content: bytes) -> str:
        name = name_of(content)
        path = self._path(name)
        try:
            if path.exists():
                path.touch()
            else:
                write_atomically(path, content)
                self._written += 1
                if self._written * 20 > self._most:
                    self._prune()
        except OSError as error:
            _log.warning("not kept: %s", error)
        return name

    def get(self, name: str) -> bytes:
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError:
            raise gone() from None
        if name_of(content) != name:
            raise gone()
        with suppress(OSError):
            path.touch()
        return content

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise InputError("this is not the name of something kept: 24 hexadecimal digits are")
        return self._folder / f"{name}{SUFFIX}"

    def _prune(self) -> None:
        self._written = 0
        files = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):
                files.append((path.stat().st_mtime, path))
        for _, path in sorted(files)[: max(0, len(files) - self._most)]:
            path.unlink(missing_ok=True)


class KeptInRedis:
    """The same in Redis, which has its own bounds."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, **redis_options())

    def put(self, content: bytes) -> str:
        name = name_of(content)
        try:
            self._client.set(f"{NAMESPACE}kept:{name}", content)
        except redis.RedisError as error:
            _log.warning("not kept: %s", error)
        return name

    def get(self, name: str) -> bytes:
        if not NAME.fullmatch(name):
            raise InputError("this is not the name of something kept: 24 hexadecimal digits are")
        try:
            content = self._client.get(f"{NAMESPACE}kept:{name}")
        except redis.RedisError as error:
            _log.warning("kept content not read: %s", error)
            content = None
        if not isinstance(content, bytes) or name_of(content) != name:
            raise gone()
        return content


def name_of(content: bytes) -> str:
    """The name of a content: the beginning of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:24]


def gone() -> InputError:
    """Error for a reader whose content is not here."""
    return InputError("what this link refers to is not kept on this server (any more)")
