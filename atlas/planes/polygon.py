"""Lassos: polygons that arrive from outside, checked, made simple and written one way only.

A lasso drawn by hand may cross itself. What it goes round counts as inside, however often and in whichever sense
(the non-zero winding rule): both loops of an eight, the overlap where its end runs past its beginning, the middle of
a pentagram. The outline itself is outside (`shapely.contains_xy`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from atlas.errors import InputError, shorten

MAX_VERTICES = 100
CANONICAL_DIGITS = 7
LARGEST = 1e150
"""Of a corner's coordinates: their products have to be numbers too."""


def validate_polygon(vertices: ArrayLike) -> NDArray[np.float64]:
    """A polygon as an array, without repeats.

    Parameters
    ----------
    vertices : array-like of shape (v, 2)
        Corners in order; the last may repeat the first.

    Returns
    -------
    ndarray of shape (w, 2), float64
        At least three distinct corners; neighbours differ, the last and the first too.

    Raises
    ------
    InputError
        If it is not a list of pairs of finite numbers, or they all lie on one line.
    """
    try:
        points: NDArray[np.float64] = np.asarray(vertices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a polygon is a list of (x, y) pairs of numbers, not {shorten(vertices)}") from error
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"a polygon is a list of (x, y) pairs; this one has shape {points.shape}")
    if not (np.abs(points) <= LARGEST).all():
        bad = points[~(np.abs(points) <= LARGEST).all(axis=1)][0]
        raise InputError(f"the corners of a polygon must be finite numbers; one is ({bad[0]:g}, {bad[1]:g})")
    repeats = (points == np.roll(points, 1, axis=0)).all(axis=1)
    points = points[~repeats]
    if len(np.unique(points, axis=0)) < 3:
        raise InputError("a polygon needs at least three different corners")
    if shapely.convex_hull(shapely.MultiPoint(points)).area <= 0:
        raise InputError("a polygon whose corners lie on one line holds nothing")
    return points


def geometry(vertices: NDArray[np.float64]) -> Any:
    """Area that a polygon goes round, as a valid shapely geometry.

    Parameters
    ----------
    vertices : ndarray of shape (v, 2)
        From `validate_polygon`, and simplified: the cost grows with the square of v where the outline crosses itself.

    Raises
    ------
    InputError
        If it has no area: the outline runs back along itself.
    """
    polygon: Any = shapely.Polygon(vertices)
    if not polygon.is_valid:
        # `shapely.make_valid` leaves out what is gone round twice, or (method "structure") may itself be invalid.
        lines = shapely.union_all([shapely.LineString(polygon.exterior)])
        faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
        middles = shapely.get_coordinates(shapely.point_on_surface(faces))
        polygon = shapely.union_all(faces[winding_number(vertices, middles) != 0])
    if polygon.area <= 0:
        raise InputError("a polygon whose outline runs back along itself holds nothing")
    return polygon


def winding_number(vertices: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of times that a polygon goes round each point, counter-clockwise.

    An edge that passes to the right of a point counts once, upwards +1 and downwards −1 (Sunday 2001).

    Parameters
    ----------
    vertices : ndarray of shape (v, 2)
        The polygon.
    points : ndarray of shape (m, 2)
        Not on its outline.

    Returns
    -------
    ndarray of shape (m,), int64
    """
    x0, y0 = vertices.T[:, :, None]
    x1, y1 = np.roll(vertices, -1, axis=0).T[:, :, None]
    x, y = points.T
    left = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
    upwards, downwards = (y0 <= y) & (y1 > y) & (left > 0), (y0 > y) & (y1 <= y) & (left < 0)
    turns: NDArray[np.int64] = np.count_nonzero(upwards, axis=0) - np.count_nonzero(downwards, axis=0)
    return turns


def simplify(vertices: NDArray[np.float64], limit: int = MAX_VERTICES, *, one_unit: bool = True) -> NDArray[np.float64]:
    """The polygon with at most `limit` corners that stays nearest to the one given (Douglas & Peucker 1973).

    Parameters
    ----------
    vertices : ndarray of shape (v, 2)
        From `validate_polygon`.
    limit : int
        Most corners allowed, at least 3.
    one_unit : bool
        Whether x and y are lengths in one unit; if not, each is measured by the polygon's own width and height.

    Returns
    -------
    ndarray of shape (w, 2), float64
        Corners of the given polygon; unchanged if they are few enough.
    """
    if len(vertices) <= limit:
        return vertices
    if not one_unit:
        # By powers of two, so that the corners come back as they were.
        scale: NDArray[np.float64] = 2.0 ** np.floor(np.log2(np.ptp(vertices, axis=0)))
        return simplify(vertices / scale, limit) * scale
    # Both ends of a line are always kept, so the ring is cut open at one corner of its convex hull.
    start = int(np.argmin(vertices[:, 0]))
    line = shapely.LineString(np.roll(vertices, -start, axis=0)[np.append(np.arange(len(vertices)), 0)])
    low, high = 0.0, float(np.ptp(vertices, axis=0).max())
    best = vertices[:: -(-len(vertices) // limit)]
    for _ in range(40):
        tolerance = (low + high) / 2
        corners = shapely.get_coordinates(line.simplify(tolerance, preserve_topology=False))[:-1]
        if len(corners) > limit:
            low = tolerance
        else:
            high = tolerance
            if len(corners) >= 3:
                best = corners
    return best


def canonical_polygon(vertices: NDArray[np.float64], *, one_unit: bool = True) -> NDArray[np.float64]:
    """One way of writing a polygon: equal lassos become equal arrays, and so share one cache key.

    Coordinates are rounded to seven digits of the polygon's own size, wherever it lies; the polygon starts at its
    smallest corner (by x, then y) and turns counter-clockwise.

    Parameters
    ----------
    vertices : ndarray of shape (v, 2)
        From `validate_polygon` or `simplify`.
    one_unit : bool
        Whether x and y are lengths in one unit; if not, x is rounded by the polygon's width and y by its height.
    """
    size = np.ptp(vertices, axis=0)
    decimals = CANONICAL_DIGITS - 1 - np.floor(np.log10(np.maximum(size, size.max()) if one_unit else size)).astype(int)
    points = np.column_stack([np.round(vertices[:, i], decimals[i]) for i in (0, 1)]) + 0.0  # + 0.0 makes −0 a 0
    x, y = points.T
    if x @ np.roll(y, -1) < y @ np.roll(x, -1):
        points = points[::-1]
    start = np.lexsort((points[:, 1], points[:, 0]))[0]
    return np.roll(points, -int(start), axis=0)
