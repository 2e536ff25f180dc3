"""Spans reach a collector that OpenTelemetry's variables name, and nothing is sent where none is named."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from atlas.errors import InputError
from dashboard.request_log import request_id
from dashboard.tracing import register_tracing, tell_slow_question

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    def spans(self) -> list[Any]:
        told = (ExportTraceServiceRequest.FromString(body) for body in self.bodies)
        return [
            span for one in told for resource in one.resource_spans for scope in resource.scope_spans
            for span in scope.spans
        ]  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(*, trusted: bool = False) -> tuple[str, Any]:
    """Ask for a page with a slow question; the id of the request, and what sends its spans."""
    server = Flask("test")
    provider = register_tracing(server, trusted=trusted)

    @server.get("/fine/<number>")
    def fine(number: str) -> str:
        tell_slow_question("abc", 4.0)
        return request_id()

    answer = server.test_client().get("/fine/1", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert answer.status_code == 200
    return answer.text, provider


def test_a_request_and_its_slow_question_are_spans(collector: Collector) -> None:
    name, provider = asked()
    provider.shutdown()
    question, request = collector.spans()
    facts = {one.key: one.value.string_value or one.value.int_value for one in request.attributes}
    assert request.name == "GET /fine/<number>"
    assert facts["request.id"] == name and facts["http.response.status_code"] == 200
    assert question.parent_span_id == request.span_id and question.attributes[0].value.string_value == "abc"
    assert question.end_time_unix_nano - question.start_time_unix_nano == 4_000_000_000
    assert request.trace_id.hex() != TRACE, "only a trusted proxy says which trace it is"


def test_a_trusted_proxy_names_the_trace(collector: Collector) -> None:
    asked(trusted=True)[1].shutdown()
    assert {span.trace_id.hex() for span in collector.spans()} == {TRACE}


def test_without_a_collector_nothing_is_sent() -> None:
    assert asked()[1] is None


def test_a_missing_library_is_named(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InputError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: .*\[telemetry\]"):
        register_tracing(Flask("test"))
