"""Shading of a column: from its numbers to colours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atlas.catalog.columns import EXACT_WHOLE
from atlas.catalog.numbers import LARGEST_WHOLE, Number

from .value import Finite, Value

Palette = Literal["viridis", "cividis", "magma", "inferno", "plasma"]
Span = Literal[100, 98, 90, 50]
LongWhole = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{16,20}$")]
"""A whole number beyond 2⁵³."""


class Shading(Value, frozen=True):
    """Shading: from the numbers of a column to colours.

    Attributes
    ----------
    palette : str
        A perceptual colour map.
    reversed : bool
        Whether it runs from its last colour to its first.
    span : int
        Per cent of the values, about the median, that the colours are spread over.
    low, high : float, str or None
        Ends that were typed, in the column's own unit; None takes that of the span. Whole numbers beyond 2⁵³ are text,
        which browsers hand on with all digits.
    log : bool or None
        Whether colours follow the logarithm; None where a column is positive and skewed.
    """

    palette: Palette = "viridis"
    reversed: bool = False
    span: Span = 98
    low: Finite | LongWhole | None = None
    high: Finite | LongWhole | None = None
    log: bool | None = None

    def __post_init__(self) -> None:
        low, high = self.ends
        if low is not None and high is not None and not low < high:
            raise ValueError("the lower end of the colours must be below the upper one")

    @property
    def ends(self) -> tuple[Number | None, Number | None]:
        """The ends that were typed, as numbers.

        Raises
        ------
        ValueError
            If one is text that a plain number would say as well, or is larger than any whole number of 64 bits.
        """
        low, high = (_whole(end) if isinstance(end, str) else end for end in (self.low, self.high))
        return low, high


def _whole(text: str) -> int:
    value = int(text)
    if not EXACT_WHOLE < abs(value) <= LARGEST_WHOLE or str(value) != text:
        raise ValueError("an end of the colours is text: only whole numbers beyond 2^53, up to 2^64, are")
    return value
