"""Scattered rows of a memory-mapped array, fast also where the disk has to be asked.

A row that the system's cache holds is read in a tenth of a microsecond. For one that it does not hold the reader waits
for the disk, and for the next one it waits again; a system that reads ahead fetches megabytes around each. Told
beforehand which rows are wanted, it fetches those alone and many at a time: 1,000 cold rows of 256 bytes among a
million take 10 to 20 ms, without a word 80 to 270 (measured on Linux 6.18, virtual disk, reading ahead 8 MiB).

To tell costs a microsecond a row, more than to read it where it is warm. Hence a few rows are read first, and the
others are asked for if one of these had to come from the disk. The system counts such reads by thread; nothing is
timed.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROBE_ROWS = 8
"""Rows that are read first, spread over all; one before the others, since each cold one is waited for."""

CAN_ASK = hasattr(mmap, "MADV_WILLNEED")
"""On Linux and macOS."""

if CAN_ASK:
    import resource

    # By thread on Linux; where the whole process is counted, another thread's reads may cost this one a few needless
    # questions.
    _WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    # Holds the interpreter's lock: where other threads are busy, to wait for it after each of a thousand calls would
    # take longer than the calls.
    _madvise = ctypes.PyDLL(None).madvise
    _madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def read_rows(stored: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Copies of some rows.

    Parameters
    ----------
    stored : ndarray of shape (n, …)
        In memory, or mapped from one file or several.
    rows : ndarray of any shape, integer
        Give them in ascending order where the file may be cold. Negative ones count from the end.

    Returns
    -------
    ndarray of shape (*rows.shape, …), dtype of `stored`

    Raises
    ------
    IndexError
        If a row does not exist.
    """
    stored = np.asarray(stored)
    if CAN_ASK and rows.size > PROBE_ROWS and _is_cold(stored, rows):
        _ask_for(stored, rows)
    return stored.take(rows, axis=0)  # twice as fast as by `stored[rows]`


def disk_reads() -> int:
    """Number of waits of this thread for the disk to read what is mapped; 0 where the system does not tell."""
    return resource.getrusage(_WHO).ru_majflt if CAN_ASK else 0


def _is_cold(stored: NDArray[Any], rows: NDArray[np.integer[Any]]) -> bool:
    spread = rows.ravel()[:: rows.size // PROBE_ROWS]
    before = disk_reads()
    stored.take(spread[:1], axis=0)
    if disk_reads() == before:
        stored.take(spread[1:PROBE_ROWS], axis=0)
    return disk_reads() > before


def _ask_for(stored: NDArray[Any], rows: NDArray[np.integer[Any]]) -> None:
    """Have the system fetch rows, without waiting for them."""
    base, step = stored.__array_interface__["data"][0], stored.strides[0]
    length = stored[:1].nbytes
    # What comes of it shows when the rows are read: a system that will not be told reads them all the same.
    for address in (base + rows.ravel().astype(np.int64) % len(stored) * step).tolist():
        before = address % mmap.PAGESIZE
        _madvise(address - before, before + length, mmap.MADV_WILLNEED)
