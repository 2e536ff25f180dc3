"""Callbacks of the page. Each callback parses, calls and formats; what it calls lives elsewhere.

    event ──> reduce ──> state, and the parts of it that changed ──> one callback a panel, beside its view

The browser sends events (assets/1-events.js); `reduce` answers with the new state and with those parts that differ from
the old ones, so that a panel is drawn anew only when what it depends on has changed.
"""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, html, no_update
from dash import State as Held

from .interaction.step import Step, advance
from .service.atlas_service import Service
from .state import url as links
from .state.page_state import State, parts
from .views import controls, details, drawers, gallery, judging, marks, page, second_map, sky, table
from .views import elements as el
from .views import map as map_view
from .views.clusters import named_selections
from .views.jobs import job_card

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
    _register_event(app, service)
    for view in (map_view, sky, second_map, gallery, judging, marks, details, drawers, table, controls):
        view.register(app, service)


def _register_event(app: Dash, service: Service) -> None:
    """Hold the state: events come in, and go out as what has changed."""

    @app.callback(
        output={
            "state": Output("state", "data"),
            "parts": {name: Output(f"part-{name}", "data") for name in PARTS},
            "move": Output("move", "data"),
            "url": Output("url", "data"),
            "toast": Output("toast", "children"),
            "toast_open": Output("toast", "is_open"),
            "ack": Output("ack", "data"),
            "export": Output("export", "href"),
        },
        inputs=[Input("event", "data"), Held("state", "data")],
        prevent_initial_call=True,
    )
    def on_event(body: Any, held: Any) -> dict[str, Any]:
        step = advance(service, held, _field(body, "events"))
        build, link = service.atlas.build_id, service.link(step.after)
        # A page that shows another build's rows is drawn anew from top to bottom.
        fresh = held is None or _field(body, "build") != build
        # A link that could not be read stays in the address bar: whoever typed it can mend it.
        keep_address = held is None and (step.message or step.job)
        title = page.tab_title(service.atlas, step.after, named_selections(service, service.atlas))
        return {
            "state": links.to_json(step.after),
            "parts": _changed(step, fresh),
            "move": step.moves or no_update,
            "url": no_update if keep_address else {"token": link, "push": step.remember},
            "toast": _message(service, step) or no_update,
            # A new question closes what was said of the old one; a graph that tells of its view does not.
            "toast_open": True if _message(service, step) else False if step.remember else no_update,
            "ack": {
                "seq": _field(body, "seq"),
                "build": build,
                "title": title,
                "labels": service.book.known().revision,
                "waits": None if step.job is None else {"job": step.job.id, "events": step.held_back},
            },
            "export": f"/export/{build}.csv?s={link}",
        }


def _changed(step: Step, fresh: bool) -> dict[str, Any]:
    """The parts of the state that views have to hear of; all where the page is fresh."""
    new, old = parts(step.after), {} if fresh else parts(step.before)
    # Where nothing came of a choice, its menu must go back to what holds.
    again = {"page"} if step.after == step.before else set()
    return {
        name: links.to_json(new[name]) if name in again or new[name] != old.get(name) else no_update for name in PARTS
    }


def _field(body: Any, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else None


def _message(service: Service, step: Step) -> Any:
    """Message of why something could not be done, with a way to the nearest galaxy where there is one; the job that
    something waits for; or what was understood."""
    if not step.message:
        return step.notice if step.job is None else [job_card(step.job)]
    if step.nearest is None:
        return step.message
    go = el.button("Go there", kind="accent", is_="pick", row=step.nearest, build=service.atlas.build_id)
    return [html.Span(step.message), go]
