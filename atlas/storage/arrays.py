"""Arrays on disk: opened, created, gone through in chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError, shorten
from atlas.storage.appended_array import open_continued, part_paths
from atlas.storage.npy import open_npy

CHUNK = 1 << 20


def open_array(path: Path, *, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> NDArray[Any]:
    """Open an array memory-mapped, with the parts in which it goes on (`atlas.storage.appended_array`), after checking
    that headers, sizes and expectation agree.

    Raises
    ------
    FormatError
        If the file is missing, truncated, foreign, or not of the expected shape or dtype.
    """
    try:
        parts = part_paths(path)
        array: NDArray[Any] = open_continued(path, parts) if parts else open_npy(path)
    except FileNotFoundError as e:
        raise FormatError(f"{path} is missing") from e
    except (ValueError, OSError, EOFError) as e:
        raise FormatError(f"{path} is truncated or not an array: {shorten(e, 160)}") from e
    if shape is not None and array.shape != shape:
        raise FormatError(f"{path} has shape {array.shape}, expected {shape}")
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise FormatError(f"{path} has dtype {array.dtype}, expected {dtype}")
    return array


def open_vector(path: Path, dtype: Any, size: int) -> NDArray[Any]:
    """As `open_array`, for one dimension, without the subclass of memory maps, whose indexing is slower."""
    return np.asarray(open_array(path, shape=(size,), dtype=dtype))


def create_array(path: Path, dtype: Any, size: int) -> NDArray[Any]:
    """A new one-dimensional array on disk, to be filled in chunks."""
    return np.asarray(np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(size,)))


def chunks(size: int, step: int = CHUNK) -> list[slice]:
    """Slices of `step` entries that cover an array of `size`."""
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]
