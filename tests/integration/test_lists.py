"""Lists of galaxies that visitors bring: read apart, matched, kept as a collection; what is no list is refused."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from flask.testing import FlaskClient

from atlas import Atlas
from atlas.errors import InputError, ResourceError
from dashboard.app import create_app
from dashboard.service import apart
from dashboard.service.list_reader import MOST_LISTED, parse_list, read_list
from dashboard.settings import load

ROWS = [7, 3, 11]


@pytest.fixture(scope="module")
def table(small: Atlas) -> Table:
    columns = small.columns()
    ids = {name: columns.array(name)[ROWS] for name in small.identity.id_columns}
    return Table({"ra": columns.array("ra")[ROWS], "dec": columns.array("dec")[ROWS], "note": ["a", "b", "c"], **ids})


def written(table: Table, form: str, **options: object) -> bytes:
    stream: io.StringIO | io.BytesIO = io.BytesIO() if form in ("fits", "votable") else io.StringIO()
    table.write(stream, format=form, **options)
    found = stream.getvalue()
    return found if isinstance(found, bytes) else found.encode()


@pytest.mark.parametrize(
    "form", ["fits", "votable", "ascii.ecsv", "ascii.csv", "ascii.tab", "ascii.basic", "ascii.commented_header"]
)
@pytest.mark.parametrize("named", [True, False], ids=["ids", "positions"])
def test_every_form_says_the_same(small: Atlas, table: Table, form: str, named: bool) -> None:
    ids = small.identity.id_columns
    some = table if named else table["note", "ra", "dec"]
    found = parse_list(written(some, form), ids)
    if named:
        assert found.names == small.identity.names(ROWS)
    else:
        np.testing.assert_allclose(found.ra_deg, table["ra"], atol=1e-9)
        np.testing.assert_allclose(found.dec_deg, table["dec"], atol=1e-9)


def test_a_line_is_a_position_or_an_id(small: Atlas) -> None:
    text = "# mine\n03:32:38.79 -27:46:48.9\r\n53.16 -27.78\n\nG 223.5 -54.4\n 1-2-3 \nnonsense here\n10 95\n"
    found = parse_list(text.encode("utf-8-sig"), small.identity.id_columns)
    assert found.names[:5] == ["", "", "", "1-2-3", "nonsense here"] and found.ra_deg[5] is None
    assert found.ra_deg[:2] == pytest.approx([53.161625, 53.16]) and found.dec_deg[1] == -27.78
    sexagesimal = parse_list(b"name;RA;Dec\nx;03:32:38.79;-27:46:48.9\n", small.identity.id_columns)
    assert sexagesimal.ra_deg == pytest.approx([53.161625])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (pickle.dumps([1, 2]), "no table that is known"),
        (gzip.compress(b"ra,dec\n1,2\n", mtime=0), "what is read is CSV"),
        (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><VOTABLE/>", "DOCTYPE"),
        (b"<VOTABLE><TABLE>", "cannot be read"),
        (b"SIMPLE  =" + b" " * 3000, "cannot be read"),
        (b"ra,dec\n" + b"1,2\n" * (MOST_LISTED + 1), f"at most {MOST_LISTED:,}"),
    ],
)
def test_what_is_no_list_is_refused_with_what_is(data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_list(data, ["objid"])


def test_a_header_that_promises_terabytes_ends_the_reader_and_not_the_server() -> None:
    header = fits.Header(fits.BinTableHDU(Table({"ra": [1.0], "dec": [2.0]})).header)
    header["NAXIS2"] = 10**12
    data = fits.PrimaryHDU().header.tostring() + header.tostring()
    with pytest.raises(InputError, match=r"too much memory|cannot be read"):
        read_list(data.encode(), ["objid"])


def test_one_list_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PATIENCE_S", 0.01)
    with apart._reading, pytest.raises(ResourceError, match="other lists are being read"):
        read_list(b"1 2", ["objid"])
    monkeypatch.undo()
    assert read_list(b"1 2", ["objid"]).dec_deg == [2.0]


@pytest.fixture(scope="module")
def mine(small_path: Path, small: Atlas, tmp_path_factory: pytest.TempPathFactory) -> tuple[FlaskClient, str]:
    scratch = tmp_path_factory.mktemp("lists")
    settings = load({}, atlas=str(small_path), cache_dir=str(scratch / "cache"), labels=str(scratch / "labels.db"))
    return create_app(settings=settings).server.test_client(), f"/lists/{small.build_id}"


def test_a_list_becomes_a_collection_and_says_what_it_lacks(mine: tuple[FlaskClient, str], small: Atlas) -> None:
    client, address = mine
    names = small.identity.names(ROWS)
    position = "{:.6f} {:+.6f}".format(*small.position(42))
    text = "\n".join([*names, position, "1-2-3", names[0]])
    asked = {"name": "mine", "who": "Vera", "id": "a-list-of-mine", "radius": "1", "file": "pasted"}
    told = client.post(address, query_string=asked, data=text.encode()).get_json()
    assert told["kept"] and told["said"].startswith("4 of 6 are galaxies of this atlas; 2 of them")
    assert told["said"].endswith("Not found: 1-2-3.")
    assert client.post(address, query_string=asked, data=text.encode()).get_json()["kept"], "once more is once"


@pytest.mark.parametrize(
    ("change", "status"),
    [({"who": " "}, 400), ({"name": ""}, 400), ({"radius": "0"}, 400), ({"radius": "x"}, 400), ({"id": "!"}, 400)],
)
def test_a_request_that_lacks_something_is_refused(
    mine: tuple[FlaskClient, str], change: dict[str, str], status: int
) -> None:
    client, address = mine
    asked = {"name": "mine", "who": "Vera", "id": "a-list-of-mine", "radius": "1", "file": "pasted"} | change
    answer = client.post(address, query_string=asked, data=b"1 2\n")
    assert answer.status_code == status and answer.get_json()["error"]


def test_a_list_is_bounded_and_may_be_larger_than_an_event(mine: tuple[FlaskClient, str]) -> None:
    client, address = mine
    asked = {"name": "mine", "who": "Vera", "id": "a-list-of-mine", "radius": "1", "file": "pasted"}
    wide = b"\n".join(b"0-0-%d %s" % (i, b"x" * 60) for i in range(9_000))
    assert client.post(address, query_string=asked, data=wide).status_code == 400, "read, and none is here"
    assert client.post(address, query_string=asked, data=b"x" * 2_200_000).status_code == 413
