"""The map: every row at its place in a plane, seen through viewports, counts, densities and lassos.

It is one segment, or several where rows were appended: each has a range of the rows, and a count pyramid over a frame
that is the same for all (`atlas.planes.plane_segment`). What is asked of the map is answered as if one segment had all
rows (`atlas.planes.segments`).

Rows without a position (NaN) are in no view.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.errors import FormatError, InputError
from atlas.mask import Mask
from atlas.planes import segments
from atlas.planes.column_means import PART, Sums, center_of, require_column, sum_cells, sum_pixels
from atlas.planes.count_pyramid import (
    DENSITY_FROM_POINTS,
    Density,
    Pyramid,
    all_grids,
    cells_inside,
    count_pixels,
    finest_grid,
)
from atlas.planes.level_store_files import read_header
from atlas.planes.plane_segment import HEADER, WRITE_PASSES, PlaneHeader, PlaneSegment, write_plane
from atlas.planes.polygon import geometry, validate_polygon
from atlas.planes.region import Box, BoxDifference, Polygon, Region
from atlas.planes.sampling import SAMPLE_BUDGET, Sample
from atlas.recent import PerMask
from atlas.storage.arrays import CHUNK

__all__ = ["WRITE_PASSES", "Box", "Density", "Plane", "Sample", "write_plane"]

MASK_GRID = 2048
POLYGON_LEAF_ROWS = 64  # asking a polygon about a cell costs as much as asking it about ten points


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

    def __init__(self, opened: Sequence[PlaneSegment], extent: Box, frame: Box, n_rows: int) -> None:
        self.extent, self.frame = extent, frame
        self.n_rows, self.seed = n_rows, opened[0].store.header.seed
        self._segments = opened
        self._pyramid_of = PerMask(self._count_mask)
        self._sums_of = PerMask(self._sum_column)

    @classmethod
    def open(cls, directory: Path, appended: Sequence[Path] = ()) -> Plane:
        """Open what `write_plane` wrote, at the same cost for any n.

        Parameters
        ----------
        directory : Path
            The map.
        appended : sequence of Path
            What was appended to it, in the order of the rows.

        Raises
        ------
        FormatError
            If a file is missing, truncated or foreign, or one segment does not continue the one before it.
        """
        folders = [directory, *appended]
        headers = [read_header(folder / HEADER, PlaneHeader) for folder in folders]
        n_rows = segments.require_consecutive([(f, header.store) for f, header in zip(folders, headers, strict=True)])
        frame = headers[0].frame
        for folder, header in zip(folders, headers, strict=True):
            if header.frame != frame:
                raise FormatError(f"{folder} counts over {header.frame}, expected the map's {frame}")
        extents = [header.extent for header in headers if header.extent is not None]
        if not extents:
            raise FormatError(f"{directory} has no row with a position")
        opened = [
            PlaneSegment(folder, header, header.extent, n_rows)
            for folder, header in zip(folders, headers, strict=True)
            if header.extent is not None
        ]
        return cls(opened, reduce(Box.around, extents), frame, n_rows)

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
        draw = segments.draw(self._segments, _ask(box), budget, mask)
        shares = list(zip(self._segments, draw.positions, strict=True))
        x = draw.joined(segment.x[at] for segment, at in shares)
        y = draw.joined(segment.y[at] for segment, at in shares)
        return Sample(draw.rows, x, y, draw.in_view, draw.touched)

    def count(self, box: Box, mask: Mask | None = None) -> int:
        """Number of rows in view, exactly."""
        return segments.count(self._segments, _ask(box), mask)

    def polygon(self, vertices: ArrayLike) -> Mask:
        """All rows inside a polygon, exactly; rows on its outline are outside, as in `shapely.contains_xy`.

        Parameters
        ----------
        vertices : array-like of shape (v, 2)
            In the coordinates of the map. Where the outline crosses itself, see `atlas.planes.polygon`.

        Raises
        ------
        InputError
            If the polygon has no area.
        """
        region = Polygon(geometry(validate_polygon(vertices)))
        return segments.select(self._segments, _ask(region), POLYGON_LEAF_ROWS)

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
        if (self.n_rows if mask is None else mask.count) <= DENSITY_FROM_POINTS:
            return Density(self._count_pixels(self._segments, box, box, width, height, mask), True)
        if mask is not None:
            return self._rasterize(self._segments, self._pyramid_of(mask), box, width, height, mask)
        # Each by itself: a grid of few rows is coarse, but they are soon counted one by one.
        shown = [self._rasterize([one], one.pyramid, box, width, height, None) for one in self._segments]
        return Density(reduce(np.add, [density.counts for density in shown]), all(part.resolved for part in shown))

    def mean(
        self, box: Box, width: int, height: int, values: NDArray[Any], mask: Mask | None = None, *, zero: int = 0
    ) -> NDArray[np.float64]:
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
        zero : int
            What the means are counted from: of whole numbers beyond 2⁵³ one among them, or float64 loses digits.

        Returns
        -------
        ndarray of shape (height, width), float64
            Mean − zero. First row at the bottom; NaN where no row has a value.

        Raises
        ------
        InputError
            If the view has no area.
        """
        _require_area(box)
        require_column(values, self.n_rows)
        if self.count(box, mask) <= DENSITY_FROM_POINTS:
            return self._sum_pixels(box, box, width, height, values, mask, zero).mean(0.0)
        pyramids = self._sums_of(mask, values)
        sums = Sums(pyramids.counts.raster(box, width, height), pyramids.sums.raster(box, width, height))
        if not self._is_framed(box):
            beyond = BoxDifference(box, self.frame)
            sums = sums.plus(self._sum_pixels(beyond, box, width, height, values, mask, pyramids.center))
        return sums.mean(pyramids.center - zero)

    def _rasterize(
        self, within: Sequence[PlaneSegment], pyramid: Pyramid, box: Box, width: int, height: int, mask: Mask | None
    ) -> Density:
        """Density of some segments, whose counts a pyramid has."""
        resolved = pyramid.resolves(box, width, height)
        if not resolved and segments.count(within, _ask(box), mask) <= DENSITY_FROM_POINTS:
            return Density(self._count_pixels(within, box, box, width, height, mask), True)
        counts = pyramid.raster(box, width, height)
        if not self._is_framed(box):
            counts += self._count_pixels(within, BoxDifference(box, self.frame), box, width, height, mask)
        return Density(counts, resolved)

    def _count_pixels(
        self, within: Sequence[PlaneSegment], region: Region, box: Box, width: int, height: int, mask: Mask | None
    ) -> NDArray[np.float32]:
        found = segments.members(within, _ask(region), mask)
        counts = [count_pixels(one.x[at], one.y[at], box, width, height) for one, at in found]
        return reduce(np.add, counts).astype(np.float32)

    def _count_mask(self, mask: Mask) -> Pyramid:
        points = ((one.x[at], one.y[at]) for one, at in segments.pieces(self._segments, mask, CHUNK))
        return Pyramid(self.frame, Pyramid.build(self.frame, points, min(finest_grid(mask.count), MASK_GRID)))

    def _sum_pixels(
        self, region: Region, box: Box, width: int, height: int, values: NDArray[Any], mask: Mask | None, center: float
    ) -> Sums:
        found = segments.members(self._segments, _ask(region), mask)
        sums = (
            sum_pixels(one.x[at], one.y[at], values[one.store.row[at]], box, width, height, center) for one, at in found
        )
        return reduce(Sums.plus, sums)

    def _sum_column(self, mask: Mask | None, values: NDArray[Any]) -> _SumPyramids:
        finest = min(finest_grid(sum(one.store.size(mask) for one in self._segments)), MASK_GRID)
        center = center_of(values)

        def members(piece: segments.Piece[PlaneSegment]) -> tuple[NDArray[np.intp], NDArray[Any]]:
            one, at = piece
            cells, inside = cells_inside(self.frame, one.x[at], one.y[at], finest)
            return cells, values[one.store.row[at][inside]]

        pieces = segments.pieces(self._segments, mask, PART)
        counts, sums = (all_grids(grid) for grid in sum_cells(members, pieces, finest**2, center))
        return _SumPyramids(Pyramid(self.frame, counts), Pyramid(self.frame, sums), center)

    def _is_framed(self, box: Box) -> bool:
        return self.frame.around(box) == self.frame


class _SumPyramids(NamedTuple):
    """A column over the grids of a plane: rows with a value, sums of value − center, and that center."""

    counts: Pyramid
    sums: Pyramid
    center: float


def _require_area(box: Box) -> None:
    if not (box.width > 0 and box.height > 0):
        raise InputError(f"a picture needs a view with an area, not {box}")


def _ask(region: Region) -> segments.Ask[PlaneSegment]:
    """A region, as each segment is asked about it."""
    return lambda segment: segment.query(region)
