"""One segment of the map: the places of a range of rows, how they are written and opened.

    plane.json      the header: what the store is, where its points lie
    x.npy y.npy     float32 (m,)   coordinates in the order of the store
    edges.npy       float32        cells along x, then along y
    counts.npy      uint32         the count pyramid (`atlas.planes.count_pyramid`)
    …               the level store (`atlas.planes.level_store`)

Where no row has a position there is a header and nothing else. How segments are seen as one map: `atlas.planes.plane`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.parallel import in_threads
from atlas.planes.count_pyramid import Pyramid, finest_grid
from atlas.planes.level_store import LevelStore, Positions
from atlas.planes.level_store_files import ROW, StoreHeader, write_store
from atlas.planes.morton import CellAxis, cell_along, column_and_row, morton, quantile_edges
from atlas.planes.region import Box, Region
from atlas.storage.arrays import chunks, create_array, open_vector
from atlas.storage.layout import write_atomically

HEADER = "plane.json"
X = "x.npy"
Y = "y.npy"
EDGES = "edges.npy"
COUNTS = "counts.npy"

MAX_BITS = 16
WRITE_PASSES = 3
QUANTILE_POINTS = 1 << 20
FRAME_TAIL = 0.001  # share of the points that may lie beyond each side of the frame
FRAME_GROWTH = 3.0  # the frame is this much wider than what lies between the tails, or holds everything


class PlaneHeader(msgspec.Struct, frozen=True):
    """Content of `plane.json`; `extent` is None where no row has a position."""

    store: StoreHeader
    bits: int
    extent: Box | None
    frame: Box
    finest_grid: int


class PlaneSegment:
    """An open segment of the map.

    Parameters
    ----------
    directory : Path
        Where `write_plane` wrote.
    header : PlaneHeader
        What it wrote there.
    extent : Box
        The header's.
    n_rows : int
        Rows of the atlas, those of other segments included.

    Attributes
    ----------
    store : LevelStore
        The points.
    x, y : ndarray of shape (m,), float32
        Their coordinates, in the order of the store.
    pyramid : Pyramid
        Their counts over the frame.

    Raises
    ------
    FormatError
        If a file is missing, truncated or foreign.
    """

    def __init__(self, directory: Path, header: PlaneHeader, extent: Box, n_rows: int) -> None:
        size = header.store.n_points
        cells = 2**header.bits
        self.store = LevelStore(directory, header.store, n_rows)
        self.x = open_vector(directory / X, np.float32, size)
        self.y = open_vector(directory / Y, np.float32, size)
        edges = open_vector(directory / EDGES, np.float32, 2 * (cells - 1))
        self._cells_x = CellAxis(edges[: cells - 1], extent.x0, extent.x1)
        self._cells_y = CellAxis(edges[cells - 1 :], extent.y0, extent.y1)
        n_counts = (4 * header.finest_grid**2 - 64**2) // 3
        self.pyramid = Pyramid(header.frame, open_vector(directory / COUNTS, np.uint32, n_counts))

    def query(self, region: Region) -> _Query:
        """A region of the map, as the store asks about it."""
        return _Query(region, self._cells_x, self._cells_y, self.x, self.y)


@dataclass(frozen=True)
class _Query:
    """A region of the map, as the store asks about it."""

    region: Region
    cells_x: CellAxis
    cells_y: CellAxis
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def relate(self, depth: int, cells: NDArray[np.int64]) -> NDArray[np.int8]:
        column, row = column_and_row(cells)
        step = 1 << (self.cells_x.bits - depth)
        x0, x1 = self.cells_x.span(column * step, column * step + step - 1)
        y0, y1 = self.cells_y.span(row * step, row * step + step - 1)
        return self.region.relate(x0, x1, y0, y1)

    def contains(self, positions: Positions) -> NDArray[np.bool_]:
        return self.region.contains(self.x[positions], self.y[positions])


def write_plane(
    directory: Path,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    seed: int,
    first_row: int = 0,
    frame: Box | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Write a map, or what is appended to one.

    Needs about 22 bytes a row of memory while it runs, and 0.2 GiB at most for the count pyramid after that; the
    coordinates may be memory-mapped.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    x, y : ndarray of shape (n,), float32
        Coordinates of the segment's own rows; NaN for a row without a position.
    seed : int
        Seed of the random levels; that of the map where rows are appended.
    first_row : int
        Row of the atlas that the segment begins with.
    frame : Box, optional
        That of the map that rows are appended to, so that the counts of both add up; rows beyond it are counted one by
        one in each view. Without it, one is found for these rows.
    advance : callable
        Told the rows of each part that is done, WRITE_PASSES · n in all. What it raises stops the work.

    Raises
    ------
    InputError
        If no row has a position. Where a frame is given that is allowed, and nothing but the header is written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    present = np.empty(x.size, dtype=np.bool_)
    for part in chunks(x.size):
        present[part] = np.isfinite(x[part]) & np.isfinite(y[part])
    n_points = int(np.count_nonzero(present))
    if n_points == 0:
        if frame is None:
            raise InputError(f"none of the {x.size} rows has a position on the map")
        advance(WRITE_PASSES * x.size)
        nothing = StoreHeader(x.size, 0, seed, 1, 0, 0, [], first_row)
        _write_header(directory, PlaneHeader(nothing, 0, None, frame, 0))
        return

    ordered_x, ordered_y = _ordered(x, present, n_points), _ordered(y, present, n_points)
    extent = Box(float(ordered_x[0]), float(ordered_x[-1]), float(ordered_y[0]), float(ordered_y[-1]))
    frame = frame or Box(*_frame(ordered_x), *_frame(ordered_y))
    bits = min(MAX_BITS, max(4, int(n_points - 1).bit_length()))
    edges_x, edges_y = quantile_edges(ordered_x, 2**bits), quantile_edges(ordered_y, 2**bits)
    np.save(directory / EDGES, np.concatenate([edges_x, edges_y]), allow_pickle=False)
    cells = _cells(x, y, edges_x, edges_y, advance)
    store = write_store(directory, cells, present, roots=1, depth=bits, seed=seed, first_row=first_row, advance=advance)
    del cells, present

    rows = open_vector(directory / ROW, np.uint32, n_points)
    ordered = {name: create_array(directory / name, np.float32, n_points) for name in (X, Y)}

    def points(part: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        for name, values in ((X, x), (Y, y)):
            ordered[name][part] = values[rows[part] - np.uint32(first_row)]
        advance(part.stop - part.start)
        return ordered[X][part], ordered[Y][part]

    finest = finest_grid(n_points)
    counts = Pyramid.build(frame, map(points, chunks(n_points)), finest)
    np.save(directory / COUNTS, counts, allow_pickle=False)
    advance(WRITE_PASSES * x.size - x.size - 2 * n_points)
    _write_header(directory, PlaneHeader(store, bits, extent, frame, finest))


def _write_header(directory: Path, header: PlaneHeader) -> None:
    write_atomically(directory / HEADER, msgspec.json.format(msgspec.json.encode(header)))


def _cells(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    edges_x: NDArray[np.float32],
    edges_y: NDArray[np.float32],
    advance: Callable[[int], object],
) -> NDArray[np.uint32]:
    """Cell of each row in the finest division."""
    cells = np.empty(x.size, dtype=np.uint32)

    def divide(part: slice) -> None:
        cells[part] = morton(cell_along(x[part], edges_x), cell_along(y[part], edges_y))

    for part, _ in zip(chunks(x.size), in_threads(divide, chunks(x.size)), strict=True):
        advance(part.stop - part.start)
    return cells


def _ordered(values: NDArray[np.float32], present: NDArray[np.bool_], n_points: int) -> NDArray[np.float32]:
    """About QUANTILE_POINTS of the values in order, the smallest and the largest of all among them."""
    step = -(-n_points // QUANTILE_POINTS)
    kept: list[NDArray[np.float32]] = []
    for part in chunks(values.size):
        seen = values[part][present[part]]
        if seen.size:
            kept += [seen[::step], seen.min(keepdims=True), seen.max(keepdims=True)] if step > 1 else [seen]
    return np.sort(np.concatenate(kept))


def _frame(ordered: NDArray[np.float32]) -> tuple[float, float]:
    """Bounds that hold all values, or all but far outliers; never equal."""
    low, high = float(ordered[0]), float(ordered[-1])
    first, last = (float(ordered[int(share * (ordered.size - 1))]) for share in (FRAME_TAIL, 1 - FRAME_TAIL))
    middle, half = (first + last) / 2, (last - first) / 2 * FRAME_GROWTH
    if half > 0:
        low, high = max(low, middle - half), min(high, middle + half)
    if low < high:
        return low, high
    slack = max(abs(low) * 1e-3, 1e-3)
    return low - slack, high + slack
