"""Downloads: the same galaxies, in the same order, in every format, with where they came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table as AstropyTable
from flask.testing import FlaskClient
from mocpy import MOC
from msgspec.structs import replace
from regions import Regions

from atlas import Atlas, Range
from atlas.errors import InputError
from atlas.exports.contents import provenance
from atlas.exports.formats import FORMATS
from atlas.queries.planner import settings_of
from atlas.queries.query import receipt
from dashboard.app import create_app
from dashboard.service import export
from dashboard.service.galaxies import galaxy
from dashboard.service.gallery_query import question_of
from dashboard.settings import load
from dashboard.state.page_state import State, Table
from dashboard.state.url import to_token
from dashboard.views import drawers

# Units are written as the survey has them, whether FITS knows them (% it does not) or not.
pytestmark = pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
TABLES = ("ecsv", "parquet", "fits", "vot")


@pytest.fixture(scope="module")
def client(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    yield create_app(settings=settings).server.test_client()


def test_a_download_begins_with_a_few_rows_and_holds_all_once(
    client: FlaskClient, demo: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, pages = [], export._pages
    monkeypatch.setattr(export, "_pages", lambda listing: (made.append(1) or page for page in pages(listing)))
    response = client.get(f"/export/{demo.build_id}.csv", query_string={"s": to_token(State())}, buffered=False)
    assert len(made) == 1, "the rest is made as it is read"
    parts = [part.decode() for part in response.iter_encoded()]
    lines = [line for line in "".join(parts).splitlines() if not line.startswith("#")]
    assert len(lines) == 1 + demo.n_rows == 1 + len({line.split(",")[0] for line in lines[1:]})
    assert parts[0].count("\n") < 400 < demo.n_rows, "who asks for much sees it begin"


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_holds_the_selection_and_names_its_question(
    client: FlaskClient, demo: Atlas, kind: str, tmp_path: Path
) -> None:
    state = State(focus=galaxy(demo, 5), filters=(Range("snr", 100.0),))
    query = question_of(demo, state).query
    assert query is not None
    asked = receipt(demo.build_id, query, settings_of(query))
    response = client.get(f"/export/{demo.build_id}.{kind}", query_string={"s": to_token(state)})
    assert response.status_code == 200 and response.mimetype == FORMATS[kind].mime
    name = f"galaxies-{demo.build_id}-{asked}{FORMATS[kind].ending}"
    assert name in response.headers["Content-Disposition"]
    path = tmp_path / name
    path.write_bytes(response.data)
    rows = np.flatnonzero(np.asarray(demo.columns().array("snr")) >= 100)
    ra, dec = (np.asarray(demo.columns().array(c))[rows] for c in ("ra", "dec"))
    if kind == "moc":
        assert MOC.from_fits(str(path)).max_order == 11
    elif kind == "reg":
        told = sorted((one.center.ra.deg, one.center.dec.deg) for one in Regions.read(path))
        np.testing.assert_allclose(told, sorted(zip(ra, dec, strict=True)), atol=1e-8)
    elif kind in TABLES:
        table = AstropyTable.read(path)
        assert set(table["id"].astype(str)) == set(demo.identity.names(rows))
        assert (np.diff(table["similarity"]) <= 0).all() and table["similarity"][0] == pytest.approx(1, abs=1e-3)
        assert str(table["ra"].unit) == "deg" and set(demo.columns()._described) < set(table.colnames)
    for told in (asked, demo.build_id, demo.manifest.provenance.survey):
        assert told.encode() in response.data.replace(b"\n", b"").replace(b"#     ", b" ")


def test_a_table_leaves_as_it_stands_whatever_is_in_sight(client: FlaskClient, demo: Atlas, tmp_path: Path) -> None:
    state = State(table=Table(("snr",), "snr", True))
    address = f"/export/{demo.build_id}.fits"
    for one, what in ((replace(state, listing="table"), {}), (state, {"what": "table"})):
        response = client.get(address, query_string={"s": to_token(one), **what})
        (tmp_path / "table.fits").write_bytes(response.data)
        table = AstropyTable.read(tmp_path / "table.fits")
        assert table.colnames == ["id", "snr"] and (np.diff(table["snr"]) <= 0).all() and len(table) == demo.n_rows
    # Regions need positions, which this table does not show.
    regions = client.get(f"/export/{demo.build_id}.reg", query_string={"s": to_token(state), "what": "table"})
    assert regions.data.count(b"point(") == demo.n_rows


@pytest.mark.parametrize("wrong", ["export/{}.docx?s=", "export/{}.fits?s=&what=all", "export/{}.fits"])
def test_what_cannot_be_downloaded_is_said_in_a_sentence(client: FlaskClient, demo: Atlas, wrong: str) -> None:
    response = client.get("/" + wrong.format(demo.build_id))
    assert response.status_code == 400 and 5 < len(response.get_json()["error"]) < 200


def test_a_notebook_saves_what_it_found(demo: Atlas, tmp_path: Path) -> None:
    found = demo.similar(rows=5, k=20)
    found["note"] = "=looked at"
    for ending in (".fits", ".vot", ".parquet", ".ecsv"):
        found.save(tmp_path / f"found{ending}")
        table = AstropyTable.read(tmp_path / f"found{ending}")
        assert table["id"].astype(str).tolist() == demo.identity.names(found.index.to_numpy())
        np.testing.assert_array_equal(table["similarity"], found["similarity"])
        assert str(table["ra"].unit) == "deg" and table["note"][0] == "=looked at"
        assert found.receipt.encode() in (tmp_path / f"found{ending}").read_bytes()
    found[["note"]].save(tmp_path / "found.reg")
    assert len(Regions.read(tmp_path / "found.reg")) == 20
    with pytest.raises(InputError, match="known endings"):
        found.save(tmp_path / "found.doc")
    with pytest.raises(InputError, match="index is the row"):
        found.reset_index().save(tmp_path / "found.fits")
    assert not (tmp_path / "found.doc").exists()


def test_what_to_cite_stands_on_the_page_and_in_every_table(demo: Atlas) -> None:
    cited = "@article{a, title = {Deep &\n  wide}}"
    credited = replace(demo.manifest, provenance=replace(demo.manifest.provenance, bibtex=cited))
    assert provenance(credited)["bibtex"] == "@article{a, title = {Deep & wide}}"
    assert "bibtex" not in provenance(demo.manifest)
    seen = json.dumps(drawers.about(Atlas(demo.build, credited)), default=lambda part: part.to_plotly_json())
    for told in (cited, demo.manifest.provenance.acknowledgement, demo.manifest.provenance.licence):
        assert json.dumps(told)[1:-1] in seen
