"""Files for other tools and the cone search, read by STILTS as Debian has it, which is what TOPCAT reads by."""

from __future__ import annotations

import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from werkzeug.serving import make_server

from atlas import Atlas, Cone
from dashboard.app import create_app
from dashboard.settings import load

STILTS = shutil.which("stilts")
pytestmark = [pytest.mark.soak, pytest.mark.skipif(STILTS is None, reason="stilts is not installed")]

FORMATS = {"vot": "votable", "fits": "fits", "csv": "csv", "ecsv": "ecsv", "parquet": "parquet"}


def stilts(*words: str) -> str:
    told = subprocess.run([str(STILTS), *words], capture_output=True, text=True, check=False)
    if "No table handler available" in told.stderr:
        pytest.skip(f"this stilts, as Debian builds it, has no such reader: {told.stderr.splitlines()[0]}")
    assert told.returncode == 0, told.stderr
    return told.stdout + told.stderr


@pytest.fixture(scope="module")
def service(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the cone search of a running server."""
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    listening = make_server("127.0.0.1", 0, create_app(settings=settings).server, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/scs?"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_stilts_finds_the_galaxies_of_tables_in_their_coverage(demo: Atlas, tmp_path: Path) -> None:
    found = demo.similar(rows=30, k=50)
    paths = {ending: tmp_path / f"out.{ending}" for ending in ("vot", "fits", "moc.fits")}
    for path in paths.values():
        found.save(path)
    assert stilts("votlint", str(paths["vot"])) == ""
    for ending in ("vot", "fits"):
        inside = f"select 'inMoc(\"{paths['moc.fits']}\",ra,dec)'"
        words = f"in={paths[ending]}", f"ifmt={FORMATS[ending]}", f"cmd={inside}", "omode=count"
        assert "rows: 50" in stilts("tpipe", *words)


@pytest.mark.parametrize("ending", FORMATS)
def test_stilts_reads_every_cell_of_a_table_and_where_it_came_from(demo: Atlas, tmp_path: Path, ending: str) -> None:
    found = demo.similar(rows=30, k=50)
    path, copy = tmp_path / f"out.{ending}", tmp_path / "copy.fits"
    found.save(path)
    read = f"in={path}", f"ifmt={FORMATS[ending]}"
    stilts("tpipe", *read, "omode=out", f"out={copy}", "ofmt=fits-basic")
    table = Table.read(copy, unit_parse_strict="silent")
    assert [str(name) for name in table["id"]] == demo.identity.names(found.index.to_numpy())
    for name in found.select_dtypes("number"):
        told = np.ma.filled(np.ma.asarray(table[name]).astype(np.float64), np.nan)
        # Digits are those of the number as stored, which for all but positions has 32 bits.
        kind = np.float64 if name in ("ra", "dec") else np.float32
        np.testing.assert_array_equal(told.astype(kind), found[name].astype(kind), err_msg=name)
    told = stilts("tpipe", *read, "omode=meta")
    if ending == "csv":
        assert all(demo.build_id in str(text) and found.receipt in str(text) for text in table["origin"])
    else:
        assert demo.build_id in told and found.receipt in told and str(table["ra"].unit) == "deg"


@pytest.mark.parametrize("radius_deg", ["0.004", "0.00001"])
def test_a_cone_of_stilts_is_ours(demo: Atlas, service: str, tmp_path: Path, radius_deg: str) -> None:
    ra, dec = demo.position(0)
    out = tmp_path / "cone.fits"
    asked = f"lon={ra}", f"lat={dec}", f"radius={radius_deg}"
    stilts("cone", f"serviceurl={service}", *asked, "verb=3", f"out={out}", "ofmt=fits-basic")
    table = Table.read(out, unit_parse_strict="silent")
    rows = demo.mask(Cone(ra, dec, float(radius_deg) * 3600)).rows
    assert sorted(map(str, table["id"])) == sorted(demo.identity.names(rows))
    assert (np.diff(table["separation"]) >= 0).all()


def test_each_galaxy_of_a_list_is_matched_over_the_cone_search(demo: Atlas, service: str, tmp_path: Path) -> None:
    found = demo.similar(rows=30, k=5)
    found.save(tmp_path / "list.vot")
    matched = tmp_path / "matched.fits"
    ours = f"in={tmp_path / 'list.vot'}", "ra=ra", "dec=dec", "sr=0.0001", "find=best"
    stilts("coneskymatch", *ours, f"serviceurl={service}", f"out={matched}", "ofmt=fits-basic", "fixcols=all")
    table = Table.read(matched, unit_parse_strict="silent")
    assert len(table) == 5 and list(table["id_0"]) == list(table["id_1"])


@pytest.mark.parametrize("asked", ["RA=53.16&DEC=-27.79&SR=0.01", "RA=53.16&DEC=-27.79&SR=0", "RA=53.16&DEC=95&SR=1"])
@pytest.mark.parametrize("verbosity", [1, 3])
def test_answers_of_the_cone_search_are_valid(service: str, tmp_path: Path, asked: str, verbosity: int) -> None:
    with urllib.request.urlopen(f"{service}{asked}&VERB={verbosity}") as answer:
        (tmp_path / "answer.vot").write_bytes(answer.read())
    assert stilts("votlint", str(tmp_path / "answer.vot")) == ""
