"""Spans for OpenTelemetry: one a request, and one below it for a question that took long.

Off, and nothing of it loaded here, unless OpenTelemetry's own variables name a collector; they also tell names, headers
and sampling. Spoken is OTLP over HTTP, by a thread beside those that answer, which a collector that is away costs
nothing.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from flask import Flask, Response, g, has_request_context, request

from atlas.errors import InputError

from .request_log import request_id

COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NAME = "galaxy-finder"
_log = logging.getLogger(__name__)


def register_tracing(server: Flask, *, trusted: bool = False) -> Any:
    """Send a span for each request, where a collector is named.

    Parameters
    ----------
    server : Flask
    trusted : bool
        Whether a proxy in front may say which trace a request belongs to (`traceparent`).

    Returns
    -------
    opentelemetry.sdk.trace.TracerProvider or None
        None where no collector is named.

    Raises
    ------
    InputError
        If a collector is named and OpenTelemetry is not installed.
    """
    collector = next((name for name in COLLECTORS if os.environ.get(name)), None)
    if collector is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.propagate import extract
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, StatusCode
    except ImportError as e:
        raise InputError(f"{collector} needs OpenTelemetry: pip install 'galaxy-finder[telemetry]'") from e
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: NAME}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer(NAME)

    @server.before_request
    def begin() -> None:
        context = extract(request.headers) if trusted else None
        g.tracer, g.span = tracer, tracer.start_span(request.method, context, kind=SpanKind.SERVER)

    @server.after_request
    def end(response: Response) -> Response:
        if (span := g.pop("span", None)) is not None:
            place = request.url_rule.rule if request.url_rule is not None else "none"
            span.update_name(f"{request.method} {place}")
            facts = {"http.request.method": request.method, "http.route": place, "request.id": request_id()}
            span.set_attributes(facts | {"http.response.status_code": response.status_code})
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
            span.end()
        return response

    return provider


def tell_slow_question(receipt: str, seconds: float) -> None:
    """Log a question that took so long until now, and send a span below that of the request that it was of."""
    _log.warning("question %s took %.1f s", receipt, seconds)
    if has_request_context() and "span" in g:
        from opentelemetry.trace import set_span_in_context

        end = time.time_ns()
        begin = end - round(seconds * 1e9)
        context = set_span_in_context(g.span)
        g.tracer.start_span("question", context, attributes={"receipt": receipt}, start_time=begin).end(end)
