"""What the page is coloured by, as state and links name it: a colouring of the page's own, or a column.

The page's own names are words that a catalogue may use too: a column of such a name is marked.
"""

from __future__ import annotations

DENSITY, SUBSETS = "density", "subsets"
OWN = (DENSITY, SUBSETS)
MARK = "column:"  # no column's name has a colon
LONGEST = 64 + len(MARK)


def color_of(column: str) -> str:
    """The name of the colouring by a column."""
    return f"{MARK}{column}" if column in OWN else column


def column_of(color: str) -> str | None:
    """The column that a colouring is by; None for the page's own."""
    return None if color in OWN else color.removeprefix(MARK)
