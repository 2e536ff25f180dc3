"""Several level stores as one: the rows that a build began with, and those that were appended to it later.

Each store holds one range of rows, in cells of its own; the ranges follow each other without a gap. A region is asked
of every store in turn. Counts add up, and each store marks its own rows in a mask of all.

Samples are merged by the hash of the row, which depends on the row and the seed and on nothing else: the smallest
hashes in any set of stores are those that one store of all rows would have drawn. Levels are the same in every store
too, so a sample is read from each at the level that suits what is in view of all of them, and costs hardly more than
from one store. A store too small for lists of its own (below 8,192 points) may be read as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.mask import Mask
from atlas.planes.level_store import LEAF_ROWS, LevelStore, Positions, StoreQuery, StoreView
from atlas.planes.level_store_files import FIRST_STORED_LEVEL, StoreHeader
from atlas.planes.sampling import level_of, row_hash, smallest


class StoreSegment(Protocol):
    """A store with what its owner keeps of the points in it."""

    @property
    def store(self) -> LevelStore:
        """The store."""


S = TypeVar("S", bound=StoreSegment)
Ask = Callable[[S], StoreQuery]  # a region, as a segment is asked about it
Piece = tuple[S, slice | NDArray[np.uint32]]  # some of a segment's points: an index of its files


class Draw(NamedTuple):
    """A uniform sample of what is in view of several stores.

    Attributes
    ----------
    rows : ndarray of shape (k,), uint32
        The rows with the smallest hashes, smallest first.
    positions : sequence of ndarray of int64
        Where each store has its own of them.
    order : ndarray of shape (k,), intp, or slice
        What is read at these positions, one store's after the other's, has this order in `rows`.
    in_view : int
        How many points there are, exactly.
    touched : int
        How many were looked at one by one.
    """

    rows: NDArray[np.uint32]
    positions: Sequence[Positions]
    order: NDArray[np.intp] | slice
    in_view: int
    touched: int

    def joined(self, read: Iterable[NDArray[Any]]) -> NDArray[Any]:
        """Join what was read of each store at its positions, in the order of the rows."""
        return np.concatenate(list(read))[self.order]


def require_consecutive(stores: Sequence[tuple[Path, StoreHeader]]) -> int:
    """Number of rows of stores, which have to follow each other.

    Parameters
    ----------
    stores : sequence of (Path, StoreHeader)
        At least one; the path is for the message.

    Raises
    ------
    FormatError
        If one does not begin where the one before it ends, or has another seed than the first.
    """
    end, seed = 0, stores[0][1].seed
    for path, header in stores:
        if header.first_row != end:
            raise FormatError(f"{path} begins at row {header.first_row}, expected {end}, where what is before it ends")
        if header.seed != seed:
            raise FormatError(f"{path} has seed {header.seed}, expected {seed}, that of the first rows")
        end += header.n_rows
    return end


def count(segments: Sequence[S], ask: Ask[S], mask: Mask | None = None) -> int:
    """Number of points in a region, exactly."""
    return sum(StoreView(segment.store, ask(segment), mask).count()[0] for segment in segments)


def members(segments: Sequence[S], ask: Ask[S], mask: Mask | None = None) -> Iterator[tuple[S, Positions]]:
    """Positions of all points in a region, segment by segment."""
    for segment in segments:
        yield segment, StoreView(segment.store, ask(segment), mask).members()[0]


def pieces(segments: Sequence[S], mask: Mask | None, step: int) -> Iterator[Piece[S]]:
    """All points, or those of a mask, at most `step` at a time."""
    for segment in segments:
        for piece in segment.store.pieces(mask, step):
            yield segment, piece


def select(segments: Sequence[S], ask: Ask[S], leaf_rows: int = LEAF_ROWS) -> Mask:
    """All rows in a region, exactly."""
    dense = np.zeros(segments[0].store.n_rows, dtype=np.bool_)
    for segment in segments:
        segment.store.mark(ask(segment), dense, leaf_rows)
    return Mask.from_dense(dense)


def draw(segments: Sequence[S], ask: Ask[S], budget: int, mask: Mask | None = None) -> Draw:
    """A uniform sample of the points in a region, and how many they are.

    Parameters
    ----------
    segments : sequence of StoreSegment
        At least one.
    ask : callable
        The region, as each is asked about it.
    budget : int
        Size of the sample; all points where there are fewer.
    mask : Mask, optional
        Only these rows.
    """
    views = [StoreView(segment.store, ask(segment), mask) for segment in segments]
    in_view, touched = map(sum, zip(*(view.count() for view in views), strict=True))
    # Five standard deviations more than wanted, so that a longer list is hardly ever read after all.
    wanted = budget + 5 * np.sqrt(budget)
    highest = max(segment.store.highest_level for segment in segments)
    for level in (*range(highest, FIRST_STORED_LEVEL - 1, -1), 0):
        if level and in_view / 2**level < wanted:
            continue
        read = [view.members(level) for view in views]
        touched += sum(seen for _, seen in read)
        rows = [segment.store.row[positions] for segment, (positions, _) in zip(segments, read, strict=True)]
        hashes = row_hash(np.concatenate(rows), segments[0].store.header.seed)
        # A small store gives more than was asked for: what counts is of the level.
        if level == 0 or np.count_nonzero(level_of(hashes) >= level) >= budget:
            break
    chosen = smallest(hashes, budget)
    positions, order = _deal([positions for positions, _ in read], chosen)
    return Draw(np.concatenate(rows)[chosen], positions, order, in_view, touched)


def _deal(found: Sequence[Positions], chosen: NDArray[np.intp]) -> tuple[Sequence[Positions], NDArray[np.intp] | slice]:
    """Choice from all that was found, as `Draw` has it."""
    if len(found) == 1:
        return [found[0][chosen]], slice(None)
    ends = np.cumsum([positions.size for positions in found])
    owner = np.searchsorted(ends, chosen, "right")
    by_owner = np.argsort(owner, kind="stable")
    shares = np.searchsorted(owner[by_owner], np.arange(1, len(found)))
    return np.split(np.concatenate(found)[chosen[by_owner]], shares), np.argsort(by_owner)
