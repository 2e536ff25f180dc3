"""So few downloads at once that threads are left for those who look."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from atlas.errors import InputError
from dashboard.error_answers import register_error_handlers
from dashboard.settings import load
from dashboard.web.downloads import Downloads


def parts(fails: bool) -> Iterator[bytes]:
    if fails:
        raise InputError("nothing to write")
    yield b"first"
    yield b"second"


@pytest.fixture
def client() -> FlaskClient:
    server = Flask("downloads")
    downloads = Downloads(server, load({}, downloads_at_once=2))
    register_error_handlers(server)

    @server.get("/<fails>")
    def download(fails: str) -> Response:
        return downloads.answer(parts(fails == "fails"), "text/plain")

    return server.test_client()


def test_beyond_the_places_one_is_asked_to_come_back(client: FlaskClient) -> None:
    for _ in range(3):
        assert client.get("/whole").data == b"firstsecond", "a place is free again after each"
        assert client.get("/fails").status_code == 400
    begun, go_on = threading.Barrier(3, timeout=10), threading.Event()

    def leave_in_the_middle() -> None:
        answer = client.application.test_client().get("/whole", buffered=False)
        assert next(answer.response) == b"first"
        begun.wait()
        go_on.wait(10)
        answer.close()

    visitors = [threading.Thread(target=leave_in_the_middle) for _ in range(2)]
    for one in visitors:
        one.start()
    begun.wait()
    refused = client.get("/whole")
    assert refused.status_code == 503 and refused.headers["Retry-After"]
    assert "2 downloads are under way" in refused.get_json()["error"]
    go_on.set()
    for one in visitors:
        one.join()
    assert [client.get("/whole").status_code for _ in range(3)] == [200] * 3
