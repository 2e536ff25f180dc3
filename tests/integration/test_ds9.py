"""Debian's real DS9 under a display of its own: reads our regions and FITS images, takes our table and positions by
SAMP, and tells us rows, places and images.

Debian's build forgets to load Tcl's reader of XML, so that no VOTable of anybody reaches it: `FOR_VOTABLES` does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from regions import Regions

from atlas import Atlas
from atlas.exports.band_image import BandImages
from dashboard.service.galaxies import banded
from dashboard.state import url as links
from dashboard.state.page_state import State
from tests.integration.test_samp import Peer, focus_of, peer
from tests.unit.layouts import survey_images, write_chunks

DS9, XVFB = shutil.which("ds9"), shutil.which("Xvfb")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(DS9 is None or XVFB is None, reason="saods9 or xvfb is not installed"),
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pyvo.samp.SAMPWarning"),  # DS9 leaves the hub as it hears that it may end
]
PATIENCE_S = 30.0
FOR_VOTABLES = "package require xml\n"
# Once DS9 has seen who takes what, and a catalogue has come: a row of it, then a place.
ACTS = (
    FOR_VOTABLES
    + """
proc Act {} {
    global samp icat
    if {![info exists samp(apps,image)] || $samp(apps,image) == {} || $samp(apps,table) == {}} {after 200 Act; return}
    if {![info exists icat(cats)] || $icat(cats) == {}} {after 200 Act; return}
    SAMPSendTableRowListCmd [lindex $icat(cats) end] {3}
    after 1000 {PanTo RA DEC wcs icrs}
}
after 200 Act
"""
)

_ = peer  # a fixture


@pytest.fixture(scope="module")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A display that takes any free number."""
    read, write = os.pipe()
    command = [str(XVFB), "-displayfd", str(write), "-screen", "0", "1000x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def image(demo: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FITS image of galaxy 10, as the details offer it, out of a chunk."""
    folder = tmp_path_factory.mktemp("image")
    own = demo.columns(demo.default_space)
    columns = {name: np.asarray(own.array(name)[:20]) for name in ("objid", "ra", "dec")}
    write_chunks(folder / "chunks", columns, (0, 20), survey_images(20))
    path = folder / "galaxy.fits"
    path.write_bytes(BandImages(folder / "chunks", folder / "scratch").image(banded(demo, 10), demo.manifest))
    return path


@contextmanager
def ds9(display: str, home: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """DS9 with a home of its own, until the block ends."""
    home.mkdir(exist_ok=True)
    about = {**os.environ, "DISPLAY": display, "HOME": str(home)}
    with (home / "said.txt").open("wb") as said:
        running = subprocess.Popen([str(DS9), *words], env=about, stdout=said, stderr=said)
        try:
            yield running
        finally:
            running.terminate()
            running.wait(PATIENCE_S)


def test_regions_lie_where_astropy_has_them_on_our_image(
    demo: Atlas, display: str, image: Path, tmp_path: Path
) -> None:
    found = demo.similar(rows=10, k=30)
    found.save(tmp_path / "out.reg")
    load = (str(image), "-regions", "load", str(tmp_path / "out.reg"), "-regions", "system")
    saved = ("image", "-regions", "save", str(tmp_path / "back.reg"), "-exit")
    with ds9(display, tmp_path / "home", *load, *saved) as running:
        assert running.wait(PATIENCE_S) == 0, (tmp_path / "home" / "said.txt").read_text()
    back = Regions.read(tmp_path / "back.reg", format="ds9")
    x, y = np.transpose([one.center.xy for one in back])
    ra_deg, dec_deg = np.transpose([demo.position(int(row)) for row in found.index])
    wcs = WCS(fits.getheader(image)).celestial
    wanted = wcs.world_to_pixel(SkyCoord(ra_deg, dec_deg, unit="deg"))
    np.testing.assert_allclose([x, y], wanted, atol=1e-3)
    assert [str(one.meta["text"]) for one in back] == [demo.identity.name(int(row)) for row in found.index]


def test_tables_positions_rows_places_and_images_go_both_ways(
    peer: Peer, demo: Atlas, display: str, image: Path, tmp_path: Path
) -> None:
    inside = demo.position(10)[0], demo.position(10)[1] + 1 / 3600
    (tmp_path / "acts.tcl").write_text(ACTS.replace("RA DEC", f"{inside[0]} {inside[1]}"))
    before = peer.count  # our own client is on the hub from here on
    words = ("-source", str(tmp_path / "acts.tcl"), str(image), "-zoom", "to", "fit")
    with ds9(display, tmp_path / "home", *words):
        program = arrived(peer)
        link = links.to_token(State(focus=links.from_token(focus_of(demo)).focus, shown=24))
        assert "SAOImageDS9" in peer.ask(f"/samp/table?s={link}", "POST")["said"]
        row = heard(peer, before, "row")
        assert row["galaxy"] == demo.similar(rows=30, k=24).index[2], "the third row of what was sent"
        pointed_at(peer, before, inside)
        exported = tmp_path / "table.tsv"
        asked(peer, program, "ds9.set", cmd=f"catalog export tsv {exported}")
        table, sent = pd.read_csv(exported, sep="\t")[:24], demo.similar(rows=30, k=24)
        assert table["id"].astype(str).tolist() == [demo.identity.name(int(row)) for row in sent.index]
        np.testing.assert_allclose(table[["ra", "dec"]], [demo.position(int(row)) for row in sent.index], rtol=1e-12)
        assert "SAOImageDS9" in peer.ask(f"/samp/position?s={link}", "POST")["said"]
        panned = asked(peer, program, "ds9.get", cmd="pan icrs degrees")["value"]
        assert [float(v) for v in panned.split()] == pytest.approx(demo.position(30), abs=2e-5)
        asked(peer, program, "image.load.fits", url=image.as_uri(), name="galaxy")
        size = asked(peer, program, "ds9.get", cmd="fits size wcs icrs degrees")["value"]
        assert [float(v) * 3600 for v in size.split()] == pytest.approx([0.262 * 20] * 2, rel=1e-3)
        before = peer.count
        asked(peer, program, "ds9.set", cmd="samp broadcast image")
        pointed_at(peer, before, demo.position(10))


def arrived(peer: Peer) -> str:
    """DS9's name on the hub, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for one in peer.client.get_subscribed_clients("image.load.fits"):
            if peer.client.get_metadata(one)["samp.name"] == "SAOImageDS9":
                return str(one)
        time.sleep(0.1)
    raise AssertionError("DS9 did not come")


def asked(peer: Peer, program: str, mtype: str, **params: str) -> dict[str, str]:
    answer = peer.client.ecall_and_wait(program, mtype, str(int(PATIENCE_S)), **params)
    assert answer["samp.status"] == "samp.ok", answer
    return dict(answer["samp.result"])


def heard(peer: Peer, since: int, what: str, wanted: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    """What our server was told, of that kind."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for one in peer.ask(f"/samp/heard?since={since}")["heard"]:
            if one["what"] == what and wanted(one):
                return dict(one)
        time.sleep(0.1)
    raise AssertionError(f"no {what} was heard: {peer.ask(f'/samp/heard?since={since}')}")


def pointed_at(peer: Peer, since: int, place: tuple[float, float]) -> None:
    """Wait until DS9 has pointed at a place."""
    wanted = pytest.approx(place, abs=2e-5)
    heard(peer, since, "position", lambda one: tuple(float(v) for v in one["text"].split()) == wanted)
