"""Atlases from surveys in the layouts that exist: whole builds of small files, from the chunks to the queries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from atlas import Atlas
from atlas.catalog.columns import bit_name
from atlas.storage.thumbnails import encode_thumbnail
from atlas.storage.validate import validate
from precompute.__main__ import main
from precompute.build.info import describe_atlas
from precompute.build.pipeline import build, estimate_source
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.source import open_source
from precompute.stages import thumbnails
from precompute.stages.stage import StageContext
from tests.unit.layouts import (
    survey_columns,
    survey_embeddings,
    survey_images,
    write_column_files,
    write_hats,
    write_legacy_survey,
)

N = 300
QUICK = BuildConfig(subsample=200, n_epochs=20, recall_queries=5, threads=1, thumbnail_pixels=20)
QUICK_OPTIONS = ("--subsample=200", "--n-epochs=20", "--recall-queries=5", "--threads=1")


def built(folder: Path, out: Path, config: BuildConfig = QUICK) -> Atlas:
    build(open_source(folder), out, config, quiet=True)
    assert validate(out) == []
    return Atlas.open(out)


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_legacy_survey(tmp_path_factory.mktemp("legacy") / "source", N)


@pytest.fixture(scope="module")
def legacy_atlas(legacy: Path, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return built(legacy, tmp_path_factory.mktemp("legacy-atlas"))


def test_an_atlas_of_the_legacy_surveys_holds_every_row_and_column(legacy_atlas: Atlas) -> None:
    manifest, told = legacy_atlas.manifest, survey_columns(N)
    assert manifest.n_rows == N
    assert manifest.id_columns == ("release", "brickid", "objid")
    columns = legacy_atlas.columns("v1")
    assert np.array_equal(columns.array("ra"), told["ra"])
    assert columns.describe("source_type").vocabulary == ("DEV", "EXP", "REX", "SER")
    flags = columns.describe("maskbits")
    assert flags.kind == "flags"
    assert [bit_name(flags, bit) for bit in (0, 1, 13, 14)] == ["NPRIMARY", "BRIGHT", "CLUSTER", "bit 14"]
    assert columns.describe("mag_g").missing == 2
    assert columns.describe("z_spec").missing == (told["z_spec"] == -99).sum()
    assert manifest.provenance.survey == "DESI Legacy Imaging Surveys"


def test_its_neighbours_are_those_of_the_embeddings_in_the_chunks(legacy_atlas: Atlas) -> None:
    rows = survey_embeddings(N)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = unit @ unit[250]
    scores[250] = -np.inf
    found = legacy_atlas.similar(rows=[250], k=5)
    assert found.index.tolist() == np.argsort(-scores)[:5].tolist()


def test_its_images_are_the_rendered_chunks(legacy_atlas: Atlas) -> None:
    stored, images = legacy_atlas.thumbnails, survey_images(N)
    assert stored is not None and all(stored.has(row) for row in range(N))
    for row in (0, 110, 111, 113, N - 1):
        assert stored.read(row) == encode_thumbnail(asinh_rgb(images[row])[::-1], 20)
    about = legacy_atlas.manifest.thumbnails
    assert about is not None and about.scale_arcsec == pytest.approx(0.262)


def test_thumbnails_are_kept_of_the_brightest_where_not_all_fit(legacy: Path, tmp_path: Path) -> None:
    status = main(
        [
            *("--quiet", "build", str(legacy), "--out", str(tmp_path)),
            *(*QUICK_OPTIONS, "--thumbnails=40", "--thumbnail-pixels=40"),
        ]
    )
    assert status == 0
    atlas = Atlas.open(tmp_path)
    stored, magnitude = atlas.thumbnails, atlas.columns("v1").array("mag_z")
    assert stored is not None
    kept = [row for row in range(N) if stored.has(row)]
    assert kept == sorted(np.argsort(magnitude)[:40].tolist())
    about = atlas.manifest.thumbnails
    assert about is not None and (about.present, about.scale_arcsec) == (40, pytest.approx(0.131))


def test_images_are_packed_to_the_same_bytes_whatever_the_number_of_threads(legacy: Path, tmp_path: Path) -> None:
    packed = []
    for threads in (1, 3):
        config = msgspec.structs.replace(QUICK, threads=threads)
        ctx = StageContext(tmp_path / str(threads), config, name="thumbnails", quiet=True, source=open_source(legacy))
        thumbnails.STAGE.run(ctx)
        packed.append({path.name: path.read_bytes() for path in (ctx.build / "thumbnails").iterdir()})
    assert packed[0] == packed[1]


def test_fewer_thumbnails_need_less_disk(legacy: Path) -> None:
    source = open_source(legacy)
    every = estimate_source(source, BuildConfig()).disk
    some = estimate_source(source, BuildConfig(thumbnails=30)).disk
    assert every - some == (N - 30) * (128**2 * 3 // 5)


def test_an_image_that_cannot_be_read_is_counted_and_the_build_goes_on(tmp_path: Path) -> None:
    folder = write_legacy_survey(tmp_path / "source", N, with_images=False)
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as f:
            n = len(f["ra"])
            images = f.create_dataset("images", (n, 3, 20, 20), "f4", chunks=(1, 3, 20, 20), compression="gzip")
            images[...] = survey_images(n)
            place = images.id.get_chunk_info(n - 1).byte_offset
        with path.open("r+b") as f:
            f.seek(place)
            f.write(b"\xff" * 64)
    atlas = built(folder, tmp_path / "atlas")
    assert atlas.manifest.thumbnails is not None
    assert atlas.manifest.thumbnails.present == N - 3
    stage = next(s for s in atlas.manifest.stages if s.name == "thumbnails")
    assert stage.measured["unreadable"] == 3
    assert "is damaged at image" in stage.measured["first_unreadable"][0]


@pytest.mark.parametrize("write", [write_column_files, write_hats])
def test_an_atlas_of_the_other_layouts_holds_every_row(
    write: Callable[..., Path], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    atlas = built(write(tmp_path / "source", N), tmp_path / "atlas")
    told = survey_columns(N)
    columns = atlas.columns("v1")
    assert sorted(columns.array("ra")) == sorted(told["ra"])
    # Whatever the order of the rows, a galaxy has its own embedding.
    stored = np.load(next((tmp_path / "atlas").rglob("embeddings.npy")))
    position = {value: row for row, value in enumerate(columns.array("ra").tolist())}
    rows = survey_embeddings(N)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    in_atlas = [position[value] for value in told["ra"].tolist()]
    np.testing.assert_allclose(stored[in_atlas].astype(float), unit, atol=1e-3)
    assert atlas.thumbnails is None


@pytest.mark.soak
@pytest.mark.parametrize("write", [write_legacy_survey, write_column_files, write_hats])
def test_wide_embeddings_are_reduced_and_what_that_costs_is_recorded(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    atlas = built(write(tmp_path / "source", N, 300), tmp_path / "atlas", QUICK)
    assert atlas.manifest.spaces[0].dimension == 128
    stage = next(s for s in atlas.manifest.stages if s.name == "embeddings")
    assert (stage.measured["source_dimension"], stage.measured["neighbors_sample"]) == (300, N)
    assert 0.5 < stage.measured["variance_kept"] < 1
    assert 0.3 < stage.measured["neighbors_kept"] < 1
    (note,) = (n for n in atlas.manifest.provenance.notes if "reduced" in n)
    assert note.startswith("embeddings reduced from 300 to 128 numbers by principal components: ")
    assert f"{stage.measured['neighbors_kept']:.1%} of the ten nearest of 300 sampled galaxies are kept" in note
    assert note in describe_atlas(tmp_path / "atlas")


def test_the_width_can_be_chosen(tmp_path: Path) -> None:
    folder = write_column_files(tmp_path / "source", N, 40)
    for pca, dimension in ((0, 40), (16, 16), (64, 40)):
        out = tmp_path / f"atlas-{pca}"
        assert main(["--quiet", "build", str(folder), "--out", str(out), *QUICK_OPTIONS, f"--pca={pca}"]) == 0
        assert Atlas.open(out).manifest.spaces[0].dimension == dimension


def test_wide_embeddings_that_are_wrong_are_counted_before_they_are_reduced(tmp_path: Path) -> None:
    folder = write_column_files(tmp_path / "source", N, 300)
    path = min(folder.glob("representations_*.npy"))
    rows = np.load(path)
    rows[7] = np.nan
    rows[[20, 30]] = 0
    np.save(path, rows)
    with pytest.raises(SourceError) as caught:
        build(open_source(folder), tmp_path / "atlas", QUICK, quiet=True)
    assert "NaN or infinity in 1 embedding; first rows (from 0): 7" in str(caught.value)
    assert "only zeros in 2 embeddings; first rows (from 0): 20, 30" in str(caught.value)
