"""The page itself: where each panel sits, and the parts that never change."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from atlas import Atlas
from atlas.selection import All, Cluster, MapPolygon, Selection, SkyPolygon
from dashboard.resolve import row_of
from dashboard.state import GALLERY_SIZES, SIMILARITY, Galaxy, State
from dashboard.views import elements as el
from dashboard.views import figure as fig
from dashboard.views.palette import CLUSTER_COLORS

# The spaces between are the reader's: a phrase, then its key.
KEYS = (
    ("/", "type a position or an id"),
    ("R", "a random galaxy"),
    ("P  L  B", "pan, lasso, box"),
    ("M  S  G", "enlarge map, sky, gallery"),
    ("+  −", "the galaxy in the details is wanted, unwanted"),
    ("C  A  I", "clusters, anomalies, about this atlas"),
    ("Esc", "close, or clear the selection"),
    ("H", "opening view of map and sky"),
    ("T", "light or dark"),
    ("Alt ←", "undo: the browser's back"),
    ("?", "this list"),
)
LEGEND_WORDS = 8
GRAPH_CONFIG = {"displayModeBar": False, "scrollZoom": True, "doubleClick": False, "responsive": True}
ORDERS = {
    "most": "Most similar",
    "least": "Least similar",
    "anomaly_knn": "Anomalous: far from others",
    "anomaly_forest": "Anomalous: isolation forest",
    "typical": "Most typical",
    "random": "Random sample",
}


def layout(build_id: str, title: str) -> html.Div:
    """The page before any state: empty panels, and the stores that events and states pass through."""
    stores = ("event", "state", "ack", "url", "move", "sky-shown",
              "part-map", "part-sky", "part-gallery", "part-details", "part-page")  # fmt: skip
    return html.Div(
        [
            *(dcc.Store(id=name) for name in stores),
            dcc.Store(id="boot", data={"build": build_id}),
            _header(title),
            html.Main(
                [
                    html.Nav(
                        [
                            _rail("clusters", "Clusters", "C"),
                            _rail("anomalies", "Anomalies", "A"),
                            _rail("about", "About", "I"),
                        ],
                        className="gf-rail",
                        **{"aria-label": "Drawers"},
                    ),
                    html.Aside(id="drawer", className="gf-drawer"),
                    _map(),
                    html.Div(
                        [
                            _sky(),
                            html.Div(
                                [html.Section(id="details", className="gf-details", tabIndex="-1"), _gallery()],
                                className="gf-lower",
                            ),
                        ],
                        className="gf-right",
                    ),
                ],
                className="gf-main",
            ),
            html.Footer(
                [
                    html.Span(id="status-selected"),
                    html.Span(id="status-drawn"),
                    html.Span(id="status-answer", className="gf-answer"),
                    html.Span(id="status-engine"),
                    html.Span(id="status-receipt", className="gf-receipt"),
                ],
                className="gf-status",
                role="status",
            ),
            dbc.Toast(id="toast", header="Galaxy Finder", is_open=False, dismissable=True, class_name="gf-toast"),
            _help(),
            html.Div(id="card", className="gf-card", hidden=True),
        ],
        id="page",
        className="gf-page",
    )


def head(atlas: Atlas, state: State) -> list[Any]:
    """The examples of the search as chips, each dropped by a click."""
    chips = [_chip(atlas, one, +1) for one in state.wanted] + [_chip(atlas, one, -1) for one in state.unwanted]
    if not chips:
        return []
    return [html.Span("like", className="gf-muted"), *chips, el.button("clear", kind="link", is_="clearexamples")]


def orders(state: State) -> list[dict[str, str]]:
    """The orders that make sense in a state."""
    examples = state.focus is not None or state.wanted or state.unwanted
    shown = dict(ORDERS)
    if not isinstance(state.selection, Cluster):
        del shown["typical"]
    if not examples and state.selection != All():
        # Nothing to be similar to.
        del shown["most"], shown["least"]
    return [{"value": value, "label": label} for value, label in shown.items()]


def colors(atlas: Atlas) -> list[dict[str, str]]:
    """What the points can be coloured by: density, what the build found, then the catalogue."""
    own = {c.name: c for c in atlas.space().described.columns}
    first = [own[name] for name in ("cluster", "anomaly_knn", "anomaly_forest", "trust") if name in own]
    catalogue = [
        c for c in atlas.columns() if c.kind in ("number", "category") and c.name not in atlas.manifest.id_columns
    ]
    return [{"value": "density", "label": "density"}] + [{"value": c.name, "label": c.name} for c in first + catalogue]


def legend(coloring: Any) -> list[Any]:
    """The colour scale beside the map's name."""
    if coloring is None:
        return []
    missing = (
        [html.Span(f"{coloring.missing:,} of those drawn have none", className="gf-missing")]
        if coloring.missing
        else []
    )
    if coloring.legend:
        more = len(coloring.legend) - LEGEND_WORDS
        rest = [html.Span(f"and {more} more, colours repeat")] if more > 0 else []
        words = coloring.legend[:LEGEND_WORDS]
        return [html.Span([html.I(style={"background": color}), word]) for word, color in words] + rest + missing
    if not coloring.ends[0]:
        return [html.Span(f"a colour a cluster, repeating after {len(CLUSTER_COLORS)}; grey outside")]
    stops = ", ".join(f"{color} {position * 100:.0f}%" for position, color in coloring.scale[2:])
    return [
        html.Span(coloring.ends[0]),
        html.I(className="gf-ramp", style={"background": f"linear-gradient(90deg, {stops})"}),
        html.Span(coloring.ends[1]),
        *missing,
    ]


def page_class(state: State) -> str:
    """Classes of the page's root: theme, enlarged panel, open drawer."""
    classes = ["gf-page", "light" if state.light else "dark"]
    if state.enlarged:
        classes.append(f"enlarged-{state.enlarged}")
    if state.drawer:
        classes.append(f"with-drawer drawer-{state.drawer}")
    examples = state.wanted or state.unwanted or state.focus is not None
    if isinstance(state.selection, All) and not examples and state.order in SIMILARITY:
        classes.append("at-the-door")
    return " ".join(classes)


def _header(title: str) -> html.Header:
    return html.Header(
        [
            html.H1("Galaxy Finder"),
            html.Div(
                [
                    dbc.Input(
                        id="find", type="search", placeholder="03:32:38.5 −27:47:00   ·   53.16 −27.78   ·   id",
                        autocomplete="off", maxlength="200",
                    ),
                    html.Kbd("/"),
                ],
                className="gf-find",
            ),
            el.button("Random", label="A random galaxy (R)", is_="random"),
            html.Div(id="examples", className="gf-examples"),
            html.Div(
                [
                    html.Span(title, className="gf-title", title=title),
                    el.button("Share", label="Copy a link to this page", kind="share", is_="local", do="share"),
                    el.button("deg / hms", label="Degrees or sexagesimal", kind="units", is_="local", do="units"),
                    el.button("☾", label="Light or dark (T)", kind="icon", is_="local", do="theme"),
                    el.button("?", label="Keys (?)", kind="icon", is_="local", do="help"),
                ],
                className="gf-tools",
            ),
        ],
        className="gf-header",
    )  # fmt: skip


def _rail(drawer: str, label: str, key: str) -> html.Button:
    return html.Button(
        label, type="button", className=f"gf-rail-{drawer}", title=f"{label} ({key})",
        **el.on_click(is_="local", do="drawer", name=drawer),
    )  # fmt: skip


def _map() -> html.Section:
    return html.Section(
        [
            html.Header(
                [
                    html.H2("Map"),
                    html.Label(["colour ", dbc.Select(id="color", value="density", options=["density"], size="sm")]),
                    html.Span(id="legend", className="gf-legend"),
                    html.Span(_tools("map"), className="gf-graph-tools"),
                ]
            ),
            dcc.Graph(
                id="map", figure=fig.skeleton("map", (-1, 1), (-1, 1)), config=GRAPH_CONFIG, className="gf-graph"
            ),
        ],
        className="gf-panel gf-map",
        **{"aria-label": "Map of embedding space"},
    )


def _sky() -> html.Section:
    return html.Section(
        [
            html.Header(
                [
                    html.H2("Sky"),
                    html.Span(id="sky-words", className="gf-muted"),
                    html.Span(_tools("sky"), className="gf-graph-tools"),
                ]
            ),
            dcc.Graph(
                id="sky", figure=fig.skeleton("sky", (-1, 1), (-1, 1)), config=GRAPH_CONFIG, className="gf-graph"
            ),
        ],
        className="gf-panel gf-sky",
        **{"aria-label": "Sky"},
    )


def _gallery() -> html.Section:
    sizes = [{"value": str(n), "label": str(n)} for n in GALLERY_SIZES]
    return html.Section(
        [
            html.Header(
                [
                    html.H2(id="gallery-title"),
                    dbc.Select(id="order", options=orders(State()), value="most", size="sm"),
                    dbc.Select(id="shown", options=sizes, value="24", size="sm"),
                    html.Span(id="within", className="gf-within"),
                    html.Span(
                        el.button("⤢", label="Enlarge (G)", kind="icon", is_="local", do="enlarge", name="gallery"),
                        className="gf-graph-tools",
                    ),
                ]
            ),
            dcc.Loading(html.Div(id="gallery", className="gf-tiles"), delay_show=400, type="dot", color="#ffb454",
                        parent_className="gf-scroll"),
        ],
        className="gf-panel gf-gallery",
        **{"aria-label": "Gallery"},
    )  # fmt: skip


def selection_words(selection: Selection) -> str:
    """A selection in two words."""
    match selection:
        case MapPolygon():
            return "region on map"
        case SkyPolygon():
            return "region on sky"
        case Cluster(_, label):
            return f"cluster {label + 1}" if label >= 0 else "no cluster"
    return "selection"


def within(state: State) -> list[Any]:
    """Whether the gallery stays inside the selection, and the way out of it."""
    if isinstance(state.selection, All):
        return []
    inside = el.button(
        f"in {selection_words(state.selection)}" if state.within else "everywhere",
        kind=f"link{' on' if state.within else ''}",
        label="Search inside the selection, or everywhere",
        is_="change",
        within=not state.within,
    )
    return [inside, el.button("clear", kind="link", label="Clear the selection (Esc)", is_="clear")]


def _tools(plane: str) -> list[Any]:
    modes = (("pan", "✥", "Pan (P)", " on"), ("lasso", "◌", "Lasso (L)", ""), ("select", "▭", "Box (B)", ""))
    tools = [
        el.button(sign, label=label, kind=f"icon mode mode-{mode}{on}", is_="local", do="mode", mode=mode)
        for mode, sign, label, on in modes
    ]
    name = "Map" if plane == "map" else "Sky"
    key = name[0]
    if plane == "map":
        tools.insert(0, el.button("● outliers", label="Show or hide the outliers", kind="outliers on", is_="local",
                                  do="outliers"))  # fmt: skip
    tools.append(el.button("⌂", label="Opening view (H)", kind="icon", is_="view", plane=plane))
    tools.append(
        el.button("⤢", label=f"Enlarge the {plane} ({key})", kind="icon", is_="local", do="enlarge", name=plane)
    )
    return tools


def _chip(atlas: Atlas, one: Galaxy, sign: int) -> html.Button:
    row = row_of(atlas, one)
    inside: list[Any] = [html.Span("gone")] if row is None else [el.image(atlas, row, f"galaxy {one.id}")]
    return html.Button(
        [*inside, html.B("+" if sign > 0 else "−")], type="button",
        className=f"gf-chip {'good' if sign > 0 else 'bad'}", title=f"{one.id}: click to drop",
        **el.on_click(is_="mark", id=one.id, sign=0), **({} if row is None else {"data-row": str(row)}),
    )  # fmt: skip


def _help() -> dbc.Modal:
    rows = [html.Tr([html.Td([html.Kbd(k) for k in keys.split("  ")]), html.Td(what)]) for keys, what in KEYS]
    return dbc.Modal(
        [dbc.ModalHeader(dbc.ModalTitle("Keys")), dbc.ModalBody(html.Table(html.Tbody(rows), className="gf-keys"))],
        id="help", is_open=False, size="sm", scrollable=True,
    )  # fmt: skip
