"""The rendered survey on disk: the layout by name, the same rows however it was written, truth that renders again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas
from atlas.errors import InputError, ResourceError
from atlas.storage.thumbnails import encode_thumbnail
from precompute.__main__ import main
from precompute.build.pipeline import build, estimate_source
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import COLUMNS as ARTEFACTS
from precompute.errors import SourceError
from precompute.simulation import embedding_mixture as simulated_mixture
from precompute.simulation import image_survey as simulated_imaging
from precompute.simulation import image_survey_files as simulated_files
from precompute.simulation.catalog_galaxies import BLOCK_ROWS
from precompute.simulation.catalog_survey import simulate_survey
from precompute.simulation.embedding_mixture import Mixture, fitting_numbers
from precompute.simulation.image_survey import describe_survey, render_rows, simulate_images
from precompute.simulation.image_survey_columns import TRUTH
from precompute.simulation.rendering.parameters import CLASS_NAMES, Parameters, draw_parameters, fluxes
from precompute.source_description import PARTIAL, read_description
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.column_guesses import guess_magnitude
from precompute.sources.source import open_source

ROOT = Path(__file__).resolve().parents[4]
N = 500
PIXELS = 32
SEED = 9
BANDS_WIDE = {"flux", "fiberflux", "transmission", "nobs", "psfdepth", "psfsize", "fracin"}
REFERENCE_COLUMNS = {
    "ra", "dec", "flux", "fiberflux", "ebv", "transmission", "source_type", "z_phot_mean", "z_phot_median",
    "z_phot_std", "z_phot_l68", "z_phot_u68", "z_phot_l95", "z_phot_u95", "z_spec", "z_training", "brickid",
    "objid", "release", "inds", "maskbits", "nobs", "psfdepth", "psfsize", "fracin",
}  # fmt: skip


def simulate(folder: Path, **changes: Any) -> None:
    simulate_images(**{"n": N, "folder": folder, "seed": SEED, "pixels": PIXELS, "quiet": True, **changes})


def read(folder: Path) -> dict[str, NDArray[Any]]:
    """All rows of all datasets, and the embeddings, of the chunks in order."""
    parts = []
    for path in sorted(folder.glob("images_*.h5")):
        with h5py.File(path, "r") as f:
            parts.append({name: dataset[...] for name, dataset in f.items()})
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    chunks = [np.load(path, allow_pickle=False) for path in sorted(folder.glob("representations_*.npy"))]
    return rows | {"embeddings": np.concatenate(chunks)}


def assert_same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype, name
        assert values.tobytes() == other[name].tobytes(), name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rendered") / "survey"
    simulate(path, chunk_rows=200, threads=1)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, NDArray[Any]]:
    return read(folder)


# Layout


def test_chunks_are_named_as_the_reference_names_them(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "images_npix32_000000000_000000200.h5",
        "images_npix32_000000200_000000400.h5",
        "images_npix32_000000400_000000500.h5",
        "representations_000000000_000000200.npy",
        "representations_000000200_000000400.npy",
        "representations_000000400_000000500.npy",
        "source.json",
    ]


def test_columns_are_those_of_the_reference_and_the_truth(rows: dict[str, NDArray[Any]]) -> None:
    assert set(rows) == {*REFERENCE_COLUMNS, *TRUTH, *ARTEFACTS, "images", "embeddings"}
    for name, values in rows.items():
        if name not in ("images", "embeddings"):
            assert values.shape == ((N, 3) if name in BANDS_WIDE else (N,)), name
            assert values.dtype.kind in "ifuS", name
    assert rows["images"].shape == (N, 3, PIXELS, PIXELS)
    assert rows["images"].dtype == np.float32
    assert rows["embeddings"].shape == (N, 32)
    assert rows["embeddings"].dtype == np.float32
    assert rows["ra"].dtype == rows["dec"].dtype == np.float64
    assert set(rows["source_type"]) == {b"DEV", b"EXP", b"REX", b"SER"}


def test_rows_are_sorted_by_decreasing_z_flux(rows: dict[str, NDArray[Any]]) -> None:
    assert np.all(np.diff(rows["flux"][:, 2]) <= 0)
    assert not np.all(np.diff(rows["flux"][:, 0]) <= 0)
    assert sorted(rows["inds"]) == list(range(N))


def test_embeddings_are_the_descriptor_of_the_images(rows: dict[str, NDArray[Any]]) -> None:
    np.testing.assert_allclose(np.linalg.norm(rows["embeddings"], axis=1), 1, atol=1e-5)
    features = describe_survey(rows["images"])
    fitted = simulated_imaging._fit(features, 32)
    np.testing.assert_allclose((fitted.embed(features) * rows["embeddings"]).sum(axis=1), 1, atol=1e-4)


def test_brighter_images_or_another_sky_have_the_same_embedding(rows: dict[str, NDArray[Any]]) -> None:
    bright = rows["images"][:60]
    features = describe_survey(bright)
    changed = describe_survey(3 * bright + np.array([0.05, 0.1, 0.2], np.float32)[:, None, None])
    spread = features.std(axis=0)
    assert np.median(np.abs(changed - features) / np.maximum(spread, 1e-3)) < 0.01


def test_columns_agree_with_one_another_and_with_the_truth(rows: dict[str, NDArray[Any]]) -> None:
    parameters = draw_parameters(SEED, rows["inds"])
    np.testing.assert_array_equal(rows["flux"], fluxes(parameters))
    np.testing.assert_array_equal(rows["true_class"], np.array(CLASS_NAMES, "S")[parameters["true_class"]])
    assert np.all((rows["fiberflux"] > 0) & (rows["fiberflux"] < rows["flux"]))
    assert np.all((rows["transmission"] > 0) & (rows["transmission"] < 1))
    assert np.all(np.diff(rows["transmission"], axis=1) > 0)  # dust takes more of the blue
    measured = rows["z_spec"] != -99
    assert 0 < measured.mean() < 0.2
    np.testing.assert_allclose(rows["z_spec"][measured], rows["true_redshift"][measured])
    error = (rows["z_phot_mean"] - rows["true_redshift"]) / rows["z_phot_std"]
    assert np.std(error[rows["true_redshift"] > 0.05]) == pytest.approx(1, abs=0.15)
    assert np.all(rows["z_phot_l95"] < rows["z_phot_l68"])
    assert np.isnan(rows["true_einstein_radius"][rows["true_class"] != b"lens"]).all()
    ids = np.column_stack([rows[name].astype(np.int64) for name in ("release", "brickid", "objid")])
    assert len(np.unique(ids, axis=0)) == N


def test_truth_is_described(folder: Path) -> None:
    description = read_description(folder)
    assert description.ground_truth == tuple(TRUTH)
    assert all(description.columns[name].description for name in TRUTH)
    assert description.licence == "CC0-1.0"
    assert "rendered" in " ".join(description.notes)
    with h5py.File(next(folder.glob("images_*_000000200.h5")), "r") as f:
        assert dict(f.attrs) == {"seed": SEED, "pixels": PIXELS, "pixel_arcsec": 0.262}


# The same rows, however they were written


def test_rows_depend_neither_on_threads_nor_on_chunks(tmp_path: Path, rows: dict[str, NDArray[Any]]) -> None:
    simulate(tmp_path, threads=3, chunk_rows=350)
    assert len(list(tmp_path.glob("images_*.h5"))) == 2
    assert_same(read(tmp_path), rows)


def test_another_seed_draws_other_galaxies(tmp_path: Path, rows: dict[str, NDArray[Any]]) -> None:
    simulate(tmp_path, n=200, seed=SEED + 1)
    other = read(tmp_path)
    assert not np.isin(other["ra"], rows["ra"]).any()
    assert not np.isin(other["images"][:, 1, 16, 16], rows["images"][:, 1, 16, 16]).any()


def test_a_short_survey_holds_the_galaxies_of_a_longer_one(tmp_path: Path, rows: dict[str, NDArray[Any]]) -> None:
    simulate(tmp_path, n=200)
    short = read(tmp_path)
    same = np.searchsorted(rows["inds"], short["inds"], sorter=np.argsort(rows["inds"]))
    where = np.argsort(rows["inds"])[same]
    for name in ("ra", "objid", "flux", "true_class", "images"):
        np.testing.assert_array_equal(short[name], rows[name][where], err_msg=name)


def test_any_row_can_be_rendered_again_from_its_truth(folder: Path, rows: dict[str, NDArray[Any]]) -> None:
    asked = np.array([499, 0, 200, 199, 321])
    assert render_rows(folder, asked).tobytes() == rows["images"][asked].tobytes()
    with pytest.raises(InputError, match="row 500 does not exist; rows are 0 to 499"):
        render_rows(folder, np.array([3, 500]))


# Interruptions


class Interrupted(Exception):
    """What a test stops the writing with."""


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts the galaxies that are rendered."""
    counts: list[int] = []
    render = simulated_imaging.render

    def counted(seed: int, parameters: Parameters, pixels: int) -> NDArray[np.float32]:
        counts.append(len(parameters))
        return render(seed, parameters, pixels)

    monkeypatch.setattr(simulated_imaging, "render", counted)
    return counts


def test_what_was_rendered_before_an_interruption_is_not_rendered_again(
    tmp_path: Path, rows: dict[str, NDArray[Any]], rendered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = simulated_imaging.render

    def stop(seed: int, parameters: Parameters, pixels: int) -> NDArray[np.float32]:
        if sum(rendered) >= 300:
            raise Interrupted
        return counted(seed, parameters, pixels)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(simulated_imaging, "render", stop)
        simulate(tmp_path, chunk_rows=200, threads=1)
    with pytest.raises(SourceError, match="never finished"):
        open_source(tmp_path)
    rendered.clear()
    simulate(tmp_path, chunk_rows=200, threads=1)
    assert sum(rendered) == 300  # the first chunk of 200 was whole
    assert_same(read(tmp_path), rows)
    assert not (tmp_path / PARTIAL).exists()


def test_a_killed_process_leaves_its_whole_chunks_to_the_next(
    tmp_path: Path, rows: dict[str, NDArray[Any]], rendered: list[int]
) -> None:
    command = f"-m precompute --quiet simulate {N} --images --pixels {PIXELS} --seed {SEED} --chunk-rows 50 --out"
    process = subprocess.Popen([sys.executable, *command.split(), str(tmp_path)], cwd=ROOT)
    while process.poll() is None and not list((tmp_path / PARTIAL).glob("images_*_000000100.h5")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert process.returncode == -9
    whole = len(list((tmp_path / PARTIAL).glob("images_*.h5")))
    assert 2 <= whole < 10
    simulate(tmp_path, chunk_rows=50)
    assert sum(rendered) == N - 50 * whole
    assert_same(read(tmp_path), rows)


@pytest.mark.parametrize("moved", [0, 1, 4])
def test_an_interruption_while_files_are_moved_is_mended(
    tmp_path: Path, rows: dict[str, NDArray[Any]], rendered: list[int], monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    move, count = Path.replace, 0

    def move_or_stop(path: Path, target: Path) -> Path:
        nonlocal count
        if target.parent == tmp_path:
            count += 1
            if count > moved:
                raise Interrupted
        return move(path, target)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Path, "replace", move_or_stop)
        simulate(tmp_path, chunk_rows=200)
    rendered.clear()
    simulate(tmp_path, chunk_rows=200)
    assert rendered == []
    assert_same(read(tmp_path), rows)


def test_another_recipe_throws_away_what_was_begun_and_replaces_what_was_there(
    tmp_path: Path, rendered: list[int]
) -> None:
    simulate(tmp_path, n=300, chunk_rows=100)
    rendered.clear()
    simulate(tmp_path, n=200, chunk_rows=200)
    assert sum(rendered) == 200
    assert len(list(tmp_path.iterdir())) == 3
    assert len(read(tmp_path)["ra"]) == 200


# Rows of the mixture


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


# Refusals


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n": 199}, "number of rows is 199; allowed are 200 to"),
        ({"seed": -1}, "seed is -1; allowed are 0 to"),
        ({"pixels": 31}, "edge of an image in pixels is 31; allowed are 32 to 256"),
        ({"dimension": 77}, "dimension is 77; allowed are 8 to 76"),
        ({"chunk_rows": 120}, "rows of a chunk are 120; allowed are multiples of 50"),
        ({"n": 200_000, "chunk_rows": 50}, "rows of a chunk are 50; allowed are multiples of 10,000"),
        ({"first_row": -1}, "first row is -1; allowed are 0 to"),
        ({"first_row": 300}, "first row is 300 of 800; allowed is 0 where a survey has no more than 100,000 galaxies"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, int], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        simulate(tmp_path / "new", **changes)
    assert not (tmp_path / "new").exists()


def test_a_foreign_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'; give a new folder"):
        simulate(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_files_of_a_real_survey_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "images_npix152_000000000_001000000.h5").write_bytes(b"real galaxies")
    with pytest.raises(InputError, match="holds a source that was not simulated"):
        simulate(tmp_path)
    simulate_survey(100, tmp_path / "other", quiet=True)
    with pytest.raises(InputError, match="give a new folder"):
        simulate(tmp_path / "other")


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the simulated survey of 2,000,000,000 galaxies needs about"):
        simulate(tmp_path / "new", n=2_000_000_000)
    assert not (tmp_path / "new").exists()


def test_the_command_writes_a_survey(tmp_path: Path, rows: dict[str, NDArray[Any]]) -> None:
    command = f"--quiet simulate {N} --images --pixels {PIXELS} --seed {SEED} --chunk-rows 250 --out {tmp_path}"
    assert main(command.split()) == 0
    assert_same(read(tmp_path), rows)


def test_options_of_images_without_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"simulate 500 --pixels 48 --out {tmp_path / 'new'}".split()) == 1
    assert "--pixels says something only with --images" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
