"""Regions of the sky, as the level store asks about them: what a view of a projection holds, cones, coverage maps.

Stored positions are rounded to 0.0003″. A row so near to an edge that the rounding could matter is looked up in the
catalogue's own columns, so every answer is that of the exact positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from atlas.planes.level_store import Positions
from atlas.planes.region import CROSSING, INSIDE, OUTSIDE, Region
from atlas.sky.coverage import DEEPEST, CellRanges, inside, order_of, run_of
from atlas.sky.healpix import cell_of, cell_radius_deg, centers
from atlas.sky.projection import Projection, unit_vectors

ROUNDING_DEG = 5e-8  # stored positions are nearer than this to the exact ones (`atlas.sky.sky_segment`)
# Mollweide's plane is stretched without bound at the poles: two places there ρ apart are √32 (3π ρ² / 8)^⅓ apart on it.
_MOLLWEIDE_ROUNDING_DEG = 4e-4
_SLACK_DEG = 1e-9  # floating-point error of separations

Coordinates = tuple[NDArray[np.float64], NDArray[np.float64]]


class Stars(Protocol):
    """Source of positions, by name or number."""

    def stored(self, positions: Positions) -> Coordinates:
        """RA and Dec in degrees, rounded."""

    def exact(self, positions: Positions) -> Coordinates:
        """RA and Dec in degrees, as in the catalogue."""


class InView:
    """Region of a projection's plane.

    Parameters
    ----------
    stars : Stars
        Positions of the rows.
    projection : Projection
        The projection; what it hides is in no region.
    region : Region
        In degrees on the plane.
    """

    def __init__(self, stars: Stars, projection: Projection, region: Region) -> None:
        self._stars, self._projection, self._region = stars, projection, region
        bounds = region.bounds
        self._farthest = float(np.hypot(max(-bounds.x0, bounds.x1), max(-bounds.y0, bounds.y1)))
        if projection.kind == "mol":
            self._margin = _MOLLWEIDE_ROUNDING_DEG
        else:
            # By how much the plane is stretched at most where the region lies: sec² of the angle on a tangent plane.
            stretch = 3.0 if projection.all_sky else 1 + np.radians(self._farthest) ** 2
            self._margin = ROUNDING_DEG * stretch

    def relate(self, depth: int, cells: NDArray[np.int64]) -> NDArray[np.int8]:
        """See `atlas.planes.level_store.StoreQuery`."""
        discs = self._projection.discs(centers(depth, cells), cell_radius_deg(depth))
        relation = np.where(discs.nearest > self._farthest, OUTSIDE, CROSSING)
        asked = np.flatnonzero((relation == CROSSING) & np.isfinite(discs.reach))
        x, y, reach = discs.x[asked], discs.y[asked], discs.reach[asked]
        relation[asked] = self._region.relate(x - reach, x + reach, y - reach, y + reach)
        torn = np.flatnonzero(discs.torn)
        if torn.size:
            x, y, reach = -discs.x[torn], discs.y[torn], discs.reach[torn]
            other = self._region.relate(x - reach, x + reach, y - reach, y + reach)
            relation[torn] = np.where(relation[torn] == other, other, CROSSING)
        return relation

    def contains(self, positions: Positions) -> NDArray[np.bool_]:
        """See `atlas.planes.level_store.StoreQuery`."""
        return _decide(self._stars, positions, self._place, self._margin)

    def _place(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> _Inside:
        x, y = self._projection.forward(ra_deg, dec_deg)
        return lambda margin: self._region.contains(x, y, margin)


class InCone:
    """Cone about a position, the distance itself included.

    Parameters
    ----------
    stars : Stars
        Positions of the rows.
    ra_deg, dec_deg : float
        The middle.
    radius_deg : float
        The distance.
    """

    def __init__(self, stars: Stars, ra_deg: float, dec_deg: float, radius_deg: float) -> None:
        self._stars, self._ra_deg, self._dec_deg, self._radius_deg = stars, ra_deg, dec_deg, radius_deg

    def relate(self, depth: int, cells: NDArray[np.int64]) -> NDArray[np.int8]:
        """See `atlas.planes.level_store.StoreQuery`."""
        toward = unit_vectors(self._ra_deg, self._dec_deg)
        middles = centers(depth, cells)
        away = np.degrees(np.arctan2(np.linalg.norm(np.cross(middles, toward, axis=0), axis=0), toward @ middles))
        radius = cell_radius_deg(depth) + _SLACK_DEG
        relation = np.full(cells.size, CROSSING)
        relation[away + radius <= self._radius_deg] = INSIDE
        relation[away - radius > self._radius_deg] = OUTSIDE
        return relation

    def contains(self, positions: Positions) -> NDArray[np.bool_]:
        """See `atlas.planes.level_store.StoreQuery`."""
        return _decide(self._stars, positions, self._place, ROUNDING_DEG)

    def separation_deg(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of positions from the middle."""
        return separation_deg(ra_deg, dec_deg, self._ra_deg, self._dec_deg)

    def _place(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> _Inside:
        away = self.separation_deg(ra_deg, dec_deg)
        return lambda margin: away <= self._radius_deg + margin


class Celled(Stars, Protocol):
    """Source of positions that knows their cells."""

    @property
    def cell_order(self) -> int:
        """Order of the cells that are known."""

    def cells_at(self, order: int, positions: Positions) -> NDArray[np.intp]:
        """Cell of an order, at most that which is known, that each row lies in."""


class InCoverage:
    """Cells of a coverage map.

    Parameters
    ----------
    stars : Celled
        Positions of the rows.
    ranges : ndarray of shape (k, 2), int64
        See `atlas.sky.coverage`.
    """

    def __init__(self, stars: Celled, ranges: CellRanges) -> None:
        self._stars, self._ranges = stars, ranges
        self._known = order_of(ranges) <= stars.cell_order

    def relate(self, depth: int, cells: NDArray[np.int64]) -> NDArray[np.int8]:
        """See `atlas.planes.level_store.StoreQuery`."""
        within, touching = inside(self._ranges, *run_of(depth, cells.astype(np.int64)))
        return within.view(np.int8) + touching.view(np.int8)

    def contains(self, positions: Positions) -> NDArray[np.bool_]:
        """See `atlas.planes.level_store.StoreQuery`."""
        if self._known:
            order = self._stars.cell_order
            first, end = run_of(order, self._stars.cells_at(order, positions).astype(np.int64))
        else:
            # Smaller than the cells that rows are kept in: by where they are.
            first, end = run_of(DEEPEST, cell_of(*self._stars.exact(positions), DEEPEST))
        return inside(self._ranges, first, end)[0]


_Inside = Callable[[float], NDArray[np.bool_]]


def _decide(
    stars: Stars, positions: Positions, place: Callable[[Any, Any], _Inside], margin: float
) -> NDArray[np.bool_]:
    """Mask of the rows inside: by their stored positions, except for those within `margin` of the edge."""
    inside_with = place(*stars.stored(positions))
    inside = inside_with(-margin)
    unsure = np.flatnonzero(inside_with(margin) & ~inside)
    if unsure.size:
        inside[unsure] = place(*stars.exact(positions[unsure]))(0.0)
    return inside


def separation_deg(ra_deg: Any, dec_deg: Any, ra0_deg: Any, dec0_deg: Any) -> NDArray[np.float64]:
    radians = np.radians([ra0_deg, dec0_deg])
    separation: NDArray[np.float64] = angular_separation(np.radians(ra_deg), np.radians(dec_deg), *radians)
    return np.degrees(separation)
