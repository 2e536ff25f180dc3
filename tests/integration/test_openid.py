"""Signing in with a provider that speaks OpenID Connect: who may come in, and what is not believed."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, jsonify, redirect, request
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from atlas.errors import InputError
from dashboard.app import create_app
from dashboard.settings import load

KEY, FOREIGN = (RSAKey.generate_key(2048, parameters={"kid": "one"}) for _ in range(2))
HERE = "https://finder.example"
PAGE = {"Accept": "text/html"}


class Provider:
    """A provider that lets everybody in who asks.

    Attributes
    ----------
    url : str
    claims : dict
        What tokens say beside what they have to.
    key : RSAKey
        Tokens are signed with it.
    keys : str
        Where it says that its keys are.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key = KEY
        self._asked: dict[str, dict[str, str]] = {}
        app = Flask("provider")
        app.add_url_rule("/.well-known/openid-configuration", view_func=self._described)
        app.add_url_rule("/keys", view_func=lambda: jsonify(keys=[KEY.as_dict(private=False)]))
        app.add_url_rule("/authorize", view_func=self._authorize)
        app.add_url_rule("/token", view_func=self._token, methods=["POST"])
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.keys = f"{self.url}/keys"

    def _described(self) -> Any:
        return jsonify(
            issuer=self.url,
            authorization_endpoint=f"{self.url}/authorize",
            token_endpoint=f"{self.url}/token",
            jwks_uri=self.keys,
            end_session_endpoint=f"{self.url}/bye",
            id_token_signing_alg_values_supported=["RS256"],
        )

    def _authorize(self) -> Any:
        asked = dict(request.args)
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        code = f"code{len(self._asked)}"
        self._asked[code] = asked
        return redirect(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    def _token(self) -> Any:
        asked = self._asked.pop(request.form["code"])
        challenge = urlsafe_b64encode(hashlib.sha256(request.form["code_verifier"].encode()).digest()).rstrip(b"=")
        if challenge.decode() != asked["code_challenge"] or request.authorization is None:
            return jsonify(error="invalid_grant"), 400
        assert (request.authorization.username, request.authorization.password) == ("finder", "hush")
        now = int(time.time())
        claims = {"iss": self.url, "aud": "finder", "sub": "7", "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        claims |= {"email": "vera@example.org", "email_verified": True, **self.claims}
        return jsonify(
            access_token="a", token_type="Bearer", id_token=jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        )


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
    thread.start()
    yield provider
    provider.server.shutdown()
    thread.join()
    provider.server.server_close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.claims, running.key = {}, KEY
    return running


def served(demo_path: Path, folder: Path, issuer: str, **settings: Any) -> Flask:
    given = load(
        {}, atlas=str(demo_path), cache_dir=str(folder / "cache"), kept_dir=str(folder / "kept"),
        labels=str(folder / "labels.sqlite"), openid_issuer=issuer, openid_client_id="finder",
        openid_client_secret="hush", session_key="k" * 32, **settings,
    )  # fmt: skip
    server: Flask = create_app(settings=given).server
    return server


@pytest.fixture
def server(demo_path: Path, tmp_path: Path, provider: Provider) -> Flask:
    return served(demo_path, tmp_path, provider.url)


def visitor(server: Flask) -> FlaskClient:
    """A browser's cookies, over HTTPS."""
    server.config["PREFERRED_URL_SCHEME"] = "https"
    return server.test_client()


def get(client: FlaskClient, address: str, **headers: str) -> Any:
    return client.get(address, base_url=HERE, headers=PAGE | headers)


def sent_to_provider(client: FlaskClient, start: str = "/login") -> str:
    """Where the provider sends a visitor back to, without the host."""
    import requests

    asked = get(client, start).location
    back = requests.get(asked, allow_redirects=False, timeout=10).headers["Location"]
    assert back.startswith(f"{HERE}/login/done?")
    return back.removeprefix(HERE)


def test_a_visitor_signs_in_and_goes_on_to_what_was_asked_for(server: Flask, provider: Provider) -> None:
    client = visitor(server)
    first = get(client, "/?s=abc")
    assert first.status_code == 302 and first.location == "/login?next=%2F%3Fs%3Dabc"
    assert client.post("/_dash-update-component", json={}, base_url=HERE).status_code == 401
    done = get(client, sent_to_provider(client, first.location))
    assert done.status_code == 302 and done.location == "/?s=abc"
    cookie = done.headers["Set-Cookie"]
    assert all(part in cookie for part in ("__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    page = get(client, "/")
    assert page.status_code == 200
    layout = client.get("/_dash-layout", base_url=HERE).text
    assert "Signed in as vera@example.org" in layout
    image = get(client, f"/cutout/{_build(client)}/3.webp")
    assert "private" in image.headers["Cache-Control"] and "public" not in image.headers["Cache-Control"]
    out = get(client, "/logout")
    assert out.location.startswith(f"{provider.url}/bye?client_id=finder&post_logout_redirect_uri=")
    assert get(client, "/").status_code == 302


def _build(client: FlaskClient) -> str:
    answer = client.get("/readyz", base_url=HERE)
    return str(answer.get_json()["build"])


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil.example"}, {"exp": 1}, {"email_verified": False},
     {"email": ""}],
)  # fmt: skip
def test_a_token_that_says_something_else_lets_nobody_in(
    server: Flask, provider: Provider, claims: dict[str, Any]
) -> None:
    client = visitor(server)
    provider.claims = claims
    answer = get(client, sent_to_provider(client))
    assert answer.status_code == 403 and "sign-in" in answer.text
    assert get(client, "/").status_code == 302


def test_what_was_signed_by_somebody_else_is_not_believed(server: Flask, provider: Provider) -> None:
    client = visitor(server)
    provider.key = FOREIGN
    assert get(client, sent_to_provider(client)).status_code == 403
    provider.key = KEY
    back = sent_to_provider(client)
    assert get(visitor(server), back).status_code == 403, "a link that somebody else began"
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert get(client, back.replace(state, "x" * len(state))).status_code == 403
    assert get(client, "/login/done?error=access_denied").status_code == 403
    assert get(client, "/").status_code == 302


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_host(server: Flask, place: str) -> None:
    client = visitor(server)
    assert get(client, sent_to_provider(client, f"/login?next={place}")).location == "/"


def test_of_those_who_signed_in_some_may_label(demo_path: Path, tmp_path: Path, provider: Provider) -> None:
    server = served(demo_path, tmp_path, provider.url, labellers="vera@example.org")
    codes = []
    for email in ("vera@example.org", "edwin@example.org"):
        client = visitor(server)
        provider.claims = {"email": email}
        get(client, sent_to_provider(client))
        codes.append(client.post("/labels", json={"entries": []}, base_url=HERE).status_code)
    assert codes[0] != 403 and codes[1] == 403


def test_a_provider_that_is_away_is_told(demo_path: Path, tmp_path: Path) -> None:
    client = visitor(served(demo_path, tmp_path, "http://127.0.0.1:9"))
    answer = get(client, "/login")
    assert answer.status_code == 503 and "does not answer" in answer.text
    assert client.get("/healthz", base_url=HERE).status_code == 200


@pytest.mark.parametrize("silent_at", ["discovery", "keys"])
def test_a_provider_that_is_silent_is_not_waited_for(
    demo_path: Path, tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, silent_at: str
) -> None:
    monkeypatch.setattr("dashboard.web.openid.ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it is spoken to, and says nothing
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = visitor(served(demo_path, tmp_path, nowhere if silent_at == "discovery" else provider.url))
        address = "/login"
        if silent_at == "keys":
            monkeypatch.setattr(provider, "keys", f"{nowhere}/keys")
            address = sent_to_provider(client)
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(get(client, address)), daemon=True)
        asking.start()
        asking.join(timeout=10)
        assert [answer.status_code for answer in answers] == [503] and "does not answer" in answers[0].text


def test_half_of_it_is_refused_at_the_start() -> None:
    for wrong in ({"openid_client_id": "finder"}, {"openid_client_id": "finder", "session_key": "short"}):
        with pytest.raises(InputError, match="needs GALAXY_FINDER_OPENID_CLIENT_ID"):
            load({}, openid_issuer="https://accounts.example", **wrong)
