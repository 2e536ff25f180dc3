"""A lasso on the plane of two columns, between a selection, which stands alone, and the axes that it was drawn on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.planes.axis import Axis
from atlas.planes.column_plane import PlaneAxes
from atlas.queries.selection import ColumnPolygon, Vertices


def column_lasso(axes: PlaneAxes, x: str, y: str, vertices: Vertices) -> ColumnPolygon:
    """A selection by corners in the coordinates of some axes."""
    return ColumnPolygon(x, y, vertices, axes.x.log, axes.y.log, axes.x.zero, axes.y.zero, axes.x.unit, axes.y.unit)


def axes_of(lasso: ColumnPolygon) -> PlaneAxes:
    """The axes that a lasso was drawn on."""
    return PlaneAxes(Axis(lasso.x_log, lasso.x_zero, lasso.x_unit), Axis(lasso.y_log, lasso.y_zero, lasso.y_unit))


def vertices_on(axes: PlaneAxes, lasso: ColumnPolygon) -> NDArray[np.float64] | None:
    """Corners of a lasso in the coordinates of a plane; None where only one of the two has logarithms."""
    return axes_of(lasso).moved(np.asarray(lasso.vertices, dtype=np.float64), axes)
