"""The wall around the server: what passes, what is refused, and that nothing is ever a traceback."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import brotli
import dash
import pytest
from dash import ALL, MATCH, Dash, Input, Output, State, dcc, html
from flask import Flask, Response, abort
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from atlas.errors import FormatError, InputError
from dashboard.error_answers import on_callback_error
from dashboard.settings import Settings, load
from dashboard.web.health import register_health
from dashboard.web.security import content_security_policy, immutable, secure

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


@pytest.fixture(scope="module")
def app() -> Dash:
    return make_app(load({}))


@pytest.fixture(scope="module")
def client(app: Dash) -> FlaskClient:
    return app.server.test_client()


@pytest.fixture(autouse=True)
def restore_ready(app: Dash) -> Iterator[None]:
    ready = app.server.config["READY"]
    yield
    app.server.config["READY"] = ready


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


# ---------------------------------------------------------------- callbacks that pass


@pytest.mark.parametrize("name", BODIES)
def test_what_the_page_sends_is_answered(client: FlaskClient, app: Dash, name: str) -> None:
    answer = post(client, body(app, name))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_callback_sees_exactly_the_values_that_were_sent(client: FlaskClient, app: Dash) -> None:
    answer = post(client, body(app, "plain")).get_json()
    assert answer["response"]["out"]["children"] == "'M31' {'a': [1, 2.5, None]}"


def test_a_wildcard_answers_for_each_component(client: FlaskClient, app: Dash) -> None:
    answer = post(client, body(app, "cards")).get_json()["response"]
    assert answer['{"index":7,"type":"card"}'] == {"className": "picked"}
    assert answer["count"] == {"children": "2"}


def test_a_component_that_just_left_the_page_may_have_changed(client: FlaskClient, app: Dash) -> None:
    sent = body(app, "cards")
    sent["changedPropIds"] = ['{"index":99,"type":"card"}.n_clicks']
    assert post(client, sent).status_code == 200


def test_a_callback_without_output_is_answered(client: FlaskClient, app: Dash) -> None:
    [output] = [key for key, callback in app.callback_map.items() if callback["no_output"]]
    sent = {"output": output, "inputs": [prop("in", "n_blur", 1)], "changedPropIds": ["in.n_blur"]}
    assert post(client, sent).status_code == 204


# ---------------------------------------------------------------- callbacks that are refused

WRONG: dict[str, tuple[str, tuple[Any, ...], object, str]] = {
    "unknown callback": ("plain", ("output",), "other.children", "no callback 'other.children'"),
    "callback of the browser": ("plain", ("output",), "told.data", "no callback"),
    "output of another type": ("plain", ("output",), ["out.children"], "no callback"),
    "unknown key": ("plain", ("more",), 1, "object with the keys"),
    "input of another id": ("plain", ("inputs", 0, "id"), "store", "declared is 'in'"),
    "input of another property": ("plain", ("inputs", 0, "property"), "data", "declared is 'value'"),
    "property of another type": ("plain", ("inputs", 0, "property"), {}, "declared is 'value'"),
    "too many inputs": ("plain", ("inputs",), [prop("in", "value")] * 2, "inputs is not a list of 1"),
    "no inputs": ("plain", ("inputs",), [], "inputs is not a list of 1"),
    "inputs null": ("plain", ("inputs",), None, "inputs is not a list of 1"),
    "input a list": ("plain", ("inputs", 0), [prop("in", "value")], "not an object with id"),
    "input with more": ("plain", ("inputs", 0, "more"), 1, "not an object with id"),
    "no state": ("plain", ("state",), [], "state is not a list of 1"),
    "state for a callback without": ("row", ("state",), [prop("in", "value")], "state is not a list of 0"),
    "other output": ("plain", ("outputs", "id"), "told", "outputs has the id 'told'"),
    "outputs a list": ("plain", ("outputs",), [{"id": "out", "property": "children"}], "outputs is not an object"),
    "outputs missing": ("plain", ("outputs",), None, "outputs is not an object"),
    "wildcard not a list": ("cards", ("inputs", 0), prop(card(1), "n_clicks"), "at most 500"),
    "wildcard too long": ("cards", ("inputs", 0), [prop(card(1), "n_clicks")] * 501, "at most 500"),
    "wildcard of other components": ("cards", ("inputs", 0), [prop(card(7), "n_clicks")], "names other components"),
    "wildcard of another type": ("cards", ("inputs", 0, 0, "id", "type"), "row", "declared is"),
    "id value a list": ("cards", ("inputs", 0, 0, "id", "index"), [1], "declared is"),
    "id value null": ("cards", ("inputs", 0, 0, "id", "index"), None, "declared is"),
    "id with more keys": ("cards", ("inputs", 0, 0, "id", "more"), 1, "declared is"),
    "id as text": ("cards", ("inputs", 0, 0, "id"), '{"index":["ALL"],"type":"card"}', "declared is"),
    "the wildcard itself": ("cards", ("inputs", 0, 0, "id", "index"), ["ALL"], "declared is"),
    "rows that do not match": ("row", ("inputs", 0, "id", "index"), 4, "declared is"),
    "rows that match as numbers only": ("row", ("inputs", 0, "id", "index"), True, "declared is"),
    "changed: not an input": ("plain", ("changedPropIds",), ["store.data"], "no input of this callback"),
    "changed: no property": ("plain", ("changedPropIds",), ["in"], "no input"),
    "changed: broken JSON": ("cards", ("changedPropIds",), ['{"index":.n_clicks'], "no input"),
    "changed: deep JSON": ("cards", ("changedPropIds",), ['{"a":' * 5000 + ".n_clicks"], "no input"),
    "changed: not text": ("plain", ("changedPropIds",), [{}], "no input"),
    "changed: not a list": ("plain", ("changedPropIds",), "in.value", "changedPropIds is not a list"),
    "parsed: not a list": ("plain", ("parsedChangedPropsIds",), {}, "parsedChangedPropsIds is not a list"),
    "an integer no browser can count": ("plain", ("inputs", 0, "value"), 2**200, "beyond 2^53"),
    "a deep value": ("plain", ("inputs", 0, "value"), json.loads("[" * 40 + "]" * 40), "nested more than 32 deep"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_body_that_the_page_would_not_send_is_refused(client: FlaskClient, app: Dash, case: str) -> None:
    name, path, value, message = WRONG[case]
    sent = body(app, name)
    place = sent
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    answer = post(client, sent)
    assert answer.status_code == 400
    assert message in answer.get_json()["error"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b'{"output": NaN}',
        b'{"output": Infinity}',
        b'{"output": 1e999}',
        b"9" * 6000,
        b'{"output": "out.children"} {}',
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_not_strict_json_is_refused(client: FlaskClient, data: bytes) -> None:
    answer = post(client, data)
    assert answer.status_code == 400
    assert answer.get_json()["error"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, list[tuple[str, Any]]]:
    """A good body and up to three places in it, each to be replaced, deleted or doubled."""
    name = draw(st.sampled_from(sorted(BODIES)))
    edits = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["replace", "delete", "double", "add"]), st.tuples(st.integers(0, 60), json_values)
            ),
            min_size=1,
            max_size=3,
        )
    )
    return name, edits


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


@given(mutated())
@budget(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_whatever_ends_in_a_server_error(
    client: FlaskClient, app: Dash, case: tuple[str, list[tuple[str, Any]]]
) -> None:
    name, edits = case
    sent: Any = body(app, name)
    for kind, (position, value) in edits:
        found = list(places(sent))
        if not found:
            break
        container, key = found[position % len(found)]
        if kind == "replace":
            container[key] = value
        elif kind == "delete":
            del container[key]
        elif isinstance(container, list):
            container.insert(key, container[key] if kind == "double" else value)
        else:
            container[f"{key}s"] = container[key] if kind == "double" else value
    answer = post(client, sent)
    assert answer.status_code in (200, 204, 400), answer.text
    assert "Traceback" not in answer.text


@given(st.binary(max_size=300))
@budget(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_whatever_end_in_a_server_error(client: FlaskClient, data: bytes) -> None:
    assert post(client, data).status_code == 400


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
