"""Metrics for whoever runs the server: a line a request, and figures for Prometheus at `/metrics`.

Figures are kept where `metrics` is set, and told to whoever asks this process itself: a request that a proxy passed on
finds nothing there. Several processes add theirs up in files (`dashboard.serve` names their folder).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ..error_answers import explain
from ..request_log import HEADER, request_id
from ..settings import Settings

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_log = logging.getLogger(__name__)


def register_metrics(server: Flask, settings: Settings, ready: Callable[[], dict[str, Any]]) -> None:
    """Give each request an id, log it where that is wanted, and count it where that is wanted.

    To be called before anything else that looks at requests, so that what these refuse is counted too.

    Parameters
    ----------
    server : Flask
    settings : Settings
        Of these: `metrics slow_s log_format access_log trust_proxy`.
    ready : callable
        As of `register_health`.
    """
    figures = _Figures() if settings.metrics else None
    # gunicorn has lines of its own, which know no request's id.
    every = settings.access_log and settings.log_format == "json"

    @server.before_request
    def begin() -> None:
        request_id(trusted=settings.trust_proxy > 0)
        g.begun = time.perf_counter()

    @server.after_request
    def end(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        seconds = time.perf_counter() - g.get("begun", time.perf_counter())
        place = request.url_rule.rule if request.url_rule is not None else "none"
        if every or seconds > settings.slow_s:
            facts = {"method": request.method, "place": place, "status": response.status_code, "seconds": seconds}
            level = logging.WARNING if seconds > settings.slow_s else logging.INFO
            _log.log(level, "%s %s %d in %.3f s", *facts.values(), extra={"facts": facts})
        if figures is not None:
            figures.count(place, request.method, response, seconds)
        return response

    if figures is not None:

        @server.get("/metrics")
        def metrics() -> Response:
            if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
                abort(404)
            return Response(figures.text(ready), content_type=CONTENT_TYPE_LATEST)


class _Figures:
    """The figures of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("place", "method", "status")
        self._requests = Counter("galaxy_finder_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "galaxy_finder_request_seconds", "Until the answer begins", ("place",), registry=self._registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._bytes = Counter("galaxy_finder_answer_bytes", "Bytes of answers", ("place",), registry=self._registry)
        self._ready = Gauge(
            "galaxy_finder_ready", "Processes that can search", registry=self._registry, multiprocess_mode="livesum"
        )

    def count(self, place: str, method: str, response: Response, seconds: float) -> None:
        self._requests.labels(place, method, str(response.status_code)).inc()
        self._seconds.labels(place).observe(seconds)
        self._bytes.labels(place).inc(response.content_length or 0)

    def text(self, ready: Callable[[], dict[str, Any]]) -> bytes:
        try:
            self._ready.set(float(ready()["ready"] is True))
        except Exception as error:
            explain(error)  # to the log
            self._ready.set(0.0)
        if MULTIPROCESS not in os.environ:
            return generate_latest(self._registry)
        joined = CollectorRegistry()
        MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
        return generate_latest(joined)
