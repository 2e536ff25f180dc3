"""Images, description and fingerprint of a user's own survey."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from PIL import Image

from precompute.errors import SourceError
from precompute.source_description import (
    BackgroundDescription,
    ColumnDescription,
    SourceDescription,
    read_description,
    write_description,
)
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.pictures import MAX_PIXELS, read_rgb
from precompute.sources.source import Source, open_source

from .written_sources import N, embeddings, positions, write_source

# Images


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for i, name in enumerate(names):
        Image.new("RGB", (4 + i, 3), (i, 0, 0)).save(folder / name)


def widths(source: Source, rows: int) -> list[int | None]:
    """Each image's width, by which `write_images` tells them apart; None where there is none."""
    images = [source.image(row) for row in range(rows)]
    return [None if image is None else image.shape[1] for image in images]


def test_images_are_found_by_row(tmp_path: Path) -> None:
    write_source(tmp_path, positions())
    write_images(tmp_path / "images", ["000000000.png", "000000002.jpg"])
    source = open_source(tmp_path)
    assert source.has_images
    assert widths(source, 3) == [4, None, 5]


@pytest.mark.parametrize("column", ["image", "picture"])
def test_images_are_found_by_a_column_which_is_not_stored(tmp_path: Path, column: str) -> None:
    names = ["b.png", "a.png", "", "gone.png", *[None] * (N - 4)]
    told = {"image_column": column} if column == "picture" else {}
    write_source(tmp_path, {**positions(), column: pa.array(names, pa.string()), "m": np.arange(N)}, **told)
    write_images(tmp_path / "images", ["a.png", "b.png"])
    source = open_source(tmp_path)
    assert widths(source, 5) == [5, 4, None, None, None]
    assert source.column_names == ("m",)


def test_fits_cut_outs_are_found_by_id_stretched_and_shown_with_north_up(tmp_path: Path) -> None:
    ids = [f"J{i}" for i in range(N)]
    write_source(tmp_path, {**positions(), "objid": pa.array(ids)})
    (tmp_path / "images").mkdir()
    sky = np.random.default_rng(0).normal(0, 0.01, (3, 12, 10)).astype(np.float32)
    sky[:, 1, 4] = 5, 1, 9  # a star in the south
    fits.writeto(tmp_path / "images" / "J0.fits", sky[0])
    fits.writeto(tmp_path / "images" / "J2.fits.gz", sky, fits.Header({"BANDS": "grz"}))
    one, none, three = (open_source(tmp_path).image(row) for row in range(3))
    assert none is None and one is not None and three is not None
    assert one.shape == three.shape == (12, 10, 3)
    assert np.unravel_index(one[..., 0].argmax(), (12, 10)) == (10, 4) and (one[..., 0] == one[..., 2]).all()
    assert np.unique(one).size > 1 and one.max() == 255
    assert np.array_equal(three, asinh_rgb(sky)[::-1])


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    write_source(tmp_path / "source", positions())
    write_images(tmp_path / "elsewhere", ["000000000.png"])
    assert not open_source(tmp_path / "source").has_images
    assert open_source(tmp_path / "source").image(0) is None
    source = open_source(tmp_path / "source", images=tmp_path / "elsewhere")
    assert widths(source, 1) == [4]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_image_names_do_not_lead_out_of_their_folder(tmp_path: Path, name: str) -> None:
    write_source(tmp_path, {**positions(), "image": [name] * N})
    write_images(tmp_path / "images", [])
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    with pytest.raises(SourceError, match="leads out of"):
        open_source(tmp_path).image(0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_images_of_eight_bits_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (5, 3), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    image = read_rgb(tmp_path / "a.png")
    assert (image.shape, image.dtype) == ((3, 5, 3), np.uint8)
    assert (image == 255).all()


def test_an_image_keeps_its_pixels_and_orientation(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png"), pixels)


def test_unreadable_images_are_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.png cannot be read as an image"):
        read_rgb(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(SourceError, match=r"text\.png cannot be read as an image"):
        read_rgb(tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"cut\.png cannot be read as an image"):
        read_rgb(tmp_path / "cut.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    with pytest.raises(SourceError, match=r"a\.gif cannot be read as an image"):
        read_rgb(tmp_path / "a.gif")


def test_an_image_of_sixteen_bits_is_shown_in_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_rgb(tmp_path / "deep.png") == round(40_000 / 257)).all()


@pytest.mark.parametrize(
    ("side", "match"),
    [(4097, "4097 × 4097 pixels; at most"), (10_000, "decompression bomb"), (14_000, "decompression bomb")],
)
def test_images_that_would_fill_the_memory_are_refused_unread(tmp_path: Path, side: int, match: str) -> None:
    assert side * side > MAX_PIXELS
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(SourceError, match=match):
        read_rgb(tmp_path / "bomb.png")


# Description and fingerprint


def test_a_description_survives_being_written(tmp_path: Path) -> None:
    description = SourceDescription(
        name="x",
        id_columns=("a", "b"),
        columns={"a": ColumnDescription("mag", "phot.mag", "é", -99, True)},
        sky_background=BackgroundDescription("sky.png", 1, 2, 3, 4),
    )
    write_description(tmp_path, description)
    assert read_description(tmp_path) == description
    assert msgspec.json.decode((tmp_path / "source.json").read_bytes())["columns"]["a"]["missing"] == -99


def test_the_fingerprint_is_stable_and_follows_every_input(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "a", {**positions(), "objid": np.arange(N), "v": list(embeddings())}, name="x")
    first = open_source(folder).fingerprint()
    assert open_source(folder).fingerprint() == first
    assert open_source(folder, embeddings="v").fingerprint() != first
    assert open_source(folder, id_columns=("objid",)).fingerprint() != first
    seen = {first}

    def changed() -> bool:
        fingerprint = open_source(folder).fingerprint()
        is_new = fingerprint not in seen
        seen.add(fingerprint)
        return is_new

    write_description(folder, SourceDescription(name="y"))
    assert changed()
    np.save(folder / "embeddings.npy", embeddings(N, 7))
    assert changed()
    table = pq.read_table(folder / "catalog.parquet")
    pq.write_table(table.append_column("new", [np.arange(N)]), folder / "catalog.parquet")
    assert changed()
    write_images(folder / "images", ["000000000.png"])
    assert changed()
    assert not changed()


def test_opening_reads_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_source(tmp_path, {**positions(), "word": ["a"] * N})

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(pq.ParquetFile, "read", fail)
    monkeypatch.setattr(pa_csv, "read_csv", fail)
    assert open_source(tmp_path).fingerprint()
