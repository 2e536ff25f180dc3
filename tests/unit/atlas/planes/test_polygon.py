"""Lassos, and regions asked about points and cells: `atlas.planes.polygon`, `atlas.planes.region`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.planes.polygon import canonical_polygon, geometry, simplify, validate_polygon
from atlas.planes.region import CROSSING, INSIDE, OUTSIDE, Box, BoxDifference, Polygon, Region

SQUARE = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)]
Vertices = NDArray[np.float64]


def pentagram() -> Vertices:
    angles = np.arange(5) * 4 * np.pi / 5
    return np.column_stack([np.sin(angles), np.cos(angles)])


def spiral(turns: float, vertices: int) -> Vertices:
    angles = np.linspace(0, 2 * np.pi * turns, vertices)
    return np.column_stack([np.cos(angles), np.sin(angles)]) * (1 + 0.1 * angles)[:, None]


def winding_number_by_angles(vertices: Vertices, x: Any, y: Any) -> NDArray[np.int64]:
    """How often the outline goes round each point, from the angles under which its edges are seen."""
    seen = np.arctan2(vertices[:, 1, None] - y, vertices[:, 0, None] - x)
    turn = np.diff(np.vstack([seen, seen[:1]]), axis=0)
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    return np.rint(turn.sum(axis=0) / (2 * np.pi)).astype(np.int64)


coordinates = st.floats(-100, 100, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=25)


def valid(vertices: list[tuple[float, float]]) -> Vertices:
    try:
        return validate_polygon(vertices)
    except InputError:
        assume(False)
        raise


@pytest.mark.parametrize(
    ("vertices", "reason"),
    [
        ([(0, 0), (1, 1)], "at least three"),
        ([(0, 0), (1, 1), (0, 0), (1, 1)], "at least three"),
        ([(0, 0), (1, 1), (2, 2)], "one line"),
        ([(0, 0), (1, 0), (float("nan"), 1)], "finite"),
        ([(0, 0), (1, 0), (float("inf"), 1)], "finite"),
        ([(0, 0), (1, 0), (1e300, 1)], "finite"),
        ([(0, 0, 0), (1, 0, 0), (1, 1, 0)], "pairs"),
        ([], "pairs"),
        ([("a", "b")] * 3, "pairs of numbers"),
        ([(0, 0), (1,), (1, 1)], "pairs of numbers"),
    ],
)
def test_what_holds_nothing_is_refused_with_its_reason(vertices: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        validate_polygon(vertices)


def test_a_closed_ring_and_repeated_corners_are_the_same_polygon() -> None:
    repeated = [SQUARE[0], SQUARE[0], *SQUARE[1:], SQUARE[0]]
    assert np.array_equal(canonical_polygon(validate_polygon(repeated)), canonical_polygon(validate_polygon(SQUARE)))
    assert len(validate_polygon(repeated)) == 4


@pytest.mark.parametrize(
    "vertices",
    [
        pentagram(),
        spiral(1.15, 60),
        spiral(2.4, 60),
        np.array([(-1.0, -1), (1, 1), (1, -1), (-1, 1)]),
        np.array([(0.0, -1), (0, 0), (1, 0), (0, -1), (0, 0), (-1, 0)]),
        np.random.default_rng(3).uniform(-2, 2, (40, 2)),
    ],
    ids=["pentagram", "overshoot", "spiral", "bow tie", "edge twice", "scribble"],
)
def test_what_the_outline_goes_round_is_inside_however_it_crosses_itself(vertices: Vertices) -> None:
    x, y = np.random.default_rng(1).uniform(-2.6, 2.6, (2, 4000))
    expected = winding_number_by_angles(vertices, x, y) != 0
    assert 0 < np.count_nonzero(expected) < x.size
    assert np.array_equal(shapely.contains_xy(geometry(validate_polygon(vertices)), x, y), expected)


@given(polygons)
def test_a_validated_polygon_is_a_valid_geometry_with_an_area(vertices: list[tuple[float, float]]) -> None:
    points = valid(vertices)
    try:
        shape = geometry(points)
    except InputError:
        assert not winding_number_by_angles(points, *np.random.default_rng(0).uniform(-100, 100, (2, 500))).any()
        return
    assert shape.is_valid
    assert shape.area > 0
    assert shape.geom_type in ("Polygon", "MultiPolygon")


def test_an_outline_that_runs_back_along_itself_holds_nothing() -> None:
    with pytest.raises(InputError, match="runs back"):
        geometry(validate_polygon([(0, 0), (1, 0), (1, 1), (1, 0)]))


def test_few_corners_are_left_as_they_are() -> None:
    vertices = spiral(0.9, 100)
    assert simplify(vertices) is vertices


@pytest.mark.parametrize("count", [101, 150, 2000])
def test_a_simplified_lasso_keeps_its_shape_with_at_most_100_corners(count: int) -> None:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 1 + 0.3 * np.sin(3 * angles) + 0.002 * np.random.default_rng(0).normal(size=count)
    vertices = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    simple = simplify(vertices)
    assert 50 < len(simple) <= 100
    assert {tuple(corner) for corner in simple} <= {tuple(corner) for corner in vertices}
    changed = geometry(vertices).symmetric_difference(geometry(simple)).area
    assert changed < 0.01 * geometry(vertices).area


def test_a_scribble_is_cut_down_to_the_limit_too() -> None:
    scribble = np.random.default_rng(5).uniform(-1, 1, (1500, 2))
    assert 3 <= len(simplify(scribble)) <= 100


@given(polygons, st.integers(0, 24), st.booleans())
def test_equal_lassos_are_written_alike(vertices: list[tuple[float, float]], start: int, turned: bool) -> None:
    points = valid(vertices)
    assume(np.unique(np.round(points, 3), axis=0).shape[0] == len(points))  # no corner twice: it could start at either
    assume(
        abs(np.dot(points[:, 0], np.roll(points[:, 1], -1)) - np.dot(points[:, 1], np.roll(points[:, 0], -1))) > 1e-3
    )
    same = np.roll(points, start % len(points), axis=0)[:: -1 if turned else 1]
    assert canonical_polygon(same).tobytes() == canonical_polygon(points).tobytes()


def test_rounding_is_relative_to_the_lasso_not_to_where_it_lies() -> None:
    small = np.array([(0.0, 0), (1e-5, 0), (1e-5, 1e-5)])
    far = canonical_polygon(small + 150)
    assert geometry(far).area == pytest.approx(0.5e-10, rel=1e-4)
    noisy = np.array(SQUARE) + 1e-9
    assert canonical_polygon(noisy).tobytes() == canonical_polygon(np.array(SQUARE)).tobytes()


def test_canonical_polygons_turn_counter_clockwise_from_their_smallest_corner() -> None:
    assert canonical_polygon(np.array(SQUARE[::-1])).tolist() == [list(corner) for corner in SQUARE]


def test_the_outline_of_a_polygon_is_outside_and_that_of_a_box_inside() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 2.0, 1.0])
    assert Polygon(geometry(np.array(SQUARE))).contains(x, y).tolist() == [False, False, False, False, True]
    assert Box(0, 2, 0, 2).contains(x, y).all()


def test_missing_coordinates_are_in_no_region() -> None:
    missing = np.array([np.nan, 1.0]), np.array([1.0, np.nan])
    for region in (Box(0, 2, 0, 2), Polygon(geometry(np.array(SQUARE)))):
        assert not region.contains(*missing).any()


def test_a_box_is_compared_in_double_precision() -> None:
    x = np.array([0.1], dtype=np.float32)  # a little more than 0.1
    assert not Box(0.0, 0.1, -1, 1).contains(x, np.zeros(1, dtype=np.float32)).any()


@pytest.mark.parametrize("bounds", [(1, 0, 0, 1), (0, 1, 1, 0), (0, float("nan"), 0, 1), (0, float("inf"), 0, 1)])
def test_an_impossible_box_cannot_be_made(bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box"):
        Box(*bounds)


@pytest.mark.parametrize("margin", [-0.3, 0.0, 0.3])
def test_a_margin_grows_and_shrinks_regions(margin: float) -> None:
    x, y = np.random.default_rng(2).uniform(-1, 3, (2, 5000))
    inside = np.maximum(np.abs(x - 1), np.abs(y - 1)) < 1 + margin
    assert np.array_equal(Box(0, 2, 0, 2).contains(x, y, margin), inside)
    grown = Polygon(geometry(np.array(SQUARE))).contains(x, y, margin)
    corner = np.minimum(np.abs(x - 1), np.abs(y - 1)) > 1  # rounded corners
    assert np.array_equal(grown[~corner], inside[~corner])


REGIONS = [
    Box(-0.5, 0.7, -0.3, 0.9),
    BoxDifference(Box(-0.8, 0.9, -0.7, 0.6), Box(-0.2, 0.3, -0.1, 0.4)),
    Polygon(geometry(validate_polygon(pentagram()))),
    Polygon(geometry(validate_polygon(spiral(1.2, 40)))),
]


@pytest.mark.parametrize("region", REGIONS, ids=["box", "outside", "pentagram", "spiral"])
def test_a_region_never_claims_a_cell_wrongly(region: Region) -> None:
    rng = np.random.default_rng(3)
    x0, y0 = rng.uniform(-1.5, 1.5, (2, 3000))
    width, height = 10 ** rng.uniform(-3, 0, (2, 3000))
    width[:300] = 0
    height[200:600] = 0
    relation = region.relate(x0, x0 + width, y0, y0 + height)
    assert set(relation.tolist()) == {OUTSIDE, CROSSING, INSIDE}
    for u, v in [*rng.uniform(size=(40, 2)).tolist(), (0, 0), (0, 1), (1, 0), (1, 1)]:
        inside = region.contains(x0 + u * width, y0 + v * height)
        assert inside[relation == INSIDE].all()
        assert not inside[relation == OUTSIDE].any()
