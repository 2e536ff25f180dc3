"""What can be seen of a server: ids of requests, lines a program can read, figures for Prometheus."""

from __future__ import annotations

import json
import logging

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from dashboard.error_answers import register_error_handlers
from dashboard.request_log import HEADER, JsonLines
from dashboard.settings import load
from dashboard.web.metrics import register_metrics


def client(**settings: object) -> FlaskClient:
    server = Flask("test")
    register_metrics(server, load({}, **settings), lambda: {"ready": True})
    register_error_handlers(server)

    @server.get("/fine/<number>")
    def fine(number: str) -> Response:
        return Response("x" * int(number))

    @server.get("/bug")
    def bug() -> Response:
        raise RuntimeError("inside")

    return server.test_client()


def test_figures_tell_requests_by_place_and_only_to_those_who_ask_directly() -> None:
    asked = client(metrics=True)
    for _ in range(3):
        asked.get("/fine/7")
    asked.get("/nothing")
    told = {
        (sample.name, sample.labels.get("place", ""), sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(asked.get("/metrics").text)
        for sample in family.samples
    }
    assert told["galaxy_finder_requests_total", "/fine/<number>", "200"] == 3
    assert told["galaxy_finder_answer_bytes_total", "/fine/<number>", ""] == 21
    assert told["galaxy_finder_requests_total", "none", "404"] == 1
    assert told["galaxy_finder_ready", "", ""] == 1
    assert asked.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
    assert client().get("/metrics").status_code == 404, "off by default"


def test_the_id_of_a_request_is_in_the_answer_and_the_reference_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines())
    answer = client().get("/bug", headers={HEADER: "from-outside-1"})
    name = answer.headers[HEADER]
    assert name != "from-outside-1" and f"(reference {name})" in answer.get_json()["error"]
    [line] = [json.loads(text) for text in caplog.text.splitlines()]
    assert line["request"] == name and "RuntimeError: inside" in line["traceback"] and line["level"] == "error"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-0123", True), ("short", False), ("x" * 65, False), ("a b c d e", False)]
)
def test_a_trusted_proxy_names_requests(given: str, kept: bool) -> None:
    answer = client(trust_proxy=1).get("/fine/1", headers={HEADER: given})
    assert (answer.headers[HEADER] == given) is kept


def test_slow_requests_are_logged_with_facts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client(slow_s=1e-9).get("/fine/1")
        client().get("/fine/1")
    [record] = caplog.records
    assert record.levelname == "WARNING" and vars(record)["facts"]["place"] == "/fine/<number>"
