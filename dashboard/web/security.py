"""Guards between the network and the application: headers, limits, refusals, compression.

`secure` puts it around a Flask server that carries a Dash app:

- A Content-Security-Policy that loads nothing from elsewhere; over plain http a SAMP hub on the visitor's machine may
  be spoken to, where the settings say so. Scripts come from us or have a hash; `'unsafe-eval'` is
  needed by regl, with which plotly draws WebGL, but for a strict bundle (`dashboard.web.strict_plotly`).
- Posts from other sites are refused. Browsers say where a request comes from (Sec-Fetch-Site, else Origin); a client
  that sends neither is no browser, so it cannot be somebody's browser misused.
- A body is bounded, JSON in the strict sense, and for a callback of the very shape that the callback declared
  (`dashboard.web.callback_validation`): it is refused before Dash sees it.
- Dash answers every unknown address with its page; here only `/` is the page, and the rest is not found.
- Failures are answered by `dashboard.error_answers`, never with a traceback.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from dash import Dash
from dash.fingerprint import check_fingerprint
from flask import Flask, Request, Response, abort, request
from flask_compress import Compress
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.middleware.proxy_fix import ProxyFix

from atlas.errors import InputError

from ..error_answers import register_error_handlers
from ..settings import Settings
from .callback_validation import StrictJSON, check_body

LISTS = "/lists/<build>"
REGIONS = "/regions/<build>"
"""Where lists of galaxies and regions of the sky go, which may be larger than anything else that is sent."""

SAMP_HUB = "http://localhost:21012"
"""Hub of SAMP's web profile, which asks its user before it lets a page in (assets/9-samp-web.js)."""

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_YEAR_S = 31_536_000

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # an address holds the state of the page: whom one looks at is nobody's business
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def secure(server: Flask, dash_app: Dash, settings: Settings) -> None:
    """Put headers, limits and refusals around a server.

    Parameters
    ----------
    server : Flask
        The server of the Dash app. Routes may be added before or after.
    dash_app : Dash
        Its callbacks and inline scripts are read at the first request, when all are registered. To be made without
        `compress`, which is done here.
    settings : Settings
        Of these: `max_body_bytes max_list_bytes max_json_depth max_pattern_ids allowed_hosts trust_proxy`.
    """
    server.config["TRUSTED_HOSTS"] = list(settings.allowed_hosts) or None
    server.json = StrictJSON(server)
    if settings.trust_proxy:
        n = settings.trust_proxy
        server.wsgi_app = ProxyFix(server.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    prefix = dash_app.config.routes_pathname_prefix
    callbacks = prefix + "_dash-update-component"
    hidden = {prefix + "<path:path>", prefix + "_reload-hash"}

    @cache
    def policy(plain: bool) -> str:
        hub = settings.samp_web and not settings.samp and plain
        return content_security_policy(list(dash_app.csp_hashes()), evaluates=not settings.plotly_bundle, hub=hub)

    @server.before_request
    def refuse() -> None:
        rule = request.url_rule.rule if request.url_rule is not None else None
        if rule in hidden:
            abort(404)
        if request.method in _SAFE_METHODS:
            return
        if is_cross_site(request):
            abort(403)
        limit = settings.max_list_bytes if rule in (LISTS, REGIONS) else settings.max_body_bytes
        # Werkzeug refuses a declared length above this, but cuts a body in chunks off here: one byte more tells them
        # apart.
        request.max_content_length = limit + 1
        if len(request.get_data()) > limit:
            abort(413)
        if rule == callbacks:
            check_body(
                _json(request),
                dash_app.callback_map,
                max_depth=settings.max_json_depth,
                max_ids=settings.max_pattern_ids,
            )

    @server.after_request
    def protect(response: Response) -> Response:
        response.headers.update(_HEADERS)
        # The page of Aladin Lite brings its own.
        response.headers.setdefault("Content-Security-Policy", policy(not request.is_secure))
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
        if response.status_code >= 400:
            return no_store(response)
        if (request.endpoint or "").endswith(".static") and "m" in request.args:  # Dash names an asset by its time
            return immutable(response)
        if request.method not in _SAFE_METHODS:
            return no_store(response)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    register_error_handlers(server)
    _compress(server)


def content_security_policy(script_hashes: list[str], *, evaluates: bool = True, hub: bool = False) -> str:
    """The policy of every answer.

    Parameters
    ----------
    script_hashes : list of str
        Of inline scripts, quoted, as `Dash.csp_hashes` gives them.
    evaluates : bool
        Whether scripts may make code of text, which plotly does unless it is strict.
    hub : bool
        Whether the page may speak to the SAMP hub of its visitor's machine, and to nobody else.
    """
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *(["'unsafe-eval'"] if evaluates else []), *script_hashes]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'" + (f" {SAMP_HUB}" if hub else ""),
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def is_cross_site(received: Request) -> bool:
    """Whether a browser says that another site made it send this request."""
    fetch_site = received.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        return fetch_site not in ("same-origin", "none")
    origin = received.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != received.host


def immutable(response: Response) -> Response:
    """Let browsers keep an answer for ever: its address names the build, so other content has another address."""
    response.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    return response


def no_store(response: Response) -> Response:
    """Let nobody keep an answer."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(received: Request) -> Any:
    """The body. Flask keeps it, so that Dash reads what was checked."""
    try:
        return received.get_json()
    except UnsupportedMediaType:
        raise
    except BadRequest as error:
        raise InputError("the body is not JSON (NaN and Infinity are not, nor numbers too large)") from error


class _Kept:
    """Compressed scripts of Dash and plotly, which never change while the process lives.

    Compressing plotly.js takes 0.15 s, more than all else that a visitor costs. Flask-Compress asks with the algorithm
    and `key_of`; an empty key is not kept. The version in an address is left out: visitors choose it, Dash ignores it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    @staticmethod
    def key_of(received: Request) -> str:
        return check_fingerprint(received.path)[0] if "_dash-component-suites/" in received.path else ""

    def get(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def set(self, key: str, value: bytes) -> None:
        if not key.endswith(";"):
            self._kept[key] = value


def _compress(server: Flask) -> None:
    """Compress text in Brotli or gzip; pictures are compressed already."""
    server.config.update(
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["br", "gzip"],
        COMPRESS_BR_LEVEL=5,
        COMPRESS_STREAMING_ENDPOINT_CONDITIONAL=["static", "_dash_assets.static"],
        COMPRESS_CACHE_BACKEND=_Kept,
        COMPRESS_CACHE_KEY=_Kept.key_of,
    )
    Compress(server)
