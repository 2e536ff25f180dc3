"""Error responses: what was wrong with the request, or that we failed and a reference.

The text of an `InputError`, a `KeepingError` or a `DamagedError` is written for visitors and shown. Everything else may
name paths or hold a stack: it goes to the log under a short reference, and the visitor gets a general sentence with
that reference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from dash.exceptions import DependencyException, InvalidResourceError
from flask import Flask, Response, has_request_context, jsonify, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException

from atlas.errors import AtlasError, DamagedError, InputError, KeepingError, shorten

from .request_log import request_id

_log = logging.getLogger(__name__)

_SENTENCES = {
    400: "The request could not be understood.",
    403: "The request came from another site and was refused.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The request is larger than this server takes.",
    414: "The address is longer than this server takes.",
    415: "This address takes JSON.",
    429: "You have asked more than this server answers one visitor in a minute; wait a minute.",
}

_PAGE = """<!doctype html>
<html lang="en" style="color-scheme: light dark"><meta charset="utf-8"><title>{title} · Galaxy Finder</title>
<body style="font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem">
<h1 style="font-size: 1.3rem">{title}</h1><p>{message}</p><p><a href="/">Back to Galaxy Finder</a></p></body></html>
"""


def register_error_handlers(server: Flask) -> None:
    """Answer every failure of a request in JSON or a small page, never with a traceback."""
    server.register_error_handler(HTTPException, _http_failed)
    server.register_error_handler(InputError, lambda error: error_response(400, str(error)))
    for unknown_script in (DependencyException, InvalidResourceError):  # Dash quotes the address, and lists its files
        server.register_error_handler(unknown_script, lambda error: error_response(404, _SENTENCES[404]))
    server.register_error_handler(AtlasError, lambda error: error_response(503, explain(error)))
    server.register_error_handler(Exception, lambda error: error_response(500, explain(error)))


def explain(error: Exception) -> str:
    """A failure in words that anyone may read; what it does not tell is logged."""
    if isinstance(error, InputError | KeepingError | DamagedError):
        return str(error)
    reference = request_id()
    where = f"{request.method} {shorten(request.path, 200)}" if has_request_context() else "a job"
    _log.error("reference %s: %s", reference, where, exc_info=error)
    if isinstance(error, AtlasError):
        return f"The server cannot do this at the moment (reference {reference})."
    return f"Something went wrong on the server (reference {reference})."


def on_callback_error(tell: Callable[[str], object]) -> Callable[[Exception], None]:
    """A value for `Dash(on_error=…)`: the callback's outputs stay as they are, and the visitor is told.

    Parameters
    ----------
    tell : callable
        Shows a sentence on the page, say by `dash.set_props`.
    """

    def handle(error: Exception) -> None:
        tell(explain(error))

    return handle


def error_response(status: int, message: str) -> Response:
    """A message as a page for people who follow a link, as `{"error": message}` for everyone else."""
    wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if wanted == "text/html" and request.method in ("GET", "HEAD"):
        title = f"{status} {HTTPStatus(status).phrase}"
        response = Response(_PAGE.format(title=title, message=escape(message)), mimetype="text/html")
    else:
        response = jsonify(error=message)
    response.status_code = status
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "5"
    return response


def _http_failed(error: HTTPException) -> Response:
    if error.response is not None:  # aborted with an answer of its own
        return error.get_response()  # type: ignore[return-value]
    status = error.code or 500
    if status >= 500:
        return error_response(status, explain(error))
    response = error_response(status, _SENTENCES.get(status, f"{error.name}."))
    for name, value in error.get_headers():
        if name != "Content-Type":  # Allow, Retry-After
            response.headers[name] = value
    return response
