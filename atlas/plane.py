"""The map: every row at its place in a plane, seen through viewports, counts, densities and lassos.

    plane.json      the header: what the store is, where its points lie
    x.npy y.npy     float32 (m,)   coordinates in the order of the store
    edges.npy       float32        cells along x, then along y
    counts.npy      uint32         the count pyramid (`atlas.pyramid`)
    …               the level store (`atlas.levels`)

Rows without a position (NaN) are in no view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.errors import FormatError, InputError
from atlas.format import write_atomically
from atlas.level_files import StoreHeader, chunks, create_array, open_array, write_store
from atlas.levels import LevelStore, Positions
from atlas.mask import Mask
from atlas.means import Sums, center_of, require_column, sum_cells, sum_pixels
from atlas.morton import Axis, cell_along, column_and_row, morton, quantile_edges
from atlas.polygon import geometry, validate_polygon
from atlas.pyramid import DENSITY_FROM_POINTS, Density, Pyramid, all_grids, cells_inside, count_pixels, finest_grid
from atlas.recent import PerMask
from atlas.region import Box, Outside, Polygon, Region
from atlas.sampling import SAMPLE_BUDGET, Sample
from atlas.threads import in_threads

__all__ = ["Box", "Density", "Plane", "Sample", "write_plane"]

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
MASK_GRID = 2048
POLYGON_LEAF_ROWS = 64  # asking a polygon about a cell costs as much as asking it about ten points


class PlaneHeader(msgspec.Struct, frozen=True):
    """What `plane.json` holds."""

    store: StoreHeader
    bits: int
    extent: Box
    frame: Box
    finest_grid: int


class Plane:
    """An open map.

    Attributes
    ----------
    extent : Box
        The smallest box that holds all points.
    frame : Box
        The box worth opening with: far outliers left out, everything else with room.
    n_rows : int
        Rows of the atlas.
    seed : int
        Of the random levels: planes with one seed prefer the same rows for their samples.
    """

    def __init__(self, directory: Path, header: PlaneHeader) -> None:
        size = header.store.n_points
        cells = 2**header.bits
        self.extent, self.frame = header.extent, header.frame
        self.n_rows, self.seed = header.store.n_rows, header.store.seed
        self._store = LevelStore(directory, header.store)
        self._x = open_array(directory / X, np.float32, size)
        self._y = open_array(directory / Y, np.float32, size)
        edges = open_array(directory / EDGES, np.float32, 2 * (cells - 1))
        self._cells_x = Axis(edges[: cells - 1], header.extent.x0, header.extent.x1)
        self._cells_y = Axis(edges[cells - 1 :], header.extent.y0, header.extent.y1)
        n_counts = (4 * header.finest_grid**2 - 64**2) // 3
        self._pyramid = Pyramid(header.frame, open_array(directory / COUNTS, np.uint32, n_counts))
        self._pyramid_of = PerMask(self._count_mask)
        self._sums_of = PerMask(self._sum_column)

    @classmethod
    def open(cls, directory: Path) -> Plane:
        """Open what `write_plane` wrote, at the same cost for any n.

        Raises
        ------
        FormatError
            If a file is missing, truncated or foreign.
        """
        try:
            header = msgspec.json.decode((directory / HEADER).read_bytes(), type=PlaneHeader)
        except (OSError, msgspec.DecodeError) as error:
            raise FormatError(f"{directory / HEADER} cannot be read: {error}") from error
        return cls(directory, header)

    def viewport(self, box: Box, budget: int = SAMPLE_BUDGET, mask: Mask | None = None) -> Sample:
        """A uniform sample of the rows in view.

        Parameters
        ----------
        box : Box
            The view.
        budget : int
            Size of the sample; all rows where there are fewer.
        mask : Mask, optional
            Only these rows.
        """
        draw = self._store.draw(self._query(box), budget, mask)
        return Sample(draw.rows, self._x[draw.positions], self._y[draw.positions], draw.in_view, draw.touched)

    def count(self, box: Box, mask: Mask | None = None) -> int:
        """How many rows are in view, exactly."""
        return self._store.count(self._query(box), mask)

    def polygon(self, vertices: ArrayLike) -> Mask:
        """All rows inside a polygon, exactly; rows on its outline are outside, as in `shapely.contains_xy`.

        Parameters
        ----------
        vertices : array-like of shape (v, 2)
            In the coordinates of the map. Where the outline crosses itself, see `atlas.polygon`.

        Raises
        ------
        InputError
            If the polygon has no area.
        """
        region = Polygon(geometry(validate_polygon(vertices)))
        return self._store.mask(self._query(region), POLYGON_LEAF_ROWS)

    def density(self, box: Box, width: int, height: int, mask: Mask | None = None) -> Density:
        """Rows a pixel.

        Parameters
        ----------
        box : Box
            The view; has an area.
        width, height : int
            Pixels.
        mask : Mask, optional
            Only these rows.

        Raises
        ------
        InputError
            If the view has no area.
        """
        _require_area(box)
        few = (self.n_rows if mask is None else mask.count) <= DENSITY_FROM_POINTS
        pyramid = self._pyramid if mask is None or few else self._pyramid_of(mask)
        resolved = not few and pyramid.resolves(box, width, height)
        if not resolved and (few or self.count(box, mask) <= DENSITY_FROM_POINTS):
            return Density(self._count_pixels(box, box, width, height, mask), True)
        counts = pyramid.raster(box, width, height)
        if not self.frame.contains(np.array([box.x0, box.x1]), np.array([box.y0, box.y1])).all():
            counts += self._count_pixels(Outside(box, self.frame), box, width, height, mask)
        return Density(counts, resolved)

    def mean(
        self, box: Box, width: int, height: int, values: NDArray[Any], mask: Mask | None = None
    ) -> NDArray[np.float32]:
        """Mean of a column in each pixel.

        Where many rows are in view it comes from sums over a grid, which are added up when a column and a mask are
        first asked for together, and kept for the latest few. Where few are, from the rows themselves.

        Parameters
        ----------
        box : Box
            The view; has an area.
        width, height : int
            Pixels.
        values : ndarray of shape (n,), any number dtype
            A column; may be memory-mapped. Known again by identity: hand in the same object for the same column.
        mask : Mask, optional
            Only these rows.

        Returns
        -------
        ndarray of shape (height, width), float32
            First row at the bottom; NaN where no row has a value.

        Raises
        ------
        InputError
            If the view has no area.
        """
        _require_area(box)
        require_column(values, self.n_rows)
        if self.count(box, mask) <= DENSITY_FROM_POINTS:
            return self._sum_pixels(box, box, width, height, values, mask, 0.0).mean(0.0)
        pyramids = self._sums_of(mask, values)
        sums = Sums(pyramids.counts.raster(box, width, height), pyramids.sums.raster(box, width, height))
        if not self.frame.contains(np.array([box.x0, box.x1]), np.array([box.y0, box.y1])).all():
            beyond = self._sum_pixels(Outside(box, self.frame), box, width, height, values, mask, pyramids.center)
            sums = Sums(sums.counts + beyond.counts, sums.sums + beyond.sums)
        return sums.mean(pyramids.center)

    def _count_pixels(
        self, region: Region, box: Box, width: int, height: int, mask: Mask | None
    ) -> NDArray[np.float32]:
        positions = self._store.members(self._query(region), mask)
        return count_pixels(self._x[positions], self._y[positions], box, width, height).astype(np.float32)

    def _count_mask(self, mask: Mask) -> Pyramid:
        positions = self._store.subset(mask).positions
        points = ((self._x[positions[part]], self._y[positions[part]]) for part in chunks(positions.size))
        return Pyramid(self.frame, Pyramid.build(self.frame, points, min(finest_grid(mask.count), MASK_GRID)))

    def _sum_pixels(
        self, region: Region, box: Box, width: int, height: int, values: NDArray[Any], mask: Mask | None, center: float
    ) -> Sums:
        positions = self._store.members(self._query(region), mask)
        shown = values[self._store.row[positions]]
        return sum_pixels(self._x[positions], self._y[positions], shown, box, width, height, center)

    def _sum_column(self, mask: Mask | None, values: NDArray[Any]) -> _SumPyramids:
        within = None if mask is None else self._store.subset(mask).positions
        size = self._store.header.n_points if within is None else within.size
        finest = min(finest_grid(size), MASK_GRID)
        center = center_of(values)

        def members(part: slice) -> tuple[NDArray[np.intp], NDArray[Any]]:
            at = part if within is None else within[part]
            cells, inside = cells_inside(self.frame, self._x[at], self._y[at], finest)
            return cells, values[self._store.row[at][inside]]

        counts, sums = (all_grids(grid) for grid in sum_cells(members, size, finest**2, center))
        return _SumPyramids(Pyramid(self.frame, counts), Pyramid(self.frame, sums), center)

    def _query(self, region: Region) -> _Query:
        return _Query(region, self._cells_x, self._cells_y, self._x, self._y)


class _SumPyramids(NamedTuple):
    """A column over the grids of a plane: rows with a value, sums of value − center, and that center."""

    counts: Pyramid
    sums: Pyramid
    center: float


def _require_area(box: Box) -> None:
    if not (box.width > 0 and box.height > 0):
        raise InputError(f"a picture needs a view with an area, not {box}")


@dataclass(frozen=True)
class _Query:
    """A region of the map, as the store asks about it."""

    region: Region
    cells_x: Axis
    cells_y: Axis
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
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Write the store of a map.

    Needs about 22 bytes a row of memory while it runs, and 0.2 GiB at most for the count pyramid after that; the
    coordinates may be memory-mapped.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    x, y : ndarray of shape (n,), float32
        Coordinates; NaN for a row without a position.
    seed : int
        Seed of the random levels.
    advance : callable
        Told the rows of each part that is done, WRITE_PASSES · n in all. What it raises stops the work.

    Raises
    ------
    InputError
        If no row has a position.
    """
    directory.mkdir(parents=True, exist_ok=True)
    present = np.empty(x.size, dtype=np.bool_)
    for part in chunks(x.size):
        present[part] = np.isfinite(x[part]) & np.isfinite(y[part])
    n_points = int(np.count_nonzero(present))
    if n_points == 0:
        raise InputError(f"none of the {x.size} rows has a position on the map")

    ordered_x, ordered_y = _ordered(x, present, n_points), _ordered(y, present, n_points)
    extent = Box(float(ordered_x[0]), float(ordered_x[-1]), float(ordered_y[0]), float(ordered_y[-1]))
    frame = Box(*_frame(ordered_x), *_frame(ordered_y))
    bits = min(MAX_BITS, max(4, int(n_points - 1).bit_length()))
    edges_x, edges_y = quantile_edges(ordered_x, 2**bits), quantile_edges(ordered_y, 2**bits)
    np.save(directory / EDGES, np.concatenate([edges_x, edges_y]), allow_pickle=False)
    cells = _cells(x, y, edges_x, edges_y, advance)
    store = write_store(directory, cells, present, roots=1, depth=bits, seed=seed, advance=advance)
    del cells, present

    rows = LevelStore(directory, store).row
    ordered = {name: create_array(directory / name, np.float32, n_points) for name in (X, Y)}

    def points(part: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        for name, values in ((X, x), (Y, y)):
            ordered[name][part] = values[rows[part]]
        advance(part.stop - part.start)
        return ordered[X][part], ordered[Y][part]

    finest = finest_grid(n_points)
    counts = Pyramid.build(frame, map(points, chunks(n_points)), finest)
    np.save(directory / COUNTS, counts, allow_pickle=False)
    advance(WRITE_PASSES * x.size - x.size - 2 * n_points)
    header = PlaneHeader(store, bits, extent, frame, finest)
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
