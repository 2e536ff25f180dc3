"""The page itself: where each panel sits, and the parts that never change."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from atlas import Atlas
from atlas.catalog.position_text import iau_name
from atlas.queries.region_text import LONGEST_REGION
from atlas.queries.selection import All

from ..events.galaxies import MOST_TIMES
from ..service.galaxies import row_of, typed_examples
from ..state.page_state import GALLERY_SIZES, SIMILARITY, Galaxy, State, has_examples, is_narrowed, parts
from . import choices, panels
from . import elements as el
from .downloads_menu import downloads_menu
from .image_look import bare, look_menu
from .panels import named_field
from .selection_words import Names, active_words

# The spaces between are the reader's: a phrase, then its key.
KEYS = (
    ("/", "type a position or an id"),
    ("R", "a random galaxy"),
    ("P  L  B", "pan, lasso, box"),
    ("Shift", "add a lasso to the selection (with Alt: take it away)"),
    ("M  S  G", "enlarge map, sky, gallery"),
    ("V", "gallery or table"),
    ("+  −", "the galaxy under the mouse or the keyboard in the gallery, or that of the details, is wanted, unwanted"),
    ("F  U  C", "filters, subsets, clusters"),
    ("A  N  W", "anomalies, labels, why the selection is where it is"),
    ("E  Q  I", "scores of all galaxies, two answers compared, about this atlas"),
    ("J  K", "walk on to the next galaxy without a label, or back"),
    ("1  …  9", "label the galaxy that + and − would mark; 0 takes the label away"),
    ("D  O", "grade the label (A, B, C), write a note"),
    ("Z", "take back the last label"),
    ("X", "columns against each other, or the map"),
    ("Esc", "close, or clear the selection, then the filters"),
    ("H", "opening view of map and sky"),
    ("←  ↑  →  ↓", "pan the plane that has the focus, or walk through gallery and table"),
    (",  .", "zoom it out, in"),
    ("Enter", "the galaxy nearest to its middle, or the one that was walked to"),
    ("T", "light or dark"),
    ("Alt ←", "undo: the browser's back"),
    ("?", "this list"),
)
CHIPS_IN_LINE = 4  # more examples than these fold into a menu
AGAIN_MS = 800  # how often an index that is being loaded is asked for
TIMES = {1: "once", 2: "twice", 3: "three times"}


def layout(
    atlas: Atlas, labels: dict[str, Any], *, samp: str = "", user: str = "", cutouts: tuple[str, ...] = ()
) -> html.Div:
    """The page before any state: empty panels, and the stores that events and states pass through.

    `labels` is what the browser has to know of these (`views.labels.told`); `samp` says who speaks to other
    programs ("server", "page" or nobody), `user` who has signed in and may sign out, `cutouts` which services send
    images of galaxies.
    """
    seen = atlas.manifest.seen_arcsec is not None
    stores = ("event", "state", "ack", "url", "move", "map-shown", "sky-shown", "second-shown", "table-ready",
              "job-ended", *(f"part-{name}" for name in parts(State())))  # fmt: skip
    return html.Div(
        [
            *(dcc.Store(id=name) for name in stores),
            dcc.Interval(id="search-again", interval=AGAIN_MS, disabled=True),
            dcc.Store(
                id="boot",
                data={
                    "build": atlas.build_id,
                    "labels": labels,
                    "samp": samp,
                    "cutouts": cutouts,
                    "bare": bare(atlas),
                    "seen": seen,
                },
            ),
            _header(atlas.manifest.title, typed_examples(atlas), user),
            html.Main(
                [
                    html.Nav(
                        [
                            _rail("filters", "Filters", "F"),
                            _rail("subsets", "Subsets", "U"),
                            _rail("clusters", "Clusters", "C"),
                            _rail("anomalies", "Anomalies", "A"),
                            _rail("labels", "Labels", "N"),
                            _rail("why", "Why?", "W"),
                            _rail("scores", "Scores", "E"),
                            _rail("compare", "Compare", "Q"),
                            _rail("about", "About", "I"),
                        ],
                        className="gf-rail",
                        **{"aria-label": "Drawers"},
                    ),
                    html.Aside(id="drawer", className="gf-drawer"),
                    panels.map_panel(),
                    html.Div(
                        [
                            panels.sky_panel(),
                            panels.second_panel(),
                            html.Div(
                                [
                                    html.Section(id="details", className="gf-details", tabIndex="-1"),
                                    _gallery(look_menu(cutouts, seen=seen)),
                                ],
                                className="gf-lower",
                            ),
                        ],
                        className="gf-right",
                    ),
                ],
                className="gf-main",
            ),
            html.Div(
                [
                    html.Span(id="status-selected"),
                    html.Span(id="status-drawn"),
                    html.Span(id="status-answer", className="gf-answer"),
                    html.Span(id="status-jobs", className="gf-working"),
                    html.Span(id="status-engine"),
                    html.Span(id="status-receipt", className="gf-receipt"),
                    el.button(
                        "credit",
                        label="Survey, licence, acknowledgement, what to cite",
                        kind="link",
                        is_="change",
                        drawer="about",
                    ),
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


def head(atlas: Atlas, state: State, grouped: int) -> list[Any]:
    """The examples of the search as chips, each dropped by a click; `grouped` galaxies are one of them together.

    Where something is selected, it is offered as an example.
    """
    words = "Like the selection: search elsewhere for what is like all of it together"
    button = el.button("like the selection", kind="link", label=words, is_="group", take=True)
    offer = [button] if is_narrowed(state) else []
    chips = [] if state.group is None else [_group_chip(grouped)]
    for sign, examples in ((+1, state.wanted), (-1, state.unwanted)):
        chips += [_chip(atlas, one, sign, times) for one, times in Counter(examples).items()]
    if not chips:
        return offer
    clear = el.button("clear", kind="link", label="Drop all examples", is_="clearexamples")
    if len(chips) <= CHIPS_IN_LINE:
        return [html.Span("like", className="gf-muted"), *chips, clear, *offer]
    menu = html.Details(
        [html.Summary(f"like {len(chips)} examples"), html.Div(chips)], className="gf-menu gf-example-menu"
    )
    return [menu, clear, *offer]


def tab_title(atlas: Atlas, state: State, names: Names) -> str:
    """Title of the browser's tab: what the page shows."""
    n_examples = len({*state.wanted, *state.unwanted}) + (state.group is not None)
    shown = []
    if n_examples:
        shown.append(f"{n_examples} example{'s' if n_examples > 1 else ''}")
    elif state.focus is not None:
        shown.append(iau_name(state.focus.ra_deg, state.focus.dec_deg))
    if is_narrowed(state):
        shown.append(active_words(state, names))
    return " · ".join([*(shown or [atlas.manifest.title]), "Galaxy Finder"])


def page_class(state: State) -> str:
    """Classes of the page's root: theme, enlarged panel, open drawer."""
    classes = ["gf-page", "light" if state.light else "dark"]
    if state.enlarged:
        classes.append(f"enlarged-{state.enlarged}")
    if state.drawer:
        classes.append(f"with-drawer drawer-{state.drawer}")
    classes.append(f"listing-{state.listing}")
    if state.axes is not None:
        classes.append("with-axes")
    if state.second_space:
        classes.append("with-second")
    if not is_narrowed(state) and not has_examples(state) and state.order in SIMILARITY and state.listing == "gallery":
        classes.append("at-the-door")
    return " ".join(classes)


def _header(title: str, example: str, user: str) -> html.Header:
    out = html.A("Sign out", href="/logout", className="gf-button link", **el.why(f"Signed in as {user}"))
    return html.Header(
        [
            html.H1("Galaxy Finder"),
            html.Div(
                [
                    dbc.Input(
                        id="find", type="search", placeholder=example,
                        autocomplete="off", maxlength=str(LONGEST_REGION),
                    ),
                    html.Kbd("/"),
                ],
                className="gf-find",
            ),
            el.button("Random", label="A random galaxy (R)", is_="random"),
            html.Span(id="spaces", className="gf-spaces", role="group", **{"aria-label": "Embedding space"}),
            html.Div(id="examples", className="gf-examples"),
            html.Span(title, className="gf-title", **el.why(title)),
            el.fold(
                [
                    el.button("Share", label="Copy a link to this page", kind="share", is_="local", do="share"),
                    el.button("deg / hms", label="Degrees or sexagesimal", kind="units", is_="local", do="units"),
                    el.icon("☾", "Light or dark", label="Light or dark (T)", is_="local", do="theme"),
                    el.icon("?", "Keys", label="Keys (?)", is_="local", do="help"),
                    *([out] if user else []),
                ],
                "page", "Share, units, light or dark, keys", kind="gf-tools",
            ),
        ],
        className="gf-header",
    )  # fmt: skip


def _rail(drawer: str, label: str, key: str) -> html.Button:
    return html.Button(
        label, type="button", className=f"gf-rail-{drawer}", **el.why(f"{label} ({key})"),
        **el.on_click(is_="local", do="drawer", name=drawer),
    )  # fmt: skip


def _gallery(look: html.Details) -> html.Section:
    sizes = [{"value": str(n), "label": f"{n:,}"} for n in GALLERY_SIZES]
    return html.Section(
        [
            html.Header(
                [
                    html.H2(id="gallery-title"),
                    html.Span(id="label-progress", className="gf-progress", hidden=True),
                    named_field(dbc.Select(id="order", options=choices.orders(State()), value="most", size="sm"),
                           "Order of the gallery"),
                    named_field(dbc.Select(id="shown", options=sizes, value="24", size="sm"), "Images in the gallery"),
                    html.Span(id="within", className="gf-within"),
                    html.Span(id="twins", className="gf-within"),
                    html.Span(id="columns"),
                    el.fold(
                        [
                            html.A("CSV", id="export", className="gf-export", href="#", download="galaxies.csv",
                                   **el.why("Download as CSV what is listed here, in this order")),
                            downloads_menu(),
                            look,
                            el.button("table", label="Gallery or table (V)", kind="link listing", is_="local",
                                      do="listing"),
                            el.icon("⤢", "Enlarge", label="Enlarge the gallery (G)", is_="local", do="enlarge",
                                    name="gallery"),
                        ],
                        "gallery", "Download, images, table, enlarge",
                    ),
                ]
            ),
            html.Div(id="label-bar", className="gf-label-bar", role="group", **{"aria-label": "A tap labels"}),
            html.Div(id="judging", className="gf-judging"),
            html.Div(id="table", className="gf-table"),
            # The doors are Dash's; the tiles come after them, and are drawn by assets/4-gallery.js.
            dcc.Loading(html.Div(html.Div(id="gallery-told"), id="gallery", className="gf-tiles"), delay_show=400,
                        type="dot", color="#ffb454", parent_className="gf-scroll"),
        ],
        className="gf-panel gf-gallery",
        **{"aria-label": "Gallery"},
    )  # fmt: skip


def within(state: State, names: Names) -> list[Any]:
    """Whether the gallery stays inside what is active, and the way out of it."""
    if not is_narrowed(state):
        return []
    inside = el.button(
        f"in {active_words(state, names)}" if state.within else "everywhere",
        kind=f"link{' on' if state.within else ''}",
        label="Search inside the selection, or everywhere",
        is_="change",
        within=not state.within,
    )
    drops: list[Any] = []
    if not isinstance(state.selection, All):
        drops.append(el.button("clear", kind="link", label="Clear the selection (Esc)", is_="clear"))
    elif state.filters or state.expression:
        drops.append(el.button("clear", kind="link", label="Drop all filters (Esc)", is_="clearfilters"))
    return [inside, *drops]


def _chip(atlas: Atlas, one: Galaxy, sign: int, times: int) -> html.Span:
    row = row_of(atlas, one)
    inside: list[Any] = [html.Span("gone")] if row is None else [el.image(atlas, row, f"galaxy {one.id}")]
    drop = html.Button(
        inside, type="button", **el.says(f"{one.id}: click to drop"), **el.on_click(is_="mark", id=one.id, sign=0),
        **({} if row is None else {"data-row": str(row)}),
    )  # fmt: skip
    word, often = "+" if sign > 0 else "−", times % MOST_TIMES + 1
    weigh = html.Button(
        html.B(word if times == 1 else f"{word}{times}"), type="button",
        **el.says(f"{one.id} counts {TIMES[times]}: click to count {TIMES[often]}"),
        **el.on_click(is_="weigh", id=one.id, times=often),
    )  # fmt: skip
    return html.Span([drop, weigh], className=f"gf-chip {'good' if sign > 0 else 'bad'}", role="group")


def _group_chip(grouped: int) -> html.Button:
    return html.Button(
        [html.Span(f"all {grouped:,}"), html.B("+")], type="button", className="gf-chip good group",
        **el.why(f"The mean of the {grouped:,} galaxies that were selected, as one example: click to drop"),
        **el.on_click(is_="group", take=False),
    )  # fmt: skip


def _help() -> dbc.Modal:
    rows = [html.Tr([html.Td([html.Kbd(k) for k in keys.split("  ")]), html.Td(what)]) for keys, what in KEYS]
    method = html.P(el.method_link("How it works: the method, in pictures of this atlas"), className="gf-links")
    return dbc.Modal(
        [dbc.ModalHeader(dbc.ModalTitle("Keys")),
         dbc.ModalBody([method, html.Table(html.Tbody(rows), className="gf-keys")])],
        id="help", is_open=False, size="lg", scrollable=True,
    )  # fmt: skip
