"""Words of a column as buttons that filter by them, in the drawer of filters and in the legend.

A click takes a word into the column's filter or out of it, and a field above many words looks for some. The browser
draws the buttons from a compact list (assets/5-words.js): two hundred of them would be eight hundred components.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from dash import html

from atlas.queries.selection import Category

from ..state.page_state import State

FEW = 12


class WordButton(NamedTuple):
    """A word as it is shown.

    Attributes
    ----------
    word : str
    on : bool
        Whether its column's filter lets it through.
    color : str
        Of its points, in a legend; empty elsewhere.
    percent : float
        Length of its bar, elsewhere.
    galaxies : str
        How many have it; empty in a legend.
    """

    word: str
    on: bool
    color: str = ""
    percent: float = 0
    galaxies: str = ""


def chosen(state: State, column: str) -> frozenset[str]:
    """Words that the filter of a column lets through; none where it has no filter."""
    return frozenset(
        word for one in state.filters if isinstance(one, Category) and one.column == column for word in one.values
    )


def word_list(name: str, column: str, words: Sequence[WordButton]) -> html.Div:
    """Words one below the other, with a field that looks for some where they are many; `name` tells lists apart."""
    label = f"search {len(words)} words"
    # The field is the browser's own, so that what was typed stays when the list is drawn anew.
    place = html.Div(className="gf-search-place", **{"data-label": label})
    return html.Div(
        [*([place] if len(words) > FEW else []), html.Div(className="gf-words", **_drawn(column, words))],
        **{"data-words": name},
    )


def word_row(name: str, column: str, words: Sequence[WordButton]) -> html.Span:
    """Words beside each other."""
    return html.Span(className="gf-legend-row", **{"data-words": name}, **_drawn(column, words))


def _drawn(column: str, words: Sequence[WordButton]) -> dict[str, str]:
    """Attributes of an element that the browser fills with buttons."""
    return {"data-column": column, "data-list": json.dumps(words, separators=(",", ":"), ensure_ascii=False)}
