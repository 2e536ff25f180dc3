"""FITS images of galaxies out of HDF5 chunks: astropy reads every pixel and the position back; what fails is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from flask.testing import FlaskClient
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas
from atlas.errors import InputError
from atlas.exports import image_chunk_index, image_chunks
from atlas.exports.band_image import BandImages
from atlas.exports.image_chunks import ImageChunks, ImagedGalaxy
from atlas.storage.manifest import StageRecord, Thumbnails
from dashboard.app import create_app
from dashboard.service.galaxies import banded, galaxy
from dashboard.settings import load
from dashboard.state.page_state import State
from dashboard.views.details import panel
from tests.unit.layouts import PIXELS, survey_columns, survey_images, write_chunks

N = 60


def columns_of(atlas: Atlas, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    own = atlas.columns(atlas.default_space)
    return {name: np.asarray(own.array(name)[rows]) for name in ("objid", "ra", "dec")}


@pytest.fixture(scope="module")
def rows(demo: Atlas) -> NDArray[Any]:
    """Galaxies of the chunks, in an order that is not the atlas's."""
    return np.random.default_rng(4).permutation(demo.n_rows)[:N]


@pytest.fixture(scope="module")
def folder(demo: Atlas, rows: NDArray[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chunks")
    write_chunks(folder / "south", columns_of(demo, rows), (0, 7, 8, N), survey_images(N))
    return folder


@pytest.fixture(scope="module")
def client(demo_path: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return client_of(demo_path, folder, tmp_path_factory.mktemp("server"))


def client_of(atlas: Path, place: Path, own: Path) -> FlaskClient:
    dirs = {f"{name}_dir": str(own / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(atlas), labels=str(own / "labels.sqlite"), fits_images=str(place), **dirs)
    return create_app(settings=settings).server.test_client()


def opened(data: bytes) -> tuple[fits.Header, NDArray[Any]]:
    with fits.open(io.BytesIO(data)) as hdus:
        hdus.verify("exception")
        return hdus[0].header, hdus[0].data


def fits_of(images: ImageChunks, one: ImagedGalaxy) -> int | None:
    """The row of a galaxy in its chunk."""
    found = images.read(one)
    return None if found is None else found.row


def test_pixels_bands_and_position_are_those_of_the_chunk(client: FlaskClient, demo: Atlas, rows: NDArray[Any]) -> None:
    for at in (0, 6, 7, 8, N - 1):
        answer = client.get(f"/bands/{demo.build_id}/{rows[at]}.fits")
        assert answer.status_code == 200 and answer.mimetype == "application/fits"
        header, planes = opened(answer.data)
        assert np.array_equal(planes, survey_images(N)[at])
        middle = (PIXELS - 1) / 2
        wcs = WCS(header).celestial
        centre = wcs.pixel_to_world(middle, middle)
        assert centre.separation(SkyCoord(*demo.position(int(rows[at])), unit="deg")) < 1e-3 * u.arcsec
        above, right = (wcs.pixel_to_world(middle + x, middle + y) for x, y in ((0, 1), (1, 0)))
        assert centre.separation(above).arcsec == pytest.approx(0.262, rel=1e-4)
        assert above.dec > centre.dec and right.ra < centre.ra
        assert [header[f"BAND{i}"] for i in (1, 2, 3)] == ["g", "r", "z"] and header["BUNIT"] == "nanomaggy"
        assert "WCS assumed" in str(header["COMMENT"]) and "unit assumed" in str(header["COMMENT"])
        assert header["GALAXY"] == demo.identity.name(int(rows[at])) and header["BUILD"] == demo.build_id
        assert header["FOUNDBY"] == "id" and header["CHUNK"].startswith("images_npix152")


def test_a_galaxy_that_no_chunk_has_is_said(client: FlaskClient, demo: Atlas, rows: NDArray[Any]) -> None:
    missing = next(row for row in range(demo.n_rows) if row not in rows)
    answer = client.get(f"/bands/{demo.build_id}/{missing}.fits")
    assert answer.status_code == 400 and "has no FITS image of galaxy" in answer.json["error"]


def test_details_offer_what_is_there_once_the_index_is(
    demo: Atlas, rows: NDArray[Any], folder: Path, tmp_path: Path
) -> None:
    images = BandImages(folder, tmp_path)

    def seen(row: int) -> str:
        found = panel(demo, State(focus=galaxy(demo, row)), bands=images)
        return json.dumps(found, default=lambda part: part.to_plotly_json())

    missing = next(row for row in range(demo.n_rows) if row not in rows)
    assert "/bands/" in seen(missing)  # nobody knows yet, and the details do not wait for an index
    images.image(banded(demo, int(rows[3])), demo.manifest)
    assert f"/bands/{demo.build_id}/{rows[3]}.fits" in seen(int(rows[3]))
    assert "no FITS image" in seen(missing) and "/bands/" not in seen(missing)


def test_the_position_tells_where_chunks_have_no_ids(
    demo: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_chunk_index, "PART_ROWS", 7)  # several parts a chunk
    ra = np.array([10.0, 10.0 + 0.5 / 3600, 20.0, 359.99995, *np.linspace(30, 50, 16)])
    dec = np.array([5.0, 5.0, 5.0, -89.9, *np.linspace(-3, 3, 16)])
    write_chunks(tmp_path, {"ra": ra, "dec": dec}, (0, 20), survey_images(20))
    images = ImageChunks(tmp_path, tmp_path / "scratch", ("objid",))
    for row in range(20):
        one = ImagedGalaxy("x", {"objid": "1"}, ra[row] + 0.1 / 3600, dec[row])
        assert fits_of(images, one) == row, row
    over = ImagedGalaxy("x", {"objid": "1"}, 0.00005, -89.9)  # across RA 0, 0.6″ away so near to the pole
    assert fits_of(images, over) == 3
    assert fits_of(images, ImagedGalaxy("x", {"objid": "1"}, 10.001, 5.0)) is None


def test_ids_of_several_columns_of_text_and_of_19_digits_tell(tmp_path: Path) -> None:
    survey = survey_columns(20)
    survey["objid"] %= 5  # numbers within a brick
    write_chunks(tmp_path / "a", survey, (0, 20), survey_images(20))
    images = ImageChunks(tmp_path / "a", tmp_path / "scratch", ("release", "brickid", "objid"))
    for row in range(20):
        ids = {name: str(survey[name][row]) for name in ("release", "brickid", "objid")}
        assert fits_of(images, ImagedGalaxy("x", ids, survey["ra"][row], survey["dec"][row])) == row
    digits = {"source_id": np.array([2**62 + 1, 2**62 + 2, 2**64 - 1], np.uint64)}
    texts = {"name": np.array([b"NGC 1", b"NGC 10 ", b"\xc3\x84"])}
    for place, columns in (("b", digits), ("c", texts)):
        write_chunks(tmp_path / place, columns, (0, 3), survey_images(3))
        (column,) = columns
        images = ImageChunks(tmp_path / place, tmp_path / "scratch", (column,))
        written = ["NGC 1", "NGC 10", "Ä"] if place == "c" else [str(v) for v in digits["source_id"]]
        assert [fits_of(images, ImagedGalaxy("x", {column: one}, 0, 0)) for one in written] == [0, 1, 2]
        assert fits_of(images, ImagedGalaxy("x", {column: "no such"}, 0, 0)) is None


@pytest.mark.parametrize(("said", "bands"), [(0.168, 3), (None, 3), (None, 5)])
def test_the_scale_is_what_the_file_or_the_source_says(
    demo: Atlas, rows: NDArray[Any], tmp_path: Path, said: float | None, bands: int
) -> None:
    images = np.repeat(survey_images(N)[:, :1], bands, axis=1)
    write_chunks(tmp_path, columns_of(demo, rows), (0, N), images)
    if said is not None:
        with h5py.File(next(tmp_path.glob("*.h5")), "r+") as file:
            file["images"].attrs["pixel_scale"] = said
    known = replace(
        demo.manifest,
        thumbnails=Thumbnails(pixels=96, present=1, scale_arcsec=0.05, up_deg=0),
        stages=(StageRecord(name="thumbnails", key="", seconds=0, peak_mib=0, measured={"source_pixels": PIXELS}),),
    )
    made, one = BandImages(tmp_path, tmp_path / "scratch"), banded(demo, int(rows[2]))
    header, planes = opened(made.image(one, known))
    scale = WCS(header).celestial.proj_plane_pixel_scales()[1].to_value("arcsec")
    assert scale == pytest.approx(said or 0.05 * 96 / PIXELS) and len(planes) == bands
    header, _ = opened(made.image(one, demo.manifest))  # a picture of another size says nothing of these
    assert WCS(header).has_celestial == (bands == 3) and ("BAND1" in header) == (bands == 3)


def test_damage_and_mismatch_are_said(demo_path: Path, demo: Atlas, rows: NDArray[Any], tmp_path: Path) -> None:
    columns = columns_of(demo, rows)
    folder = tmp_path / "chunks"
    write_chunks(folder, columns, (0, 20, 40, N), survey_images(N))
    first, second, third = sorted(folder.iterdir())
    first.write_bytes(first.read_bytes()[:5_000])
    with h5py.File(second, "r+") as file:
        file["dec"][3] += 1.0  # the id of one galaxy at the place of another
    with h5py.File(folder / "few.h5", "w") as file:
        file["images"], file["ra"] = survey_images(4), np.zeros(3)
    with h5py.File(folder / "other.h5", "w") as file:
        file["spectra"] = np.zeros(3)
    (folder / "text.h5").write_text("no HDF5")
    client = client_of(demo_path, folder, tmp_path / "own")

    def said(at: int) -> str:
        answer = client.get(f"/bands/{demo.build_id}/{rows[at]}.fits")
        assert answer.status_code in (200, 400)
        return "" if answer.status_code == 200 else str(answer.json["error"])

    assert "no chunk that can be read has an image" in said(2) and f"{first.name} cannot be read" in said(2)
    assert "few.h5 holds 4 images and 3 values of ra" in said(2) and "text.h5 cannot be read" in said(2)
    assert "holds another galaxy under the id" in said(23) and said(24) == "" and said(45) == ""
    third.write_bytes(third.read_bytes()[:-900])
    assert "has changed since this server looked at it" in said(45)
    third.unlink()
    assert "no longer where" in said(45) and "/" not in said(45)


def test_a_damaged_block_and_a_large_image_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "images_npix152_000000000_000000010.h5"
    ids = [ImagedGalaxy(str(i), {"objid": str(i)}, 1, 1) for i in range(10)]
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", data=survey_images(10), chunks=(1, 3, PIXELS, PIXELS), compression=1)
        file["objid"] = np.arange(10)
        at = images.id.get_chunk_info(4).byte_offset
    data = bytearray(path.read_bytes())
    data[at + 2 : at + 400] = bytes(398)
    path.write_bytes(data)
    chunks = ImageChunks(path, tmp_path / "scratch", ("objid",))
    assert fits_of(chunks, ids[3]) == 3
    with pytest.raises(InputError, match="damaged where galaxy 4 should be"):
        chunks.read(ids[4])
    monkeypatch.setattr(image_chunks, "MAX_BLOCK_BYTES", 1_000)
    with pytest.raises(InputError, match="blocks that are too large"):
        chunks.read(ids[3])
    monkeypatch.setattr(image_chunks, "MAX_VALUES", 100)
    with pytest.raises(InputError, match="too large: allowed are"):
        chunks.read(ids[3])


def test_the_index_is_made_once_and_again_where_it_is_lost(
    demo: Atlas, rows: NDArray[Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, calls = banded(demo, int(rows[5])), []
    write = image_chunk_index.write_chunk_index
    monkeypatch.setattr(image_chunk_index, "write_chunk_index", lambda *a: (calls.append(1), write(*a)))
    for _ in range(2):
        assert BandImages(folder, tmp_path).image(one, demo.manifest)
    assert len(calls) == 1
    (made,) = (tmp_path / "images").iterdir()
    (made / "keys.npy").write_bytes(b"damaged")
    assert BandImages(folder, tmp_path).image(one, demo.manifest) and len(calls) == 2


def test_one_chunk_may_be_named_and_no_other_file(demo_path: Path, demo: Atlas, folder: Path, tmp_path: Path) -> None:
    chunk = max((folder / "south").iterdir())
    assert client_of(demo_path, chunk, tmp_path).get(f"/bands/{demo.build_id}/9999999.fits").status_code == 400
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"allowed is a folder, or a file that ends with \.h5 or \.hdf5"):
        load({}, atlas=str(demo_path), fits_images=str(tmp_path / "a.txt"))
