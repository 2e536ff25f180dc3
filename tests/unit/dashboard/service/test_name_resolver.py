"""Names that are asked for on the network: of a server that speaks as Sesame does, or does not speak at all."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from atlas.errors import InputError
from dashboard.service import name_resolver
from dashboard.service.name_resolver import NameResolver

KNOWN = "# Abell 2744\t#Q2\n#=S=Simbad: 1\n%@ 1\n%C.0 ClG\n%J 3.57875000 -30.38917 = 00:14:18.9 -30:23:21\n"
UNKNOWN = "# nothing\t#Q3\n#!S=Simbad: *** Nothing found ***\n\n"


class Sesame(ThreadingHTTPServer):
    """Answers one name, and counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[str] = []
        self.wait_s = 0.0
        self.broken = False

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/nph-sesame/"


class Answering(BaseHTTPRequestHandler):
    server: Sesame

    def do_GET(self) -> None:
        name = unquote(self.path.partition("?")[2])
        self.server.asked.append(name)
        time.sleep(self.server.wait_s)
        self.send_response(500 if self.server.broken else 200)
        self.end_headers()
        self.wfile.write((KNOWN if name == "Abell 2744" else UNKNOWN).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sesame() -> Iterator[Sesame]:
    with Sesame() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_name_is_asked_for_once(sesame: Sesame) -> None:
    names = NameResolver(sesame.address)
    for text in ("Abell 2744", " Abell  2744 "):
        place = names.find(text)
        assert place is not None and (place.ra_deg, place.dec_deg) == pytest.approx((3.57875, -30.38917))
        assert "Sesame" in place.read_as and place.precision_arcsec == 30
    for _ in range(2):
        with pytest.raises(InputError, match="Sesame knows no object 'Abell 99'"):
            names.find("Abell 99")
    assert sesame.asked == ["Abell 2744", "Abell 99"]


# urllib leaves the socket of an answer that says 500 to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_server_that_fails_is_left_alone_for_a_while(sesame: Sesame, monkeypatch: pytest.MonkeyPatch) -> None:
    sesame.broken = True
    names = NameResolver(sesame.address)
    for _ in range(3):
        with pytest.raises(InputError, match="could not be looked up: Sesame does not answer"):
            names.find("Abell 2744")
    assert len(sesame.asked) == 1
    sesame.broken = False
    monkeypatch.setattr(name_resolver.time, "monotonic", lambda now=time.monotonic: now() + name_resolver.PAUSE_S)
    assert names.find("Abell 2744") is not None
    gc.collect()


# urllib leaves the socket of a request that took too long to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_waits_longer_than_the_time_out(sesame: Sesame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_resolver, "TIMEOUT_S", 0.1)
    sesame.wait_s = 1.0
    started = time.monotonic()
    with pytest.raises(InputError, match="Sesame does not answer"):
        NameResolver(sesame.address).find("Abell 2744")
    assert time.monotonic() - started < 0.9
    gc.collect()


def test_a_machine_without_a_network_says_so() -> None:
    with pytest.raises(InputError, match="Sesame does not answer"):
        NameResolver("http://127.0.0.1:9/").find("Abell 2744")


def test_what_is_no_name_is_not_asked_for(sesame: Sesame) -> None:
    for text in ("672", "9010-1-2", "", "x" * 61, "a\nb;c", "<script>", "name = 1"):
        assert NameResolver(sesame.address).find(text) is None and not sesame.asked


def test_a_closed_network_asks_nobody() -> None:
    assert NameResolver("off").find("Abell 2744") is None


def test_a_known_name_waits_for_nobody_who_asks_for_another(sesame: Sesame) -> None:
    names = NameResolver(sesame.address)
    found = names.find("Abell 2744")
    sesame.wait_s = 2.0

    def ask_for_another() -> None:
        with pytest.raises(InputError, match="knows no object"):
            names.find("nowhere")

    asking = threading.Thread(target=ask_for_another)
    asking.start()
    while len(sesame.asked) < 2:
        time.sleep(0.01)
    begun = time.monotonic()
    assert names.find("Abell 2744") == found and time.monotonic() - begun < 1
    asking.join()
