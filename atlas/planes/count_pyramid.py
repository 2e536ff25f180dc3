"""Count pyramid of points: counts in grids of 64², 128², … cells over one frame, so that any view has its raster.

The counts of all grids stand in one flat array, coarsest grid first, each row by row from the bottom left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from atlas.parallel import in_threads
from atlas.planes.region import Box

COARSEST = 64
FINEST = 4096
DENSITY_FROM_POINTS = 200_000  # where no more points are in view, planes count them one by one


class Density(NamedTuple):
    """Points a pixel.

    Attributes
    ----------
    counts : ndarray of shape (h, w), float32
        First row at the bottom, first column on the left. NaN where the plane has no sky.
    resolved : bool
        False where the counts are known for cells larger than a pixel only; they are spread evenly over the cell.
    """

    counts: NDArray[np.float32]
    resolved: bool


class Pyramid:
    """Counts (or sums) in grids over a frame.

    Parameters
    ----------
    frame : Box
        What the grids cover, edges included; has an area.
    counts : ndarray of shape (64² + 128² + … + finest²,), uint32 or float32
        From `build` or `all_grids`.
    """

    def __init__(self, frame: Box, counts: NDArray[Any]) -> None:
        self.frame = frame
        self._grids: list[NDArray[Any]] = []
        first, size = 0, COARSEST
        while first < counts.size:
            self._grids.append(counts[first : first + size**2].reshape(size, size))
            first, size = first + size**2, 2 * size

    @classmethod
    def build(cls, frame: Box, points: Iterable[tuple[NDArray[Any], NDArray[Any]]], finest: int) -> NDArray[np.uint32]:
        """Count points.

        Parameters
        ----------
        frame : Box
            What the grids cover; points outside are left out.
        points : iterable of (x, y)
            Coordinates in chunks.
        finest : int
            Cells along each side of the finest grid, 64 · 2**k.

        Returns
        -------
        ndarray of uint32
            Counts of all grids.
        """
        counts = np.zeros(finest**2, dtype=np.uint32)
        for cells in in_threads(lambda part: cells_inside(frame, *part, finest)[0], points):
            np.add.at(counts, cells, np.uint32(1))
        return all_grids(counts)

    def resolves(self, box: Box, width: int, height: int) -> bool:
        """Whether the finest cells are no larger than the pixels of a view."""
        finest = self._grids[-1].shape[0]
        enough = max(self.frame.width / box.width * width, self.frame.height / box.height * height)
        return bool(finest >= enough)

    def raster(self, box: Box, width: int, height: int) -> NDArray[np.float32]:
        """Points a pixel, of the points inside the frame; each cell's count is shared out by area, so sums are kept.

        Parameters
        ----------
        box : Box
            The view; has an area.
        width, height : int
            Pixels.

        Returns
        -------
        ndarray of shape (height, width), float32
        """
        enough = max(self.frame.width / box.width * width, self.frame.height / box.height * height)
        grid = next((grid for grid in self._grids if grid.shape[0] >= enough), self._grids[-1])
        rows = _overlaps(np.linspace(box.y0, box.y1, height + 1), self.frame.y0, self.frame.height, grid.shape[0])
        columns = _overlaps(np.linspace(box.x0, box.x1, width + 1), self.frame.x0, self.frame.width, grid.shape[0])
        counts = grid[rows.cells, columns.cells].astype(np.float32)
        by_row = np.ascontiguousarray((rows.shares @ counts).T)
        return np.ascontiguousarray((columns.shares @ by_row).T)


def finest_grid(n_points: int) -> int:
    """Cells along a side of the finest grid worth having: about as many cells as points."""
    size = COARSEST
    while size < FINEST and (2 * size) ** 2 <= n_points:
        size *= 2
    return size


def all_grids(finest: NDArray[Any]) -> NDArray[Any]:
    """Counts or sums of all grids, from those of the finest, flat; of the same dtype."""
    grids = [finest]
    while (size := math.isqrt(grids[0].size)) > COARSEST:
        quarters = grids[0].reshape(size // 2, 2, size // 2, 2)
        grids.insert(0, quarters.sum(axis=(1, 3), dtype=finest.dtype).ravel())
    return np.concatenate(grids)


def cells_inside(
    frame: Box, x: NDArray[Any], y: NDArray[Any], size: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_] | slice]:
    """Cells of a grid of size² of the points inside its frame, and which points those are (an index of them)."""
    inside = frame.contains(x, y)
    if inside.all():
        return pixels(x, y, frame, size, size), slice(None)
    return pixels(x[inside], y[inside], frame, size, size), inside


def pixels(x: NDArray[Any], y: NDArray[Any], box: Box, width: int, height: int) -> NDArray[np.intp]:
    """Flat index of the pixel of each point inside a box; the upper edges belong to the last pixels.

    There must be fewer than 2**31 pixels.
    """
    # float64, also for float32 coordinates: a pixel may be narrower than their spacing times the size of the plane.
    column = np.subtract(x, box.x0, dtype=np.float64)
    column *= width / box.width
    row = np.subtract(y, box.y0, dtype=np.float64)
    row *= height / box.height
    # Truncated to int32, which is three times as fast as to int64.
    index: NDArray[np.int32] = np.minimum(row.astype(np.int32), height - 1)
    index *= width
    index += np.minimum(column.astype(np.int32), width - 1)
    return index.astype(np.intp)


def count_pixels(x: NDArray[Any], y: NDArray[Any], box: Box, width: int, height: int) -> NDArray[np.intp]:
    """Points a pixel, for points inside a box; shape (height, width)."""
    return np.bincount(pixels(x, y, box, width, height), minlength=width * height).reshape(height, width)


class _Overlaps(NamedTuple):
    """Cells that a row of pixels reaches into, and the share (pixels, cells) of each cell that lies in each pixel."""

    cells: slice
    shares: csr_array


def _overlaps(edges: NDArray[np.float64], origin: float, length: float, n_cells: int) -> _Overlaps:
    """Overlaps of pixels with rising edges and `n_cells` equal cells from `origin` to `origin + length`."""
    edges = np.clip((edges - origin) * (n_cells / length), 0, n_cells)
    first, end = min(int(np.floor(edges[0])), n_cells - 1), int(np.ceil(edges[-1]))
    reach = int(np.ceil(np.diff(edges).max())) + 1  # a pixel overlaps at most so many cells
    cells = np.floor(edges[:-1, None]) + np.arange(reach)
    shares = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    shares[(shares < 0) | (cells >= end)] = 0
    index = np.minimum(cells, max(end - 1, first)).astype(np.int32) - first
    data = shares.astype(np.float32).ravel()
    matrix = csr_array(
        (data, index.ravel(), np.arange(0, data.size + 1, reach)), shape=(len(edges) - 1, max(end - first, 1))
    )
    return _Overlaps(slice(first, max(end, first + 1)), matrix)
