"""The file cache of Flask-Caching without its pickle, its unbounded bytes and its open folder."""

from __future__ import annotations

import logging
import os
import stat
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching.backends.filesystemcache import FileSystemCache

from atlas.errors import ResourceError

from ..settings import variable
from .codec import CorruptEntryError, decode, encode

_log = logging.getLogger(__name__)

_ABANDONED_S = 3600.0  # a scratch file this old has lost its writer
_SLACK = 20  # files are counted again after a twentieth of the bound was written


class ArraySerializer(BaseSerializer):
    """`dashboard.cache.codec` as Flask-Caching takes it. The base class pickles: every method is replaced."""

    def dumps(self, value: Any, *args: Any) -> bytes:
        return encode(value)

    def loads(self, bvalue: bytes | memoryview | None) -> Any:
        return None if bvalue is None else decode(bvalue)

    def dump(self, value: Any, f: Any, *args: Any) -> None:
        f.write(encode(value))

    def load(self, f: Any) -> Any:
        return decode(f.read())


class PrivateFileCache(FileSystemCache):
    """Flask-Caching's file cache, bounded by entries and bytes; what was used longest ago goes first.

    A file is the time of its end (uint32, 0 for never), then the serialised value. The base class counts entries in a
    file that two processes overwrite for each other, and logs a traceback for each file it cannot read: here the folder
    itself is counted, after every twentieth of the bound that this process wrote.
    """

    def __init__(self, folder: str, max_entries: int, max_bytes: int, default_timeout: int) -> None:
        super().__init__(folder, threshold=0, default_timeout=default_timeout)
        self._folder = Path(folder)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries_written = max_entries  # what earlier processes left is counted at the first write
        self._bytes_written = 0

    @classmethod
    def factory(
        cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]
    ) -> PrivateFileCache:  # the signature is Flask-Caching's
        return cls(config["CACHE_DIR"], config["CACHE_THRESHOLD"], config["CACHE_MAX_BYTES"], kwargs["default_timeout"])

    def get(self, key: str) -> Any:
        path = Path(self._get_filename(key))
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) < 4:
            raise CorruptEntryError(f"{len(data)} bytes")
        (end,) = struct.unpack_from("I", data)
        if end and end < time.time():
            self.delete(key)
            return None
        with suppress(OSError):  # gone a moment ago
            os.utime(path)
        return self.serializer.loads(memoryview(data)[4:])

    def set(self, key: str, value: Any, timeout: int | None = None, mgmt_element: bool = False) -> bool:
        data = struct.pack("I", self._normalize_timeout(timeout)) + self.serializer.dumps(value)
        try:
            handle, scratch = tempfile.mkstemp(suffix=self._fs_transaction_suffix, dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as f:
                    f.write(data)
                Path(scratch).replace(self._get_filename(key))
            except BaseException:
                Path(scratch).unlink(missing_ok=True)
                raise
            self._entries_written += 1
            self._bytes_written += len(data)
            if self._entries_written > self._max_entries // _SLACK or self._bytes_written > self._max_bytes // _SLACK:
                self._prune()
        except OSError as error:
            _log.warning("result not cached: %s", error)
            return False
        return True

    def _prune(self) -> None:
        self._entries_written = self._bytes_written = 0
        now, files = time.time(), []
        for entry in os.scandir(self._folder):
            with suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if not entry.name.endswith(self._fs_transaction_suffix):
                    files.append((info.st_mtime, info.st_size, entry.path))
                elif info.st_mtime < now - _ABANDONED_S:
                    Path(entry.path).unlink()
        entries, size = len(files), sum(file[1] for file in files)
        for _, length, path in sorted(files):
            if entries <= self._max_entries * (1 - 1 / _SLACK) and size <= self._max_bytes * (1 - 1 / _SLACK):
                break
            with suppress(OSError):
                Path(path).unlink()
            entries, size = entries - 1, size - length


def private_folder(path: Path) -> Path:
    """Make a folder that only we can enter, or check that it is one.

    Raises
    ------
    ResourceError
        It belongs to another user, others may read or write it, or it is no folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        info = path.lstat()
    except OSError as error:
        raise ResourceError(f"the cache folder {path} cannot be made: {error.strerror}") from error
    mode = stat.S_IMODE(info.st_mode)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or mode & 0o077:
        kind = "folder" if stat.S_ISDIR(info.st_mode) else "no folder"
        raise ResourceError(
            f"{path} is a {kind} of user {info.st_uid} with mode {mode:04o}: a cache needs a folder of its own, of "
            f"user {os.geteuid()} with mode 0700; name another with {variable('cache_dir')}"
        )
    return path
