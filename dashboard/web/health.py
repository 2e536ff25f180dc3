"""Two addresses for whoever runs the server: is the process alive, and can it answer?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify

from ..error_answers import explain


def register_health(server: Flask, ready: Callable[[], dict[str, Any]]) -> None:
    """Add `/healthz` and `/readyz`.

    Parameters
    ----------
    server : Flask
        The application.
    ready : callable
        Returns JSON values, among them `"ready"`: whether queries can be answered. The rest is shown as it is (the
        build, what is still loading). An exception counts as not ready.
    """

    @server.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @server.get("/readyz")
    def readyz() -> Response:
        try:
            state = ready()
        except Exception as error:
            state = {"ready": False, "error": explain(error)}
        response = jsonify(state)
        response.status_code = 200 if state["ready"] is True else 503
        return response
