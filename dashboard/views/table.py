"""The table: what is active, a row a galaxy, in the order of the gallery or of any column, however many there are.

ag-grid asks for the rows that come into sight (`rows`), so a table of ten million costs what a screen of it does.
Values travel as the text that is shown: the grid neither sorts nor counts.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import dash_ag_grid as dag
import numpy as np
from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, ctx, html, no_update, set_props
from dash import State as Held
from dash.exceptions import PreventUpdate

from atlas import Atlas
from atlas.catalog.senses import explanation
from atlas.storage.manifest import Column

from ..interaction import browser_events as parse
from ..interaction.held_state import read_state
from ..jobs.job import UnderWayError
from ..service.atlas_service import Service
from ..service.gallery_query import question_of
from ..service.result_list import ResultList, columns_of, columns_offered, listing_of
from ..state.page_state import State
from . import elements as el
from .facts import words
from .gallery import ABOUT_SIMILARITY
from .jobs import concerns, job_card

# The page's own colours, so that the grid follows its theme.
LOOK = {
    "backgroundColor": "var(--gf-panel)",
    "foregroundColor": "var(--gf-text)",
    "headerBackgroundColor": "var(--gf-raised)",
    "borderColor": "var(--gf-line)",
    "oddRowBackgroundColor": "var(--gf-panel)",
    "rowHoverColor": "var(--gf-raised)",
    "accentColor": "var(--gf-accent)",
    "fontSize": 12,
    "fontFamily": "inherit",
    "cellHorizontalPadding": 8,
    "wrapperBorder": False,
    "wrapperBorderRadius": 0,
}
COLUMN_WIDTH = 122
MOST_COLUMNS = 60  # that an event may name
IMAGE, SCORE, ID = "_image", "_score", "_id"


def grid(service: Service, state: State, made: Any) -> list[Any]:
    """The grid for a state; another one after a job has `made` something, so that it asks for its rows anew."""
    atlas = service.atlas
    listing = listing_of(service, state)
    shown = columns_of(atlas, state)
    # A grid is never given other rows than it began with: another question gets another grid.
    question = repr(question_of(atlas, state))
    at = zlib.crc32(json.dumps([atlas.build_id, question, state.labels_at, [c.name for c in shown], made]).encode())
    return [
        dag.AgGrid(
            id={"type": "grid", "at": at},
            columnDefs=[*_fixed(listing), *(_column(c, state) for c in shown)],
            rowModelType="infinite",
            className="gf-grid",
            defaultColDef={"sortable": True, "resizable": True, "suppressMovable": True, "width": COLUMN_WIDTH},
            getRowId="params.data._row",
            dashGridOptions={
                "rowHeight": 30,
                "headerHeight": 28,
                "cacheBlockSize": 100,
                "maxBlocksInCache": 20,
                "infiniteInitialRowCount": max(1, listing.total),
                "rowBuffer": 0,
                "suppressCellFocus": False,
                "animateRows": False,
                "suppressMultiSort": True,
                "theme": {"function": f"themeQuartz.withParams({json.dumps(LOOK)})"},
            },
            style={"height": "100%", "width": "100%"},
        ),
    ]


def rows(service: Service, state: State, start: int, stop: int, sort: str, descending: bool) -> dict[str, Any]:
    """Rows start … stop − 1, as the grid takes them."""
    atlas = service.atlas
    listing = listing_of(service, state, sort, descending)
    listing.require_ready()
    found, scores = listing.page(start, stop - start)
    names = atlas.identity.names(found)
    columns = atlas.columns(atlas.default_space)
    shown = columns_of(atlas, state)
    values = {c.name: [_text(c, v) for v in columns.values(c.name, found)] for c in shown}
    data = [
        {
            "_row": str(row),
            IMAGE: el.image_url(atlas, int(row)),
            ID: name,
            SCORE: "" if np.isnan(score) else f"{score:.4f}",
            **{name: column[i] for name, column in values.items()},
        }
        for i, (row, name, score) in enumerate(zip(found.tolist(), names, scores.tolist(), strict=True))
    ]
    return {"rowData": data, "rowCount": listing.total}


def _fixed(listing: ResultList) -> list[dict[str, Any]]:
    # As narrow as can be: the grid lets go of what is pinned where a panel has no room for more.
    first = {"pinned": "left", "sortable": False}
    fixed = [
        {**first, "field": IMAGE, "headerName": "image", "width": 54, "cellRenderer": "GalaxyImage",
         "context": el.explained("The galaxy's image")},
        {**first, "field": ID, "headerName": "id", "width": 116, "context": el.explained("The galaxy's name")},
    ]  # fmt: skip
    if listing.scored:
        fixed.append({**first, "field": SCORE, "headerName": "similarity", "type": "rightAligned", "width": 86,
                      "context": el.explained(ABOUT_SIMILARITY)})  # fmt: skip
    return fixed


def _column(column: Column, state: State) -> dict[str, Any]:
    sorted_by = state.table.sort == column.name
    return {
        "field": column.name,
        "headerName": f"{column.name} [{column.unit}]" if column.unit else column.name,
        "context": el.explained(explanation(column)),
        "sort": ("desc" if state.table.descending else "asc") if sorted_by else None,
        **({} if column.kind in ("category", "text") else {"type": "rightAligned"}),
    }


def _text(column: Column, value: Any) -> str:
    if column.unit == "deg" and isinstance(value, float):
        return f"{value:.6f}"  # 0.004″: positions are for finding galaxies again
    return words(column, value).removesuffix(column.unit).strip() if column.unit else words(column, value)


def chooser(atlas: Atlas, state: State) -> list[Any]:
    """The choice of columns, where a table is shown."""
    if state.listing != "table":
        return []
    shown = columns_of(atlas, state)
    names = [c.name for c in shown]
    menu = html.Details(
        [
            html.Summary("columns"),
            html.Div(
                [
                    el.button("usual columns", kind="link", label="The usual columns: position and what says most",
                              is_="tabulate", columns=[]),
                    el.button("all columns", kind="link", label=f"All columns, the first {MOST_COLUMNS} at most",
                              is_="tabulate", columns=[c.name for c in columns_offered(atlas)][:MOST_COLUMNS]),
                    html.Span(className="gf-break"),
                    *(
                        html.Span(
                            el.button(
                                c.name,
                                kind=f"column{' on' if c.name in names else ''}",
                                is_="tabulate",
                                columns=[n for n in names if n != c.name] if c.name in names else [*names, c.name],
                            ),
                            **el.why(explanation(c)),
                        )
                        for c in columns_offered(atlas)
                    ),
                ]
            ),
        ],
        className="gf-menu gf-columns",
    )  # fmt: skip
    return [menu]


def register(app: Dash, service: Service) -> None:
    """Show the table once its script is there, and the rows that it asks for."""
    # The script is large: it is fetched when a table is first wanted, and only then is the table filled.
    app.clientside_callback(
        ClientsideFunction("gf", "table"),
        Output("table-ready", "data"),
        Input("part-table", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("table", "children"),
        Input("table-ready", "data"),
        Input("job-ended", "data"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_table(_: Any, ended: Any, held: Any) -> Any:
        if ctx.triggered_id == "job-ended" and not concerns(service, ended, "order"):
            raise PreventUpdate
        state = read_state(service, held)
        return grid(service, state, ended) if state.listing == "table" else []

    @app.callback(
        Output({"type": "grid", "at": MATCH}, "getRowsResponse"),
        Input({"type": "grid", "at": MATCH}, "getRowsRequest"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_rows(request: Any, held: Any) -> Any:
        asked = parse.rows_request(request, service.settings)
        if asked is None:
            return no_update
        try:
            return rows(service, read_state(service, held), *asked)
        except UnderWayError as error:
            # The grid goes on waiting, and is made anew when the job has ended.
            set_props("toast", {"children": [job_card(error.job)], "is_open": True})
            return no_update

    for prop, function in (("getRowsRequest", "sorted"), ("cellClicked", "picked")):
        app.clientside_callback(
            ClientsideFunction("gf", function),
            Input({"type": "grid", "at": ALL}, prop),
            prevent_initial_call=True,
        )
