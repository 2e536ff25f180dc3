"""Values to bytes and back without pickle: JSON for structure, npy for arrays, a checksum over both.

    GFC1 | crc32 of the rest, uint32 | number of parts, uint32 | their lengths, uint64 each | the parts

Part 0 is the value as JSON; in it `{"$npy": i}` and `{"$bytes": i}` stand for part i. Numbers are little-endian. What
is read back equals what was written, type by type: that is why anything JSON would bend (tuples, numpy scalars, keys
that are not text) is refused when written instead of changed on the way.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy

MAGIC = b"GFC1"
_PREFIX = struct.Struct("<4sI")
_COUNT = struct.Struct("<I")
_PLAIN = (str, int, float, bool, type(None))
_ARRAY = "$npy"
_BYTES = "$bytes"


class CorruptEntryError(Exception):
    """Bytes that `encode` did not write, or not all of them."""


def encode(value: object) -> bytes:
    """Write a value.

    Parameters
    ----------
    value
        Made of dict (keys are text that does not begin with "$"), list, str, int, float, bool, None, bytes and
        `ndarray` of any dtype without objects.

    Raises
    ------
    TypeError
        Another type is in it; names the place. The types are compared exactly: a subclass would come back as its base.
    """
    parts = [b""]
    packed = _pack(value, "value", parts)
    parts[0] = json.dumps(packed, separators=(",", ":")).encode("ascii")
    body = b"".join((_COUNT.pack(len(parts)), struct.pack(f"<{len(parts)}Q", *map(len, parts)), *parts))
    return _PREFIX.pack(MAGIC, zlib.crc32(body)) + body


def decode(data: bytes | memoryview) -> Any:
    """Read what `encode` wrote; arrays are new and writeable.

    Raises
    ------
    CorruptEntryError
        The bytes are damaged, cut short or foreign. Nothing in them was executed.
    """
    if len(data) < _PREFIX.size:
        raise CorruptEntryError(f"{len(data)} bytes")
    magic, checksum = _PREFIX.unpack_from(data)
    body = memoryview(data)[_PREFIX.size :]
    if magic != MAGIC or zlib.crc32(body) != checksum:
        raise CorruptEntryError("wrong magic or checksum")
    try:
        return _unpack(body)
    except Exception as error:  # a checksum can be forged: whatever a foreign entry provokes means the same
        raise CorruptEntryError(f"unreadable: {type(error).__name__}") from error


def _pack(value: object, place: str, parts: list[bytes]) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, list) and kind is list:
        return [_pack(item, f"{place}[{i}]", parts) for i, item in enumerate(value)]
    if isinstance(value, dict) and kind is dict:
        for key in value:
            if type(key) is not str or key.startswith("$"):
                raise TypeError(f"{place} has the key {key!r}: allowed is text that does not begin with '$'")
        return {key: _pack(item, f"{place}[{key!r}]", parts) for key, item in value.items()}
    if isinstance(value, bytes) and kind is bytes:
        parts.append(value)
        return {_BYTES: len(parts) - 1}
    if isinstance(value, np.ndarray) and kind in (np.ndarray, np.memmap) and not value.dtype.hasobject:
        stream = io.BytesIO()
        npy.write_array(stream, value, allow_pickle=False)
        parts.append(stream.getvalue())
        return {_ARRAY: len(parts) - 1}
    raise TypeError(
        f"{place} is a {kind.__module__}.{kind.__qualname__}, which is not stored: allowed are dict, list, str, int, "
        "float, bool, None, bytes and arrays without objects"
    )


def _unpack(body: memoryview) -> Any:
    (count,) = _COUNT.unpack_from(body)
    lengths = struct.unpack_from(f"<{count}Q", body, _COUNT.size)
    body = body[_COUNT.size + 8 * count :]
    parts = []
    for length in lengths:
        parts.append(bytes(body[:length]))
        body = body[length:]

    def restore(item: dict[str, Any]) -> Any:
        if _ARRAY in item:
            return npy.read_array(io.BytesIO(parts[item[_ARRAY]]), allow_pickle=False)
        return parts[item[_BYTES]] if _BYTES in item else item

    return json.loads(parts[0], object_hook=restore)
