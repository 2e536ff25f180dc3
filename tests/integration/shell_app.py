"""A small Dash app behind the shell, for `test_shell`: every kind of callback, and a WebGL graph."""

from __future__ import annotations

import threading

import plotly.graph_objects as go
from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html

from dashboard.settings import load
from dashboard.web.health import register_health
from dashboard.web.security import secure

app = Dash("shell_app", use_async=False, enable_mcp=False, add_log_handler=False)
app.layout = html.Div(
    [
        html.Button("add", id="add"),
        html.Button("remove", id="remove"),
        html.Div(id="cards"),
        html.Div(id="picked"),
        html.Div(id="shared"),
        html.Div(id="browser"),
        dcc.Store(id="store", data={"n": 1}),
        dcc.Graph(id="graph"),
    ]
)


@app.callback(
    Output("cards", "children"),
    Input("add", "n_clicks"),
    Input("remove", "n_clicks"),
    State("store", "data"),
)
def show_cards(added: int | None, removed: int | None, data: object) -> list[html.Div]:
    return [
        html.Div(
            [
                html.Button(f"card {i}", id={"type": "card", "index": i}),
                html.Span(id={"type": "note", "index": i}),
            ]
        )
        for i in range(2 + (added or 0) - (removed or 0))
    ]


@app.callback(
    Output("picked", "children"),
    Output({"type": "card", "index": ALL}, "title"),
    Input({"type": "card", "index": ALL}, "n_clicks"),
    Input("not-there", "value", allow_optional=True),
)
def pick(clicks: list[int | None], missing: object) -> tuple[str, list[str]]:
    picked = ctx.triggered_id["index"] if ctx.triggered and any(clicks) else None
    return f"{picked} of {len(clicks)}", [str(n) for n in clicks]


@app.callback(Output({"type": "note", "index": MATCH}, "children"), Input({"type": "card", "index": MATCH}, "n_clicks"))
def note(n: int | None) -> str:
    return f"clicked {n or 0}"


@app.callback(Output("shared", "children"), Input("add", "n_clicks"))
def share(n: int | None) -> str:
    return f"add {n}"


@app.callback(
    Output("shared", "children", allow_duplicate=True), Input("remove", "n_clicks"), prevent_initial_call=True
)
def share_too(n: int | None) -> str:
    return f"remove {n}"


@app.callback(Input("add", "n_clicks"))
def count(n: int | None) -> None:
    pass


@app.callback(Output("graph", "figure"), Input("store", "data"))
def draw(data: object) -> go.Figure:
    return go.Figure(go.Scattergl(x=[1, 2, 3], y=[3, 1, 2], mode="markers"))


app.clientside_callback(
    "function (n) { return 'clicked ' + n; }", Output("browser", "children"), Input("add", "n_clicks")
)


waiting = threading.Semaphore(0)
go_on = threading.Event()


@app.server.get("/wait")
def wait() -> str:
    waiting.release()
    return str(go_on.wait(30))


@app.server.get("/go-on/<int:n>")
def release(n: int) -> str:
    """Let the waiting requests go, once there are n of them."""
    arrived = all(waiting.acquire(timeout=20) for _ in range(n))
    go_on.set()
    return str(arrived)


settings = load()
register_health(app.server, lambda: {"ready": True})
secure(app.server, app, settings)
server = app.server
