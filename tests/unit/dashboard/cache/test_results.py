"""The cache: exact values back, no pickle, one computation for equal calls, keys that cannot collide."""

from __future__ import annotations

import math
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import ResourceError
from dashboard.cache.codec import MAGIC, CorruptEntryError, decode, encode
from dashboard.cache.results import Cached, cache_key
from dashboard.settings import Settings, environment, load

ROOT = Path(__file__).parents[4]


@pytest.fixture
def file_settings(tmp_path: Path) -> Settings:
    return load({}, cache_dir=tmp_path / "cache", cache_wait_s=20)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "socket"
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            assert time.monotonic() < deadline, "redis-server did not start"
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(path))
                break
            except OSError:
                time.sleep(0.02)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(params=["file", "redis"])
def settings(request: pytest.FixtureRequest, file_settings: Settings) -> Settings:
    """Both back ends meet every test that asks for this."""
    if request.param == "file":
        return file_settings
    url = request.getfixturevalue("redis_url")
    return load({}, cache_type="RedisCache", redis_url=url, cache_wait_s=20)


@pytest.fixture
def cached(settings: Settings) -> Cached:
    cached = Cached(Flask("test"), settings)
    cached.clear()
    return cached


def plant(settings: Settings, cached: Cached, name: str, data: bytes) -> None:
    """Overwrite the stored bytes of an entry, keeping the end time of a file."""
    if settings.cache_type == "RedisCache":
        redis.Redis.from_url(settings.redis_url).set(f"galaxy-finder:{name}", data)
    else:
        [path] = (settings.cache_dir / "entries").iterdir()
        path.write_bytes(path.read_bytes()[:4] + data)


class Counter:
    """Counts how often it was called; slow enough for others to arrive."""

    def __init__(self, value: object, seconds: float = 0.0) -> None:
        self.value, self.seconds, self.calls = value, seconds, 0

    def __call__(self) -> Any:
        self.calls += 1
        time.sleep(self.seconds)
        return self.value


def in_threads(n: int, call: Callable[[], Any]) -> list[Any]:
    """Results or exceptions of n simultaneous calls."""
    barrier = threading.Barrier(n)
    results: list[Any] = [None] * n

    def run(i: int) -> None:
        barrier.wait()
        try:
            results[i] = call()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


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


def same(a: object, b: object) -> bool:
    """Equal in value and in type, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


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


# ---------------------------------------------------------------- single flight


def test_a_value_is_computed_once_and_then_read(cached: Cached) -> None:
    mask = np.packbits(np.arange(100_000) % 7 == 0, bitorder="little")
    compute = Counter({"mask": mask, "count": 14_286})
    first, hit = cached.get_or_compute(("build", "mask", 1), compute)
    again, hit_again = cached.get_or_compute(("build", "mask", 1), compute)
    assert (hit, hit_again, compute.calls) == (False, True, 1)
    np.testing.assert_array_equal(again["mask"], mask)
    assert again["count"] == first["count"]


def test_none_is_a_value_like_any_other(cached: Cached) -> None:
    compute = Counter(None)
    assert cached.get_or_compute("none", compute) == (None, False)
    assert cached.get_or_compute("none", compute) == (None, True)
    assert compute.calls == 1


def test_sixteen_equal_calls_at_once_compute_once(cached: Cached) -> None:
    compute = Counter({"rows": [1, 2, 3]}, seconds=0.2)
    results = in_threads(16, lambda: cached.get_or_compute("same", compute))
    assert compute.calls == 1
    assert [value for value, _ in results] == [{"rows": [1, 2, 3]}] * 16
    assert [hit for _, hit in results].count(False) == 1


def test_different_keys_do_not_wait_for_each_other(cached: Cached) -> None:
    inside = threading.Barrier(4)  # breaks unless all four are computing at the same moment
    names = iter("abcd")
    results = in_threads(4, lambda: cached.get_or_compute(next(names), lambda: inside.wait(10) >= 0))
    assert [value for value, _ in results] == [True] * 4


def test_a_computation_may_use_the_cache_itself(cached: Cached) -> None:
    def outer() -> int:
        return cached.get_or_compute("inner", lambda: 20)[0] + 1

    assert cached.get_or_compute("outer", outer) == (21, False)


def test_an_error_reaches_every_waiter_and_is_not_kept(cached: Cached) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        time.sleep(0.2)
        raise ZeroDivisionError("no galaxies")

    results = in_threads(8, lambda: cached.get_or_compute("bad", fail))
    assert [type(result) for result in results] == [ZeroDivisionError] * 8
    assert len(calls) == 1
    assert cached.get_or_compute("bad", lambda: 5) == (5, False)


def test_a_value_that_cannot_be_stored_is_an_error_and_not_a_silent_loss(cached: Cached) -> None:
    with pytest.raises(TypeError, match=r"numpy\.int64"):
        cached.get_or_compute("numpy", lambda: {"count": np.int64(3)})


def test_a_waiter_gives_up_after_its_patience(settings: Settings) -> None:
    cached = Cached(Flask("test"), msgspec.structs.replace(settings, cache_wait_s=1))
    cached.clear()
    entered, release = threading.Event(), threading.Event()

    def compute() -> bool:
        entered.set()
        return release.wait(20)

    leader = threading.Thread(target=cached.get_or_compute, args=("slow", compute))
    leader.start()
    assert entered.wait(20)
    try:
        with pytest.raises(ResourceError, match="still under way after 1 s"):
            cached.get_or_compute("slow", lambda: 1)
    finally:
        release.set()
        leader.join()


WORKER = """
import sys, time
from pathlib import Path
from flask import Flask
from dashboard.cache.results import Cached
from dashboard.settings import load

folder = Path(sys.argv[1])
cached = Cached(Flask("worker"), load())

def compute():
    with (folder / "computed").open("a") as f:
        f.write("x")
    time.sleep(float(sys.argv[2]))
    return {"rows": [1, 2]}

print("ready", flush=True)
sys.stdin.readline()
print(cached.get_or_compute("shared", compute))
"""


def start_workers(n: int, settings: Settings, folder: Path, seconds: float) -> list[subprocess.Popen[str]]:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(seconds)],
            env={**os.environ, **environment(settings), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(n)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    return workers


def test_equal_calls_in_several_processes_compute_once(settings: Settings, cached: Cached, tmp_path: Path) -> None:
    workers = start_workers(3, settings, tmp_path, 0.3)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = sorted(worker.communicate(timeout=30)[0].strip() for worker in workers)
    assert (tmp_path / "computed").read_text() == "x"
    assert outputs == ["({'rows': [1, 2]}, False)"] + ["({'rows': [1, 2]}, True)"] * 2


def test_a_killed_process_does_not_hold_its_lock(file_settings: Settings, tmp_path: Path) -> None:
    cached = Cached(Flask("test"), file_settings)
    [worker] = start_workers(1, file_settings, tmp_path, 60)
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    deadline = time.monotonic() + 20
    while not (tmp_path / "computed").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    worker.kill()
    worker.communicate()
    assert cached.get_or_compute("shared", lambda: "mine") == ("mine", False)


def test_without_redis_results_are_computed_and_not_lost(tmp_path: Path) -> None:
    cached = Cached(Flask("test"), load({}, cache_type="RedisCache", redis_url=f"unix://{tmp_path}/nothing"))
    assert cached.get_or_compute("a", lambda: 1) == (1, False)
    assert cached.get_or_compute("a", lambda: 2) == (2, False)


def test_without_its_folder_results_are_computed_and_not_lost(file_settings: Settings) -> None:
    cached = Cached(Flask("test"), file_settings)
    shutil.rmtree(file_settings.cache_dir)
    assert cached.get_or_compute("a", lambda: 1) == (1, False)


# ---------------------------------------------------------------- files


def test_the_cache_folder_is_ours_alone(file_settings: Settings) -> None:
    Cached(Flask("test"), file_settings).get_or_compute("a", lambda: 1)
    for path in (file_settings.cache_dir, *file_settings.cache_dir.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0
    file_settings.cache_dir.chmod(0o750)
    with pytest.raises(ResourceError, match=r"mode 0750.*GALAXY_FINDER_CACHE_DIR"):
        Cached(Flask("test"), file_settings)


def test_a_link_or_a_file_is_no_cache_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "file/below"):
        with pytest.raises(ResourceError, match="cache"):
            Cached(Flask("test"), load({}, cache_dir=tmp_path / name))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    os.chown(tmp_path / "cache", 12345, -1)
    with pytest.raises(ResourceError, match="user 12345"):
        Cached(Flask("test"), load({}, cache_dir=tmp_path / "cache"))


def test_files_stay_bounded_by_number_and_what_was_used_lately_stays(tmp_path: Path) -> None:
    cached = Cached(Flask("test"), load({}, cache_dir=tmp_path / "cache", cache_entries=40))
    cached.get_or_compute("used", lambda: 0)
    for i in range(200):
        cached.get_or_compute(f"{i}", lambda i=i: i)
        time.sleep(0.001)  # modification times that differ
        cached.get_or_compute("used", lambda: 1)
        assert len(list((tmp_path / "cache" / "entries").iterdir())) <= 40 + 2
    assert cached.get_or_compute("used", lambda: 2) == (0, True)
    assert cached.get_or_compute("199", lambda: -1) == (199, True)
    assert cached.get_or_compute("0", lambda: -1) == (-1, False)


def test_files_stay_bounded_by_bytes_also_those_of_an_earlier_process(tmp_path: Path) -> None:
    def total() -> int:
        return sum(path.stat().st_size for path in (tmp_path / "cache" / "entries").iterdir())

    settings = load({}, cache_dir=tmp_path / "cache", cache_bytes=1_000_000)
    for _ in range(3):
        cached = Cached(Flask("test"), settings)
        for _ in range(8):
            cached.get_or_compute(os.urandom(8).hex(), lambda: bytes(200_000))
            assert total() <= 1_000_000


def test_scratch_files_of_killed_writers_are_cleared_away(file_settings: Settings) -> None:
    cached = Cached(Flask("test"), file_settings)
    old, fresh = (file_settings.cache_dir / "entries" / f"{name}.__wz_cache" for name in ("old", "fresh"))
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    fresh.write_bytes(b"")
    cached.get_or_compute("a", lambda: 1)
    assert not old.exists()
    assert fresh.exists()


def test_an_entry_ends_with_its_time(cached: Cached) -> None:
    cached.get_or_compute("a", lambda: 1, timeout=1)
    time.sleep(2.1)
    assert cached.get_or_compute("a", lambda: 2) == (2, False)


def test_no_lock_file_is_left_behind(file_settings: Settings) -> None:
    cached = Cached(Flask("test"), file_settings)
    in_threads(8, lambda: cached.get_or_compute("a", Counter(1, 0.05)))
    assert list((file_settings.cache_dir / "locks").iterdir()) == []


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
