"""A folder of pictures becomes a source, whatever the pictures are like and however often the work is interrupted."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from atlas.errors import InputError
from precompute.__main__ import main
from precompute.descriptor.sky_level import ImageFloats
from precompute.embedding.embed import EMBEDDED, ODD, Embedded, embed
from precompute.embedding.encoder import DescriptorEncoder
from precompute.embedding.picture_set import find_pictures, pictures_of_catalog
from precompute.errors import SourceError
from precompute.source_description import PARTIAL, read_description
from precompute.sources.source import open_source

N, EDGE = 40, 32


def galaxy(seed: int, edge: int = EDGE) -> np.ndarray:
    """A blob on a noisy sky, (edge, edge, 3), uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:edge, :edge] - (edge - 1) / 2
    width, ratio = rng.uniform(2, 5), rng.uniform(0.4, 1)
    light = rng.uniform(80, 180) * np.exp(-(x**2 + (y / ratio) ** 2) / (2 * width**2))
    image = light[..., None] * rng.uniform(0.6, 1, 3) + rng.normal(20, 3, (edge, edge, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures, half of them in a subfolder."""
    (tmp_path / "images" / "more").mkdir(parents=True)
    for i in range(N):
        Image.fromarray(galaxy(i)).save(tmp_path / "images" / ("more" if i % 2 else ".") / f"g{i:02d}.png")
    return tmp_path / "images"


def made(folder: Path, out: Path, **parameters: int) -> Embedded:
    return embed(find_pictures(folder), out, DescriptorEncoder(16), threads=1, quiet=True, **parameters)


def embeddings(out: Path) -> np.ndarray:
    return np.load(out / "embeddings.npy")


def odd(out: Path) -> dict[str, str]:
    with (out / ODD).open(newline="") as f:
        return {Path(row["picture"]).name: row["what"] for row in csv.DictReader(f)}


def test_every_picture_of_a_folder_becomes_a_row_named_by_its_file(folder: Path, tmp_path: Path) -> None:
    result = made(folder, tmp_path / "out")
    assert (result.n_rows, result.dimension, result.has_positions) == (N, 16, False)
    assert embeddings(tmp_path / "out").shape == (N, 16) and odd(tmp_path / "out") == {}
    table = pq.read_table(tmp_path / "out" / "catalog.parquet")
    assert sorted(table["id"].to_pylist()) == [f"g{i:02d}" for i in range(N)]
    assert {"artefact", "blank_share", "sky_noise"} <= set(table.column_names) and "ra" not in table.column_names
    assert not (tmp_path / "out" / PARTIAL).exists()


def write_odd(folder: Path) -> dict[str, str]:
    """One picture of each kind that tools write; returns what is to be told of each."""
    rgb = galaxy(100)
    grey = Image.fromarray(rgb[..., 0])
    grey.save(folder / "grey.jpg")
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    alpha = np.dstack([rgb, np.full((EDGE, EDGE), 255, np.uint8)])
    alpha[:4, :, 3] = 0
    Image.fromarray(alpha).save(folder / "alpha.png")
    Image.fromarray(np.hstack([rgb, rgb])).save(folder / "wide.png")
    Image.fromarray(galaxy(101, 2 * EDGE)).save(folder / "large.png")
    Image.new("RGB", (EDGE, EDGE), (9, 9, 9)).save(folder / "blank.png")
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "large.png").read_bytes()[:900])
    return {
        "grey.jpg": "have one band", "deep.png": "have 16 bits", "alpha.png": "transparent parts",
        "wide.png": "not square", "large.png": "another size", "blank.png": "are blank",
        "text.png": "cannot be read", "cut.png": "cannot be read",
    }  # fmt: skip


def test_odd_pictures_are_counted_and_named_and_never_a_stop(folder: Path, tmp_path: Path) -> None:
    expected = write_odd(folder)
    result = made(folder, tmp_path / "out")
    assert result.n_rows == N + len(expected) - 2
    told = odd(tmp_path / "out")
    assert told.keys() == expected.keys()
    assert all(what in told[name] for name, what in expected.items())
    assert any("2 of 48 pictures cannot be read and are left out: cut.png, text.png" in note for note in result.notes)
    table = pq.read_table(tmp_path / "out" / "catalog.parquet").to_pandas().set_index("id")
    assert table.blank_share["alpha"] == pytest.approx(4 / EDGE, abs=0.02) and table.blank_share["g00"] == 0
    assert np.isfinite(embeddings(tmp_path / "out")).all()
    # The same galaxy is near itself, however its file was written.
    rows = dict(zip(table.index, embeddings(tmp_path / "out"), strict=True))
    assert rows["deep"] @ rows["grey"] > 0.8


class Interrupted(Exception):
    pass


class Stopping(DescriptorEncoder):
    """Stops before a block, as a kill would; counts the pictures that it measured."""

    def __init__(self, after: int) -> None:
        super().__init__(16)
        self.left, self.measured = after, 0

    def measure(self, pictures: ImageFloats) -> ImageFloats:
        if self.left == 0:
            raise Interrupted
        self.left -= 1
        self.measured += len(pictures)
        return super().measure(pictures)


def test_what_was_measured_before_an_interruption_is_not_measured_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder, tmp_path / "whole")
    monkeypatch.setattr("precompute.embedding.embed.MAX_BLOCK", 8)
    pictures, out = find_pictures(folder), tmp_path / "out"
    first, second = Stopping(2), Stopping(-1)
    with pytest.raises(Interrupted):
        embed(pictures, out, first, threads=1, quiet=True)
    with pytest.raises(SourceError, match="never finished"):
        open_source(out)
    embed(pictures, out, second, threads=1, quiet=True)
    # At the end all are measured once more, as they are and in each of five alterations.
    assert (first.measured, second.measured) == (16, N - 16 + 6 * N)
    told = read_description(out).invariance
    assert told == read_description(tmp_path / "whole").invariance and told["turned"] > 0.9
    assert embeddings(out).tobytes() == embeddings(tmp_path / "whole").tobytes()
    # Once it is whole, the same command does nothing, even if it was killed while it tidied up; another picture is a
    # reason to begin anew.
    (out / PARTIAL).mkdir()
    third, fourth = Stopping(-1), Stopping(-1)
    embed(pictures, out, third, threads=1, quiet=True)
    assert not (out / PARTIAL).exists()
    Image.fromarray(galaxy(99)).save(folder / "new.png")
    embed(find_pictures(folder), out, fourth, threads=1, quiet=True)
    assert (third.measured, fourth.measured) == (0, 7 * (N + 1))


@pytest.mark.parametrize("name", [lambda i: f"{i:09d}", lambda i: f"n-{i}"], ids=["by row", "by id"])
def test_a_catalogue_brings_positions_and_keeps_its_columns(tmp_path: Path, name: Callable[[int], str]) -> None:
    images = tmp_path / "pictures"
    images.mkdir()
    for i in range(0, N, 2):
        Image.fromarray(galaxy(i)).save(images / f"{name(i)}.png")
    ra = np.linspace(10, 11, N)
    table = pa.table(
        {"objid": [f"n-{i}" for i in range(N)], "ra": ra, "dec": ra - 20, "big": np.arange(N) + 2**60, "artefact": ra}
    )
    pq.write_table(table, tmp_path / "catalog.parquet")
    pictures = pictures_of_catalog(images, tmp_path / "catalog.parquet", ("objid",))
    result = embed(pictures, tmp_path / "out", DescriptorEncoder(16), threads=1, quiet=True)
    assert result.n_rows == N // 2 and f"{N // 2} rows of the catalogue have no picture" in result.notes[-1]
    written = pq.read_table(tmp_path / "out" / "catalog.parquet")
    assert written.select(table.column_names).equals(table.take(np.arange(0, N, 2)))
    source = open_source(tmp_path / "out")
    assert source.n_rows == N // 2 and source.check().id_columns == ("objid",)
    assert np.array_equal(source.image(3), np.asarray(Image.open(images / f"{name(6)}.png")))


def write_cutout(path: Path, seed: int, ra: float, dec: float) -> None:
    """A cut-out in g, r, z as the Legacy Surveys serve it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [ra, dec], [-7e-5, 7e-5]
    wcs.wcs.crpix = [(EDGE + 1) / 2] * 2
    header = wcs.to_header()
    header["BANDS"] = "grz"
    planes = galaxy(seed).astype(np.float32).transpose(2, 0, 1)[::-1, ::-1] / 1000
    fits.writeto(path, planes * np.array([0.2, 0.5, 1], np.float32)[:, None, None], header)


def test_cutouts_in_fits_bring_their_positions_and_are_seen(tmp_path: Path) -> None:
    images = tmp_path / "cutouts"
    images.mkdir()
    for i in range(N):
        write_cutout(images / f"c{i:02d}.fits", i, 150 + i / 100, 2.5)
    result = made(images, tmp_path / "out")
    assert result.has_positions and result.notes == ()
    source = open_source(tmp_path / "out")
    checked = source.check()
    np.testing.assert_allclose(checked.ra_deg, 150 + np.arange(N) / 100, atol=1e-9)
    image = source.image(0)
    assert image is not None and image.shape == (EDGE, EDGE, 3)
    # North is up: the first row of the file is the last of the picture.
    assert np.corrcoef(image.mean(axis=2).ravel(), galaxy(0).mean(axis=2).ravel())[0, 1] > 0.9


def test_cutouts_that_do_not_say_where_they_are_are_embedded_too(tmp_path: Path) -> None:
    images = tmp_path / "cutouts"
    images.mkdir()
    for i in range(N // 2):
        write_cutout(images / f"c{i:02d}.fits", i, 150, 2.5)
        fits.writeto(images / f"d{i:02d}.fits", galaxy(i).astype(np.float32).transpose(2, 0, 1))
    result = made(images, tmp_path / "out")
    assert result.n_rows == N and not result.has_positions and np.isfinite(embeddings(tmp_path / "out")).all()
    ra = pq.read_table(tmp_path / "out" / "catalog.parquet")["ra"].to_numpy()
    assert np.isfinite(ra).tolist() == [True] * (N // 2) + [False] * (N // 2)


def test_a_folder_of_something_else_is_not_written_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        made(folder, tmp_path / "mine")
    assert not (tmp_path / "mine" / EMBEDDED).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--out", "out"), "nowhere is not a folder of images"),
        (("empty", "--out", "out"), "empty holds no picture (.png"),
        (("empty", "--out", "out", "--pixels", "7"), "--pixels is 7: allowed is 24 to 1024"),
        (("empty", "--out", "out", "--id", "x"), "--id names columns of --catalog"),
        (("empty", "--out", "out", "--model", "m.onnx", "--dimension", "8"), "--dimension is the descriptor's"),
        (("empty", "--out", "out", "--catalog", "empty"), "give the catalogue itself"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert main(["embed", *arguments]) == 1
    assert said in capsys.readouterr().err
