"""What runs when something happens. Each callback parses, calls and formats; what it calls lives elsewhere.

    event ──> reduce ──> state, and the parts of it that changed ──> one callback a panel

The browser sends events (assets/1-events.js); `reduce` answers with the new state and with those parts that differ from
the old ones, so that a panel is drawn anew only when what it depends on has changed.
"""

from __future__ import annotations

from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, Patch, html, no_update
from dash import State as Held

from .interaction import browser_events as parse
from .interaction.step import Step, advance
from .service.atlas_service import Service
from .service.gallery_query import question_of
from .state import url as links
from .state.page_state import State, active, parts
from .views import choices, details, drawers, gallery, page, sky, status, table
from .views import elements as el
from .views import figure as fig
from .views import map as map_view
from .views.legend import legend, mean_legend
from .views.marks import rings
from .views.paint import column_of, has_mean
from .views.palette import theme

PARTS = tuple(parts(State()))


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
        ("plane", Input("plane", "value")),
    ):
        app.clientside_callback(ClientsideFunction("gf", function), *inputs, prevent_initial_call=function != "open")

    # The table's script is large: it is fetched when a table is first wanted, and only then is the table filled.
    app.clientside_callback(
        ClientsideFunction("gf", "table"),
        Output("table-ready", "data"),
        Input("part-table", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("state", "data"),
        *(Output(f"part-{name}", "data") for name in PARTS),
        Output("move", "data"),
        Output("url", "data"),
        Output("toast", "children"),
        Output("toast", "is_open"),
        Output("ack", "data"),
        Output("export", "href"),
        Input("event", "data"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_event(body: Any, held: Any) -> tuple[Any, ...]:
        step = advance(service, held, _field(body, "events"))
        # A page that shows another build's rows is drawn anew from top to bottom.
        fresh = held is None or _field(body, "build") != service.atlas.build_id
        new, old = parts(step.after), {} if fresh else parts(step.before)
        # Where nothing came of a choice, its menu must go back to what holds.
        again = {"page"} if step.after == step.before else set()
        changed = [
            links.to_json(new[name]) if name in again or new[name] != old.get(name) else no_update for name in PARTS
        ]
        # A link that could not be read stays in the address bar: whoever typed it can mend it.
        keep_address = held is None and step.message
        link = _link(service, step.after)
        url = {"token": link, "push": step.remember}
        return (
            links.to_json(step.after),
            *changed,
            step.moves or no_update,
            no_update if keep_address else url,
            _message(service, step) if step.message else step.notice or no_update,
            # A new question closes what was said of the old one; a graph that tells of its view does not.
            True if step.message or step.notice else False if step.remember else no_update,
            {
                "seq": _field(body, "seq"),
                "build": service.atlas.build_id,
                "title": page.tab_title(service.atlas, step.after),
            },
            f"/export/{service.atlas.build_id}.csv?s={link}",
        )

    @app.callback(
        Output("map", "figure"),
        Output("map-shown", "data"),
        Output("again", "disabled"),
        Output("legend", "children"),
        Output("trust", "children"),
        Output("status-selected", "children"),
        Output("status-drawn", "children"),
        Input("part-map", "data"),
        Input("again", "n_intervals"),
        Held("map-shown", "data"),
        prevent_initial_call=True,
    )
    def on_map(part: Any, _: Any, shown_before: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        atlas = service.atlas
        mask = service.mask(active(state), atlas)
        selected = status.selected(atlas, None if mask is None else mask.count)
        shown = map_view.picture(service, state)
        if shown is None:
            return no_update, no_update, False, no_update, [], selected, status.under_way(atlas, state.axes)
        patch = Patch()
        _patch_points(patch, shown, state.light)
        patch["data"][fig.OUTLIERS].update(shown["outliers"])
        look = theme(state.light)
        shown_now = f"{shown['key']} {look.name}"
        if shown_now != shown_before:
            for name, value in map_view.axes_layout(atlas, state.axes, shown["view"], look).items():
                patch["layout"][name].update(value)
            patch["layout"]["uirevision"] = shown["key"]
        return (
            patch,
            shown_now,
            True,
            legend(shown["coloring"], column_of(atlas, state), state)
            if shown["mean"] is None
            else mean_legend(shown["mean"], state.shading),
            status.trust(shown["trust"], service.outside(active(state), atlas)),
            selected,
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
        patch["layout"]["meta"] = {"key": key, "flip": [False, False], "projection": {
            "kind": view.projection.kind, "ra_deg": view.projection.ra_deg, "dec_deg": view.projection.dec_deg
        }}  # fmt: skip
        return patch, sky.describe(view, shown["drawn"], shown["in_view"]), key

    @app.callback(
        Output("gallery", "children"),
        Output("gallery-title", "children"),
        Output("status-answer", "children"),
        Output("status-engine", "children"),
        Output("status-receipt", "children"),
        Output("search-again", "disabled"),
        Input("part-gallery", "data"),
        Input("search-again", "n_intervals"),
        prevent_initial_call=True,
    )
    def on_gallery(part: Any, _: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        atlas = service.atlas
        # Asked before the search: where the index comes into memory in between, the page asks once more.
        progress = service.progress(atlas)
        question = question_of(atlas, state)
        result = None if question.query is None else service.run(question.query, atlas)
        return (
            gallery.contents(atlas, question.query, result, state, progress),
            gallery.title(question.query, atlas),
            status.answer(question, result, state),
            status.engine(atlas, progress),
            status.receipt(atlas, result, _link(service, state)),
            progress != "loading",
        )

    @app.callback(
        Output("map", "figure", allow_duplicate=True),
        Output("sky", "figure", allow_duplicate=True),
        Input("part-marks", "data"),
        Input("map-shown", "data"),
        Input("sky-shown", "data"),
        Input("search-again", "disabled"),
        prevent_initial_call=True,
    )
    def on_marks(part: Any, *_: Any) -> tuple[Any, Any]:
        patches = {"map": Patch(), "sky": Patch()}
        for plane, traces in rings(service, parse.state(part)).items():
            for trace, values in traces.items():
                patches[plane]["data"][trace].update(values)
        return patches["map"], patches["sky"]

    @app.callback(Output("details", "children"), Input("part-details", "data"), prevent_initial_call=True)
    def on_details(part: Any) -> Any:
        return details.panel(service.atlas, parse.state(part))

    @app.callback(Output("drawer", "children"), Input("part-drawer", "data"), prevent_initial_call=True)
    def on_drawer(part: Any) -> Any:
        return drawers.drawer(service, parse.state(part))

    @app.callback(
        Output("table", "children"),
        Input("table-ready", "data"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_table(_: Any, held: Any) -> Any:
        state = parse.state(held)
        return table.grid(service, state) if state.listing == "table" else []

    @app.callback(
        Output({"type": "grid", "at": MATCH}, "getRowsResponse"),
        Input({"type": "grid", "at": MATCH}, "getRowsRequest"),
        Held("state", "data"),
        prevent_initial_call=True,
    )
    def on_rows(request: Any, held: Any) -> Any:
        asked = parse.rows_request(request, service.settings)
        return no_update if asked is None else table.rows(service, parse.state(held), *asked)

    for prop, function in (("getRowsRequest", "sorted"), ("cellClicked", "picked")):
        app.clientside_callback(
            ClientsideFunction("gf", function),
            Input({"type": "grid", "at": ALL}, prop),
            prevent_initial_call=True,
        )

    @app.callback(
        Output("page", "className"),
        Output("examples", "children"),
        Output("order", "options"),
        Output("order", "value"),
        Output("shown", "value"),
        Output("color", "options"),
        Output("color", "value"),
        Output("plane", "options"),
        Output("plane", "value"),
        Output("axes", "children"),
        Output("paint", "children"),
        Output("within", "children"),
        Output("columns", "children"),
        Input("part-page", "data"),
        prevent_initial_call=True,
    )
    def on_page(part: Any) -> tuple[Any, ...]:
        state = parse.state(part)
        atlas = service.atlas
        column = column_of(atlas, state)
        return (
            page.page_class(state),
            page.head(atlas, state, _grouped(service, state)),
            choices.orders(state, atlas.columns(atlas.default_space)),
            choices.order_shown(state),
            str(state.shown),
            choices.colors(atlas, state),
            state.color,
            choices.planes(atlas, state.axes),
            "map" if state.axes is None else f"{state.axes.x} {state.axes.y}",
            choices.axis_choices(atlas, state),
            choices.paint(state, column is not None and has_mean(column)),
            page.within(state),
            table.chooser(atlas, state),
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


def _grouped(service: Service, state: State) -> int:
    mask = None if state.group is None else service.mask(state.group)
    return service.atlas.n_rows if mask is None else mask.count


def _link(service: Service, state: State) -> str:
    return links.to_link(state, service.kept, service.settings.max_state_bytes)


def _field(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _message(service: Service, step: Step) -> Any:
    """Why something could not be done, and a way to the nearest galaxy where there is one."""
    if step.nearest is None:
        return step.message
    go = el.button("Go there", kind="accent", is_="pick", row=step.nearest, build=service.atlas.build_id)
    return [html.Span(step.message), go]
