"""What one visitor may have in a minute: counted a visitor, refused in a sentence, off by default."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboard.error_answers import register_error_handlers
from dashboard.settings import load
from dashboard.web.visitor_limits import VisitorLimits, register_visitor_limits, visitor


def served(**settings: object) -> tuple[FlaskClient, VisitorLimits]:
    server, limits = Flask("test"), VisitorLimits(load({}, **settings))
    register_visitor_limits(server, limits)
    register_error_handlers(server)
    server.wsgi_app = ProxyFix(server.wsgi_app, x_for=1)  # type: ignore[method-assign]

    @server.get("/bytes/<int:n>")
    def some(n: int) -> Response:
        return Response(b"x" * n)

    @server.get("/stream/<int:n>")
    def streamed(n: int) -> Response:
        def parts() -> Iterator[bytes]:
            yield from (b"x" for _ in range(n))

        return Response(parts())

    @server.get("/ask/<int:million>")
    def ask(million: int) -> Response:
        limits.spend_operations(million * 1_000_000)
        return Response("done")

    @server.get("/healthz")
    def healthz() -> Response:
        return Response("ok")

    return server.test_client(), limits


def at(client: FlaskClient, path: str, address: str = "192.0.2.1") -> int:
    answer = client.get(path, headers={"X-Forwarded-For": address})
    answer.get_data()
    if answer.status_code >= 400:
        assert "minute" in answer.get_json()["error"]
    return answer.status_code


def test_requests_are_counted_for_each_visitor_by_itself_and_health_is_free() -> None:
    client, _ = served(visitor_requests=3)
    assert [at(client, "/bytes/1") for _ in range(4)] == [200, 200, 200, 429]
    assert at(client, "/bytes/1", "192.0.2.2") == 200
    assert at(client, "/healthz") == 200


@pytest.mark.parametrize("kind", ["bytes", "stream"])
def test_after_many_bytes_nothing_follows_but_none_is_cut_off(kind: str) -> None:
    client, _ = served(visitor_bytes=1_000)
    assert [at(client, f"/{kind}/900"), at(client, f"/{kind}/900"), at(client, f"/{kind}/1")] == [200, 200, 429]


def test_a_streamed_answer_that_is_counted_closes_what_it_reads() -> None:
    client, _ = served(visitor_bytes=1_000_000)
    closed = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            closed.append(True)

    client.application.add_url_rule("/file", "file", lambda: Response(Parts(), direct_passthrough=True))
    client.get("/file", buffered=True).close()
    assert closed


def test_operations_are_refused_before_they_are_computed() -> None:
    client, limits = served(visitor_operations=100_000_000)
    assert [at(client, "/ask/60"), at(client, "/ask/60"), at(client, "/ask/60", "192.0.2.9")] == [200, 400, 200]
    limits.spend_operations(10**12)  # nobody asks: a thread of the server's own


def test_nobody_is_limited_by_default_nor_while_redis_is_away() -> None:
    client, _ = served()
    assert [at(client, "/bytes/9") for _ in range(20)] == [200] * 20
    client, _ = served(visitor_requests=1, cache_type="RedisCache", redis_url="redis://127.0.0.1:1/0")
    assert [at(client, "/bytes/9") for _ in range(3)] == [200] * 3


def test_a_visitor_of_ipv6_is_its_network() -> None:
    assert visitor("2001:db8:1:2:3::4") == visitor("2001:db8:1:2::9") != visitor("2001:db8:1:3::9")
    assert visitor("192.0.2.1") == "192.0.2.1" and visitor("") == "unknown"
