"""Images in the HDF5 chunks of the reference survey are embedded as they lie, and `build` reads what comes out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from precompute.embedding.embed import embed
from precompute.embedding.encoder import DescriptorEncoder
from precompute.embedding.picture_set import find_pictures
from precompute.errors import SourceError
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.source import open_source
from tests.unit.layouts import UNEVEN, N, numbered, survey_columns, write_chunks, write_representations

from .test_embed import EDGE, Interrupted, Stopping, galaxy

BLANK, UNREADABLE = 9, 40


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Galaxies in g, r, z nanomaggies, rows from south to north; one of nothing."""
    planes = np.stack([galaxy(i) for i in range(N)]).astype(np.float32).transpose(0, 3, 1, 2)[:, ::-1, ::-1] / 1000
    planes = planes * np.array([0.2, 0.5, 1], np.float32)[:, None, None]
    planes[BLANK] = 0
    return planes


@pytest.fixture
def chunks(tmp_path: Path, images: np.ndarray) -> Path:
    write_chunks(tmp_path / "chunks" / "south", survey_columns(), UNEVEN, images)
    return tmp_path / "chunks"


def test_chunks_become_a_source_with_all_of_their_columns_and_images(
    chunks: Path, images: np.ndarray, tmp_path: Path
) -> None:
    # Embeddings of another make beside the chunks are not taken for ours.
    write_representations(chunks, np.ones((N, 3), np.float32), (0, N))
    out = tmp_path / "out"
    result = embed(find_pictures(chunks), out, DescriptorEncoder(16), threads=2, quiet=True)
    assert (result.n_rows, result.dimension, result.has_positions) == (N, 16, True)
    assert result.notes == (f"1 of {N} pictures are blank: row {BLANK}",)
    source = open_source(out)
    assert np.array_equal(source.check().ra_deg, survey_columns()["ra"]) and source.n_rows == N
    shown = source.image(37)
    assert shown is not None and np.array_equal(shown, asinh_rgb(images[37])[::-1])
    # Each row is of its own image: bands reddest first and of one brightness, north up.
    heights = np.percentile(images, 99, axis=(2, 3)) - np.median(images, axis=(2, 3))
    middle = np.median(heights, axis=0)
    seen = (images * (middle.max() / middle)[:, None, None])[:, ::-1, ::-1].transpose(0, 2, 3, 1)
    encoder = DescriptorEncoder(16)
    measured = encoder.measure(np.ascontiguousarray(seen, dtype=np.float32))
    expected = encoder.fit(measured)(measured)
    similarity = (expected * np.load(out / "embeddings.npy")).sum(axis=1)
    assert np.delete(similarity, BLANK).min() > 0.999


def test_what_was_measured_before_an_interruption_stays_across_chunks(
    chunks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("precompute.embedding.embed.MAX_BLOCK", 8)
    first, second = Stopping(6), Stopping(-1)
    with pytest.raises(Interrupted):
        embed(find_pictures(chunks), tmp_path / "out", first, threads=1, quiet=True)
    embed(find_pictures(chunks), tmp_path / "out", second, threads=1, quiet=True)
    assert first.measured == 48 and second.measured == N - 48 + 6 * N


def test_a_row_that_cannot_be_read_keeps_its_place_without_an_embedding(
    chunks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = find_pictures(chunks)
    read = type(pictures).read

    def damaged(self: object, row: int, *, as_seen: bool) -> object:
        if row == UNREADABLE:
            raise SourceError("damaged")
        return read(self, row, as_seen=as_seen)

    monkeypatch.setattr(type(pictures), "read", damaged)
    result = embed(pictures, tmp_path / "out", DescriptorEncoder(16), threads=1, quiet=True)
    assert f"1 of {N} pictures cannot be read and have no embedding: row {UNREADABLE}" in result.notes
    rows = np.load(tmp_path / "out" / "embeddings.npy")
    assert np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist() == [UNREADABLE]


def test_chunks_that_make_no_survey_are_told_of(chunks: Path) -> None:
    (chunks / "south" / numbered("images_npix152", 37, 38, ".h5")).unlink()
    with pytest.raises(SourceError, match="row 37 is in no file"):
        find_pictures(chunks)


def test_chunks_without_images_are_told_of(chunks: Path) -> None:
    for path in (chunks / "south").iterdir():
        with h5py.File(path, "r+") as f:
            del f["images"]
    with pytest.raises(SourceError, match="no dataset `images`"):
        find_pictures(chunks)


def test_a_network_sees_chunks_as_an_eye_does(chunks: Path, images: np.ndarray) -> None:
    picture = find_pictures(chunks).read(3, as_seen=True)
    assert picture.bands.shape == (EDGE, EDGE, 3)
    assert np.array_equal(picture.bands, asinh_rgb(images[3])[::-1])
