"""SAMP against a real hub, with a second client in TOPCAT's place; the server answers on a real socket."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from pyvo.samp import SAMPHubServer, SAMPIntegratedClient, conf
from werkzeug.serving import make_server

from atlas import Atlas
from atlas.errors import InputError
from dashboard.app import create_app
from dashboard.service import samp
from dashboard.service.galaxies import galaxy
from dashboard.service.samp import SampClient, fetch_local
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.page_state import State

pytestmark = pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning", "ignore::ResourceWarning")


class Peer:
    """A program like TOPCAT on the hub, and our server, as a page asks it."""

    def __init__(self, client: Any, url: str) -> None:
        self.client, self.url = client, url
        self.received: list[tuple[str, dict[str, str]]] = []

    def receive(self, _: str, __: str, ___: str | None, mtype: str, params: Any, ____: Any) -> None:
        self.received.append((mtype, dict(params)))

    def ask(self, path: str, method: str = "GET", **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def wait(self) -> tuple[str, dict[str, str]]:
        deadline = time.monotonic() + 20
        while not self.received and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.received.pop()

    def heard(self, since: int) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if found := self.ask(f"/samp/heard?since={since}")["heard"]:
                return dict(found[-1])
            time.sleep(0.01)
        raise AssertionError("nothing was heard")

    @property
    def count(self) -> int:
        return int(self.ask("/samp/heard?since=0")["n"])


@pytest.fixture(scope="module")
def peer(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("samp")
    patch = pytest.MonkeyPatch()
    patch.setenv("SAMP_HUB", f"std-lockurl:file://{folder / 'samp'}")
    conf.use_internet = False
    settings = load(
        {}, atlas=str(demo_path), cache_dir=str(folder / "cache"), kept_dir=str(folder / "kept"), samp="true"
    )
    server = create_app(settings=settings).server
    listening = make_server("127.0.0.1", 0, server, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{listening.server_port}"
    client = SAMPIntegratedClient("TOPCAT", addr="127.0.0.1")
    found = Peer(client, url)
    told = found.ask("/samp/position?s=" + focus_of(Atlas.open(demo_path)), "POST")
    assert "start TOPCAT" in told["error"]  # nobody is there yet
    hub = SAMPHubServer(web_profile=False, addr="127.0.0.1", lockfile=str(folder / "samp"))
    hub.start()
    client.connect()
    for mtype in ("table.load.votable", "coord.pointAt.sky"):
        client.bind_receive_message(mtype, found.receive)
    yield found
    client.disconnect()
    server.extensions["samp"].close()
    hub.stop()
    listening.shutdown()
    thread.join()
    listening.server_close()
    patch.undo()


def focus_of(atlas: Atlas) -> str:
    return links.to_token(State(focus=galaxy(atlas, 30)))


def test_a_table_and_a_position_reach_the_other_program(peer: Peer, demo: Atlas) -> None:
    said = peer.ask("/samp/table?s=" + focus_of(demo), "POST")["said"]
    assert said == "Sent to TOPCAT."
    mtype, params = peer.wait()
    assert mtype == "table.load.votable" and demo.manifest.title in params["name"]
    # TOPCAT refuses a second table of one name, also when the first was sent by a server that has ended since.
    assert re.fullmatch(r"galaxy-finder-[0-9a-f]{8}-\d+", params["table-id"])
    with urllib.request.urlopen(params["url"]) as response:
        table = Table.read(io.BytesIO(response.read()), format="votable")
    expected = demo.similar(rows=30, k=24).index.to_numpy()
    assert table["id"].astype(str).tolist()[:24] == demo.identity.names(expected)
    before = peer.count
    peer.client.enotify_all("table.highlight.row", **{"table-id": params["table-id"], "row": "3"})
    told = peer.heard(before)
    assert (told["what"], told["sender"], told["galaxy"]) == ("row", "TOPCAT", expected[3])
    peer.ask("/samp/position?s=" + focus_of(demo), "POST")
    mtype, params = peer.wait()
    assert mtype == "coord.pointAt.sky"
    assert (float(params["ra"]), float(params["dec"])) == pytest.approx(demo.position(30), abs=1e-7)


def test_positions_and_lists_come_from_the_other_program(peer: Peer, demo: Atlas, tmp_path: Path) -> None:
    before = peer.count
    ra_deg, dec_deg = demo.position(7)
    peer.client.enotify_all("coord.pointAt.sky", ra=str(ra_deg), dec=str(dec_deg))
    told = peer.heard(before)
    assert told["what"] == "position" and [float(v) for v in told["text"].split()] == pytest.approx([ra_deg, dec_deg])
    path = tmp_path / "list.vot"
    demo.similar(rows=30, k=5).save(path)
    before = peer.count
    peer.client.enotify_all("table.load.votable", url=path.as_uri(), name="five")
    told = peer.heard(before)
    assert (told["what"], told["text"]) == ("list", "five")
    with urllib.request.urlopen(f"{peer.url}/samp/list/{told['n']}") as response:
        assert response.read() == path.read_bytes()


def test_tables_in_fits_are_lists_too_and_an_image_leads_to_its_middle(peer: Peer, demo: Atlas, tmp_path: Path) -> None:
    before = peer.count
    demo.similar(rows=30, k=5).save(tmp_path / "list.fits")
    peer.client.enotify_all("table.load.fits", url=(tmp_path / "list.fits").as_uri(), name="five")
    assert peer.heard(before)["what"] == "list"
    for compressed in (False, True):
        before = peer.count
        path = tmp_path / f"image-{compressed}.fits"
        written_image(path, demo.position(7), compressed)
        peer.client.enotify_all("image.load.fits", url=path.as_uri(), name="sky")
        told = peer.heard(before)
        assert told["what"] == "position"
        assert [float(v) for v in told["text"].split()] == pytest.approx(demo.position(7), abs=1e-6)


def written_image(path: Path, middle: tuple[float, float], compressed: bool) -> None:
    """An image of 4 million pixels in galactic coordinates, in an extension: no more than its header is needed."""
    place = SkyCoord(*middle, unit="deg").galactic
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["GLON-TAN", "GLAT-TAN"], [place.l.deg, place.b.deg]
    wcs.wcs.crpix, wcs.wcs.cdelt = [1000.5, 1000.5], [-1e-4, 1e-4]
    kind = fits.CompImageHDU if compressed else fits.ImageHDU
    fits.HDUList([fits.PrimaryHDU(), kind(np.zeros((2000, 2000), np.int16), wcs.to_header())]).writeto(path)


@pytest.mark.parametrize(
    ("mtype", "params", "words"),
    [
        ("image.load.fits", {"url": Path(__file__).as_uri()}, "does not say where on the sky"),
        ("image.load.fits", {"url": "http://192.0.2.1/x.fits"}, "this machine alone"),
        ("coord.pointAt.sky", {"ra": "x", "dec": "0"}, "could not be understood"),
        ("coord.pointAt.sky", {"ra": "1", "dec": "91"}, "declination"),
        ("coord.pointAt.sky", {"ra": "0", "dec": "0"}, "beside its image"),
        ("table.load.votable", {"url": "http://192.0.2.1/x.vot"}, "this machine alone"),
        ("table.highlight.row", {"table-id": "another", "row": "1"}, "not sent from here"),
    ],
)
def test_what_cannot_be_done_is_said_to_the_other_program(peer: Peer, mtype: str, params: Any, words: str) -> None:
    before = peer.count
    us = next(one for one in peer.client.get_subscribed_clients(mtype)
              if peer.client.get_metadata(one)["samp.name"] == "Galaxy Finder")  # fmt: skip
    answer = peer.client.ecall_and_wait(us, mtype, "10", **params)
    assert answer["samp.status"] == "samp.error" and words in answer["samp.error"]["samp.errortxt"]
    assert peer.count == before


def test_pages_of_other_machines_are_told_why_not(peer: Peer) -> None:
    for headers in ({"Host": "galaxies.example"}, {"X-Forwarded-For": "192.0.2.1"}):
        assert "this very machine" in peer.ask("/samp/heard?since=0", **headers)["error"]
    assert "choose a galaxy" in peer.ask("/samp/position?s=", "POST")["error"]


def test_a_server_that_is_not_ones_own_says_so(demo: Atlas, demo_path: Path, tmp_path: Path) -> None:
    folders = {"cache_dir": str(tmp_path / "cache"), "kept_dir": str(tmp_path / "kept")}
    client = create_app(settings=load({}, atlas=str(demo_path), **folders)).server.test_client()
    answer = client.post("/samp/table?s=")
    assert answer.status_code == 400 and "own machine" in answer.json["error"]
    # But offers the table to its pages, which may speak to a hub of their visitor's.
    link = focus_of(demo)
    offer = client.get(f"/samp/offer?s={link}").json
    assert demo.manifest.title in offer["name"] and client.get(offer["path"]).mimetype == "application/x-votable+xml"
    expected = demo.similar(rows=30, k=24).index
    assert client.get(f"/samp/row?s={link}&row=3").json == {"galaxy": expected[3]}
    assert client.get(f"/samp/row?s={link}&row=99999999").json == {"galaxy": None}
    signing = load({}, atlas=str(demo_path), user_header="X-User", trust_proxy="1", **folders)
    told = create_app(settings=signing).server.test_client().get(f"/samp/offer?s={link}", headers={"X-User": "ada"})
    assert told.status_code == 400 and "cannot sign in" in told.json["error"]
    for public in ({"host": "0.0.0.0"}, {"workers": "2"}, {"trust_proxy": "1"}):
        with pytest.raises(InputError, match="own machine"):
            load({}, samp="true", **public)


def test_addresses_of_other_machines_are_not_fetched(tmp_path: Path) -> None:
    for url in ("http://example.org/x", "ftp://127.0.0.1/x", "file://elsewhere/x", "https://127.0.0.1/x", "x", ""):
        with pytest.raises(InputError, match="this machine"):
            fetch_local(url, 10)
    (tmp_path / "x").write_bytes(b"12345678901")
    with pytest.raises(InputError, match="at most 10 bytes"):
        fetch_local((tmp_path / "x").as_uri(), 10)


def test_a_hub_that_is_silent_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path / 'samp'}")
    monkeypatch.setattr(samp, "PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as hub:
        (tmp_path / "samp").write_text(
            f"samp.secret=x\nsamp.hub.xmlrpc.url=http://127.0.0.1:{hub.getsockname()[1]}/\nsamp.profile.version=1.3\n"
        )
        client = SampClient(10)
        for _ in range(2):
            with pytest.raises(InputError, match="does not answer"):
                client.send_position(1.0, 2.0)
        assert client.heard_since(0) == (0, [])
        client.close()
    # Its end ends the wait, and the next who asks is told what there is now.
    monkeypatch.setattr(samp, "PATIENCE_S", 20)
    with pytest.raises(InputError, match="start TOPCAT"):
        client.send_position(1.0, 2.0)
