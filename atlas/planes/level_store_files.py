"""The files of a level store, and how they are written. What they mean: `atlas.planes.level_store`.

cell.npy        uint32 (m,)   cell of each point in the finest division of the plane, ascending
row.npy         uint32 (m,)   row of each point in the atlas; rows of one cell ascend
position.npy    uint32 (n,)   where each row stands in the two files above; ABSENT for a row without a position
starts.npy      uint32        where each cell of a coarser division starts: counts without a search
levels.npy      uint32        positions of all points of level k and above, ascending, for falling k

A store is of a range of the atlas's rows: of all that a build began with, or of those that were appended to it at
once (`atlas.planes.segments`). So n is the length of that range, and `position` begins with its first row.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.parallel import in_threads
from atlas.planes.sampling import level_of, row_hash
from atlas.storage.arrays import chunks, create_array

CELL = "cell.npy"
ROW = "row.npy"
POSITION = "position.npy"
STARTS = "starts.npy"
LEVELS = "levels.npy"

ABSENT = 2**32 - 1
FIRST_STORED_LEVEL = 2
SHORTEST_LIST = 4096  # about; shorter ones would save nothing
POINTS_PER_START = 3  # `starts.npy` has at most one entry per this many points

H = TypeVar("H", bound=msgspec.Struct)


class StoreHeader(msgspec.Struct, frozen=True):
    """Header of a store.

    Attributes
    ----------
    n_rows, n_points : int
        Rows of the store, and how many of them have a position.
    seed : int
        Seed of the levels.
    roots, depth : int
        Cells at the top, and how often they are divided in four.
    start_depth : int
        The division that `starts.npy` counts.
    list_sizes : list of int
        Number of points of each stored list, each about half as large as the next.
    first_row : int
        Row of the atlas that the store begins with; it ends before first_row + n_rows.
    """

    n_rows: int
    n_points: int
    seed: int
    roots: int
    depth: int
    start_depth: int
    list_sizes: list[int]
    first_row: int = 0


def write_store(
    directory: Path,
    cells: NDArray[np.uint32],
    present: NDArray[np.bool_],
    *,
    roots: int,
    depth: int,
    seed: int,
    first_row: int = 0,
    advance: Callable[[int], object] = lambda _: None,
) -> StoreHeader:
    """Write the files of a store.

    Needs about 16 bytes a row of memory while it runs, those of `cells` included.

    Parameters
    ----------
    directory : Path
        Exists.
    cells : ndarray of shape (n,), uint32
        Cell of each row of the store in the finest division.
    present : ndarray of shape (n,), bool
        Rows with a position; at least one.
    roots, depth : int
        The division.
    seed : int
        Seed of the levels, the same for all stores of an atlas.
    first_row : int
        Row of the atlas that the store begins with.
    advance : callable
        Told the points of each part that is done.

    Returns
    -------
    StoreHeader
        To be kept by the caller and given to `LevelStore`.
    """
    # Cell and row in one number: sorting it needs no index array, and equal cells come out in the same order anywhere.
    keys = cells.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(first_row, first_row + cells.size, dtype=np.uint32)
    if not present.all():
        keys = keys[present]
    keys.sort()
    start_depth = finest_starts(keys.size, roots, depth)
    highest = int(np.ceil(np.log2(max(keys.size / SHORTEST_LIST, 1))))
    listed: dict[int, list[NDArray[np.uint32]]] = {k: [] for k in range(highest, FIRST_STORED_LEVEL - 1, -1)}

    cell = create_array(directory / CELL, np.uint32, keys.size)
    row = create_array(directory / ROW, np.uint32, keys.size)
    position = create_array(directory / POSITION, np.uint32, cells.size)
    position[:] = ABSENT

    def arrange(part: slice) -> dict[int, NDArray[np.uint32]]:
        cell[part] = keys[part] >> np.uint64(32)
        row[part] = keys[part] & np.uint64(0xFFFFFFFF)
        position[row[part] - np.uint32(first_row)] = np.arange(part.start, part.stop, dtype=np.uint32)
        level = level_of(row_hash(row[part], seed))
        found = (part.start + np.flatnonzero(level >= FIRST_STORED_LEVEL)).astype(np.uint32)
        level = level[found - np.uint32(part.start)]
        return {k: found[level >= k] for k in listed}

    for part, found in zip(chunks(keys.size), in_threads(arrange, chunks(keys.size)), strict=True):
        for k, members in listed.items():
            members.append(found[k])
        advance(part.stop - part.start)

    starts = create_array(directory / STARTS, np.uint32, roots * 4**start_depth + 1)
    find_starts(cell, depth - start_depth, starts)
    lists = [np.concatenate(members) for members in listed.values()]
    np.save(directory / LEVELS, np.concatenate([np.empty(0, dtype=np.uint32), *lists]), allow_pickle=False)
    list_sizes = [members.size for members in lists]
    return StoreHeader(cells.size, keys.size, seed, roots, depth, start_depth, list_sizes, first_row)


def read_header(path: Path, kind: type[H]) -> H:
    """The header of a store's owner; FormatError if it cannot be read or is another's."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def find_starts(cell: NDArray[np.uint32], finer: int, starts: NDArray[np.uint32]) -> None:
    """Fill in where each cell of a division starts, and where the last one ends.

    Parameters
    ----------
    cell : ndarray of shape (m,), uint32
        Cell of each point in the finest division, ascending.
    finer : int
        How often the cells of the division are divided in four down to there.
    starts : ndarray of shape (cells + 1,), uint32
        To be filled.
    """
    for part in chunks(starts.size - 1):
        first = np.arange(part.start, part.stop, dtype=np.int64) << 2 * finer
        starts[part] = np.searchsorted(cell, first.astype(np.uint32))
    starts[-1] = cell.size


def finest_starts(n_points: int, roots: int, depth: int) -> int:
    """The finest division with at most one cell per POINTS_PER_START points."""
    finest = 0
    while finest < depth and roots * 4 ** (finest + 1) * POINTS_PER_START <= n_points:
        finest += 1
    return finest
