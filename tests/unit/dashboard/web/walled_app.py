"""An app behind the wall, and what its page sends."""

from __future__ import annotations

import copy
import json
from typing import Any

import dash
from dash import ALL, MATCH, Dash, Input, Output, State, dcc, html
from flask import Response, abort
from flask.testing import FlaskClient

from atlas.errors import FormatError, InputError
from dashboard.error_answers import on_callback_error
from dashboard.settings import Settings
from dashboard.web.health import register_health
from dashboard.web.security import immutable, secure

UPDATE = "/_dash-update-component"


SECRET = "/srv/private/atlas"


def make_app(settings: Settings) -> Dash:
    """A page with a callback of each kind: plain, wildcards ALL and MATCH, no output, shared output, failing."""
    app = Dash("shell", use_async=False, enable_mcp=False, add_log_handler=False, on_error=on_callback_error(tell))
    app.layout = html.Div([dcc.Store(id="told"), html.Div(id="out"), dcc.Input(id="in")])

    @app.callback(Output("out", "children"), Input("in", "value"), State("store", "data"))
    def plain(value: object, data: object) -> str:
        return f"{value!r} {data!r}"

    @app.callback(
        Output({"type": "card", "index": ALL}, "className"),
        Output("count", "children"),
        Input({"type": "card", "index": ALL}, "n_clicks"),
        Input("in", "value"),
    )
    def cards(clicks: list[object], value: object) -> tuple[list[str], str]:
        return ["picked" if dash.ctx.triggered_id else "card" for _ in clicks], str(len(clicks))

    @app.callback(Output({"type": "row", "index": MATCH}, "title"), Input({"type": "row", "index": MATCH}, "value"))
    def row(value: object) -> str:
        return str(value)

    @app.callback(Input("in", "n_blur"))
    def nothing(n: object) -> None:
        pass

    @app.callback(Output("out", "children", allow_duplicate=True), Input("in", "n_submit"), prevent_initial_call=True)
    def shared(n: object) -> str:
        if n == "input":
            raise InputError("no column 'reedshift'; did you mean 'redshift'?")
        if n == "format":
            raise FormatError(f"{SECRET}/builds is truncated")
        if n == "bug":
            raise RuntimeError(f"{SECRET} in a message")
        return str(n)

    app.clientside_callback("function (n) { return n; }", Output("told", "data"), Input("in", "id"))

    @app.server.get("/fail/<kind>")
    def fail(kind: str) -> str:
        if kind == "abort":
            abort(410)
        errors = {"input": InputError("radius 'x' is no number"), "format": FormatError(SECRET)}
        raise errors.get(kind, KeyError(SECRET))

    @app.server.get("/image/<build>.png")
    def image(build: str) -> Response:
        return immutable(Response(b"\x89PNG" + bytes(2000), mimetype="image/png"))

    app.server.config["READY"] = lambda: {"ready": True, "build": "0123456789ab"}

    def ready() -> dict[str, Any]:
        return app.server.config["READY"]()  # tests replace it

    register_health(app.server, ready)
    secure(app.server, app, settings)
    return app


def tell(text: str) -> None:
    dash.set_props("told", {"data": text})


def prop(component: object, name: str, value: object = None) -> dict[str, Any]:
    return {"id": component, "property": name, "value": value}


def card(index: object) -> dict[str, object]:
    return {"index": index, "type": "card"}


SHARED = "@"  # stands for the key of the callback that shares its output


BODIES: dict[str, dict[str, Any]] = {
    "plain": {
        "output": "out.children",
        "outputs": {"id": "out", "property": "children"},
        "inputs": [prop("in", "value", "M31")],
        "changedPropIds": ["in.value"],
        "parsedChangedPropsIds": ["in.value"],
        "state": [prop("store", "data", {"a": [1, 2.5, None]})],
    },
    "cards": {
        "output": '..{"index":["ALL"],"type":"card"}.className...count.children..',
        "outputs": [
            [{"id": card(7), "property": "className"}, {"id": card("x.y"), "property": "className"}],
            {"id": "count", "property": "children"},
        ],
        "inputs": [[prop(card(7), "n_clicks", 1), prop(card("x.y"), "n_clicks")], prop("in", "value")],
        "changedPropIds": ['{"index":"x.y","type":"card"}.n_clicks'],
        "parsedChangedPropsIds": [card("x.y")],
    },
    "row": {
        "output": '{"index":["MATCH"],"type":"row"}.title',
        "outputs": {"id": {"index": 3, "type": "row"}, "property": "title"},
        "inputs": [prop({"index": 3, "type": "row"}, "value", 0.5)],
        "changedPropIds": ['{"index":3,"type":"row"}.value'],
    },
    "shared": {
        "output": SHARED,
        "outputs": {"id": "out", "property": "children@hash"},
        "inputs": [prop("in", "n_submit", "fine")],
        "changedPropIds": ["in.n_submit"],
    },
}


def body(app: Dash, name: str) -> dict[str, Any]:
    made = copy.deepcopy(BODIES[name])
    if made["output"] == SHARED:
        [made["output"]] = [key for key in app.callback_map if "@" in key]
    return made


def post(client: FlaskClient, data: object, **headers: str) -> Any:
    sent = data if isinstance(data, bytes) else json.dumps(data).encode()
    return client.post(UPDATE, data=sent, content_type="application/json", headers=headers)
