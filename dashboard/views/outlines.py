"""The outlines of lassos on a plane, and the exact count beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.queries.selection import And, Not, Or, Selection

from . import figure as fig
from .palette import Theme

Corners = Callable[[Selection], NDArray[np.float64] | None]


def outlines(
    selection: Selection, corners: Corners, look: Theme, count: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes and annotations of a figure: what was added has a full line, what was taken away a broken one.

    Parameters
    ----------
    selection : Selection
        What is active.
    corners : callable
        Corners of a part on the plane in view, as an array of shape (v, 2), NaN between pieces; None where it is not
        of that plane.
    look : Theme
    count : int or None
        Rows that are active; None where nothing is selected.
    """
    shapes: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for part, taken_away in _leaves(selection):
        vertices = corners(part)
        if vertices is None:
            continue
        shape = fig.polygon_shape(vertices, look)
        if taken_away:
            shape["line"] = {**shape["line"], "dash": "dash"}
            shape["fillcolor"] = "rgba(0,0,0,0)"
        shapes.append(shape)
        if count is not None and not labels:
            x, y = vertices[np.isfinite(vertices).all(axis=1)].T
            at = float(x.min() + x.max()) / 2, float(y.min())
            labels.append(fig.label(*at, f"{count:,} galaxies selected", look, yanchor="top", yshift=-4))
    return shapes, labels


def _leaves(selection: Selection, taken_away: bool = False) -> Iterator[tuple[Selection, bool]]:
    match selection:
        case And(of) | Or(of):
            for one in of:
                yield from _leaves(one, taken_away)
        case Not(of):
            yield from _leaves(of, not taken_away)
        case _:
            yield selection, taken_away
