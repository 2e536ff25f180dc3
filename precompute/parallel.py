"""Work on slices of rows on several threads: what is called there (numpy, ScaNN, scipy) releases the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits


def thread_count(threads: int) -> int:
    """`BuildConfig.threads` as a number: 0 means every core that this process may use."""
    if threads > 0:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    slices = [slice(first, min(first + size, n_rows)) for first in range(start, n_rows, size)]
    return run_slices(work, slices, threads)


def run_slices(work: Callable[[slice], None], slices: Sequence[slice], threads: int) -> Iterator[slice]:
    """Do `work` on slices of the rows, on several threads, and yield each finished slice, in order."""

    def do(part: slice) -> slice:
        work(part)
        return part

    pool = ThreadPoolExecutor(max_workers=threads)
    # One thread of BLAS a worker: left alone, each worker would start as many as there are cores.
    with threadpool_limits(limits=1, user_api="blas"):
        try:
            yield from pool.map(do, slices)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
