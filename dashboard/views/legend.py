"""The legend of both planes: a scale with its ends, or words with their colours, each of which filters by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from atlas.storage.manifest import Column

from ..state.coloring import LIKENESS
from ..state.page_state import State
from ..state.shading import Shading
from .palette import CLUSTER_COLORS, Coloring, ends_of, scale_of
from .shading import shading_menu
from .words import FEW, WordButton, chosen, word_list, word_row


def legend(
    coloring: Coloring | None, column: Column | None, state: State, clusters: Sequence[tuple[int, str]] = ()
) -> list[Any]:
    """Legend of the points' colours.

    Parameters
    ----------
    coloring : Coloring or None
    column : Column or None
        What colours; None for subsets and for one colour.
    state : State
    clusters : sequence of (int, str)
        Labels of clusters that have names, if it is clusters that are coloured.
    """
    if coloring is None and state.color == LIKENESS:
        return [html.Span("choose a galaxy to be similar to")]
    if coloring is None:
        return []
    missing = (
        [html.Span(f"{coloring.missing:,} of those drawn {coloring.without}", className="gf-missing")]
        if coloring.missing
        else []
    )
    if coloring.legend and column is not None:
        return [*_words(coloring, column.name, chosen(state, column.name)), *missing]
    if coloring.legend:
        return [*(html.Span([_swatch(color), name]) for name, color in coloring.legend), *missing]
    if not coloring.ends[0]:
        named = [html.Span([_swatch(CLUSTER_COLORS[at % len(CLUSTER_COLORS)]), name]) for at, name in clusters]
        return [*named, html.Span(f"a colour a cluster, repeating after {len(CLUSTER_COLORS)}; grey outside")]
    stops = ", ".join(f"{color} {position * 100:.0f}%" for position, color in coloring.scale[2:])
    menu = [] if column is None else [shading_menu(column, state.shading)]
    return [*_ramp(coloring.ends, stops), *menu, *missing]


def mean_legend(column: Column, shading: Shading) -> list[Any]:
    """The colour scale of a painted mean."""
    scale = scale_of(column, shading)
    return [*_ramp(ends_of(column, scale), ", ".join(scale.colors)), shading_menu(column, shading)]


def _ramp(ends: tuple[str, str], stops: str) -> list[Any]:
    ramp = html.I(className="gf-ramp", style={"background": f"linear-gradient(90deg, {stops})"})
    return [html.Span(ends[0]), ramp, html.Span(ends[1])]


def _words(coloring: Coloring, column: str, on: frozenset[str]) -> list[Any]:
    """The commonest words in a row, and a menu of all where there are more."""
    words = [WordButton(word, word in on, color=color) for word, color in coloring.legend]
    row = word_row(f"row {column}", column, words[:FEW])
    if len(words) <= FEW:
        return [row]
    different = len({color for _, color in coloring.legend})
    repeat = (
        [html.P(f"{different} colours for {len(words)} words: those of the commonest, then again from the first",
                className="gf-note")]
        if different < len(words)
        else []
    )  # fmt: skip
    menu = html.Details(
        [html.Summary(f"all {len(words)} words"), html.Div([*repeat, word_list(f"legend {column}", column, words)])],
        className="gf-menu gf-legend-menu",
    )
    return [row, menu]


def _swatch(color: str) -> html.I:
    return html.I(style={"background": color})
