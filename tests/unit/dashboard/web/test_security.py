"""The wall around the server: limits, origins, headers, and what a failure says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import re
from typing import Any

import brotli
import pytest
from dash import Dash
from flask import Flask
from flask.testing import FlaskClient

from atlas.errors import FormatError, InputError
from dashboard.settings import load
from dashboard.web.security import content_security_policy, secure

from .walled_app import SECRET, UPDATE, body, make_app, post

# ---------------------------------------------------------------- limits and origins


def test_a_large_body_is_refused_with_the_limit_in_force(client: FlaskClient) -> None:
    assert post(client, b" " * 262_144).status_code == 400
    for size in (262_145, 262_146, 1_000_000):
        answer = post(client, b" " * size)
        assert answer.status_code == 413
        assert "larger than this server takes" in answer.get_json()["error"]


def test_a_large_body_without_a_length_is_refused_too(client: FlaskClient, app: Dash) -> None:
    def send(data: bytes) -> int:
        return client.post(
            UPDATE,
            input_stream=io.BytesIO(data),
            content_type="application/json",
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        ).status_code

    good = json.dumps(body(app, "plain")).encode()
    assert send(good) == 200
    assert send(good + b" " * 300_000 + b"}") == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_callback_takes_json_only(client: FlaskClient, app: Dash, kind: str) -> None:
    answer = client.post(UPDATE, data=json.dumps(body(app, "plain")), content_type=kind)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost:8051"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[evil"}, 403),
    ],
    ids=str,
)
def test_posts_from_other_sites_are_refused(
    client: FlaskClient, app: Dash, headers: dict[str, str], status: int
) -> None:
    assert post(client, body(app, "plain"), **headers).status_code == status


def test_only_named_hosts_are_answered_where_some_are_named() -> None:
    client = make_app(load({}, allowed_hosts=("galaxies.example",))).server.test_client()
    assert client.get("/", headers={"Host": "galaxies.example:8050"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_forwarded_headers_count_only_behind_a_trusted_proxy() -> None:
    headers = {"Host": "inside:8050", "X-Forwarded-Host": "galaxies.example", "Origin": "https://galaxies.example"}
    for n, status in ((0, 403), (1, 200)):
        app = make_app(load({}, trust_proxy=n))
        assert post(app.server.test_client(), body(app, "plain"), **headers).status_code == status


# ---------------------------------------------------------------- addresses and headers


def test_the_page_is_at_one_address_and_nothing_is_at_others(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    suites = "/_dash-component-suites"
    for path in (
        *("/index.html", "/a/b", "/_reload-hash", "/_alive", "/favicon.ico", "/assets/../pyproject.toml", UPDATE),
        *(
            f"{suites}/dash/../../etc/passwd",
            f"{suites}/dash/dcc/other.js",
            f"{suites}/<b>x</b>/y.js",
            f"{suites}/os/x",
        ),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()) == (404, {"error": "There is nothing at this address."}), path
    assert client.post("/").status_code == 405
    assert client.post(UPDATE + "/", json={}).status_code == 405


def test_every_answer_carries_the_headers(client: FlaskClient, app: Dash) -> None:
    answers = [client.get("/"), client.get("/nothing"), client.get("/fail/bug"), post(client, body(app, "plain"))]
    for answer in [*answers, post(client, b"{"), client.get("/healthz")]:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in answer.headers
    assert "Strict-Transport-Security" in client.get("/", base_url="https://localhost").headers


def test_the_policy_admits_our_inline_scripts_and_no_other_source(client: FlaskClient, app: Dash) -> None:
    answer = client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    markup = re.sub("<!--.*?-->", "", answer.text, flags=re.S)
    inline = re.findall(r"<script(?: id=\"[\w-]+\" type=\"application/javascript\")?>(.*?)</script>", markup, re.S)
    assert len(inline) == 2  # the renderer and the clientside callback
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy["script-src"]
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in content_security_policy([])
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_a_hub_on_the_visitor_s_machine_is_all_that_the_policy_admits_and_only_over_plain_http() -> None:
    def policy(base: str, **more: str) -> str:
        server = make_app(load({}, **more)).server
        return server.test_client().get("/", base_url=base).headers["Content-Security-Policy"]

    assert "connect-src 'self' http://localhost:21012;" in policy("http://galaxies.example")
    assert policy("http://galaxies.example").count("http") == 1
    for base, more in (
        ("https://galaxies.example", {}),
        ("http://galaxies.example", {"samp_web": "false"}),
        ("http://127.0.0.1", {"samp": "true"}),  # the server speaks to it
    ):
        assert "connect-src 'self';" in policy(base, **more)


def test_addresses_that_name_a_build_are_kept_for_ever_and_the_page_is_asked_for_anew(client: FlaskClient) -> None:
    assert client.get("/image/0123456789ab.png").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/").headers["Cache-Control"] == "no-cache"
    assert client.get("/nothing").headers["Cache-Control"] == "no-store"


def test_text_is_compressed_and_pictures_are_not(client: FlaskClient) -> None:
    script = "/_dash-component-suites/dash/dash-renderer/build/dash_renderer.min.js"
    plain = client.get(script).data
    for path in (script, script, script.replace("min.js", "v4_4_1m1.min.js")):
        answer = client.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
        assert answer.headers["Content-Encoding"] == "br"
        if path == script:
            assert brotli.decompress(answer.data) == plain
    assert client.get(script, headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    image = client.get("/image/0123456789ab.png", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in image.headers


# ---------------------------------------------------------------- failures


def test_a_wrong_input_is_explained(client: FlaskClient) -> None:
    answer = client.get("/fail/input")
    assert (answer.status_code, answer.get_json()) == (400, {"error": "radius 'x' is no number"})


@pytest.mark.parametrize(("kind", "status"), [("format", 503), ("bug", 500)])
def test_what_is_internal_goes_to_the_log_under_a_reference(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, kind: str, status: int
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get(f"/fail/{kind}")
    assert answer.status_code == status
    assert SECRET not in answer.text
    reference = answer.get_json()["error"].split("reference ")[1].rstrip(").")
    [record] = [record for record in caplog.records if reference in record.getMessage()]
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


def test_people_get_a_page_and_programs_get_json(client: FlaskClient) -> None:
    page = client.get("/fail/abort", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status_code == 410
    assert page.mimetype == "text/html"
    assert "410 Gone" in page.text
    assert client.get("/nothing", headers={"Accept": "image/png,*/*;q=0.5"}).mimetype == "application/json"


def test_what_is_quoted_on_a_page_cannot_become_markup() -> None:
    server = Flask("quote")

    @server.get("/<text>")
    def fail(text: str) -> str:
        raise InputError(f"no column {text!r}")

    secure(server, Dash("other", server=False), load({}))
    page = server.test_client().get("/<img src=x onerror=alert(1)>", headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "<img" not in page.text
    assert "&lt;img" in page.text


@pytest.mark.parametrize(
    ("raised", "told"), [("input", "did you mean 'redshift'?"), ("format", "(reference"), ("bug", "(reference")]
)
def test_a_failing_callback_tells_the_visitor_and_leaves_the_page_as_it_is(
    client: FlaskClient, app: Dash, raised: str, told: str
) -> None:
    sent = body(app, "shared")
    sent["inputs"][0]["value"] = raised
    answer = post(client, sent)
    assert answer.status_code == 200
    assert SECRET not in answer.text
    assert told in answer.get_json()["sideUpdate"]["told"]["data"]
    assert answer.get_json()["response"] == {}


# ---------------------------------------------------------------- health


def test_alive_and_ready_are_two_questions(client: FlaskClient, app: Dash) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").get_json() == {"ready": True, "build": "0123456789ab"}

    app.server.config["READY"] = lambda: {"ready": False, "loading": "index"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False, "loading": "index"})

    def broken() -> dict[str, Any]:
        raise FormatError(SECRET)

    app.server.config["READY"] = broken
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["ready"] is False
    assert SECRET not in answer.text
    assert client.get("/healthz").status_code == 200
