"""Words of a column as buttons that filter by them, in the drawer of filters and in the legend.

A click takes a word into the column's filter or out of it, and a field above many words looks for some
(assets/5-words.js).
"""

from __future__ import annotations

from typing import Any

from dash import html

from atlas.queries.selection import Category

from ..state.page_state import State
from . import elements as el

FEW = 12


def chosen(state: State, column: str) -> frozenset[str]:
    """Words that the filter of a column lets through; none where it has no filter."""
    return frozenset(
        word for one in state.filters if isinstance(one, Category) and one.column == column for word in one.values
    )


def word_button(column: str, word: str, children: list[Any], *, on: bool) -> html.Button:
    """A word that filters by itself, beside those that do already."""
    return html.Button(
        children, type="button", className=f"gf-word{' on' if on else ''}",
        **{"aria-pressed": "true" if on else "false", "data-word": word},
        **el.on_click(is_="local", do="word", column=column, word=word),
    )  # fmt: skip


def word_list(name: str, buttons: list[html.Button]) -> html.Div:
    """Words one below the other, with a field that looks for some where they are many; `name` tells lists apart."""
    label = f"search {len(buttons)} words"
    # The field is the browser's own, so that what was typed stays when the list is drawn anew.
    place = html.Div(className="gf-search-place", **{"data-label": label})
    return html.Div(
        [*([place] if len(buttons) > FEW else []), html.Div(buttons, className="gf-words")],
        **{"data-words": name},
    )
