"""Collections in the drawer of labels: what is listed or selected, kept in its order under a name."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from atlas.labels.entry import Collection

from ..service.atlas_service import Service
from ..state.page_state import State, is_narrowed
from . import elements as el


def collections(service: Service, state: State, deeds: Any) -> list[Any]:
    """The form that keeps one, then all that were kept.

    `deeds` makes the buttons of what can be done with one (`dashboard.views.labels`).
    """
    kept = service.labels.collections()
    narrowed = is_narrowed(state)
    name = dbc.Input(id="collection-name", type="text", size="sm", maxlength="40", autocomplete="off",
                     placeholder=f"collection {len(kept) + 1}")  # fmt: skip
    form = html.Section(
        [
            html.Header([html.B("Collections"), html.Span("sets that keep their order")]),
            html.Div(
                [
                    name,
                    el.button("gallery", label="Keep the galaxies of the gallery, in its order, under this name",
                              is_="local", do="collect", of="gallery"),
                    el.button("selection", label="Keep all that is selected under this name", disabled=not narrowed,
                              is_="local", do="collect", of="selection"),
                ],
                className="gf-keep",
            ),
            html.Div(
                [
                    dbc.Textarea(id="list-text", size="sm", rows=2,
                                 placeholder="or a list: a position or an id a line"),
                    html.Div(
                        [
                            el.button("keep list", label="Keep the galaxies of the pasted list under this name",
                                      is_="local", do="list", of="text"),
                            el.button("file…", is_="local", do="list", of="file",
                                      label="Keep the galaxies of a file: CSV, TSV, text, ECSV, VOTable or FITS"),
                            html.Label(
                                ["within", dbc.Input(id="list-radius", type="number", value=1, min=0.1, max=60,
                                                     step="any", size="sm"), "″"],
                                **el.why("How far a galaxy may lie from a position of the list"),
                            ),
                        ],
                        className="gf-keep",
                    ),
                ],
                className="gf-list",
            ),
        ],
        className="gf-filter",
    )  # fmt: skip
    dropped = service.labels.collections(dropped=True)
    return [form, *(_collection(one, deeds) for one in kept), *([_dropped(dropped)] if dropped else [])]


def _collection(one: Collection, deeds: Any) -> html.Section:
    what = {"is": "collected", "name": one.name}
    told = f"Revision {one.revision}, by {one.who}, {one.at[:16].replace('T', ' ')} UTC"
    head = html.Header(
        [el.figure(one.name, told), html.Span(f"@{one.revision}", className="gf-muted"), html.Span(f"{one.size:,}")]
    )
    own = [
        el.button("note", kind="link", label=f"Write a note on {one.name}", is_="local", do="renote", name=one.name,
                  note=one.note),
        el.button("rename", kind="link", label=f"Rename {one.name}", is_="local", do="rename", name=one.name,
                  note=one.note),
        el.button("drop", kind="link", label=f"Drop {one.name}; it can be restored, and links to it stay", is_="local",
                  do="collection", act="drop", name=one.name),
    ]  # fmt: skip
    rows = (deeds(what, one.name), own)
    note = [html.P(html.Q(one.note), className="gf-note")] if one.note else []
    return html.Section([head, *note, *(html.Div(row, className="gf-deeds") for row in rows)], className="gf-filter")


def _dropped(dropped: list[Collection]) -> html.Details:
    """Collections that are listed no more, each with the way back."""
    back = [
        el.button(f"{one.name} ({one.size:,})", kind="link", label=f"Restore {one.name}", is_="local", do="collection",
                  act="restore", name=one.name)
        for one in dropped
    ]  # fmt: skip
    return html.Details([html.Summary(f"dropped ({len(dropped):,})"), html.Div(back, className="gf-deeds")])
