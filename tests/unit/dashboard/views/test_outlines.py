"""The outlines of a selection on the plane that it was drawn on."""

from __future__ import annotations

import numpy as np

from atlas.queries.selection import All, And, Cluster, MapPolygon, Not, Or, Range
from dashboard.views.outlines import outlines
from dashboard.views.palette import DARK

ONE = MapPolygon("v1", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
TWO = MapPolygon("v1", ((5.0, 5.0), (6.0, 5.0), (5.0, 6.0)))


def drawn(selection: object, count: int | None = 7) -> tuple[list[dict], list[dict]]:
    return outlines(selection, lambda s: np.asarray(s.vertices) if isinstance(s, MapPolygon) else None, DARK, count)


def test_what_was_taken_away_has_a_broken_line() -> None:
    shapes, labels = drawn(And((ONE, Not(TWO), Range("z", 0, 1))))
    assert [shape["line"].get("dash") for shape in shapes] == [None, "dash"]
    assert [label["text"] for label in labels] == ["7 galaxies selected"]


def test_twice_taken_away_is_added() -> None:
    shapes, _ = drawn(Not(Or((Not(ONE), Cluster("v1", 2)))))
    assert [shape["line"].get("dash") for shape in shapes] == [None]


def test_what_was_not_drawn_here_has_no_outline() -> None:
    assert drawn(All(), None) == ([], [])
    assert drawn(Cluster("v1", 2)) == ([], [])
