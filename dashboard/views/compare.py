"""Two galaxies side by side: their images as the atlas keeps both, in one stretch and scale, and what differs."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import html

from atlas import Atlas
from atlas.search.exact import exact_scores
from atlas.storage.manifest import Column

from ..service.galaxies import row_of
from ..state.page_state import State
from . import elements as el

KEEP_WHY = "Keep this galaxy here, beside whichever is chosen next"
STOP_WHY = "Show one galaxy again"


def compare_choice(state: State) -> Any:
    """The button that keeps the galaxy of the details for comparison, or lets it go."""
    if state.beside is None:
        return el.button("compare", kind="link", label=KEEP_WHY, is_="compare", take=True)
    if state.focus is not None and state.beside.id == state.focus.id:
        return el.button("kept: choose another", kind="link on", label=STOP_WHY, is_="compare", take=False)
    return el.button("stop comparing", kind="link", label=STOP_WHY, is_="compare", take=False)


def kept_row(atlas: Atlas, state: State) -> int | None:
    """Row of the galaxy that the one of the details is compared with, if there is one and it is another."""
    if state.beside is None or state.focus is None or state.beside.id == state.focus.id:
        return None
    return row_of(atlas, state.beside)


def portraits_of(atlas: Atlas, row: int, kept: int) -> list[Any]:
    """Both images, and how similar the two are."""
    space = atlas.space()
    query = np.asarray(space.embeddings[row], dtype=np.float32)
    alike = float(exact_scores(space.embeddings, np.array([kept]), query)[0])
    images = [
        html.Button(el.image(atlas, one, f"galaxy {atlas.identity.name(one)}", large=True, lazy=False), type="button",
                    **el.pick(atlas, one), **el.why(atlas.identity.name(one)))
        for one in (row, kept)
    ]  # fmt: skip
    return [
        # The first is the galaxy of the details, which keys label.
        html.Div([html.Div(images[0], className="gf-portrait"), images[1]], className="gf-pair"),
        html.P(el.figure(f"similarity {alike:.3f}", "Cosine of the angle between the two embeddings"),
               className="gf-note"),
    ]  # fmt: skip


def differences(atlas: Atlas, row: int, kept: int, shown: list[Column], words: Any) -> html.Table:
    """Columns of both, side by side; `words` writes a value of a column."""
    columns = atlas.columns(atlas.default_space)
    lines = []
    for column in shown:
        here, there = (words(column, value) for value in columns.values(column.name, [row, kept]))
        lines.append(html.Tr([html.Th(el.broken(column.name)), html.Td(here), html.Td(there)]))
    return html.Table(html.Tbody(lines), className="gf-differences")
