"""Callbacks: what the page sends is answered, whatever else is refused, and never with a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dash import Dash
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from .walled_app import BODIES, body, card, post, prop

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
