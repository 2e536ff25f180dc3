"""Access, or who may do what: names that a proxy vouches for, and tokens of programs. All off by default.

    user_header     a header in which a trusted proxy tells who has signed in; whoever has none is refused
    openid_issuer   or a provider that visitors sign in with (`dashboard.web.openid`)
    labellers       who of these may label and keep collections; empty: all who have signed in
    api_tokens      what programs send as `Authorization: Bearer …`; where there are some, /api asks for one

A header is believed because only the proxy can reach this server (`trust_proxy` has to be set): it must remove what
visitors send under that name.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Flask, Response, g, has_request_context, request

from atlas.errors import shorten

from ..error_answers import error_response
from ..settings import Settings
from .openid import OPEN, OpenId
from .security import LISTS
from .visitor_limits import EXEMPT

_API = "/api/"
_KEEPING = {"/labels", LISTS}
MOST_NAME = 60


def register_access(server: Flask, settings: Settings) -> None:
    """Refuse who may not: status 401 where nobody is named, 403 where the one who is may not."""
    tokens = [hashlib.sha256(token.encode()).digest() for token in settings.api_tokens]
    openid = OpenId(server, settings) if settings.openid_issuer else None

    @server.before_request
    def refuse():  # type: ignore[no-untyped-def]
        if request.path in EXEMPT or (openid is not None and request.path in OPEN):
            return None
        is_api = request.path.startswith(_API)
        if is_api and tokens and _is_known(request.headers.get("Authorization", ""), tokens):
            return None
        user = request.headers.get(settings.user_header, "").strip()[:MOST_NAME] if settings.user_header else ""
        if openid is not None:
            user = openid.user()[:MOST_NAME]
        if user:
            g.user = user
        elif openid is not None:
            return openid.ask()
        elif settings.user_header:
            return error_response(401, "Sign in first: the proxy in front of this server did not say who you are.")
        elif is_api and tokens:
            return error_response(401, "This address takes a token, as Authorization: Bearer and the token.")
        rule = request.url_rule.rule if request.url_rule is not None else ""
        if request.method == "POST" and rule in _KEEPING and settings.labellers and user not in settings.labellers:
            return error_response(403, f"{shorten(user)} may look but not label here; ask whoever runs the server.")
        return None

    @server.after_request
    def keep_private(response: Response) -> Response:
        if openid is not None and response.cache_control.public:
            response.cache_control.public = False
            response.cache_control.private = True  # what is for those who signed in is not for a cache of all
        return response


def signed_in() -> str:
    """Name of who has signed in, as a trusted proxy says; empty where nobody has to."""
    name: str = g.get("user", "") if has_request_context() else ""
    return name


def _is_known(header: str, tokens: list[bytes]) -> bool:
    scheme, _, token = header.partition(" ")
    digest = hashlib.sha256(token.strip().encode(errors="replace")).digest()
    # All are compared, so that the time tells nothing.
    return scheme.lower() == "bearer" and sum(hmac.compare_digest(digest, known) for known in tokens) > 0
