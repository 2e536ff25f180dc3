"""What the cache holds: exact values back, no pickle, keys that cannot collide."""

from __future__ import annotations

import math
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from dashboard.cache.codec import MAGIC, CorruptEntryError, decode, encode
from dashboard.cache.results import Cached, cache_key
from dashboard.settings import Settings

from .cached_values import same


def plant(settings: Settings, cached: Cached, name: str, data: bytes) -> None:
    """Overwrite the stored bytes of an entry, keeping the end time of a file."""
    if settings.cache_type == "RedisCache":
        redis.Redis.from_url(settings.redis_url).set(f"galaxy-finder:{name}", data)
    else:
        [path] = (settings.cache_dir / "entries").iterdir()
        path.write_bytes(path.read_bytes()[:4] + data)


# ---------------------------------------------------------------- values

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()


trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5).filter(lambda k: not k.startswith("$")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(trees)
def test_values_come_back_equal_and_of_the_same_type(value: object) -> None:
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(20)[::3],
        np.array(3.5),
        np.zeros((0, 4), np.uint32),
        np.array([np.nan, -np.inf, -0.0]),
        np.array(["spiral", "ring"]),
        np.array([(1, 2.0)], dtype=[("row", "u4"), ("score", "f4")]),
        np.packbits(np.arange(1000) % 3 == 0, bitorder="little"),
    ],
    ids=str,
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray) -> None:
    back = decode(encode({"a": [array, b"\x00\xff"]}))["a"][0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1, 2},
        {1: "a"},
        {"$npy": 0},
        np.int64(3),
        np.float64(3.0),
        np.bool_(True),
        np.array([None]),
        np.ma.masked_array([1, 2], [True, False]),
        1 + 2j,
        Text("a"),
        Path("a"),
        print,
    ],
    ids=repr,
)
def test_a_value_that_would_come_back_changed_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"value\['rows'\]\[1\] (is a|has the key) "):
        encode({"rows": [0, value]})


@given(st.binary(max_size=200))
def test_foreign_bytes_are_an_error_of_one_kind(data: bytes) -> None:
    forged = MAGIC + struct.pack("<I", zlib.crc32(data)) + data
    for foreign in (data, forged):
        with pytest.raises(CorruptEntryError):
            decode(foreign)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_or_a_cut_anywhere_is_noticed(position: int, change: int) -> None:
    data = bytearray(encode({"mask": np.arange(50, dtype=np.uint8), "count": 7}))
    position %= len(data)
    with pytest.raises(CorruptEntryError):
        decode(bytes(data[:position]))
    data[position] ^= change
    with pytest.raises(CorruptEntryError):
        decode(bytes(data))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "planted",
    [b"", b"\x00", pickle.dumps(Bomb()), b"!" + pickle.dumps(Bomb()), encode([1])[:-1], b"GFC1" + bytes(40), b"7"],
    ids=["empty", "one byte", "pickle", "redis pickle", "truncated", "zeros", "number"],
)
def test_a_planted_or_damaged_entry_is_a_miss_and_is_replaced(
    planted: bytes, settings: Settings, cached: Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cached.get_or_compute("a", lambda: "first")
    plant(settings, cached, "a", planted)
    assert cached.get_or_compute("a", lambda: "second") == ("second", False)
    assert cached.get_or_compute("a", lambda: "third") == ("second", True)
    assert not (tmp_path / "executed").exists()


def test_a_damaged_entry_is_removed_even_when_nothing_replaces_it(file_settings: Settings) -> None:
    cached = Cached(Flask("test"), file_settings)
    cached.get_or_compute("a", lambda: 1)
    [path] = (file_settings.cache_dir / "entries").iterdir()
    path.write_bytes(b"")
    with pytest.raises(ZeroDivisionError):
        cached.get_or_compute("a", lambda: 1 / 0)
    assert not path.exists()


# ---------------------------------------------------------------- keys

keys = leaves.filter(lambda value: not isinstance(value, float) or math.isfinite(value))  # others are refused


primitives = st.recursive(keys, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@given(primitives, primitives)
def test_keys_are_equal_exactly_when_values_are(a: object, b: object) -> None:
    assert cache_key("build", "kind", a) == cache_key("build", "kind", a)
    assert (cache_key("build", "kind", a) == cache_key("build", "kind", b)) == (same_primitive(a, b))


def same_primitive(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same_primitive, a, b))
    return type(a) is type(b) and (a, str(a)) == (b, str(b))  # 0.0 and -0.0 may differ: that costs a miss, no more


def test_build_kind_and_position_are_part_of_the_key() -> None:
    keys = [("a", "b", "c"), ("b", "a", "c"), ("a", "bc"), ("ab", "c"), ("a", "b", "c", None), ("a", "b", ("c",))]
    assert len({cache_key(*key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    "value", [np.arange(3), np.int64(1), np.float64(1), {"a": 1}, {1}, object, Text("a")], ids=repr
)
def test_what_has_no_canonical_form_is_refused_as_a_key(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be part of a cache key"):
        cache_key("build", "kind", (1, value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_floats_that_are_no_numbers_are_refused_as_keys(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be part of a cache key"):
        cache_key("build", "kind", value)


def test_new_code_does_not_read_what_old_code_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key("build", "kind", 1)
    monkeypatch.setattr("dashboard.cache.results.code_version", lambda: "other")
    assert cache_key("build", "kind", 1) != before
