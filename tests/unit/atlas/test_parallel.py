"""Passes on two threads keep their order, take parts as they go, and stop when they should."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from atlas.parallel import THREADS, in_threads, watched


def test_results_come_in_the_order_of_the_parts() -> None:
    def work(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(in_threads(work, range(20))) == [i * i for i in range(20)]
    assert list(in_threads(work, [])) == []


def test_parts_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def parts() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    running = in_threads(lambda i: i, parts())
    assert [next(running) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + THREADS + 1


def test_a_failure_is_raised_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    done: list[int] = []

    def work(i: int) -> None:
        if i == 5:
            raise ValueError("five")
        done.append(i)

    with pytest.raises(ValueError, match="five"):
        list(in_threads(work, range(1000)))
    assert len(done) < 20
    assert threading.active_count() == before


@pytest.mark.parametrize("parts", [1, 7])
def test_whoever_watches_is_told_what_is_done_and_may_end_it(parts: int) -> None:
    told: list[float] = []
    with watched(told.append):
        assert len(list(in_threads(lambda i: i, range(parts)))) == parts
    assert len(told) == parts and sum(told) == pytest.approx(1)

    def end(_: float) -> None:
        raise KeyboardInterrupt

    with watched(end), pytest.raises(KeyboardInterrupt):
        list(in_threads(lambda i: i, range(parts)))
    assert list(in_threads(lambda i: i, range(parts))) == list(range(parts)), "nobody watches outside the block"
