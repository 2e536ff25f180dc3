"""Signing in by OpenID Connect: off by default (`openid_issuer`), for a server without a proxy that does it.

    /login         to the provider, with state, nonce and PKCE; back to the page that was asked for
    /login/done    where the provider sends visitors back: the token's signature, issuer, audience, age and nonce are
                   checked by Authlib (OpenID Connect Core 1.0, 3.1.3.7)
    /logout        ends the session here, and at the provider where it says how

Who has signed in is a signed cookie of this host, for HTTPS and for this server alone; it holds a name and an end.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request, session

from atlas.errors import FormatError, shorten

from ..error_answers import error_response
from ..settings import Settings
from .security import is_cross_site, no_store

LOGIN, DONE, LOGOUT = "/login", "/login/done", "/logout"
OPEN = frozenset({LOGIN, DONE, LOGOUT})
"""Addresses that answer those who have not signed in."""

COOKIE = "__Host-galaxy-finder"
ANSWER_S = 10
_log = logging.getLogger(__name__)


class OpenId:
    """A provider, and the sessions of those whom it vouches for.

    Parameters
    ----------
    server : Flask
        Gets the addresses, and the settings of its cookie.
    settings : Settings
        Of these: `openid_* session_key session_hours`.

    Raises
    ------
    FormatError
        If Authlib is not installed.
    """

    def __init__(self, server: Flask, settings: Settings) -> None:
        try:
            from authlib.integrations.flask_client import OAuth
        except ImportError as error:
            raise FormatError("Authlib is not installed: pip install 'galaxy-finder[openid]'") from error
        self._settings = settings
        self._hours = settings.session_hours
        server.secret_key = settings.session_key
        server.config.update(
            SESSION_COOKIE_NAME=COOKIE,
            SESSION_COOKIE_SECURE=True,
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Lax",  # the provider's redirect brings it back
            SESSION_REFRESH_EACH_REQUEST=False,
        )
        self._provider: Any = OAuth(server).register(
            "openid",
            client_id=settings.openid_client_id,
            client_secret=settings.openid_client_secret or None,
            server_metadata_url=settings.openid_issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "default_timeout": ANSWER_S,
            },
        )
        server.add_url_rule(LOGIN, view_func=self._login, methods=["GET"])
        server.add_url_rule(DONE, "login_done", view_func=self._done, methods=["GET"])
        server.add_url_rule(LOGOUT, view_func=self._logout, methods=["GET"])

    def user(self) -> str:
        """Name of who has signed in; empty where nobody has, or not any more."""
        name, end = session.get("user", ""), session.get("until", 0)
        return name if isinstance(name, str) and isinstance(end, int | float) and time.time() < end else ""

    def ask(self) -> Response:
        """Answer to who has not signed in: the way there for people, a sentence for everyone else."""
        wants_page = request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
        if request.method == "GET" and wants_page:
            return no_store(_to(f"{LOGIN}?{urlencode({'next': request.full_path.rstrip('?')})}"))
        return error_response(401, "You are not signed in any more: reload the page to sign in.")

    def _login(self) -> Response:
        from authlib.integrations.base_client.errors import OAuthError
        from requests import RequestException

        asked = request.args.get("next", "/")
        session.clear()
        session["next"] = asked if _is_own(asked) else "/"
        try:
            response: Response = self._provider.authorize_redirect(request.url_root.rstrip("/") + DONE)
        except (OAuthError, RequestException, ValueError, KeyError, RuntimeError) as error:
            return _away(error)
        return no_store(response)

    def _done(self) -> Response:
        from authlib.integrations.base_client.errors import OAuthError
        from joserfc.errors import JoseError
        from requests import RequestException

        if refused := request.args.get("error"):
            return error_response(403, f"The sign-in service refused: {shorten(refused)}.")
        try:
            token = self._provider.authorize_access_token()
        except RequestException as error:
            return _away(error)
        except (OAuthError, JoseError, ValueError, KeyError) as error:
            _log.warning("a sign-in was refused: %s", shorten(error, 200))
            return error_response(403, "The sign-in could not be verified; begin again.")
        claims = token.get("userinfo") or {}
        name = str(claims.get(self._settings.openid_claim, "")).strip()
        if not name or (self._settings.openid_claim == "email" and claims.get("email_verified") is False):
            claim = shorten(self._settings.openid_claim)
            return error_response(
                403, f"The sign-in service tells no verified {claim} of you, which this server needs."
            )
        asked = session.get("next", "/")
        session.clear()  # what was signed before belongs to nobody yet
        session["user"], session["until"] = name, int(time.time() + 3600 * self._hours)
        return no_store(_to(asked if _is_own(asked) else "/"))

    def _logout(self) -> Response:
        from requests import RequestException

        if is_cross_site(request):
            return error_response(403, "The request came from another site and was refused.")
        session.clear()
        try:
            end = self._provider.load_server_metadata().get("end_session_endpoint", "")
        except (RequestException, ValueError):
            end = ""
        if not end:
            return no_store(error_response(401, "You are signed out."))
        back = {"client_id": self._settings.openid_client_id, "post_logout_redirect_uri": request.url_root}
        return no_store(_to(f"{end}?{urlencode(back)}"))


def _is_own(path: Any) -> bool:
    """Whether a place to go on to is one of this server: a path, which no browser reads as another host."""
    return isinstance(path, str) and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _to(address: str) -> Response:
    found = redirect(address)
    assert isinstance(found, Response)
    return found


def _away(error: Exception) -> Response:
    _log.warning("the sign-in service does not answer: %s", shorten(error, 200))
    return error_response(503, "The sign-in service does not answer; try again in a moment.")
