"""The sky: every row at its position, seen through projections, cones and lassos.

    sky.json        the header: what the store is, where its rows lie
    ra.npy dec.npy  uint32 (m,)   positions in the order of the store, rounded to 0.0003″
    …               the level store (`atlas.levels`), its cells nested HEALPix of order 14 (13″)

Nested HEALPix has no edges: RA 0/360, the poles and galactic coordinates are no special case. The counts of its cells
are the differences of the store's `starts`, so the sky needs no count pyramid of its own.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.errors import CoordinateError, FormatError, InputError
from atlas.format import write_atomically
from atlas.healpix import BASE_CELLS, cell_area_deg2, cell_of
from atlas.level_files import StoreHeader, chunks, create_array, open_array, write_store
from atlas.levels import LevelStore, Positions
from atlas.mask import Mask
from atlas.means import Sums, center_of, require_column, sum_cells, sum_pixels
from atlas.polygon import geometry, validate_polygon
from atlas.projection import Projection
from atlas.pyramid import DENSITY_FROM_POINTS, Density, count_pixels
from atlas.recent import PerMask
from atlas.region import Box, Polygon
from atlas.sampling import SAMPLE_BUDGET, Sample
from atlas.sky_query import InCone, InView, separation_deg

HEADER = "sky.json"
RA = "ra.npy"
DEC = "dec.npy"

ORDER = 14
MASK_ORDER = 9
POLYGON_LEAF_ROWS = 64
NEAREST_START_DEG = 4 / 3600
NEAREST_GROWTH = 8
_RA_STEP = 360 / 2**32
_DEC_STEP = 180 / (2**32 - 1)


class SkyHeader(msgspec.Struct, frozen=True):
    """What `sky.json` holds: the store, and a circle that holds all rows."""

    store: StoreHeader
    ra_deg: float
    dec_deg: float
    radius_deg: float


class SkyPlane:
    """An open sky.

    Attributes
    ----------
    n_rows : int
        Rows of the atlas.
    footprint : (float, float, float)
        RA, Dec and radius in degrees of a circle that holds all rows, about their mean direction.
    """

    def __init__(
        self,
        directory: Path,
        header: SkyHeader,
        ra_deg: NDArray[np.float64] | None,
        dec_deg: NDArray[np.float64] | None,
    ) -> None:
        self.n_rows = header.store.n_rows
        self.footprint = (header.ra_deg, header.dec_deg, header.radius_deg)
        self._store = LevelStore(directory, header.store)
        self._ra = open_array(directory / RA, np.uint32, header.store.n_points)
        self._dec = open_array(directory / DEC, np.uint32, header.store.n_points)
        self._columns = None if ra_deg is None or dec_deg is None else (ra_deg, dec_deg)
        self._counts_of = PerMask(self._count_mask)
        self._sums_of = PerMask(self._sum_column)

    @classmethod
    def open(
        cls, directory: Path, ra_deg: NDArray[np.float64] | None = None, dec_deg: NDArray[np.float64] | None = None
    ) -> SkyPlane:
        """Open what `write_sky` wrote, at the same cost for any n.

        Parameters
        ----------
        directory : Path
            The store.
        ra_deg, dec_deg : ndarray of shape (n,), float64, optional
            The catalogue's columns. Without them, positions are known to 0.0002″.

        Raises
        ------
        FormatError
            If a file is missing, truncated or foreign.
        """
        try:
            header = msgspec.json.decode((directory / HEADER).read_bytes(), type=SkyHeader)
        except (OSError, msgspec.DecodeError) as error:
            raise FormatError(f"{directory / HEADER} cannot be read: {error}") from error
        return cls(directory, header, ra_deg, dec_deg)

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
        draw = self._store.draw(InView(self, projection, box), budget, mask)
        x, y = projection.forward(*self.stored(draw.positions))
        return Sample(draw.rows, x.astype(np.float32), y.astype(np.float32), draw.in_view, draw.touched)

    def count(self, projection: Projection, box: Box, mask: Mask | None = None) -> int:
        """How many rows are in view, exactly."""
        return self._store.count(InView(self, projection, box), mask)

    def polygon(self, projection: Projection, vertices: ArrayLike) -> Mask:
        """All rows inside a polygon, exactly; rows on its outline are outside, as in `shapely.contains_xy`.

        Parameters
        ----------
        projection : Projection
            The projection that the polygon was drawn in. Rows 90° or more from a tangent plane's centre are outside.
        vertices : array-like of shape (v, 2)
            In degrees on its plane. Where the outline crosses itself, see `atlas.polygon`.

        Raises
        ------
        InputError
            If the polygon has no area.
        """
        region = Polygon(geometry(validate_polygon(vertices)))
        return self._store.mask(InView(self, projection, region), POLYGON_LEAF_ROWS)

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
        cone = self._cone(ra_deg, dec_deg, radius_arcsec)
        positions = self._store.members(cone)
        separations = cone.separation_deg(*self.exact(positions)) * 3600
        rows = self._store.row[positions]
        order = np.lexsort((rows, separations))
        return rows[order], separations[order]

    def cone_mask(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> Mask:
        """The rows of `cone` as a mask, without their distances: faster where they are many."""
        return self._store.mask(self._cone(ra_deg, dec_deg, radius_arcsec))

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
        finest = self._store.header.start_depth if mask is None else min(self._store.header.start_depth, MASK_ORDER)
        order = int(np.clip(wanted, 0, finest))
        few = (self.n_rows if mask is None else mask.count) <= DENSITY_FROM_POINTS
        if few or (wanted > finest and self.count(projection, box, mask) <= DENSITY_FROM_POINTS):
            return Density(self._count_pixels(projection, box, width, height, mask), True)
        cells = _pixel_cells(projection, box, width, height, order)
        on_sky = cells >= 0
        if mask is None:
            start, end = self._store.runs(order, cells[on_sky])
            counts = end - start
        else:
            counts = self._counts_of(mask).reshape(-1, 4 ** (finest - order)).sum(axis=1)[cells[on_sky]]
        raster = np.full(cells.shape, np.nan, dtype=np.float32)
        raster[on_sky] = counts * (pixel_deg2 / cell_area_deg2(order))
        return Density(raster, wanted <= finest)

    def mean(
        self,
        projection: Projection,
        box: Box,
        width: int,
        height: int,
        values: NDArray[Any],
        mask: Mask | None = None,
    ) -> NDArray[np.float32]:
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

        Returns
        -------
        ndarray of shape (height, width), float32
            First row at the bottom; NaN where no row has a value, and outside the ellipse of an all-sky plane.

        Raises
        ------
        InputError
            If the view has no area.
        """
        wanted = _wanted_order(box, width, height)
        require_column(values, self.n_rows)
        if self.count(projection, box, mask) <= DENSITY_FROM_POINTS:
            positions = self._store.members(InView(self, projection, box), mask)
            x, y = projection.forward(*self.stored(positions))
            return sum_pixels(x, y, values[self._store.row[positions]], box, width, height, 0.0).mean(0.0)
        finest = min(self._store.header.start_depth, MASK_ORDER)
        order = min(max(wanted, 0), finest)
        cells = _pixel_cells(projection, box, width, height, order)
        sums, center = self._sums_of(mask, values)
        counts, totals = (grid.reshape(-1, 4 ** (finest - order)).sum(axis=1) for grid in sums)
        raster = Sums(counts, totals).mean(center)[cells]
        raster[cells < 0] = np.nan
        return raster

    def stored(self, positions: Positions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `atlas.sky_query.Stars`."""
        return self._ra[positions] * _RA_STEP, self._dec[positions] * _DEC_STEP - 90

    def exact(self, positions: Positions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `atlas.sky_query.Stars`."""
        if self._columns is None:
            return self.stored(positions)
        rows = self._store.row[positions]
        return self._columns[0][rows], self._columns[1][rows]

    def _cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> InCone:
        if not (-360 <= ra_deg <= 360 and -90 <= dec_deg <= 90):
            raise CoordinateError(f"a position needs RA in 0…360 and Dec in −90…90 degrees, not {ra_deg} {dec_deg}")
        if not 0 <= radius_arcsec <= 180 * 3600:
            raise CoordinateError(f"a radius must lie between 0 and 180°, not {radius_arcsec}″")
        return InCone(self, ra_deg, dec_deg, radius_arcsec / 3600)

    def _count_pixels(
        self, projection: Projection, box: Box, width: int, height: int, mask: Mask | None
    ) -> NDArray[np.float32]:
        positions = self._store.members(InView(self, projection, box), mask)
        x, y = projection.forward(*self.stored(positions))
        return count_pixels(x, y, box, width, height).astype(np.float32)

    def _count_mask(self, mask: Mask) -> NDArray[np.uint32]:
        """Selected rows in each cell of the finest order that masks are counted at."""
        order = min(self._store.header.start_depth, MASK_ORDER)
        starts = self._store.starts[:: 4 ** (self._store.header.start_depth - order)]
        edges = np.searchsorted(self._store.subset(mask).positions, starts)
        return np.diff(edges).astype(np.uint32)

    def _sum_column(self, mask: Mask | None, values: NDArray[Any]) -> tuple[Sums, float]:
        """A column in each cell of the finest order that columns are added up at, and the center of the sums."""
        order = min(self._store.header.start_depth, MASK_ORDER)
        within = None if mask is None else self._store.subset(mask).positions
        size = self._store.header.n_points if within is None else within.size

        def members(part: slice) -> tuple[NDArray[np.intp], NDArray[Any]]:
            at = part if within is None else within[part]
            cells = self._store.cell[at] >> np.uint32(2 * (ORDER - order))
            return cells.astype(np.intp), values[self._store.row[at]]

        center = center_of(values)
        return sum_cells(members, size, BASE_CELLS * 4**order, center), center


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


@lru_cache(maxsize=8)
def _pixel_cells(projection: Projection, box: Box, width: int, height: int, order: int) -> NDArray[np.int64]:
    """HEALPix cell of the middle of each pixel, shape (height, width); −1 where there is no sky.

    Independent of n, but 0.2 µs a pixel: kept, since a view and its selections ask for the same.
    """
    x = box.x0 + (np.arange(width) + 0.5) * (box.width / width)
    y = box.y0 + (np.arange(height) + 0.5) * (box.height / height)
    ra, dec = projection.inverse(*np.meshgrid(x, y))
    cells = np.full(ra.shape, -1, dtype=np.int64)
    on_sky = np.isfinite(ra)
    cells[on_sky] = cell_of(ra[on_sky], dec[on_sky], order)
    return cells


def write_sky(directory: Path, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], *, seed: int) -> None:
    """Write the store of a sky.

    Needs about 22 bytes a row of memory while it runs; the columns may be memory-mapped.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    ra_deg, dec_deg : ndarray of shape (n,), float64
        Positions: RA in 0 … 360, Dec in −90 … 90.
    seed : int
        Seed of the random levels.

    Raises
    ------
    CoordinateError
        If a position is out of range or not a number.
    """
    directory.mkdir(parents=True, exist_ok=True)
    cells = np.empty(ra_deg.size, dtype=np.uint32)
    for part in chunks(ra_deg.size):
        bad = ~((ra_deg[part] >= 0) & (ra_deg[part] <= 360) & (np.abs(dec_deg[part]) <= 90))
        if bad.any():
            row = part.start + int(np.argmax(bad))
            raise CoordinateError(f"row {row} has no position: RA {ra_deg[row]}, Dec {dec_deg[row]}")
        cells[part] = cell_of(ra_deg[part], dec_deg[part], ORDER)
    present = np.ones(cells.size, dtype=np.bool_)
    store = write_store(directory, cells, present, roots=BASE_CELLS, depth=ORDER, seed=seed)
    del cells, present

    rows = LevelStore(directory, store).row
    ra = create_array(directory / RA, np.uint32, rows.size)
    dec = create_array(directory / DEC, np.uint32, rows.size)
    for part in chunks(rows.size):
        ra[part] = np.rint(ra_deg[rows[part]] / _RA_STEP).astype(np.uint64) % 2**32
        dec[part] = np.rint((dec_deg[rows[part]] + 90) / _DEC_STEP)
    header = SkyHeader(store, *_footprint(ra_deg, dec_deg))
    write_atomically(directory / HEADER, msgspec.json.format(msgspec.json.encode(header)))


def _footprint(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean direction of all rows, and the distance of the farthest."""
    total = np.zeros(3)
    for part in chunks(ra_deg.size):
        ra, dec = np.radians(ra_deg[part]), np.radians(dec_deg[part])
        total += [np.sum(np.cos(dec) * np.cos(ra)), np.sum(np.cos(dec) * np.sin(ra)), np.sum(np.sin(dec))]
    if np.linalg.norm(total) < 1e-9 * ra_deg.size:
        return 0.0, 0.0, 180.0  # evenly over the sky: there is no mean direction
    center_ra = float(np.degrees(np.arctan2(total[1], total[0])) % 360) % 360
    center_dec = float(np.degrees(np.arctan2(total[2], np.hypot(total[0], total[1]))))
    radius = 0.0
    for part in chunks(ra_deg.size):
        radius = max(radius, float(separation_deg(ra_deg[part], dec_deg[part], center_ra, center_dec).max()))
    return center_ra, center_dec, radius
