"""The shell as it runs: gunicorn with our options, a real socket, a real browser."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dashboard.serve import gunicorn_options, main
from dashboard.settings import load

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server run as the Procfile runs it, with the small app of `shell_app`."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "shell_app:server"],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
            "GALAXY_FINDER_PORT": str(port),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if request(port, "GET", "/readyz")[0] == 200:
                    break
            except OSError:
                assert server.poll() is None, server.communicate()[0]
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        output = server.communicate(timeout=60)[0]
        assert "Traceback" not in output, output


def request(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


JSON = {"Content-Type": "application/json"}


def test_the_page_arrives_compressed_and_guarded(port: int) -> None:
    status, headers, _ = request(port, "GET", "/", headers={"Accept-Encoding": "br"})
    assert status == 200
    assert headers["content-encoding"] == "br"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_requests_that_take_long_do_not_keep_others_waiting(port: int) -> None:
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(request, port, "GET", "/wait") for _ in range(6)]
        # Answered only while all six are under way, by a process that has eight threads.
        assert request(port, "GET", "/go-on/6")[2] == b"True"
        assert [answer.result()[2] for answer in slow] == [b"True"] * 6


def test_a_large_body_is_refused_before_it_was_sent(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /_dash-update-component HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 30000000\r\nConnection: close\r\n\r\n" + b"[" * 1000
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_large_body_in_chunks_is_refused(port: int) -> None:
    chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /_dash-update-component HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + 5 * chunk
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_long_state_fits_into_the_address_and_a_longer_one_is_refused(port: int) -> None:
    longest = load({}).max_state_bytes
    assert request(port, "GET", "/?s=" + "x" * longest)[0] == 200
    assert request(port, "GET", "/?s=" + "x" * 9000)[0] in (400, 414)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output":"cards.children"}', b"[" * 50_000])
def test_a_malformed_callback_is_a_message(port: int, body: bytes) -> None:
    status, _, answer = request(port, "POST", "/_dash-update-component", body, JSON)
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.browser
def test_what_dash_itself_sends_passes_and_webgl_draws_under_the_policy(port: int, chromium: Browser) -> None:
    """Clicks through every kind of callback: the check of bodies knows all that the renderer writes."""
    refused: list[str] = []
    said: list[str] = []
    page = chromium.new_page()
    page.on("response", lambda r: refused.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/?state=1")
    expect(page.locator("#picked")).to_have_text("None of 2")
    page.get_by_text("card 1").click()
    expect(page.locator("#picked")).to_have_text("1 of 2")
    expect(page.get_by_text("clicked 1", exact=True)).to_be_visible()
    page.locator("#add").click()
    expect(page.get_by_text("card 2")).to_be_visible()
    expect(page.locator("#shared")).to_have_text("add 1")
    expect(page.locator("#browser")).to_have_text("clicked 1")
    page.get_by_text("card 2").click()
    expect(page.locator("#picked")).to_have_text("2 of 3")
    page.get_by_text("card 0").click(click_count=3, delay=1)
    page.locator("#remove").click(click_count=3, delay=1)
    expect(page.locator("#shared")).to_have_text("remove 3")
    expect(page.locator("#cards")).to_have_text("")
    expect(page.locator("#graph .main-svg").first).to_be_visible()
    assert page.locator(".no-webgl").count() == 0
    page.wait_for_load_state("networkidle")
    page.close()
    assert refused == []
    assert said == []


# ---------------------------------------------------------------- starting


def test_without_an_atlas_the_command_says_how_to_build_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--atlas", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path} holds no atlas")
    assert f"`make demo` builds one of real galaxies; `python -m precompute build SOURCE --out {tmp_path}`" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "host.invalid"], "cannot listen on host.invalid"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--port", "65536"], "GALAXY_FINDER_PORT is '65536': allowed is a whole number from 0 to 65,535"),
        (["--threads", "none"], "GALAXY_FINDER_THREADS is 'none'"),
    ],
)
def test_a_wrong_address_or_setting_is_a_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.serve.check_atlas", lambda root: None)
    assert main(arguments) == 1
    assert f"error: {message}" in capsys.readouterr().err


def test_a_port_in_use_is_said_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.serve.check_atlas", lambda root: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert f"error: port {port} is in use: choose another with PORT=" in capsys.readouterr().err


def test_gunicorn_is_told_what_the_settings_say() -> None:
    options = gunicorn_options(load({"PORT": "8100", "WEB_CONCURRENCY": "2"}, host="::1", access_log=True))
    assert options["bind"] == "[::1]:8100"
    assert options["workers"] == 2
    assert options["threads"] == 8
    assert options["worker_class"] == "gthread"
    assert options["accesslog"] == "-"
    assert options["preload_app"] is False
    assert gunicorn_options(load({}))["accesslog"] is None
