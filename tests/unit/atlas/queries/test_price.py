"""Prices of selections: dear ones are known before they run."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.errors import InputError
from atlas.queries.price import price, require_affordable, rows_in_doubt
from atlas.queries.selection import And, Cone, Expression, MapPolygon, Not, Or, Range, Rows, Selection, canonical

MILLION, SURVEY = 1_000_000, 42_000_000
ALLOWED = 5_000_000_000


def star(corners: int, inner: float, turn: float = 0.0) -> Selection:
    """A lasso with spikes; a circle where `inner` is 1."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turn
    radius = np.where(np.arange(corners) % 2, inner, 1.0)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return canonical(MapPolygon("v1", tuple((float(x), float(y)) for x, y in points)))


def dear_conditions() -> Selection:
    powers = " + ".join(f"x ** 1.{i}" for i in range(1, 31))
    return canonical(And(tuple(Expression(f"{powers} > {i}") for i in range(64))))


def dear_lassos() -> Selection:
    return Not(Or(tuple(star(100, 0.05, turn=i / 100) for i in range(64))))


@pytest.mark.parametrize("dear", [dear_conditions(), dear_lassos()])
def test_what_took_seconds_of_a_core_is_refused_in_a_sentence(dear: Selection) -> None:
    assert price(dear, MILLION) > ALLOWED
    with pytest.raises(InputError, match=r"would take [\d,]+ million operations on 1,000,000 .* allowed are 5,000 mil"):
        require_affordable(dear, MILLION, ALLOWED)


@pytest.mark.parametrize(
    "usual",
    [
        star(100, 1.0),
        star(100, 0.05),
        canonical(And((star(30, 0.8), *(Range(f"c{i}", 0, 1) for i in range(8)), Cone(10, 0, 3600)))),
        canonical(Expression("log10(a) - log10(b) > 0.3 & (mag_g - mag_r) ** 2 < 1 & sqrt(c) > 2")),
    ],
)
def test_what_a_hand_asks_of_a_whole_survey_is_allowed(usual: Selection) -> None:
    require_affordable(usual, SURVEY, ALLOWED)


def test_the_dearest_part_is_named() -> None:
    with pytest.raises(InputError, match="leave out some of its 2 parts; the dearest is the condition a / b > 1"):
        require_affordable(And((Range("c", 0, 1), Expression("a / b > 1"))), MILLION, 1_000_000)
    with pytest.raises(InputError, match="make it simpler; the dearest is a lasso of 100 corners on the map"):
        require_affordable(star(100, 1.0), MILLION, 1_000_000)


def test_named_rows_cost_what_they_are_many() -> None:
    assert price(Rows((1, 2, 3)), SURVEY) == 3


def test_rows_in_doubt_grow_with_the_outline_and_end_at_all_rows() -> None:
    circle, spikes = (shape.vertices for shape in (star(100, 1.0), star(100, 0.05)) if isinstance(shape, MapPolygon))
    assert rows_in_doubt(circle, SURVEY) < SURVEY / 10
    assert rows_in_doubt(circle, MILLION) < rows_in_doubt(spikes, MILLION) == MILLION
