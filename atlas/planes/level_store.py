"""The level store: the points of a plane, so arranged that a view of any part of it costs the same whatever n.

The plane is divided into `roots` cells, each divided in four again and again, `depth` times. Cells are numbered so
that the children of cell c are 4 c … 4 c + 3: Morton order on the map, nested HEALPix on the sky. So every cell of
every division is one run of positions.

Everything else is an ascending list of positions: the rows of a mask, or a random part of all points, each list half
as large as the next (those with at least so many leading zero bits in their hash, see `atlas.planes.sampling`). What a
list has in a cell is found by two binary searches. One walk through the division (`LevelStore.cover`) therefore serves
counts, samples, polygons and filters alike.

An atlas has one store of a plane, or several where rows were appended, each with the rows of one range. What is here
speaks of one store; how answers of several become one, samples among them: `atlas.planes.segments`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.planes.level_store_files import (
    ABSENT,
    CELL,
    FIRST_STORED_LEVEL,
    LEVELS,
    POSITION,
    ROW,
    STARTS,
    StoreHeader,
    find_starts,
)
from atlas.planes.region import CROSSING, INSIDE, OUTSIDE
from atlas.planes.sampling import level_of, row_hash
from atlas.recent import PerMask
from atlas.storage.arrays import chunks, open_vector

TOP_CELLS = 1024  # a walk begins with at most so many cells: asking about them at once is faster than step by step
LEAF_ROWS = 32  # a cell across an edge is divided while it holds more points

Positions = NDArray[np.int64]


class StoreQuery(Protocol):
    """A region as the store sees it."""

    def relate(self, depth: int, cells: NDArray[np.int64]) -> NDArray[np.int8]:
        """OUTSIDE, CROSSING or INSIDE for each cell of a division; CROSSING when in doubt."""

    def contains(self, positions: Positions) -> NDArray[np.bool_]:
        """Mask of the points in the region, exactly."""


class Ranges(NamedTuple):
    """Runs of positions as (first, end): those wholly in a region, and those that its edge may cross."""

    inside: tuple[Positions, Positions]
    crossing: tuple[Positions, Positions]


@dataclass(frozen=True)
class Cover:
    """A region in cells of all sizes, as a walk through the division met them; each of shape (k,).

    Attributes
    ----------
    start, end : ndarray of int64
        Run of the cell.
    inside, final : ndarray of bool
        Whether the cell is wholly inside; whether it cannot be divided further.
    parent_size : ndarray of int64
        Points of the cell that it is a quarter of.
    """

    start: Positions
    end: Positions
    inside: NDArray[np.bool_]
    final: NDArray[np.bool_]
    parent_size: NDArray[np.int64]

    def ranges(self, leaf_rows: float) -> Ranges:
        """The region in disjoint runs, where a cell across the edge is divided if it holds more than `leaf_rows`."""
        reached = self.parent_size > leaf_rows
        inside = reached & self.inside
        crossing = reached & ~self.inside & (self.final | (self.end - self.start <= leaf_rows))
        return Ranges((self.start[inside], self.end[inside]), (self.start[crossing], self.end[crossing]))


class StoreRows:
    """The rows of a mask that a store has, in its order.

    Parameters
    ----------
    store : LevelStore
        The store.
    mask : Mask
        Rows of the whole atlas.

    Attributes
    ----------
    positions : ndarray of shape (k,), uint32
        Where they stand, ascending.
    """

    def __init__(self, store: LevelStore, mask: Mask) -> None:
        if mask.n_rows != store.n_rows:
            raise ValueError(f"a mask of {mask.n_rows} rows cannot select from an atlas of {store.n_rows}")
        self._store = store
        self._mask = mask
        # Few rows are looked up; for many, one pass over all points is faster than looking up and sorting.
        if mask.count * 4 < mask.n_rows:
            positions = store.position[store.rows_of(mask)]
            self.positions = np.sort(positions[positions != ABSENT])
        else:
            dense = mask.dense
            found = (part.start + np.flatnonzero(dense[store.row[part]]) for part in chunks(store.row.size))
            self.positions = np.concatenate([positions.astype(np.uint32) for positions in found])

    @cached_property
    def lists(self) -> list[NDArray[np.uint32]]:
        """Part of the mask that each list of the store has."""
        if not self._store.lists:
            return []
        longest = self._store.lists[-1]
        rows = self._store.row[longest]
        selected = self._mask.dense[rows]
        longest, level = longest[selected], level_of(row_hash(rows[selected], self._store.header.seed))
        return [longest[level >= k] for k in range(self._store.highest_level, FIRST_STORED_LEVEL - 1, -1)]


class LevelStore:
    """Points of a plane, opened. Costs the same for any n: nothing is read but the headers.

    Parameters
    ----------
    directory : Path
        Where `write_store` wrote.
    header : StoreHeader
        What it returned.
    n_rows : int
        Rows of the atlas, those of its other stores included.

    Attributes
    ----------
    highest_level : int
        The highest level that is listed; 0 where the store is so small that none is.

    Raises
    ------
    FormatError
        If a file is missing, truncated or of another shape.
    """

    def __init__(self, directory: Path, header: StoreHeader, n_rows: int) -> None:
        self.header = header
        self.n_rows = n_rows
        self.cell = open_vector(directory / CELL, np.uint32, header.n_points)
        self.row = open_vector(directory / ROW, np.uint32, header.n_points)
        self.position = open_vector(directory / POSITION, np.uint32, header.n_rows)
        self.starts = open_vector(directory / STARTS, np.uint32, header.roots * 4**header.start_depth + 1)
        lists = open_vector(directory / LEVELS, np.uint32, sum(header.list_sizes))
        self.lists = np.split(lists, np.cumsum(header.list_sizes)[:-1]) if header.list_sizes else []
        self.highest_level = FIRST_STORED_LEVEL + len(self.lists) - 1 if self.lists else 0
        self.subset = PerMask(lambda mask: StoreRows(self, mask))

    def cover(self, query: StoreQuery, leaf_rows: int = LEAF_ROWS) -> Cover:
        """Walk through the division, from the top to cells of at most `leaf_rows` points along the region's edge."""
        header = self.header
        top = min(header.start_depth, int(np.log2(TOP_CELLS / header.roots) / 2))
        cells = np.arange(header.roots * 4**top)
        parent_size = np.full(cells.size, np.iinfo(np.int64).max)
        met: list[tuple[NDArray[Any], ...]] = []
        for depth in range(top, header.depth + 1):
            start, end = self.runs(depth, cells)
            filled = np.flatnonzero(end > start)
            relation = query.relate(depth, cells[filled])
            kept = filled[relation != OUTSIDE]
            relation = relation[relation != OUTSIDE]
            cells, start, end = cells[kept], start[kept], end[kept]
            final = np.full(cells.size, depth == header.depth)
            met.append((start, end, relation == INSIDE, final, parent_size[kept]))
            divided = (relation == CROSSING) & (end - start > leaf_rows) & ~final
            if not divided.any():
                break
            cells = (cells[divided, None] * 4 + np.arange(4)).ravel()
            parent_size = np.repeat((end - start)[divided], 4)
        fields = [np.concatenate(field) for field in zip(*met, strict=True)]
        order = np.argsort(fields[0], kind="stable")  # in the order of the files, which reads them forwards
        return Cover(*(field[order] for field in fields))

    def runs(self, depth: int, cells: NDArray[np.int64]) -> tuple[Positions, Positions]:
        """First position and end of each cell of a division."""
        finer = 2 * (self.header.start_depth - depth)
        if finer >= 0:
            return self.starts[cells << finer].astype(np.int64), self.starts[(cells + 1) << finer].astype(np.int64)
        finer = 2 * (self.header.depth - depth)
        first = (cells << finer).astype(np.uint32)
        last = ((cells + 1 << finer) - 1).astype(np.uint32)
        return np.searchsorted(self.cell, first, "left"), np.searchsorted(self.cell, last, "right")

    def starts_at(self, depth: int) -> NDArray[np.uint32]:
        """Starts of the cells of a division, and the end of the last one; searched for where no file has it."""
        coarser = self.header.start_depth - depth
        if coarser >= 0:
            return self.starts[:: 4**coarser]
        starts = np.empty(self.header.roots * 4**depth + 1, dtype=np.uint32)
        find_starts(self.cell, self.header.depth - depth, starts)
        return starts

    def rows_of(self, mask: Mask) -> NDArray[np.uint32]:
        """Rows of a mask that are the store's, counted from its first row; ascending."""
        first_row = self.header.first_row
        bounds = np.array([first_row, first_row + self.header.n_rows], dtype=np.uint32)
        first, end = np.searchsorted(mask.rows, bounds)
        rows: NDArray[np.uint32] = mask.rows[first:end] - bounds[0]
        return rows

    def size(self, mask: Mask | None) -> int:
        """Number of points of a mask, or in all."""
        return self.header.n_points if mask is None else self.subset(mask).positions.size

    def pieces(self, mask: Mask | None, step: int) -> Iterator[slice | NDArray[np.uint32]]:
        """Places of all points, or of those of a mask, in order and at most `step` at a time: an index of the files."""
        positions = None if mask is None else self.subset(mask).positions
        for part in chunks(self.header.n_points if positions is None else positions.size, step):
            yield part if positions is None else positions[part]

    def mark(self, query: StoreQuery, dense: NDArray[np.bool_], leaf_rows: int = LEAF_ROWS) -> None:
        """Set what stands for the rows in a region, exactly, in an array of all rows of the atlas."""
        ranges = self.cover(query, leaf_rows).ranges(leaf_rows)

        def select(positions: Positions) -> None:
            dense[self.row[positions]] = True

        deque(in_threads(select, _pieces(*ranges.inside)), maxlen=0)
        for positions in _pieces(*ranges.crossing):
            dense[self.row[positions[query.contains(positions)]]] = True


class StoreView:
    """A region of a store, walked through once; to be counted, and to be read level by level.

    Parameters
    ----------
    store : LevelStore
        The store.
    query : StoreQuery
        The region.
    mask : Mask, optional
        Only these rows.
    """

    def __init__(self, store: LevelStore, query: StoreQuery, mask: Mask | None = None) -> None:
        self._store, self._query = store, query
        self._cover = store.cover(query)
        self._subset = None if mask is None else store.subset(mask)

    def count(self) -> tuple[int, int]:
        """Number of points in view, exactly; and of those that were looked at one by one for it, which is about √n."""
        ranges, within = self._cover.ranges(LEAF_ROWS), self._within(0)
        first, end = _ranges_within(*ranges.inside, within)
        count, touched = int((end - first).sum()), 0
        for positions in _members_of(*ranges.crossing, within):
            count += int(np.count_nonzero(self._query.contains(positions)))
            touched += positions.size
        return count, touched

    def members(self, level: int = 0) -> tuple[Positions, int]:
        """Positions of the points in view of a level and above; and how many were looked at one by one.

        Others may be among them: levels that no list begins with are read from the next longer list.
        """
        level = min(level, self._store.highest_level)
        ranges = self._cover.ranges(LEAF_ROWS << level)  # a shorter list needs larger cells for as many points each
        within = self._within(level)
        members = list(_members_of(*ranges.inside, within))
        touched = sum(map(len, members))
        for positions in _members_of(*ranges.crossing, within):
            members.append(positions[self._query.contains(positions)])
            touched += positions.size
        return np.concatenate([np.empty(0, dtype=np.int64), *members]), touched

    def _within(self, level: int) -> NDArray[np.uint32] | None:
        """The shortest list with all points of a level that is listed, and above; None stands for the list of all."""
        if level < FIRST_STORED_LEVEL:
            return None if self._subset is None else self._subset.positions
        lists = self._store.lists if self._subset is None else self._subset.lists
        return lists[self._store.highest_level - level]


def _ranges_within(start: Positions, end: Positions, within: NDArray[np.uint32] | None) -> tuple[Positions, Positions]:
    """Runs of positions as runs of an ascending list of positions; None stands for the list of all."""
    if within is None:
        return start, end
    return np.searchsorted(within, start.astype(np.uint32)), np.searchsorted(within, end.astype(np.uint32))


def _members_of(start: Positions, end: Positions, within: NDArray[np.uint32] | None) -> Iterator[Positions]:
    """Members of a list that lie in runs of positions, a chunk at a time."""
    for index in _pieces(*_ranges_within(start, end, within)):
        yield index if within is None else within[index].astype(np.int64)


def _pieces(start: Positions, end: Positions) -> Iterator[Positions]:
    """All numbers of the runs start … end − 1, one after the other, at most CHUNK at a time."""
    ends = np.cumsum(end - start)
    shift = start - (ends - (end - start))  # from the count of numbers before a run to its first number
    for part in chunks(int(ends[-1]) if ends.size else 0):
        first, last = np.searchsorted(ends, [part.start, part.stop - 1], "right")
        edges = np.clip(ends[first : last + 1], None, part.stop)
        lengths = np.diff(edges, prepend=part.start)
        yield np.arange(part.start, part.stop) + np.repeat(shift[first : last + 1], lengths)
