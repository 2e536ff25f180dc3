"""Panels of the planes: the map, the sky, and the map of another space in its place."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from . import elements as el
from . import figure as fig
from .sky_menus import region_menu

GRAPH_CONFIG = {"displayModeBar": False, "scrollZoom": True, "doubleClick": False, "responsive": True}


def map_panel() -> html.Section:
    """The map of the page's space, or two columns against each other."""
    return html.Section(
        [
            html.Header(
                [
                    html.H2("Map", className="gf-hidden"),
                    named_field(
                        dbc.Select(id="plane", value="map", options=[{"value": "map", "label": "Map"}], size="sm"),
                        "Plane that is shown",
                    ),
                    html.Span(id="axes", className="gf-axes"),
                    html.Label(["colour ", dbc.Select(id="color", value="density", options=["density"], size="sm")]),
                    html.Span(id="paint"),
                    el.fold(_tools("map"), "map", "Tools of the map"),
                ]
            ),
            html.Div(
                [html.Span(id="legend", className="gf-legend"), html.Span(id="trust", className="gf-trust")],
                className="gf-subhead",
            ),
            _plane("map"),
        ],
        className="gf-panel gf-map",
        **{"aria-label": "Map of embedding space"},
    )


def sky_panel() -> html.Section:
    """The sky."""
    return html.Section(
        [
            html.Header(
                [
                    html.H2("Sky"),
                    html.Span(id="sky-or", className="gf-spaces"),
                    html.Span(id="sky-words", className="gf-muted"),
                    el.fold(_tools("sky"), "sky", "Tools of the sky"),
                ]
            ),
            _plane("sky"),
        ],
        className="gf-panel gf-sky",
        **{"aria-label": "Sky"},
    )


def second_panel() -> html.Section:
    """The map of another space, which stands in the place of the sky."""
    return html.Section(
        [
            html.Header(
                [
                    html.H2(id="second-title"),
                    html.Span(id="second-or", className="gf-spaces"),
                    html.Span(id="second-words", className="gf-muted"),
                    el.fold(_tools("second"), "second", "Tools of the second map"),
                ]
            ),
            _plane("second"),
        ],
        className="gf-panel gf-second",
        **{"aria-label": "Map of another embedding space"},
    )


def named_field(field: Any, name: str) -> html.Label:
    """A field with a name for those who do not see it."""
    return html.Label([html.Span(name, className="gf-hidden"), field])


def _plane(name: str) -> html.Div:
    """A graph, within a frame that can have the keyboard's focus."""
    words = {"map": "Map of embedding space", "sky": "Sky", "second": "Map of another embedding space"}[name]
    graph = dcc.Graph(id=name, figure=fig.skeleton(name, (-1, 1), (-1, 1)), config=GRAPH_CONFIG, className="gf-graph")
    credit = [html.Div(id="sky-credit", className="gf-sky-credit", role="status")] if name == "sky" else []
    return html.Div(
        [graph, *credit], className="gf-plane", tabIndex="0", role="group",
        **{"data-plane": name, "aria-label": f"{words}: arrows pan, comma and full stop zoom, Enter chooses the middle",
           "aria-describedby": f"status-selected {'second-words' if name == 'second' else 'status-drawn'}"},
    )  # fmt: skip


def _tools(plane: str) -> list[Any]:
    modes = (("pan", "✥", "Pan (P)", " on"), ("lasso", "◌", "Lasso (L)", ""), ("select", "▭", "Box (B)", ""))
    tools = [
        el.icon(
            sign, label.partition(" (")[0], label=label, kind=f"mode mode-{mode}{on}", is_="local", do="mode", mode=mode
        )
        for mode, sign, label, on in modes
    ]
    tool = {"map": ("map", "M", "map"), "sky": ("sky", "S", "sky"), "second": ("second map", "S", "sky")}
    name, key, panel = tool[plane]
    if plane == "sky":
        tools += [region_menu(), html.Span(id="sky-look")]
    elif plane == "map":
        tools.insert(0, el.button("● outliers", label="Show or hide the outliers", kind="outliers on", is_="local",
                                  do="outliers"))  # fmt: skip
    tools.append(el.icon("⌂", "All", label="Opening view: all of it (H)", is_="view", plane=plane))
    tools.append(
        html.Details(
            [
                html.Summary(
                    [html.Span("⇩", className="gf-sign"), html.Span("Figure", className="gf-beside")],
                    **el.why(f"Download the {name} as a figure"), **{"aria-label": f"Download the {name}"}
                ),
                html.Div(
                    [
                        el.button(kind.upper(), label=f"Download the {name} as {kind.upper()}, with axes", is_="local",
                                  do="figure", plane=plane, format=kind)
                        for kind in ("png", "svg")
                    ]
                ),
            ],
            className=f"gf-menu gf-figure-{plane}",
        )
    )  # fmt: skip
    tools.append(el.icon("⤢", "Enlarge", label=f"Enlarge the {name} ({key})", is_="local", do="enlarge", name=panel))
    return tools
