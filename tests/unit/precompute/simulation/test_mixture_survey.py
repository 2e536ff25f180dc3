"""Rows of the mixture: no image on disk but one on demand, and classes where rendered galaxies lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas
from atlas.storage.thumbnails import encode_thumbnail
from precompute.build.pipeline import build, estimate_source
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.simulation import embedding_mixture as simulated_mixture
from precompute.simulation import image_survey as simulated_imaging
from precompute.simulation import image_survey_files as simulated_files
from precompute.simulation.catalog_galaxies import BLOCK_ROWS
from precompute.simulation.embedding_mixture import Mixture, fitting_numbers
from precompute.simulation.image_survey import describe_survey, render_rows
from precompute.simulation.rendering.parameters import CLASS_NAMES, draw_parameters
from precompute.source_description import read_description
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.column_guesses import guess_magnitude
from precompute.sources.source import open_source

from .simulated_surveys import PIXELS, SEED, Interrupted, assert_same, read, simulate


@pytest.fixture
def small_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code with small numbers: rows beyond 300 are drawn from a mixture fitted to 900."""
    for module in (simulated_files, simulated_imaging):
        monkeypatch.setattr(module, "MAX_RENDERED", 300)
    monkeypatch.setattr(simulated_imaging, "DRAWN_BLOCK", 100)
    for module in (simulated_imaging, simulated_mixture):
        monkeypatch.setattr(module, "NATURAL", 600)
    monkeypatch.setattr(simulated_mixture, "MIN_MEMBERS", 25)
    monkeypatch.setattr(simulated_mixture, "CANDIDATES", 40_000)


@pytest.mark.usefixtures("small_mixture")
def test_rows_of_the_mixture_have_no_image_on_disk_but_one_on_demand(tmp_path: Path) -> None:
    simulate(tmp_path / "a", n=2000, chunk_rows=800, threads=1)
    one = read(tmp_path / "a")
    assert "images" not in one
    assert one["embeddings"].dtype == np.float16
    assert one["embeddings"].shape == (2000, 32)
    np.testing.assert_allclose(np.linalg.norm(one["embeddings"].astype(np.float32), axis=1), 1, atol=2e-3)
    assert np.all(np.diff(one["flux"][:, 2]) <= 0)
    assert sum(path.stat().st_size for path in (tmp_path / "a").iterdir()) < 2000 * 400
    drawn = render_rows(tmp_path / "a", np.array([1999, 0]))
    assert drawn.shape == (2, 3, PIXELS, PIXELS)
    assert drawn[1].sum() > 20 * drawn[0].sum()  # the brightest and the faintest
    assert "mixture" in " ".join(read_description(tmp_path / "a").notes)

    simulate(tmp_path / "b", n=2000, chunk_rows=1100, threads=3)
    assert_same(read(tmp_path / "b"), one)


@pytest.mark.usefixtures("small_mixture")
@pytest.mark.parametrize("first_row", [BLOCK_ROWS - 300, BLOCK_ROWS])
def test_a_survey_of_the_mixture_grows_by_its_next_galaxies(tmp_path: Path, first_row: int) -> None:
    n = BLOCK_ROWS + 500
    simulate(tmp_path / "whole", n=n)
    simulate(tmp_path / "more", n=n - first_row, first_row=first_row)
    whole, more = read(tmp_path / "whole"), read(tmp_path / "more")
    later = whole["inds"] >= first_row
    assert later.sum() == n - first_row
    for name, values in more.items():
        if name == "embeddings":  # sums run in another order
            np.testing.assert_allclose(values.astype(np.float32), whole[name][later].astype(np.float32), atol=1e-3)
        else:
            np.testing.assert_array_equal(values, whole[name][later], err_msg=name)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 rows of the mixture in two files, without images."""
    folder = tmp_path_factory.mktemp("mixture") / "survey"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        simulate(folder, n=2000, chunk_rows=1100)
    return folder


QUICK = BuildConfig(subsample=400, n_epochs=20, recall_queries=5, engine="exact", threads=1)


def test_a_build_draws_the_images_of_the_brightest_where_the_files_hold_none(mixture: Path, tmp_path: Path) -> None:
    config = msgspec.structs.replace(QUICK, thumbnails=40, thumbnail_pixels=24)
    source = open_source(mixture)
    manifest = build(source, tmp_path / "atlas", config, quiet=True)
    assert manifest.key_columns[0] == "mag_r", "what says most of a galaxy is named by the source"
    assert manifest.thumbnails is not None and manifest.thumbnails.present == 40
    assert manifest.thumbnails.scale_arcsec == pytest.approx(0.262 * PIXELS / 24)
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.thumbnails is not None
    magnitude = np.asarray(atlas.columns().array(guess_magnitude(source.column_names)), dtype=np.float64)
    brightest = np.sort(np.argsort(magnitude, kind="stable")[:40])
    assert np.flatnonzero(atlas.thumbnails.which(np.arange(2000))).tolist() == brightest.tolist()
    for row in brightest[[0, 20, 39]]:
        drawn = asinh_rgb(render_rows(mixture, np.array([row]))[0])[::-1]
        assert atlas.thumbnails.read(int(row)) == encode_thumbnail(drawn, 24)


def test_a_drawn_image_belongs_to_its_row_in_every_file(mixture: Path) -> None:
    source = open_source(mixture)
    assert source.has_images
    for row in (0, 1099, 1100, 1999, 3):
        image = source.image(row)
        assert image is not None
        np.testing.assert_array_equal(image, asinh_rgb(render_rows(mixture, np.array([row]))[0])[::-1])


def test_no_image_is_drawn_that_was_not_asked_for(
    mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(mixture)
    monkeypatch.setattr(source, "image", lambda _: pytest.fail("an image was drawn"))
    assert source.image_count(0) == 0 and source.image_count(40) == 40 and source.image_count(10**6) == 2000
    manifest = build(source, tmp_path / "atlas", QUICK, quiet=True)
    assert manifest.thumbnails is None
    plain, drawing = (estimate_source(source, msgspec.structs.replace(QUICK, thumbnails=t)) for t in (0, 1000))
    assert drawing.disk > plain.disk and drawing.seconds > plain.seconds


def test_an_interrupted_build_with_drawn_images_is_finished(
    mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = msgspec.structs.replace(QUICK, thumbnails=600)
    whole = build(open_source(mixture), tmp_path / "whole", config, quiet=True)
    source = open_source(mixture)
    draw, count = source.image, 0

    def stop(row: int) -> NDArray[np.uint8] | None:
        nonlocal count
        count += 1
        if count > 300:
            raise Interrupted
        return draw(row)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(source, "image", stop)
        build(source, tmp_path / "atlas", config, quiet=True)
    again = build(source, tmp_path / "atlas", config, quiet=True)
    assert again.build_id == whole.build_id
    for name, file in whole.files.items():
        if name.startswith("thumbnails/"):
            assert again.files[name] == file


def test_images_of_another_version_of_the_simulation_are_refused_by_name(mixture: Path, tmp_path: Path) -> None:
    shutil.copytree(mixture, tmp_path / "old")
    with h5py.File(next((tmp_path / "old").glob("images_*_000002000.h5")), "r+") as f:
        f["flux"][7] *= 1.01
    source = open_source(tmp_path / "old")
    assert source.image(1106) is not None
    with pytest.raises(SourceError, match="the image of row 1,107 cannot be drawn again"):
        source.image(1107)


def test_a_survey_without_images_that_was_not_simulated_has_none(mixture: Path, tmp_path: Path) -> None:
    shutil.copytree(mixture, tmp_path / "real")
    for path in (tmp_path / "real").glob("*.h5"):
        with h5py.File(path, "r+") as f:
            del f.attrs["seed"]
    assert not open_source(tmp_path / "real").has_images


@pytest.mark.usefixtures("small_mixture")
def test_the_mixture_puts_classes_and_brightness_where_rendered_galaxies_lie() -> None:
    numbers = fitting_numbers(SEED)
    parameters = draw_parameters(SEED, numbers)
    counts = np.bincount(parameters["true_class"], minlength=len(CLASS_NAMES))
    assert counts.min() >= 25
    assert np.array_equal(numbers[:600], np.arange(600))
    features = describe_survey(simulated_imaging.render(SEED, parameters, PIXELS))
    embeddings = simulated_imaging._fit(features, 32).embed(features)
    mixture = Mixture.fit(parameters, embeddings)
    others = draw_parameters(SEED, np.arange(1_000_000, 1_003_000))
    drawn = mixture.sample(SEED, others).astype(np.float32)
    similarity = drawn @ embeddings.T
    similar = np.argsort(-similarity, axis=1)[:, :10]
    true_class = parameters["true_class"]

    def agreement(name: str) -> float:
        index = CLASS_NAMES.index(name)
        return float((true_class[similar[others["true_class"] == index]] == index).mean())

    assert agreement("elliptical") > 0.5
    assert agreement("edge-on") > 0.4
    # Given its parameters: a row lies among galaxies of its own colour.
    colour = parameters["mag_g"] - parameters["mag_r"]
    near = colour[similar].mean(axis=1)
    assert np.corrcoef(near, others["mag_g"] - others["mag_r"])[0, 1] > 0.5


def test_wider_rows_of_the_mixture_keep_the_angles_between_them() -> None:
    parameters = draw_parameters(SEED, np.arange(3000))
    parameters["true_class"] = np.arange(3000) % len(CLASS_NAMES)
    embeddings = np.random.default_rng(1).normal(size=(3000, 12)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    narrow, wide = (
        Mixture.fit(parameters, embeddings, dimension=dimension).sample(SEED, parameters[:300]).astype(np.float32)
        for dimension in (12, 100)
    )
    assert wide.shape == (300, 100)
    assert np.linalg.matrix_rank(wide) == 100
    np.testing.assert_allclose(np.linalg.norm(wide, axis=1), 1, atol=2e-3)
    assert np.corrcoef((wide @ wide.T).ravel(), (narrow @ narrow.T).ravel())[0, 1] > 0.98
