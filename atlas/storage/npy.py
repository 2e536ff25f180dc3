"""Arrays of one `.npy` file, mapped without asking Python's parser what their header says.

A header is a Python literal, and numpy reads it as one (`ast.literal_eval`). Up to Python 3.11.7 two threads that parse
at once may end in a SystemError (CPython, gh-106905), whoever else parses: a server that reads an index while its
routes are compiled does. Headers as numpy writes them are matched instead; any other is left to numpy.
"""

from __future__ import annotations

import math
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

from atlas.storage.mapping import as_memmap, map_pieces

_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d+)', 'fortran_order': (False|True), 'shape': \(((?:\d+, )*\d+,?|)\), \} *\n"
)
_HEADER_BYTES = 1 << 10
_MAGIC = b"\x93NUMPY\x01\x00"
_one_header = threading.Lock()


def open_npy(path: Path) -> np.memmap[Any, Any]:
    """Map an array, read only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError, OSError, EOFError
        If it is no array, truncated, or holds Python objects.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    size = int.from_bytes(start[8:10], "little")
    header = _HEADER.fullmatch(start, 10, 10 + size) if start.startswith(_MAGIC) else None
    if header is None or len(start) < 10 + size:
        with _one_header:
            return np.lib.format.open_memmap(path, mode="r")
    shape = tuple(int(length) for length in header[3].decode().split(",") if length.strip())
    dtype = np.dtype(header[1].decode())
    offset, held = 10 + size, path.stat().st_size
    end = offset + math.prod(shape) * dtype.itemsize
    if held < end:
        raise ValueError(f"{path} is truncated: {held} bytes of {end}")
    return as_memmap(
        map_pieces([(path, 0)], held), dtype, offset, shape, order="F" if header[2] == b"True" else "C", path=path
    )
