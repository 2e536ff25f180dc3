"""The cache: one computation for equal calls, files that stay bounded, and nothing lost without them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flask import Flask

from atlas.errors import ResourceError
from dashboard.cache.results import Cached
from dashboard.settings import Settings, environment, load

ROOT = Path(__file__).parents[4]


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
