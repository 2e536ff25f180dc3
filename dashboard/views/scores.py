"""The drawer of scores: how similar all galaxies are, a threshold to select by, and where known ones stand.

The histogram is drawn and brushed by assets/5-filters.js, as those of columns are.
"""

from __future__ import annotations

import json
from typing import Any

import dash_bootstrap_components as dbc
import numpy as np
from dash import dcc, html
from numpy.typing import NDArray

from atlas.catalog.numbers import percent_text, short_text
from atlas.queries.recovery import FIRST, Recovery
from atlas.queries.selection import Alike, Collected, Labelled
from atlas.search.every_score import BINS

from ..jobs.job import Job
from ..service.atlas_service import Service
from ..service.judgement import alike, recovery_of, spread_of
from ..state.coloring import LIKENESS
from ..state.page_state import State
from . import elements as el
from .jobs import job_card
from .labels import named
from .palette import Theme, theme

BARS = 60
LOWEST = 0.005
"""Share of the galaxies, the least similar ones, that the histogram leaves out: they lie far off and are few."""

COMPLETENESS = (0.5, 0.9)
CURVE_POINTS = 400
NO_EXAMPLE = "Choose a galaxy, or some examples: the similarity of every other galaxy to them is shown here."
NO_ORDER = (
    "Choose a galaxy or an order of the gallery: the known ones are looked for in it. A random order ranks nothing, "
    "and one by labels knows them already."
)
ABOUT_KNOWN = (
    "Known objects are galaxies of a kind that somebody found already: a collection or a label. Where they stand in "
    "the order of the gallery, among all galaxies, says how far to believe it."
)


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    return [_similarity(service, state), _known(service, state)]


def _similarity(service: Service, state: State) -> html.Section:
    found = spread_of(service, state)
    if found is None:
        return html.Section([html.Header(html.B("Similarity")), el.empty(NO_EXAMPLE)], className="gf-filter")
    if isinstance(found, Job):
        return html.Section([html.Header(html.B("Similarity")), job_card(found)], className="gf-filter")
    chosen = state.selection if isinstance(state.selection, Alike) else None
    low, high = (None, None) if chosen is None else (chosen.low, chosen.high)
    if chosen is not None and alike(state, low, high) != chosen:
        low = high = None  # the examples are others now: the selection stays, and says nothing of these
    mask = None if chosen is None else service.mask(chosen)
    count = "" if mask is None or (low is None and high is None) else f"{mask.count:,} of {service.atlas.n_rows:,}"
    drop = el.button("×", kind="icon", label="Clear the selection", is_="clear") if count else None
    return html.Section(
        [
            html.Header([html.B("Similarity"), html.Span(count), drop]),
            *_histogram(found.counts, low, high),
            html.P(
                f"Drag from a similarity to the right end: all above are selected, exactly. {_tail(found.counts)}",
                className="gf-note",
            ),
            el.button("colour map and sky by it", kind="link", is_="change", color=LIKENESS),
        ],
        className="gf-filter gf-alike",
    )  # fmt: skip


def bars(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges and counts of the bars that are drawn: from the lowest similarity that matters to the highest there is.

    Parameters
    ----------
    counts : ndarray of shape (BINS,), int64

    Returns
    -------
    edges : ndarray of shape (b + 1,), float64
    counts : ndarray of shape (b,), int64
    """
    top = int(np.flatnonzero(counts)[-1]) + 1
    low = int(np.searchsorted(np.cumsum(counts), LOWEST * counts.sum(), side="right"))
    width = -(-(top - low) // BARS)
    n = -(-(top - low) // width)
    first = top - n * width  # from the top down: no bar reaches beyond the highest similarity
    padded = np.pad(counts, (max(0, -first), 0))[max(0, first) : top + max(0, -first)]
    return -1 + (first + width * np.arange(n + 1)) * 2 / BINS, padded.reshape(n, width).sum(axis=1)


def _histogram(counts: NDArray[np.int64], low: float | None, high: float | None) -> list[Any]:
    edges, heights = bars(counts)
    data = {
        "edges": edges.tolist(), "zero": "0", "log": False, "total": heights.tolist(), "now": heights.tolist(),
        "low": low, "high": high,
    }  # fmt: skip
    ends = f"{edges[0]:.3f}", f"{edges[-1]:.3f}"
    return [
        html.Canvas(
            className="gf-hist", tabIndex="0", role="img",
            **el.why("How many of all galaxies are how similar to the examples; heights are square roots, so that few "
                     "are seen beside many. Drag to select a range; double-click to drop it"),
            **{"data-hist": json.dumps(data, separators=(",", ":")),
               "aria-label": f"Histogram of similarity, from {ends[0]} to {ends[1]}. Bounds can be typed below."},
        ),
        html.Div(
            [_bound("low", low, ends[0]), html.Span("similarity"), _bound("high", high, ends[1])],
            className="gf-bounds",
        ),
    ]  # fmt: skip


def _bound(side: str, value: float | None, end: str) -> html.Label:
    field = dbc.Input(
        type="text", value="" if value is None else f"{value:g}", placeholder=end, size="sm", autocomplete="off",
        html_size="6", id={"type": "bound", "column": "", "side": side},
    )  # fmt: skip
    words = "Least similarity" if side == "low" else "Largest similarity"
    return html.Label(field, className="gf-bound", **{"data-side": side}, **el.why(words))


def _tail(counts: NDArray[np.int64]) -> str:
    """Above which similarity the first hundred and thousand lie."""
    above = np.cumsum(counts[::-1])
    told = [
        f"{first:,} lie above {1 - (int(np.searchsorted(above, first)) + 1) * 2 / BINS:.3f}"
        for first in (100, 1_000)
        if first < above[-1]
    ]
    return f"About {', '.join(told)}." if told else ""


def _known(service: Service, state: State) -> html.Section:
    if state.known is None:
        return html.Section(
            [html.Header(html.B("Known objects")), html.P(ABOUT_KNOWN, className="gf-note"), *_offers(service)],
            className="gf-filter",
        )
    found = recovery_of(service, state)
    what = known_words(state.known)
    drop = el.button("×", kind="icon", label="Look for no known objects", is_="know", what=None)  # fmt: skip
    head = html.Header([html.B("Known objects"), html.Span(what), drop])
    return html.Section([head, *_answer(found, theme(state.light))], className="gf-filter gf-known")


def known_words(known: Labelled | Collected) -> str:
    """Words for the objects that are known."""
    return known.name if isinstance(known, Collected) else ", ".join(known.labels) or "all labelled"


def _offers(service: Service) -> list[Any]:
    """Collections and labels whose galaxies may be the known ones."""
    offers: list[tuple[str, str, dict[str, Any]]] = [
        (one.name, f"{one.size:,}", {"is": "collected", "name": one.name}) for one in service.labels.collections()
    ]
    counts = service.atlas.labelled.now().counts()
    offers += [
        (name, f"{counts[name]:,}", {"is": "labelled", "labels": [name]}) for name, _ in named(service) if counts[name]
    ]
    if not offers:
        return [html.P("There is none yet: keep a list or a label in the drawer of labels (N).", className="gf-note")]
    return [
        html.Div(
            [
                el.button([name, html.Span(f" {size}", className="gf-muted")], label=f"Where {name} stand in the order",
                          is_="know", what=what)
                for name, size, what in offers
            ],
            className="gf-offers",
        )
    ]  # fmt: skip


def _answer(found: Recovery | Job | None, look: Theme) -> list[Any]:
    if found is None:
        return [el.empty(NO_ORDER)]
    if isinstance(found, Job):
        return [job_card(found)]
    if not found.ranks.size:
        return [el.empty("None of them is ranked: they are examples of this search, or outside the selection.")]
    return [
        html.P(f"{found.ranks.size:,} known among {found.total:,} ranked; examples are left out.", className="gf-note"),
        dcc.Graph(figure=curve(found, look), config={"displayModeBar": False}, className="gf-curve"),
        _table(found),
        *(html.P(_completeness(found, share), className="gf-note") for share in COMPLETENESS),
    ]


def curve(found: Recovery, look: Theme) -> dict[str, Any]:
    """The share of known galaxies that is found after so many looks, beside that of a random order."""
    ranks = np.concatenate([[1], found.ranks, [found.total]]).astype(np.float64)
    shares = np.concatenate([[0], np.arange(1, found.ranks.size + 1), [found.ranks.size]]) / found.ranks.size
    keep = np.unique(np.linspace(0, ranks.size - 1, min(ranks.size, CURVE_POINTS)).astype(np.int64))
    looks = np.unique(np.geomspace(1, max(2, found.total), 60).astype(np.int64))
    axis = {
        "color": look.muted,
        "gridcolor": look.line,
        "zeroline": False,
        "tickfont": {"size": 10},
        "fixedrange": True,
    }
    tip = "%{y:.0%} after %{x:,} looks<extra></extra>"
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "line": {"color": look.muted, "width": 1, "dash": "dot"},
             "x": looks.tolist(), "y": (looks / found.total).tolist(), "name": "by chance", "hovertemplate": tip},
            {"type": "scatter", "mode": "lines", "line": {"color": look.accent, "width": 2, "shape": "hv"},
             "x": ranks[keep].tolist(), "y": shares[keep].tolist(), "name": "found", "hovertemplate": tip},
        ],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "showlegend": False,
            "margin": {"l": 34, "r": 6, "t": 6, "b": 34}, "font": {"color": look.muted, "size": 10},
            "hoverlabel": {"bgcolor": look.background, "bordercolor": look.line, "font": {"color": look.text}},
            "xaxis": {**axis, "type": "log", "dtick": 1, "title": {"text": "galaxies looked at", "standoff": 4}},
            "yaxis": {**axis, "range": [0, 1.02], "tickformat": ".0%", "dtick": 0.25},
        },
    }  # fmt: skip


def _table(found: Recovery) -> html.Table:
    rows = [
        html.Tr(
            [html.Td(f"{first:,}"), html.Td(f"{found.found(first):,}"), html.Td(short_text(found.by_chance(first)))]
        )
        for first in FIRST
        if first < found.total
    ]
    return html.Table(
        [html.Thead(html.Tr([html.Th("of the first"), html.Th("known"), html.Th("by chance")])), html.Tbody(rows)],
        className="gf-first",
    )


def _completeness(found: Recovery, share: float) -> str:
    of_the_kind = f"at least {percent_text(found.purity(share))} of those are of the kind"
    return f"{100 * share:.0f} % of them within the first {found.looks_for(share):,}; {of_the_kind}."
