"""Colouring of the page, as state and links name it: a colouring of the page's own, or a column.

The page's own names are words that a catalogue may use too: a column of such a name is marked.
"""

from __future__ import annotations

from atlas.catalog.reserved_names import OF_THE_PAGE

MARK = "column:"  # no column's name has a colon
LIKENESS = "by:similarity"
"""The colouring by similarity to the examples."""

LONGEST = 64 + len(MARK)


def color_of(column: str) -> str:
    """The name of the colouring by a column."""
    return f"{MARK}{column}" if column in OF_THE_PAGE else column


def column_of(color: str) -> str | None:
    """The column that a colouring is by; None for the page's own."""
    return None if color in OF_THE_PAGE or color == LIKENESS else color.removeprefix(MARK)
