"""Passes over all rows on two threads.

numpy's and shapely's loops over a chunk release the GIL, so two chunks are worked on at a time. No more than two: a
pass shares the machine with the other requests of the page.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")

THREADS = min(2, os.cpu_count() or 1)


def in_threads(work: Callable[[Part], Done], parts: Iterable[Part]) -> Iterator[Done]:
    """As `map(work, parts)`, in the order of the parts, on THREADS threads.

    The calls must not depend on each other. Parts are taken as they are needed, and few results wait to be fetched.
    Where a call fails, or the caller stops listening, those not begun are dropped.
    """
    parts = iter(parts)
    begun = list(islice(parts, 2))
    if len(begun) < 2:
        yield from map(work, begun)  # small atlases never wait for a thread to start
        return
    # A pool of its own: threads that outlive the call would be lost in a fork.
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[Future[Done]] = deque()
    try:
        for part in chain(begun, parts):
            waiting.append(pool.submit(work, part))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
