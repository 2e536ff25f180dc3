"""What runs when something happens. Each callback parses, calls and formats; what it calls lives elsewhere.

    event ──> reduce ──> state, and the parts of it that changed ──> one callback a panel

The browser sends events (assets/events.js); `reduce` answers with the new state and with those parts that differ from
the old ones, so that a panel is drawn anew only when what it depends on has changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, Patch, html, no_update
from dash import State as Held

from atlas.errors import NothingNearError
from dashboard import links, parse
from dashboard.ask import question_of
from dashboard.failures import explain
from dashboard.resolve import resolve, row_of
from dashboard.service import Service
from dashboard.state import State, is_step, parts, reduce
from dashboard.views import details, drawers, gallery, page, sky, status
from dashboard.views import elements as el
from dashboard.views import figure as fig
from dashboard.views import map as map_view
from dashboard.views.palette import theme

PARTS = ("map", "sky", "gallery", "details", "page")


def register_callbacks(app: Dash, service: Service) -> None:
    """Add all callbacks to an app."""
    for function, *inputs in (
        ("open", Input("boot", "data")),
        ("push", Input("url", "data")),
        ("settle", Input("ack", "data"), Held("state", "data")),
        ("move", Input("move", "data")),
        ("order", Input("order", "value")),
        ("shown", Input("shown", "value")),
        ("color", Input("color", "value")),
    ):
        app.clientside_callback(ClientsideFunction("gf", function), *inputs, prevent_initial_call=function != "open")

    @app.callback(
        Output("state", "data"),
        *(Output(f"part-{name}", "data") for name in PARTS),
        Output("move", "data"),
        Output("url", "data"),
        Output("toast", "children"),
        Output("toast", "is_open"),
        Output("ack", "data"),
        Input("event", "data"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_event(body: Any, held: Any) -> tuple[Any, ...]:
        first = held is None
        before = after = State()
        message: Any = no_update
        travelled = False
        moves: dict[str, list[float]] = {}
        try:
            before = after = parse.state(held)
            for raw in parse.events(_field(body, "events"), service.settings):
                previous, after = after, reduce(after, resolve(service, after, raw))
                travelled |= isinstance(raw, parse.OpenToken)
                if not isinstance(raw, parse.View) or raw.box is None:
                    moves |= _moves(service, previous, after)
        except NothingNearError as error:
            message = _offer(service, error)
        except Exception as error:
            # Whatever went wrong, the browser must hear of it, or it would wait for an answer to its event.
            message = explain(error)
        if first:
            moves = _moves(service, None, after)
        new, old = parts(after), {} if first else parts(before)
        changed = [links.to_json(new[name]) if new[name] != old.get(name) else no_update for name in PARTS]
        url = {"token": links.to_token(after), "push": not travelled and is_step(before, after)}
        return (
            links.to_json(after),
            *changed,
            moves or no_update,
            # A link that could not be read stays in the address bar: whoever typed it can mend it.
            no_update if first and message is not no_update else url,
            message,
            message is not no_update,
            {"seq": _field(body, "seq"), "build": service.atlas.build_id},
        )

    @app.callback(
        Output("map", "figure"),
        Output("legend", "children"),
        Output("status-selected", "children"),
        Output("status-drawn", "children"),
        Input("part-map", "data"),
        prevent_initial_call=True,
    )
    def on_map(part: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        shown = map_view.picture(service, state)
        patch = Patch()
        _patch_points(patch, shown, state.light)
        patch["data"][fig.OUTLIERS].update(shown["outliers"])
        mask = service.mask(state.selection)
        return (
            patch,
            page.legend(shown["coloring"]),
            status.selected(service.atlas, None if mask is None else mask.count),
            status.drawn(shown["drawn"], shown["in_view"], shown["outliers_in_view"]),
        )

    @app.callback(
        Output("sky", "figure"),
        Output("sky-words", "children"),
        Output("sky-shown", "data"),
        Input("part-sky", "data"),
        Held("sky-shown", "data"),
        prevent_initial_call=True,
    )
    def on_sky(part: Any, shown_before: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        shown = sky.picture(service, state)
        view = shown["view"]
        patch = Patch()
        _patch_points(patch, shown, light=False)
        patch["data"][fig.GRATICULE].update(shown["graticule"])
        key = sky.key(view.projection)
        if key != shown_before:
            # Another plane: what was in view there means nothing here.
            patch["layout"]["xaxis"]["range"] = [view.box.x0, view.box.x1]
            patch["layout"]["yaxis"]["range"] = [view.box.y0, view.box.y1]
            patch["layout"]["uirevision"] = key
        patch["layout"]["meta"] = {"projection": {"kind": view.projection.kind, "ra_deg": view.projection.ra_deg,
                                                  "dec_deg": view.projection.dec_deg}}  # fmt: skip
        return patch, sky.describe(view), key

    @app.callback(
        Output("gallery", "children"),
        Output("gallery-title", "children"),
        Output("status-answer", "children"),
        Output("status-engine", "children"),
        Output("status-receipt", "children"),
        Input("part-gallery", "data"),
        prevent_initial_call=True,
    )
    def on_gallery(part: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        atlas = service.atlas
        question = question_of(atlas, state)
        result = None if question.query is None else service.run(question.query, atlas)
        children = gallery.doors(atlas) if result is None else gallery.tiles(atlas, result, state)
        return (
            children,
            gallery.title(question.query, atlas),
            status.answer(question, result, state),
            status.engine(atlas),
            status.receipt(result),
        )

    @app.callback(
        Output("map", "figure", allow_duplicate=True),
        Output("sky", "figure", allow_duplicate=True),
        Input("part-gallery", "data"),
        Input("sky-shown", "data"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_marks(part: Any, _: Any, held: Any) -> tuple[Any, Any]:
        """Rings around the focus and its neighbours, on map and sky."""
        state, whole = parse.state(part), parse.state(held)
        atlas = service.atlas
        question = question_of(atlas, state)
        rows = [] if question.query is None else service.run(question.query, atlas).rows.tolist()
        focus = None if state.focus is None else row_of(atlas, state.focus)
        on_map, on_sky = Patch(), Patch()
        view = whole.sky or sky.home(atlas)
        columns = atlas.columns(atlas.default_space)
        for trace, found in ((fig.NEIGHBORS, rows), (fig.FOCUS, [] if focus is None else [focus])):
            chosen = np.asarray(found, dtype=np.uint32)
            x, y = (np.asarray(columns.array(name)[chosen], dtype=np.float32) for name in ("map_x", "map_y"))
            ra, dec = (columns.array(name)[chosen] for name in ("ra", "dec"))
            sky_x, sky_y = sky.place(view, ra, dec)
            for patch, at_x, at_y in ((on_map, x, y), (on_sky, sky_x, sky_y)):
                patch["data"][trace]["x"] = fig.typed(at_x)
                patch["data"][trace]["y"] = fig.typed(at_y)
                patch["data"][trace]["customdata"] = fig.typed(chosen)
        return on_map, on_sky

    @app.callback(Output("details", "children"), Input("part-details", "data"), prevent_initial_call=True)
    def on_details(part: Any) -> Any:
        return details.panel(service.atlas, parse.state(part))

    @app.callback(
        Output("page", "className"),
        Output("examples", "children"),
        Output("order", "options"),
        Output("order", "value"),
        Output("shown", "value"),
        Output("color", "options"),
        Output("color", "value"),
        Output("within", "children"),
        Output("drawer", "children"),
        Input("part-page", "data"),
        prevent_initial_call=True,
    )
    def on_page(part: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        atlas = service.atlas
        return (
            page.page_class(state),
            page.head(atlas, state),
            page.orders(state),
            state.order,
            str(state.shown),
            page.colors(atlas),
            state.color,
            page.within(state),
            drawers.drawer(atlas, state),
        )


def _patch_points(patch: Patch, shown: dict[str, Any], light: bool) -> None:
    patch["data"][fig.POINTS].update(shown["points"])
    for name in ("images", "shapes", "annotations"):
        patch["layout"][name] = shown[name]
    # The outline of a lasso is the state's; the browser's own is taken back.
    patch["layout"]["selections"] = []
    for trace, width in ((fig.NEIGHBORS, 1.4), (fig.FOCUS, 2.2)):
        accent = theme(light).accent
        patch["data"][trace]["marker"].update({"color": accent, "line": {"width": width, "color": accent}})


def _moves(service: Service, before: State | None, after: State) -> dict[str, list[float]]:
    """Where the graphs must go because something other than the hand on them moved the view."""
    moves = {}
    if before is None or after.map != before.map:
        box = after.map or map_view.home_box(service.atlas)
        moves["map"] = [box.x0, box.x1, box.y0, box.y1]
    if before is not None and after.sky != before.sky:
        home = sky.home(service.atlas)
        view = after.sky or home
        # Onto another plane the graph goes together with its points.
        if view.projection == (before.sky or home).projection:
            moves["sky"] = [view.box.x0, view.box.x1, view.box.y0, view.box.y1]
    return moves


def _field(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _offer(service: Service, error: NothingNearError) -> Any:
    """A message, and a way to the nearest galaxy where there is one."""
    if error.row is None:
        return str(error)
    go = el.button("Go there", kind="accent", is_="pick", row=error.row, build=service.atlas.build_id)
    return [html.Span(str(error)), go]
