"""Files mapped into memory without staying open.

Python's own mapping keeps a descriptor of its file for as long as it lives. An atlas maps some files a column, so that
a survey of a thousand columns would meet the limit on open files (1,024 by default), and whatever waits by `select()`,
which knows no higher number, would stop: pages of files are mapped over a reservation instead, and the files closed.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

_MAP_FIXED = 0x10  # Linux, macOS and the BSDs agree


def map_pieces(pieces: Sequence[tuple[Path, int]], size: int) -> mmap.mmap:
    """One range of addresses made of files, read only.

    Parameters
    ----------
    pieces : sequence of (Path, int)
        Each file and where it starts, in bytes, a multiple of a page's; it goes on until the next one starts.
    size : int
        Of the whole, in bytes, at least 1.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    reserved = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
    address = np.frombuffer(reserved, dtype=np.uint8).ctypes.data
    for path, start in pieces:
        _map_over(address + start, path, size - start)
    return reserved


def as_memmap(
    mapped: mmap.mmap, dtype: DTypeLike, offset: int, shape: tuple[int, ...], *, order: str = "C", path: Path
) -> np.memmap[Any, Any]:
    """An array over mapped bytes, as numpy makes one of a mapping of its own; it unmaps them when it goes."""
    array = np.ndarray.__new__(np.memmap, shape, dtype, mapped, offset, order=order)  # type: ignore[arg-type]
    array.offset, array.mode, array.filename = offset, "r", str(path)
    array._mmap = mapped  # type: ignore[attr-defined]
    return array


def _map_over(address: int, path: Path, room: int) -> None:
    """Map a file over pages that this process has reserved, which Python's own `mmap` cannot be asked for."""
    handle = os.open(path, os.O_RDONLY)
    try:
        size = min(os.fstat(handle).st_size, room)
        mapped = _libc_mmap()(address, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, handle, 0)
    finally:
        os.close(handle)
    if mapped != address:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))


@lru_cache(maxsize=1)
def _libc_mmap() -> Any:
    function = ctypes.CDLL(None, use_errno=True).mmap
    function.restype = ctypes.c_void_p
    function.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64
    )  # fmt: skip
    return function
