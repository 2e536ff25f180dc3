"""The sky: every row at its position, seen through projections, cones and lassos.

It is one segment, or several where rows were appended, each with a range of the rows (`atlas.sky.sky_segment`). What is
asked of the sky is answered as if one segment had all rows (`atlas.planes.segments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.errors import CoordinateError, InputError
from atlas.mask import Mask
from atlas.planes import segments
from atlas.planes.column_means import PART, Sums, center_of, require_column, sum_cells, sum_pixels
from atlas.planes.count_pyramid import DENSITY_FROM_POINTS, Density, count_pixels
from atlas.planes.level_store_files import finest_starts, read_header
from atlas.planes.polygon import geometry, validate_polygon
from atlas.planes.region import Box, Polygon, Region
from atlas.planes.sampling import SAMPLE_BUDGET, Sample
from atlas.recent import PerMask
from atlas.sky.coverage import DEEPEST, CellRanges, inside, of_cells, run_of
from atlas.sky.healpix import BASE_CELLS, cell_area_deg2, cell_of, cell_radius_deg, centers
from atlas.sky.outlines import Circle
from atlas.sky.projection import Projection, unit_vectors
from atlas.sky.sky_regions import InCone, InCoverage, InView, separation_deg
from atlas.sky.sky_segment import HEADER, ORDER, SkyHeader, SkySegment, write_sky
from atlas.storage.arrays import chunks

__all__ = ["SkyPlane", "write_sky"]

MASK_ORDER = 9
BAND_PIXELS = 1 << 17
POLYGON_LEAF_ROWS = 64
NEAREST_START_DEG = 4 / 3600
NEAREST_GROWTH = 8
OPPOSITE_DEG = 179.0
FEW_ROWS = 2_000_000
ROWS_A_CELL = 8
MOST_OCCUPIED = 20_000


class SkyPlane:
    """An open sky.

    Attributes
    ----------
    n_rows : int
        Rows of the atlas.
    footprint : (float, float, float)
        RA, Dec and radius in degrees of a circle that holds all rows: about their mean direction, or where rows were
        appended, about the circles of all segments.
    """

    def __init__(self, opened: Sequence[SkySegment], footprint: Circle, n_rows: int) -> None:
        self.n_rows = n_rows
        self.footprint = footprint
        self._segments = opened
        n_points = sum(segment.store.header.n_points for segment in opened)
        self._finest = finest_starts(n_points, BASE_CELLS, ORDER)
        self._counts_of = PerMask(self._count_mask)
        self._sums_of = PerMask(self._sum_column)

    @classmethod
    def open(
        cls,
        directory: Path,
        ra_deg: NDArray[np.float64] | None = None,
        dec_deg: NDArray[np.float64] | None = None,
        appended: Sequence[Path] = (),
    ) -> SkyPlane:
        """Open what `write_sky` wrote, at the same cost for any n.

        Parameters
        ----------
        directory : Path
            The sky.
        ra_deg, dec_deg : ndarray of shape (n,), float64, optional
            The catalogue's columns, of all rows. Without them, positions are known to 0.0002″.
        appended : sequence of Path
            What was appended to it, in the order of the rows.

        Raises
        ------
        FormatError
            If a file is missing, truncated or foreign, or one segment does not continue the one before it.
        """
        folders = [directory, *appended]
        headers = [read_header(folder / HEADER, SkyHeader) for folder in folders]
        n_rows = segments.require_consecutive([(f, header.store) for f, header in zip(folders, headers, strict=True)])
        columns = None if ra_deg is None or dec_deg is None else (ra_deg, dec_deg)
        opened = [SkySegment(f, header, columns, n_rows) for f, header in zip(folders, headers, strict=True)]
        circles = [(header.ra_deg, header.dec_deg, header.radius_deg) for header in headers]
        return cls(opened, reduce(_circle_around, circles), n_rows)

    def viewport(
        self, projection: Projection, box: Box, budget: int = SAMPLE_BUDGET, mask: Mask | None = None
    ) -> Sample:
        """A uniform sample of the rows in view.

        Parameters
        ----------
        projection : Projection
            How the sky is seen.
        box : Box
            The view, in degrees on the projection's plane.
        budget : int
            Size of the sample; all rows where there are fewer.
        mask : Mask, optional
            Only these rows.

        Returns
        -------
        Sample
            `x` and `y` in degrees on the projection's plane.
        """
        draw = segments.draw(self._segments, _in_view(projection, box), budget, mask)
        placed = [one.stored(at) for one, at in zip(self._segments, draw.positions, strict=True)]
        x, y = projection.forward(draw.joined(ra for ra, _ in placed), draw.joined(dec for _, dec in placed))
        return Sample(draw.rows, x.astype(np.float32), y.astype(np.float32), draw.in_view, draw.touched)

    def count(self, projection: Projection, box: Box, mask: Mask | None = None) -> int:
        """Number of rows in view, exactly."""
        return segments.count(self._segments, _in_view(projection, box), mask)

    def polygon(self, projection: Projection, vertices: ArrayLike) -> Mask:
        """All rows inside a polygon, exactly; rows on its outline are outside, as in `shapely.contains_xy`.

        Parameters
        ----------
        projection : Projection
            The projection that the polygon was drawn in. Rows 90° or more from a tangent plane's centre are outside.
        vertices : array-like of shape (v, 2)
            In degrees on its plane. Where the outline crosses itself, see `atlas.planes.polygon`.

        Raises
        ------
        InputError
            If the polygon has no area.
        """
        region = Polygon(geometry(validate_polygon(vertices)))
        return segments.select(self._segments, _in_view(projection, region), POLYGON_LEAF_ROWS)

    def cone(
        self, ra_deg: float, dec_deg: float, radius_arcsec: float
    ) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """All rows within a distance of a position, nearest first.

        Parameters
        ----------
        ra_deg, dec_deg : float
            The position (ICRS).
        radius_arcsec : float
            The distance, itself included.

        Returns
        -------
        rows : ndarray of shape (k,), uint32
            Rows; those at one distance ascend.
        separations_arcsec : ndarray of shape (k,), float64
            Their distances.

        Raises
        ------
        CoordinateError
            If position or radius are not numbers in range.
        """
        found = list(segments.members(self._segments, _in_cone(ra_deg, dec_deg, radius_arcsec)))
        rows = np.concatenate([one.store.row[at] for one, at in found])
        separations = np.concatenate([separation_deg(*one.exact(at), ra_deg, dec_deg) for one, at in found]) * 3600
        order = np.lexsort((rows, separations))
        return rows[order], separations[order]

    def cone_mask(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> Mask:
        """The rows of `cone` as a mask, without their distances: faster where they are many."""
        return segments.select(self._segments, _in_cone(ra_deg, dec_deg, radius_arcsec))

    def coverage_mask(self, ranges: CellRanges) -> Mask:
        """All rows in the cells of a coverage map (`atlas.sky.coverage`), exactly."""
        return segments.select(self._segments, lambda segment: InCoverage(segment, ranges))

    def nearest(self, ra_deg: float, dec_deg: float, limit_deg: float) -> tuple[int, float] | None:
        """The row nearest to a position, and its distance in arcseconds; None if none lies within the limit.

        Parameters
        ----------
        ra_deg, dec_deg : float
            The position (ICRS).
        limit_deg : float
            How far to look.

        Raises
        ------
        CoordinateError
            If position or limit are not numbers in range.
        """
        radius = min(NEAREST_START_DEG, limit_deg)
        while True:
            rows, separations = self.cone(ra_deg, dec_deg, radius * 3600)
            if rows.size:
                return int(rows[0]), float(separations[0])
            if radius >= limit_deg:
                return None
            radius = min(radius * NEAREST_GROWTH, limit_deg)

    def nearest_of_all(self, ra_deg: float, dec_deg: float) -> tuple[int, float]:
        """As `nearest`, however far it is: no farther than the far side of the nearest cell that holds a row."""
        order, cells = self.occupied
        toward, middles = unit_vectors(ra_deg, dec_deg), centers(order, cells)
        across = np.linalg.norm(middles - toward[:, None], axis=0).min()
        away = np.degrees(2 * np.arcsin(min(across / 2, 1.0))) + cell_radius_deg(order) + 1e-6
        found = self.nearest(ra_deg, dec_deg, min(float(away), 180.0))
        assert found is not None  # a cell that is occupied has a row
        return found

    @cached_property
    def occupied(self) -> tuple[int, NDArray[np.int64]]:
        """Order and cells that hold a row: as small as they can be and hold several each, and not too many.

        From the counts of cells, whatever n; where the counts are of few rows, from the rows' own cells.
        """
        if self.n_rows <= FEW_ROWS:
            order = ORDER
            cells = np.sort(np.concatenate([one.cells_at(ORDER, slice(None)) for one in self._segments]), kind="stable")
        else:
            order, cells = self._finest, np.flatnonzero(np.diff(self._starts))
        cells = _distinct(cells)
        while order and cells.size > min(self.n_rows / ROWS_A_CELL, MOST_OCCUPIED):
            order, cells = order - 1, _distinct(cells >> 2)
        return order, cells.astype(np.int64)

    @cached_property
    def coverage(self) -> CellRanges:
        """The survey's footprint as a coverage map: the cells that hold a row (`occupied`)."""
        order, cells = self.occupied
        return of_cells(order, cells)

    def covers(self, ra_deg: float, dec_deg: float) -> bool:
        """Whether a position lies in the footprint."""
        first, end = run_of(DEEPEST, cell_of(np.array([ra_deg]), np.array([dec_deg]), DEEPEST))
        return bool(inside(self.coverage, first, end)[0][0])

    def density(self, projection: Projection, box: Box, width: int, height: int, mask: Mask | None = None) -> Density:
        """Rows a pixel: a pixel shows its share of the HEALPix cell that its middle lies in.

        Where few rows are in view they are counted pixel by pixel.

        Parameters
        ----------
        projection : Projection
            How the sky is seen.
        box : Box
            The view, in degrees on the projection's plane; has an area.
        width, height : int
            Pixels.
        mask : Mask, optional
            Only these rows.

        Returns
        -------
        Density
            NaN outside the ellipse of an all-sky plane. Away from the middle of a tangent plane pixels see less sky;
            counts are those of a pixel at the middle, so that an even sky looks even.

        Raises
        ------
        InputError
            If the view has no area.
        """
        wanted = _wanted_order(box, width, height)
        pixel_deg2 = box.width * box.height / (width * height)
        finest = self._finest if mask is None else min(self._finest, MASK_ORDER)
        order = int(np.clip(wanted, 0, finest))
        few = (self.n_rows if mask is None else mask.count) <= DENSITY_FROM_POINTS
        if few or (wanted > finest and self.count(projection, box, mask) <= DENSITY_FROM_POINTS):
            return Density(self._count_pixels(projection, box, width, height, mask), True)
        cells = _pixel_cells(projection, box, width, height, order)
        finer = 2 * (finest - order)
        coarse = None if mask is None else self._counts_of(mask).reshape(-1, 1 << finer).sum(axis=1)
        raster = np.full(cells.shape, np.nan, dtype=np.float32)
        for lines in chunks(height, max(1, BAND_PIXELS // width)):
            on_sky = cells[lines] >= 0
            seen = cells[lines][on_sky]
            counts = self._starts[seen + 1 << finer] - self._starts[seen << finer] if coarse is None else coarse[seen]
            raster[lines][on_sky] = counts * (pixel_deg2 / cell_area_deg2(order))
        return Density(raster, wanted <= finest)

    def mean(
        self,
        projection: Projection,
        box: Box,
        width: int,
        height: int,
        values: NDArray[Any],
        mask: Mask | None = None,
        *,
        zero: int = 0,
    ) -> NDArray[np.float64]:
        """Mean of a column: a pixel shows that of the HEALPix cell that its middle lies in.

        The cells' sums are added up when a column and a mask are first asked for together, and kept for the latest
        few. Where few rows are in view, pixels show the mean of the rows inside them.

        Parameters
        ----------
        projection : Projection
            How the sky is seen.
        box : Box
            The view, in degrees on the projection's plane; has an area.
        width, height : int
            Pixels.
        values : ndarray of shape (n,), any number dtype
            A column; may be memory-mapped. Known again by identity: hand in the same object for the same column.
        mask : Mask, optional
            Only these rows.
        zero : int
            What the means are counted from, as in `Plane.mean`.

        Returns
        -------
        ndarray of shape (height, width), float64
            Mean − zero. First row at the bottom; NaN where no row has a value, and outside the ellipse of an all-sky
            plane.

        Raises
        ------
        InputError
            If the view has no area.
        """
        wanted = _wanted_order(box, width, height)
        require_column(values, self.n_rows)
        if self.count(projection, box, mask) <= DENSITY_FROM_POINTS:
            found = segments.members(self._segments, _in_view(projection, box), mask)
            shown = ((projection.forward(*one.stored(at)), values[one.store.row[at]]) for one, at in found)
            inside = (sum_pixels(x, y, value, box, width, height, zero) for (x, y), value in shown)
            return reduce(Sums.plus, inside).mean(0.0)
        finest = min(self._finest, MASK_ORDER)
        order = min(max(wanted, 0), finest)
        cells = _pixel_cells(projection, box, width, height, order)
        sums, center = self._sums_of(mask, values)
        counts, totals = (grid.reshape(-1, 4 ** (finest - order)).sum(axis=1) for grid in sums)
        raster = Sums(counts, totals).mean(center - zero)[cells]
        raster[cells < 0] = np.nan
        return raster

    @cached_property
    def _starts(self) -> NDArray[np.uint32]:
        """Number of rows before each cell of the finest order that is counted.

        One segment has a file of it. That of several is added up when first asked for, and takes 4 bytes a cell: no
        more than 1.4 bytes a row.
        """
        starts = (segment.store.starts_at(self._finest) for segment in self._segments)
        return reduce(np.add, starts)

    def _count_pixels(
        self, projection: Projection, box: Box, width: int, height: int, mask: Mask | None
    ) -> NDArray[np.float32]:
        found = segments.members(self._segments, _in_view(projection, box), mask)
        placed = (projection.forward(*one.stored(at)) for one, at in found)
        return reduce(np.add, (count_pixels(x, y, box, width, height) for x, y in placed)).astype(np.float32)

    def _count_mask(self, mask: Mask) -> NDArray[np.uint32]:
        """Selected rows in each cell of the finest order that masks are counted at."""
        order = min(self._finest, MASK_ORDER)
        return reduce(np.add, (one.count_mask(order, mask) for one in self._segments))

    def _sum_column(self, mask: Mask | None, values: NDArray[Any]) -> tuple[Sums, float]:
        """A column in each cell of the finest order that columns are added up at, and the center of the sums."""
        order = min(self._finest, MASK_ORDER)

        def members(piece: segments.Piece[SkySegment]) -> tuple[NDArray[np.intp], NDArray[Any]]:
            one, at = piece
            return one.cells_at(order, at), values[one.store.row[at]]

        center = center_of(values)
        return sum_cells(members, segments.pieces(self._segments, mask, PART), BASE_CELLS * 4**order, center), center


def _distinct(ascending: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each of some numbers once; they ascend already, which saves `np.unique` a second a million."""
    first = np.ones(ascending.size, dtype=np.bool_)
    first[1:] = ascending[1:] != ascending[:-1]
    return ascending[first]


def _in_view(projection: Projection, region: Region) -> segments.Ask[SkySegment]:
    """A region of a projection's plane, as each segment is asked about it."""
    return lambda segment: InView(segment, projection, region)


def _in_cone(ra_deg: float, dec_deg: float, radius_arcsec: float) -> segments.Ask[SkySegment]:
    """A cone, as each segment is asked about it; CoordinateError where position or radius are out of range."""
    if not (-360 <= ra_deg <= 360 and -90 <= dec_deg <= 90):
        raise CoordinateError(f"a position needs RA in 0…360 and Dec in −90…90 degrees, not {ra_deg} {dec_deg}")
    if not 0 <= radius_arcsec <= 180 * 3600:
        raise CoordinateError(f"a radius must lie between 0 and 180°, not {radius_arcsec}″")
    return lambda segment: InCone(segment, ra_deg, dec_deg, radius_arcsec / 3600)


def _wanted_order(box: Box, width: int, height: int) -> int:
    """Order of the smallest HEALPix cells that are no smaller than the pixels of a view.

    Raises
    ------
    InputError
        If the view has no area.
    """
    if not (box.width > 0 and box.height > 0):
        raise InputError(f"a picture needs a view with an area, not {box}")
    return int(np.floor(np.log2(cell_area_deg2(0) * width * height / (box.width * box.height)) / 2))


@lru_cache(maxsize=4)
def _pixel_cells(projection: Projection, box: Box, width: int, height: int, order: int) -> NDArray[np.int64]:
    """HEALPix cell of the middle of each pixel, shape (height, width); −1 where there is no sky.

    Independent of n, but 0.2 µs a pixel: kept, since a view and its selections ask for the same. Some lines at a time,
    since what lies between a pixel and its cell takes ten times the room of both.
    """
    x = box.x0 + (np.arange(width) + 0.5) * (box.width / width)
    y = box.y0 + (np.arange(height) + 0.5) * (box.height / height)
    cells = np.full((height, width), -1, dtype=np.int64)
    for lines in chunks(height, max(1, BAND_PIXELS // width)):
        ra, dec = projection.inverse(*np.meshgrid(x, y[lines]))
        on_sky = np.isfinite(ra)
        cells[lines][on_sky] = cell_of(ra[on_sky], dec[on_sky], order)
    return cells


def _circle_around(one: Circle, other: Circle) -> Circle:
    """The smallest circle that holds two circles; the whole sky where they lie opposite each other."""
    apart = float(separation_deg(*one[:2], *other[:2]))
    for larger, smaller in ((one, other), (other, one)):
        if apart + smaller[2] <= larger[2]:
            return larger
    radius = (one[2] + apart + other[2]) / 2
    if radius >= 180 or apart > OPPOSITE_DEG:
        return 0.0, 0.0, 180.0
    here, there = unit_vectors(*one[:2]), unit_vectors(*other[:2])
    toward = there - (here @ there) * here
    turn = np.radians(radius - one[2])
    x, y, z = np.cos(turn) * here + np.sin(turn) * toward / np.linalg.norm(toward)
    return float(np.degrees(np.arctan2(y, x)) % 360) % 360, float(np.degrees(np.arctan2(z, np.hypot(x, y)))), radius
