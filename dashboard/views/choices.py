"""Choices of the page as it stands: orders, colours, planes and their axes."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from atlas import Atlas
from atlas.catalog.anomalies import DEFAULT, DETECTORS, detector_of, offered
from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.columns import Columns, is_magnitude, is_redshift
from atlas.catalog.mixtures import mixture_name
from atlas.catalog.reserved_names import DENSITY, LABELS, OF_THE_PAGE, SUBSETS
from atlas.catalog.senses import named_sense
from atlas.queries.selection import Cluster
from atlas.storage.manifest import Column

from ..state.coloring import LIKENESS, color_of
from ..state.page_state import DETECTED, SIMILARITY, Axes, State, has_examples, is_narrowed
from . import elements as el

ORDERS = {
    "most": "Most similar",
    "varied": "Similar, varied",
    "least": "Least similar",
    "typical": "Most typical",
    "random": "Random sample",
    "labels": "Your labels",
}


def orders(state: State, columns: Columns | None = None) -> list[dict[str, str]]:
    """The orders that make sense in a state; where a table is sorted, in the words of its column among some."""
    shown = dict(ORDERS)
    if columns is not None:
        names = offered(columns)
        if state.order in DETECTED and (now := detector_of(state.order, columns)) not in names:
            names.append(now)  # of an older link
        # Without a word that all have in common: a narrow menu shows the beginning.
        shown |= {name: el.capitalised(DETECTORS[name].title) if name in DETECTORS else name for name in names}
    if state.order == "mixed" and state.mixture is not None:
        shown["mixed"] = el.capitalised(mixture_name(state.mixture.detectors, state.mixture.by))
    if not isinstance(state.selection, Cluster):
        del shown["typical"]
    if not has_examples(state) and (is_narrowed(state) or state.listing == "table"):
        # Nothing to be similar to.
        del shown["most"], shown["varied"], shown["least"]
    if state.listing == "table":
        del shown["random"]
        shown["catalogue" if order_shown(state) == "catalogue" else "random"] = "As in the catalogue"
    if order_shown(state) == "column":
        name, column = state.table.sort, None
        if columns is not None and name in columns:
            column = columns.describe(name)
        ends = (named_sense(column) if column is not None else None) or ("low", "high")
        shown["column"] = f"By {name}, {ends[int(state.table.descending)]} first"
    return [{"value": value, "label": label} for value, label in shown.items()]


def order_shown(state: State, columns: Columns | None = None) -> str:
    """The choice of `orders` that names what is listed: the state's order, "column" where a table is sorted by one, and
    "catalogue" for a table that nobody has put in any order."""
    if state.listing == "table" and state.table.sort:
        return "column"
    if state.listing == "table" and state.order in SIMILARITY and not has_examples(state):
        return "catalogue"
    if state.order in DETECTED and columns is not None:
        return detector_of(state.order, columns)
    return state.order


def colors(atlas: Atlas, state: State) -> list[dict[str, str]]:
    """Colourings of the points: density, subsets, what the build found, then the catalogue."""
    own = {c.name: c for c in atlas.space().described.columns}
    first = [own[name] for name in (*CLUSTERS, *DETECTORS, "trust") if name in own]
    catalogue = [
        c for c in atlas.columns() if c.kind in ("number", "category") and c.name not in atlas.manifest.id_columns
    ]
    fixed = [DENSITY, *([SUBSETS] if state.subsets or state.color == SUBSETS else []), LABELS]
    columns = [{"value": color_of(c.name), "label": _label(c.name)} for c in first + catalogue]
    like = [{"value": LIKENESS, "label": "similarity"}] if has_examples(state) or state.color == LIKENESS else []
    return [*({"value": name, "label": name} for name in fixed), *like, *columns]


def _label(column: str) -> str:
    """A column beside what the page colours by itself."""
    return f"{column} (column)" if column in OF_THE_PAGE else column


def planes(atlas: Atlas, axes: Axes | None) -> list[dict[str, str]]:
    """Planes of the map's panel: the map, a few pairs of columns that astronomers draw, and the pair in view."""
    shown = None if axes is None else (axes.x, axes.y)
    pairs = dict.fromkeys([*([] if shown is None else [shown]), *usual_pairs(atlas)])
    # Two menus beside this one name the columns in view.
    return [{"value": "map", "label": "Map"}] + [
        {"value": f"{x} {y}", "label": "Columns" if (x, y) == shown else f"{y} – {x}"} for x, y in pairs
    ]


def usual_pairs(atlas: Atlas) -> list[tuple[str, str]]:
    """Pairs of columns worth beginning with: magnitude against redshift, anomaly against magnitude, …"""
    columns = numbers(atlas)
    magnitudes = [c.name for c in columns if is_magnitude(c)]
    redshifts = [c.name for c in columns if is_redshift(c)]
    colors = [c.name for c in columns if c.ucd.startswith("phot.color")]
    pairs = [
        *((z, m) for z in redshifts[:1] for m in magnitudes[:1]),
        *((m, c) for m in magnitudes[:1] for c in colors[:1]),
    ]
    pairs += [(magnitudes[0], magnitudes[1])] if len(magnitudes) > 1 else []
    pairs += [(magnitudes[0], detector_of(DEFAULT, atlas.columns(atlas.default_space)))] if magnitudes else []
    return pairs or [(columns[0].name, columns[1].name)] if len(columns) > 1 else pairs


def numbers(atlas: Atlas) -> list[Column]:
    """Columns that can be an axis."""
    skip = {"map_x", "map_y", *CLUSTERS, *atlas.manifest.id_columns}
    return [c for c in atlas.columns(atlas.default_space) if c.kind == "number" and c.name not in skip]


def axis_choices(atlas: Atlas, state: State) -> list[Any]:
    """Two choices of column, where columns are shown."""
    if state.axes is None:
        return []
    options = [{"value": c.name, "label": c.name} for c in numbers(atlas)]
    return [
        html.Label(
            [
                html.Span("Vertical axis", className="gf-hidden"),
                dbc.Select(id="axis-y", options=options, value=state.axes.y, size="sm"),
            ]
        ),
        html.Span("–", className="gf-muted"),
        html.Label(
            [
                html.Span("Horizontal axis", className="gf-hidden"),
                dbc.Select(id="axis-x", options=options, value=state.axes.x, size="sm"),
            ]
        ),
    ]


def paint(state: State, possible: bool) -> list[Any]:
    """The choice between points and the mean, where a column has one."""
    if not possible:
        return []
    other = "points" if state.paint == "mean" else "mean"
    label = "Show the mean in each spot" if other == "mean" else "Show single galaxies"
    return [el.button(state.paint, kind="link", label=label, is_="change", paint=other)]
