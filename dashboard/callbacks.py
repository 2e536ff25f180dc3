"""What runs when something happens. Each callback parses, calls and formats; what it calls lives elsewhere.

    event ──> reduce ──> state, and the parts of it that changed ──> one callback a panel

The browser sends events (assets/1-events.js); `reduce` answers with the new state and with those parts that differ from
the old ones, so that a panel is drawn anew only when what it depends on has changed.
"""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, Patch, html, no_update
from dash import State as Held
from msgspec.structs import replace

from dashboard import links, parse
from dashboard.advance import Step, advance
from dashboard.ask import question_of
from dashboard.service import Service
from dashboard.state import parts
from dashboard.views import details, drawers, gallery, page, sky, status
from dashboard.views import elements as el
from dashboard.views import figure as fig
from dashboard.views import map as map_view
from dashboard.views.marks import rings
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
        step = advance(service, held, _field(body, "events"))
        # A page that shows another build's rows is drawn anew from top to bottom.
        fresh = held is None or _field(body, "build") != service.atlas.build_id
        new, old = parts(step.after), {} if fresh else parts(step.before)
        changed = [links.to_json(new[name]) if new[name] != old.get(name) else no_update for name in PARTS]
        # A link that could not be read stays in the address bar: whoever typed it can mend it.
        keep_address = held is None and step.message
        url = {"token": links.to_token(step.after), "push": step.remember}
        return (
            links.to_json(step.after),
            *changed,
            step.moves or no_update,
            no_update if keep_address else url,
            _message(service, step) if step.message else no_update,
            bool(step.message),
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
        return patch, sky.describe(view, shown["drawn"], shown["in_view"]), key

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
        # The gallery's part leaves the viewport out; where the rings lie on the sky depends on it.
        state = replace(parse.state(part), sky=parse.state(held).sky)
        patches = {"map": Patch(), "sky": Patch()}
        for plane, traces in rings(service, state).items():
            for trace, values in traces.items():
                patches[plane]["data"][trace].update(values)
        return patches["map"], patches["sky"]

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


def _field(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _message(service: Service, step: Step) -> Any:
    """Why something could not be done, and a way to the nearest galaxy where there is one."""
    if step.nearest is None:
        return step.message
    go = el.button("Go there", kind="accent", is_="pick", row=step.nearest, build=service.atlas.build_id)
    return [html.Span(step.message), go]
