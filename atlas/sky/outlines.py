"""Outlines on the sky: polygons whose sides are great circles, circles, and the edges of coverage maps.

A tangent plane shows great circles as straight lines. So a polygon on the sphere that lies within a hemisphere is the
polygon of the same corners on the tangent plane in its middle, exactly, at RA 0/360 and the poles as anywhere.
"""

from __future__ import annotations

import math

import numpy as np
from astropy_healpix import boundaries_lonlat, neighbours
from numpy.typing import ArrayLike, NDArray

from atlas.errors import InputError
from atlas.sky.coverage import CellRanges, cells_by_order, coarser, inside, order_of, run_of
from atlas.sky.healpix import cell_radius_deg, centers
from atlas.sky.projection import Projection, unit_vectors

Circle = tuple[float, float, float]
SkyPath = tuple[NDArray[np.float64], NDArray[np.float64]]
"""RA and Dec in degrees; NaN between pieces."""

WIDEST_DEG = 80.0
CIRCLE_POINTS = 72
_CAP_STEPS = 100
_ROUND_ORDER = 5  # edges of larger cells are visibly curved
# Sides of a cell: the neighbour beyond and the first corner, as astropy-healpix counts them, and the quarters along it.
_SIDES = ((0, (0, 2), 1), (2, (2, 3), 0), (4, (1, 3), 3), (6, (0, 1), 2))


def polygon_on_plane(ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[Projection, NDArray[np.float64]]:
    """A polygon with great circles as sides, as a polygon on the tangent plane in its middle.

    Parameters
    ----------
    ra_deg, dec_deg : array-like of shape (v,)
        Corners in order (ICRS).

    Returns
    -------
    projection : Projection
    vertices : ndarray of shape (v, 2)
        In degrees on its plane.

    Raises
    ------
    InputError
        If there are fewer than three corners, or they do not lie within 80° of their middle.
    """
    vectors = unit_vectors(ra_deg, dec_deg)
    if vectors.ndim != 2 or vectors.shape[1] < 3:
        raise InputError("a polygon on the sky needs at least three corners, each with RA and Dec")
    ra, dec = middle_of(vectors)
    apart = _apart_from(vectors, ra, dec)
    if not apart.max() <= WIDEST_DEG:
        raise InputError(
            f"the corners of a polygon must lie within {WIDEST_DEG:g}° of their middle; one is {apart.max():.1f}° away "
            f"from {ra:.3f} {dec:+.3f}"
        )
    projection = Projection("tan", ra, dec)
    return projection, np.stack(projection.forward(ra_deg, dec_deg), axis=1)


def box_on_plane(
    ra_deg: float, dec_deg: float, width_deg: float, height_deg: float, angle_deg: float = 0.0
) -> tuple[Projection, NDArray[np.float64]]:
    """A box about a position, its sides great circles; measured through its middle, turned from north to east.

    Raises
    ------
    InputError
        If a side is not above 0 and at most 160°.
    """
    if not (0 < width_deg <= 2 * WIDEST_DEG and 0 < height_deg <= 2 * WIDEST_DEG):
        raise InputError(f"the sides of a box are above 0 and at most {2 * WIDEST_DEG:g}°")
    half = [math.degrees(math.tan(math.radians(side / 2))) for side in (width_deg, height_deg)]
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    # x grows to the west: turned from north to east is counter-clockwise as it is seen.
    return Projection("tan", ra_deg % 360 % 360, dec_deg), corners @ np.array([[cos, sin], [-sin, cos]])


def circle(ra_deg: float, dec_deg: float, radius_deg: float) -> SkyPath:
    """Points all round a position."""
    ahead, east, north = Projection("tan", ra_deg % 360 % 360, dec_deg).axes
    turns = np.linspace(0, 2 * np.pi, CIRCLE_POINTS, endpoint=False)[:, None]
    radius = math.radians(radius_deg)
    x, y, z = (math.cos(radius) * ahead + math.sin(radius) * (np.cos(turns) * north + np.sin(turns) * east)).T
    return np.degrees(np.arctan2(y, x)) % 360 % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def middle_of(vectors: NDArray[np.float64]) -> tuple[float, float]:
    """RA and Dec of about the middle of the smallest cap that holds unit vectors, shape (3, k).

    By steps towards the farthest (Bădoiu & Clarkson 2003), to a hundredth of the cap.
    """
    middle = vectors.mean(axis=1)
    for step in range(2, _CAP_STEPS):
        farthest = vectors[:, np.argmax(np.linalg.norm(vectors - middle[:, None], axis=0))]
        middle = middle + (farthest - middle) / step
    x, y, z = middle
    return math.degrees(math.atan2(y, x)) % 360 % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


def edges(ranges: CellRanges, most: int, near: Circle | None = None) -> SkyPath:
    """The edge of a coverage map, cell by cell; of cells so large that there are at most about `most` of them.

    Parameters
    ----------
    ranges : ndarray of shape (k, 2), int64
        See `atlas.sky.coverage`.
    most : int
        Pieces of the edge.
    near : (float, float, float), optional
        Only what lies in a circle: RA, Dec and radius in degrees.
    """
    order = order_of(ranges)
    found = _edge_cells(ranges, order, near)
    while order > 0 and (pieces := sum(cells.size for cells in found.values())) > most:
        # Cells twice as wide halve the edge.
        order = max(0, order - max(1, int(math.log2(pieces / most))))
        found = _edge_cells(coarser(ranges, order), order, near)
    lines = [_drawn(of, side, cells) for (of, side), cells in found.items()]
    return np.concatenate([np.empty(0), *(ra for ra, _ in lines)]), np.concatenate(
        [np.empty(0), *(b for _, b in lines)]
    )


def _edge_cells(ranges: CellRanges, deepest: int, near: Circle | None) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Cells with nothing of the map beyond one of their sides, by order and side: divided where part of it is."""
    found: dict[tuple[int, int], NDArray[np.int64]] = {}
    runs = cells_by_order(ranges)
    for side, (beyond, quarters, _) in enumerate(_SIDES):
        along = np.empty(0, dtype=np.int64)
        for order in range(min(runs, default=0), deepest + 1):
            if order in runs:
                own = (np.arange(a, b) for a, b in zip(*(ends.tolist() for ends in runs[order]), strict=True))
                along = np.concatenate([along, *own])
            if near is not None:
                along = along[_apart_from(centers(order, along), *near[:2]) <= near[2] + cell_radius_deg(order)]
            if not along.size:
                continue
            with np.errstate(invalid="ignore"):  # of neighbours at corners, which some cells lack
                across = np.asarray(neighbours(along, 2**order, order="nested"))[beyond].astype(np.int64)
            within, touching = inside(ranges, *run_of(order, across))
            if not touching.all():
                found[order, side] = along[~touching]
            along = (4 * along[touching & ~within, None] + np.array(quarters)).ravel()
    return found


def _drawn(order: int, side: int, cells: NDArray[np.int64]) -> SkyPath:
    """One side of each cell, NaN behind it."""
    step = 2 ** max(0, _ROUND_ORDER - order)
    with np.errstate(invalid="ignore"):  # at the poles
        lon, lat = boundaries_lonlat(cells, step, 2**order, order="nested")
    at = (_SIDES[side][2] * step + np.arange(step + 1)) % (4 * step)
    gap = np.full((cells.size, 1), np.nan)
    ra, dec = (np.concatenate([np.degrees(v.value)[:, at], gap], axis=1).ravel() for v in (lon, lat))
    return ra, dec


def _apart_from(vectors: NDArray[np.float64], ra_deg: float, dec_deg: float) -> NDArray[np.float64]:
    """Distances in degrees of unit vectors, shape (3, k), from a position."""
    toward = unit_vectors(ra_deg, dec_deg)
    away: NDArray[np.float64] = np.arctan2(np.linalg.norm(np.cross(vectors, toward, axis=0), axis=0), toward @ vectors)
    return np.degrees(away)
