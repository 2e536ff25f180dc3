"""The rendered survey on disk: the layout by name, the same rows however it was written, truth that renders again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.errors import InputError, ResourceError
from precompute.__main__ import main
from precompute.descriptor.artefact_columns import COLUMNS as ARTEFACTS
from precompute.errors import SourceError
from precompute.simulation import image_survey as simulated_imaging
from precompute.simulation.catalog_survey import simulate_survey
from precompute.simulation.image_survey import describe_survey, render_rows
from precompute.simulation.image_survey_columns import TRUTH
from precompute.simulation.rendering.parameters import CLASS_NAMES, Parameters, draw_parameters, fluxes
from precompute.source_description import PARTIAL, read_description
from precompute.sources.source import open_source

from .simulated_surveys import PIXELS, SEED, Interrupted, N, assert_same, read, simulate

ROOT = Path(__file__).resolve().parents[4]


BANDS_WIDE = {"flux", "fiberflux", "transmission", "nobs", "psfdepth", "psfsize", "fracin"}


REFERENCE_COLUMNS = {
    "ra", "dec", "flux", "fiberflux", "ebv", "transmission", "source_type", "z_phot_mean", "z_phot_median",
    "z_phot_std", "z_phot_l68", "z_phot_u68", "z_phot_l95", "z_phot_u95", "z_spec", "z_training", "brickid",
    "objid", "release", "inds", "maskbits", "nobs", "psfdepth", "psfsize", "fracin",
}  # fmt: skip


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


# Refusals


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n": 199}, "number of rows is 199; allowed are 200 to"),
        ({"seed": -1}, "seed is -1; allowed are 0 to"),
        ({"pixels": 31}, "edge of an image in pixels is 31; allowed are 32 to 256"),
        ({"dimension": 79}, "dimension is 79; allowed are 8 to 78"),
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
