"""Work on slices of rows on several threads: what is called there (numpy, ScaNN, scipy) releases the GIL.

Passes over all rows do not know who works on their chunks: `Workers` are threads of this process, or those of other
machines (`precompute.cluster`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from threadpoolctl import threadpool_limits

Told = TypeVar("Told")
Found = TypeVar("Found")

AHEAD = 4
"""Chunks for each thread that are begun before the first of them is taken: none waits for a slow one."""


class Workers(Protocol):
    """Whoever does the chunks of a pass.

    Attributes
    ----------
    scratch : Path or None
        Folder for files that `work` reads beside those of the build; None where any will do.
    """

    @property
    def scratch(self) -> Path | None: ...

    def map(self, work: Callable[[Told], Found], chunks: Iterable[Told]) -> Iterator[Found]:
        """As the builtin `map`, in order. Calls may run at once, and the chunks are taken as they are needed.

        Parameters
        ----------
        work : callable
            Depends on nothing but what it is told, and changes nothing. Where it may be called on another machine it is
            a function of a module, or a `partial` of one with arguments that can travel.
        chunks : iterable
            What each call is told.
        """


class Threads:
    """Workers in this process.

    Parameters
    ----------
    count : int
        At least 1.
    """

    scratch: Path | None = None

    def __init__(self, count: int) -> None:
        self.count = count

    def map(self, work: Callable[[Told], Found], chunks: Iterable[Told]) -> Iterator[Found]:
        """See `Workers.map`."""
        pool = ThreadPoolExecutor(max_workers=self.count)
        waiting: deque[Future[Found]] = deque()
        # One thread of BLAS a worker: left alone, each worker would start as many as there are cores.
        with threadpool_limits(limits=1, user_api="blas"):
            try:
                for chunk in chunks:
                    waiting.append(pool.submit(work, chunk))
                    if len(waiting) >= AHEAD * self.count:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def thread_count(threads: int) -> int:
    """`BuildConfig.threads` as a number: 0 means every core that this process may use."""
    if threads > 0:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slices_of(n_rows: int, size: int, start: int = 0) -> list[slice]:
    """Slices of `size` rows from `start` on, the last one shorter."""
    return [slice(first, min(first + size, n_rows)) for first in range(start, n_rows, size)]


def run_chunks(
    work: Callable[[slice], None], n_rows: int, size: int, threads: int, *, start: int = 0
) -> Iterator[slice]:
    """Do `work` on slices of the rows and yield each finished slice, in order.

    Parameters
    ----------
    work : callable
        Handles one slice; calls for different slices may run at once.
    n_rows, size : int
        Rows in all, and in one slice.
    threads : int
        Workers; at least 1.
    start : int
        First row, for a pass that goes on where an earlier one ended.
    """
    return run_slices(work, slices_of(n_rows, size, start), threads)


def run_slices(work: Callable[[slice], None], slices: Sequence[slice], threads: int) -> Iterator[slice]:
    """Do `work` on slices of the rows, on several threads, and yield each finished slice, in order."""

    def do(part: slice) -> slice:
        work(part)
        return part

    return Threads(threads).map(do, slices)
