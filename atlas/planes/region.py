"""Regions of a plane: rectangles and polygons, asked about points and about cells of a quadtree.

A region answers two questions. `contains` decides about points, exactly. `relate` decides about rectangles: wholly
inside, wholly outside or neither; it may say "neither" when in doubt, never the other two. So whole cells of a
million rows are taken or left at once, and only the rows along the edge are looked at one by one.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

OUTSIDE, CROSSING, INSIDE = np.int8(0), np.int8(1), np.int8(2)

Floats = NDArray[np.floating[Any]]


class Region(Protocol):
    """A part of a plane."""

    @property
    def bounds(self) -> Box:
        """A rectangle that holds the region."""

    def contains(self, x: Floats, y: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
        """Mask of the points in the region, grown on all sides by `margin` (shrunk where negative); NaN never does."""

    def relate(self, x0: Floats, x1: Floats, y0: Floats, y1: Floats) -> NDArray[np.int8]:
        """INSIDE where all points of the closed rectangle are in the region, OUTSIDE where none is, else CROSSING."""


class Box(msgspec.Struct, frozen=True):
    """A rectangle with its edges: x0 ≤ x ≤ x1 and y0 ≤ y ≤ y1."""

    x0: float
    x1: float
    y0: float
    y1: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.x0, self.x1, self.y0, self.y1]).all() and self.x0 <= self.x1 and self.y0 <= self.y1):
            raise ValueError(f"a box needs finite x0 ≤ x1 and y0 ≤ y1, not {self!r}")

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def bounds(self) -> Box:
        return self

    def around(self, other: Box) -> Box:
        """The smallest box that holds both."""
        x0, x1 = min(self.x0, other.x0), max(self.x1, other.x1)
        return Box(x0, x1, min(self.y0, other.y0), max(self.y1, other.y1))

    def contains(self, x: Floats, y: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
        """See `Region`."""
        # Compared in float64: a float32 coordinate is exact there, a bound rounded to float32 would not be.
        x0, x1 = np.float64(self.x0 - margin), np.float64(self.x1 + margin)
        y0, y1 = np.float64(self.y0 - margin), np.float64(self.y1 + margin)
        return (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)

    def relate(self, x0: Floats, x1: Floats, y0: Floats, y1: Floats) -> NDArray[np.int8]:
        """See `Region`."""
        left, right = np.float64(self.x0), np.float64(self.x1)
        bottom, top = np.float64(self.y0), np.float64(self.y1)
        inside = (x0 >= left) & (x1 <= right) & (y0 >= bottom) & (y1 <= top)
        touching = (x1 >= left) & (x0 <= right) & (y1 >= bottom) & (y0 <= top)
        return inside.view(np.int8) + touching.view(np.int8)


class Polygon:
    """The interior of a polygon; points on its outline are outside, as in `shapely.contains_xy`.

    Parameters
    ----------
    geometry : shapely Polygon or MultiPolygon
        Valid, with an area (`atlas.planes.polygon.geometry`).
    """

    def __init__(self, geometry: Any) -> None:
        self._grown: dict[float, Any] = {0.0: geometry}
        shapely.prepare(geometry)
        x0, y0, x1, y1 = geometry.bounds
        self.bounds = Box(x0, x1, y0, y1)

    def contains(self, x: Floats, y: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
        """See `Region`."""
        inside = self.bounds.contains(x, y, margin)
        near = np.flatnonzero(inside)
        inside[near] = shapely.contains_xy(self._geometry(margin), x[near].astype(float), y[near].astype(float))
        return inside

    def relate(self, x0: Floats, x1: Floats, y0: Floats, y1: Floats) -> NDArray[np.int8]:
        """See `Region`."""
        polygon = self._grown[0.0]
        relation = np.minimum(self.bounds.relate(x0, x1, y0, y1), CROSSING)
        near = np.flatnonzero(relation)
        if not near.size:
            return relation
        # A rectangle without width would be an invalid polygon, so it gets a little; towards "neither" at worst.
        bounds = [np.asarray(bound[near], dtype=float) for bound in (x0, x1, y0, y1)]
        slack_x = 1e-12 * max(abs(self.bounds.x0), abs(self.bounds.x1))
        slack_y = 1e-12 * max(abs(self.bounds.y0), abs(self.bounds.y1))
        rectangles = shapely.box(bounds[0] - slack_x, bounds[2] - slack_y, bounds[1] + slack_x, bounds[3] + slack_y)
        touching = shapely.intersects(polygon, rectangles)
        inside = touching.copy()
        inside[touching] = shapely.contains_properly(polygon, rectangles[touching])
        relation[near] = inside.view(np.int8) + touching.view(np.int8)
        return relation

    def _geometry(self, margin: float) -> Any:
        if margin not in self._grown:
            grown = self._grown[0.0].buffer(margin)
            shapely.prepare(grown)
            self._grown[margin] = grown
        return self._grown[margin]


class BoxDifference:
    """One rectangle without another.

    Parameters
    ----------
    box, hole : Box
        The rectangle, and the part that is left out, with its edges.
    """

    def __init__(self, box: Box, hole: Box) -> None:
        self.bounds = box
        self.hole = hole

    def contains(self, x: Floats, y: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
        """See `Region`."""
        return self.bounds.contains(x, y, margin) & ~self.hole.contains(x, y, -margin)

    def relate(self, x0: Floats, x1: Floats, y0: Floats, y1: Floats) -> NDArray[np.int8]:
        """See `Region`."""
        in_box = self.bounds.relate(x0, x1, y0, y1)
        in_hole = self.hole.relate(x0, x1, y0, y1)
        relation = np.where((in_box == INSIDE) & (in_hole == OUTSIDE), INSIDE, CROSSING)
        relation[(in_box == OUTSIDE) | (in_hole == INSIDE)] = OUTSIDE
        return relation
