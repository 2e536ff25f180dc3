"""The cone search, as pyvo and whoever asks it wrongly meet it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from flask import Flask
from pyvo.dal import DALQueryError, SCSResults, SCSService
from werkzeug.serving import make_server

from atlas import Atlas
from dashboard.app import create_app
from dashboard.settings import load

# Around a galaxy near RA 0, near the pole of the survey, and anywhere.
PLACES = ("seam", "north", "first")


@pytest.fixture(scope="module")
def server(small_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    settings = load({}, atlas=str(small_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"),
                    cone_search_rows="50", cone_search_deg="20")  # fmt: skip
    return create_app(settings=settings).server


@pytest.fixture(scope="module")
def service(server: Flask) -> Iterator[SCSService]:
    listening = make_server("127.0.0.1", 0, server, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield SCSService(f"http://127.0.0.1:{listening.server_port}/scs?")
    listening.shutdown()
    thread.join()
    listening.server_close()


def place_of(atlas: Atlas, place: str) -> int:
    ra, dec = (np.asarray(atlas.columns().array(name)) for name in ("ra", "dec"))
    return {"seam": int(np.argmin(np.minimum(ra, 360 - ra))), "north": int(np.argmax(dec)), "first": 0}[place]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("verbosity", [1, 2, 3])
def test_pyvo_finds_what_astropy_finds(service: SCSService, small: Atlas, place: str, verbosity: int) -> None:
    columns, row = small.columns(), place_of(small, place)
    sky = SkyCoord(*(np.asarray(columns.array(name)) for name in ("ra", "dec")), unit="deg")
    away = sky.separation(sky[row])
    radius = np.sort(away)[30] + 0.001 * u.arcsec
    found = service.search(pos=sky[row], radius=radius, verbosity=verbosity)
    expected = np.argsort(away)[:31]
    assert [record.id for record in found] == small.identity.names(expected)
    assert found[0].pos.separation(sky[row]) < 1e-6 * u.arcsec
    np.testing.assert_allclose(found["separation"], away[expected].arcsec, atol=1e-6)
    assert found.to_table()["separation"].unit == u.arcsec and found.status[0] == "OK"
    if verbosity == 3:
        assert {column.name for column in columns} < set(found.fieldnames)


def test_no_more_rows_come_than_are_allowed_and_it_is_told(service: SCSService, small: Atlas) -> None:
    ra, dec = small.position(0)
    for wanted, more in ((50, {}), (3, {"MAXREC": 3})):
        found = service.search(pos=(ra, dec), radius=20.0, **more)
        assert len(found) == wanted and (np.diff(found["separation"]) >= 0).all()
        status = [info.value for info in found.votable.resources[0].infos if info.name == "QUERY_STATUS"]
        assert status == ["OVERFLOW"]


@pytest.mark.parametrize("radius", [0.0, 1e-7])
def test_no_galaxy_is_a_table_with_columns(service: SCSService, radius: float) -> None:
    found = service.search(pos=(200.0, -89.9999), radius=radius)
    assert len(found) == 0 and {"id", "ra", "dec"} < set(found.fieldnames)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "RA is missing"),
        ("RA=10&DEC=10", "SR is missing"),
        ("RA=x&DEC=10&SR=1", "RA is 'x': expected a number"),
        ("RA=nan&DEC=10&SR=1", "RA is nan: allowed is -180 to 360"),
        ("RA=10&DEC=91&SR=1", "DEC is 91: allowed is -90 to 90"),
        ("RA=10&DEC=10&SR=21", "up to 20 degrees"),
        ("RA=10&DEC=10&SR=-1", "allowed is 0 to 180"),
        ("RA=10&DEC=10&SR=1&VERB=4", "allowed is 1 to 3"),
        ("RA=10&DEC=10&SR=1&MAXREC=-1", "MAXREC is -1"),
        ("RA=10&DEC=10&SR=1&ra=11", "RA is given twice"),
        ("RA=10&DEC=10&SR=1&MAXREC=1e400", "MAXREC"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_votable(server: Flask, query: str, told: str) -> None:
    response = server.test_client().get(f"/scs?{query}")
    assert response.status_code == 200 and response.mimetype == "application/x-votable+xml"
    with pytest.raises(DALQueryError, match=told):
        SCSResults(parse(io.BytesIO(response.data)))


def test_names_of_parameters_are_of_any_case(server: Flask, small: Atlas) -> None:
    ra, dec = small.position(0)
    response = server.test_client().get("/scs", query_string={"ra": ra, "Dec": dec, "sr": 1e-6, "unknown": 1})
    assert small.identity.name(0).encode() in response.data and b"survey" in response.data
