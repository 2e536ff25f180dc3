"""Passes over all rows on two threads.

numpy's and shapely's loops over a chunk release the GIL, so two chunks are worked on at a time. No more than two: a
pass shares the machine with the other requests of the page.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain, islice
from typing import TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")

THREADS = min(2, os.cpu_count() or 1)


_watch: ContextVar[Callable[[float], object]] = ContextVar("watch", default=lambda share: None)


@contextmanager
def watched(tell: Callable[[float], object]) -> Iterator[None]:
    """Have each pass of this thread tell what share of itself it has just done; what `tell` raises ends the pass.

    So work of many passes can be followed and cancelled without a parameter through all that leads to them.
    """
    token = _watch.set(tell)
    try:
        yield
    finally:
        _watch.reset(token)


def passed(share: float) -> None:
    """Tell whoever watches this thread that another share of a pass is done; 0.0 where it merely waits."""
    _watch.get()(share)


def in_threads(work: Callable[[Part], Done], parts: Iterable[Part]) -> Iterator[Done]:
    """As `map(work, parts)`, in the order of the parts, on THREADS threads.

    The calls must not depend on each other. Parts are taken as they are needed, and few results wait to be fetched.
    Where a call fails, or the caller stops listening, those not begun are dropped.
    """
    share = 1 / max(1, len(parts)) if isinstance(parts, Sized) else 0.0
    tell = _watch.get()
    parts = iter(parts)
    begun = list(islice(parts, 2))
    if len(begun) < 2:
        for part in begun:  # small atlases never wait for a thread to start
            done = work(part)
            tell(share)
            yield done
        return
    # A pool of its own: threads that outlive the call would be lost in a fork.
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[Future[Done]] = deque()

    def next_done() -> Done:
        done = waiting.popleft().result()
        tell(share)
        return done

    try:
        for part in chain(begun, parts):
            waiting.append(pool.submit(work, part))
            if len(waiting) > THREADS:
                yield next_done()
        while waiting:
            yield next_done()
    finally:
        pool.shutdown(cancel_futures=True)
