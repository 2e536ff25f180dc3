"""Arrays that go on in further files, and are one array to whoever reads them.

    ra.npy      rows of the first build, header and all
    ra.npy.1    how the file goes on with the rows that were appended first
    ra.npy.2    … and second

Appended rows must not cost a copy of those before them, and no query should have to know that they were appended. So
the pages of the files are mapped one after the other into one range of addresses: what comes of it is an ordinary
array, as fast as one of a single file.

Pages begin at multiples of `CUT_BYTES`, rows do not. Hence the file that the array would be is cut at such multiples:
a part begins at the last one before the end of what it goes on from, and repeats the few bytes between.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.storage.mapping import as_memmap, map_pieces
from atlas.storage.npy import open_npy

CUT_BYTES = 1 << 16
"""A multiple of the page size of every platform (4, 16 or 64 KiB), so that atlases can move between them."""


def part_path(path: Path, number: int) -> Path:
    """File in which an array goes on with the rows of a segment, counted from 1."""
    return path.with_name(f"{path.name}.{number}")


def part_paths(path: Path) -> list[Path]:
    """The files in which an array goes on, in order; usually none."""
    parts: list[Path] = []
    while (part := part_path(path, len(parts) + 1)).exists():
        parts.append(part)
    return parts


def is_part(path: Path) -> bool:
    """Whether a file is one in which an array goes on."""
    return bool(re.fullmatch(r"\.[1-9][0-9]*", path.suffix)) and Path(path.stem).suffix == ".npy"


def open_continued(path: Path, parts: Sequence[Path]) -> np.memmap[Any, Any]:
    """Map an array and the parts in which it goes on as one.

    Parameters
    ----------
    path : Path
        A `.npy` file.
    parts : sequence of Path
        As `part_paths` returns them; at least one.

    Returns
    -------
    memmap of shape (n, …)
        Read only; n counts the rows of all files.

    Raises
    ------
    FormatError
        If a part does not go on from what is before it, or the rows do not come out even.
    ValueError, OSError
        If the first file is no array or a file cannot be read.
    """
    first = open_npy(path)
    if first.flags.f_contiguous and first.ndim > 1 and not first.flags.c_contiguous:
        raise FormatError(f"{path} is stored column by column and cannot go on in {parts[0].name}")
    pieces = [(path, 0)]
    end = path.stat().st_size
    for part in parts:
        start = end - end % CUT_BYTES
        size = part.stat().st_size
        if start + size < end:
            raise FormatError(f"{part} is truncated: {size} bytes, {end - start} of them repeat what is before")
        pieces.append((part, start))
        end = start + size
    row_bytes = first.strides[0]
    n_rows, odd = divmod(end - first.offset, row_bytes)
    if odd:
        raise FormatError(f"{parts[-1]} ends inside a row: {odd} bytes of {row_bytes}")
    return as_memmap(map_pieces(pieces, end), first.dtype, first.offset, (n_rows, *first.shape[1:]), path=path)


def write_part(path: Path, number: int, rows: NDArray[Any], chunk_bytes: int = 1 << 24) -> Path:
    """Write how an array goes on with the rows of a segment; the files before stay as they are.

    Parameters
    ----------
    path : Path
        The array's first file; parts up to `number` − 1 exist.
    number : int
        Of the segment, from 1.
    rows : ndarray of shape (m, …)
        Of the array's dtype; may be memory-mapped.

    Returns
    -------
    Path
        The new file, there as a whole or not at all.
    """
    before = [path, *(part_path(path, k) for k in range(1, number))]
    end = 0
    for piece in before:
        end = end - end % CUT_BYTES + piece.stat().st_size
    target = part_path(path, number)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with before[-1].open("rb") as last, scratch.open("wb") as f:
        last.seek(-(end % CUT_BYTES), os.SEEK_END)
        f.write(last.read())
        step = max(1, chunk_bytes // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            f.write(np.ascontiguousarray(rows[start : start + step]).data)
        f.flush()
        os.fsync(f.fileno())
    scratch.replace(target)
    return target
