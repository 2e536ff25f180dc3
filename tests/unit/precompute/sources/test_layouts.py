"""Surveys in the layouts that exist: read as they lie, in chunks, and every fault named in one message."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from precompute.errors import SourceError
from precompute.source_description import ColumnDescription, SourceDescription, write_description
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.column_guesses import guess_magnitude
from precompute.sources.source import open_source
from precompute.stages.thumbnails import brightest_rows
from tests.unit.layouts import (
    MISSING,
    NO_FLUX,
    NOT_A_NUMBER,
    PIXELS,
    SOURCE_TYPES,
    UNEVEN,
    N,
    numbered,
    survey_columns,
    survey_embeddings,
    survey_images,
    write_chunks,
    write_column_files,
    write_hats,
    write_legacy_survey,
    write_representations,
)

from .written_layouts import all_embeddings, problems_of, read

# Legacy Surveys


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    return write_legacy_survey(tmp_path / "survey")


def test_chunks_become_one_catalogue_in_the_order_of_their_rows(legacy: Path) -> None:
    source, told = open_source(legacy), survey_columns()
    catalog = source.check()
    assert source.n_rows == N
    assert np.array_equal(catalog.ra_deg, told["ra"]) and np.array_equal(catalog.dec_deg, told["dec"])
    assert catalog.id_columns == ("release", "brickid", "objid")
    assert read(source, "inds").array.tolist() == told["inds"].tolist()
    for band, letter in enumerate("grz"):
        for name in ("flux", "fiberflux", "transmission", "nobs", "psfdepth", "psfsize", "fracin"):
            assert np.array_equal(source.read_column(f"{name}_{letter}"), told[name][:, band]), name
    per_band = {"flux", "fiberflux", "transmission", "nobs", "psfdepth", "psfsize", "fracin", "mag"}
    expected = (set(told) - per_band - {"ra", "dec"}) | {f"{name}_{band}" for name in per_band for band in "grz"}
    assert set(source.column_names) == expected


def test_magnitudes_come_from_fluxes_and_are_missing_without_a_positive_one(legacy: Path) -> None:
    source, flux = open_source(legacy), survey_columns()["flux"]
    for band, letter in enumerate("grz"):
        mag = read(source, f"mag_{letter}")
        expected = [22.5 - 2.5 * math.log10(f) if f > 0 else math.nan for f in flux[:, band].tolist()]
        np.testing.assert_allclose(mag.array, expected, rtol=1e-6)
    assert np.flatnonzero(np.isnan(read(source, "mag_g").array)).tolist() == [NO_FLUX, NO_FLUX + 1]
    assert read(source, "flux_g").array[NO_FLUX + 1] == np.float32(-0.25)
    about = source.description.columns["mag_z"]
    assert (about.unit, about.ucd) == ("mag", "phot.mag;em.opt.I")
    assert "not corrected for extinction" in about.description


def test_minus_99_and_nan_are_missing(legacy: Path) -> None:
    source = open_source(legacy)
    assert np.flatnonzero(np.isnan(read(source, "z_phot_median").array)).tolist() == [MISSING]
    assert np.flatnonzero(np.isnan(read(source, "ebv").array)).tolist() == [NOT_A_NUMBER]
    z_spec = read(source, "z_spec")
    assert z_spec.missing_count == (survey_columns()["z_spec"] == -99).sum() > 0


def test_mask_bits_are_flags(legacy: Path) -> None:
    flags = read(open_source(legacy), "maskbits")
    assert flags.kind == "flags"
    assert flags.array.tolist() == survey_columns()["maskbits"].tolist()


def test_names_of_mask_bits_are_the_surveys_unless_told(legacy: Path) -> None:
    assert open_source(legacy).description.columns["maskbits"].bits[:2] == ("NPRIMARY", "BRIGHT")
    told = ColumnDescription(bits=("mine",))
    write_description(legacy, SourceDescription(columns={"maskbits": told}))
    about = open_source(legacy).description.columns["maskbits"]
    assert about.bits == ("mine",) and about.flags


@pytest.mark.parametrize("kind", ["numbers", "bytes", "texts"])
def test_source_types_are_categories_however_they_are_written(tmp_path: Path, kind: str) -> None:
    columns = survey_columns()
    codes = columns["source_type"]
    words = SOURCE_TYPES[codes]
    columns["source_type"] = {
        "numbers": codes,
        "bytes": words.astype("S4"),
        "texts": words.astype(h5py.string_dtype()),
    }[kind]
    write_chunks(tmp_path, columns, UNEVEN)
    write_representations(tmp_path, survey_embeddings(), (0, N))
    types = read(open_source(tmp_path), "source_type")
    assert (types.kind, types.vocabulary) == ("category", ("DEV", "EXP", "REX", "SER"))
    assert np.array_equal(types.array, codes)


def test_a_source_type_without_a_meaning_is_named_with_its_row_in_the_survey(tmp_path: Path) -> None:
    columns = survey_columns()
    columns["source_type"][60] = 7
    write_chunks(tmp_path, columns, UNEVEN)
    write_representations(tmp_path, survey_embeddings(), (0, N))
    with pytest.raises(SourceError, match=r"known are 0 DEV, 1 EXP, 2 REX, 3 SER; first rows \(from 0\): 60 \(7\)"):
        open_source(tmp_path).read_column("source_type")


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_representations_in_chunks_of_their_own_are_read_in_order(legacy: Path, chunk: int) -> None:
    source = open_source(legacy)
    assert source.dimension == 12
    assert np.array_equal(all_embeddings(source, chunk), survey_embeddings())


@pytest.mark.parametrize(
    ("below", "stem"), [("representations", "representations"), (".", "south_resnet50_representations"), ("a/b", "emb")]
)
def test_representations_are_found_in_folders_and_behind_prefixes(tmp_path: Path, below: str, stem: str) -> None:
    write_chunks(tmp_path / "images" / "south", survey_columns(), UNEVEN)
    write_representations(tmp_path / below, survey_embeddings(), (0, 80, N), stem)
    if stem == "emb":
        assert "no embeddings: neither files such as representations_" in problems_of(tmp_path)
    else:
        assert np.array_equal(all_embeddings(open_source(tmp_path), 50), survey_embeddings())


def test_of_several_sets_of_representations_one_has_to_be_named(tmp_path: Path) -> None:
    folder = write_legacy_survey(tmp_path)
    write_representations(folder / "new", survey_embeddings(d=7), (0, N), "v2_representations")
    write_representations(folder / "new", survey_embeddings(d=9), (0, N), "v3_representations")
    assert "3 sets of embeddings (new/v2_representations, new/v3_representations, representations)" in problems_of(
        folder
    )
    assert "holds 2 sets of embeddings (v2_representations, v3_representations)" in problems_of(
        folder, embeddings="new"
    )
    assert open_source(folder, embeddings="new/v2_representations").dimension == 7
    assert open_source(folder, embeddings=str(folder / "new" / "v3_representations")).dimension == 9
    assert open_source(folder, embeddings="representations").dimension == 12


def test_embeddings_pass_through_memory_in_chunks(tmp_path: Path) -> None:
    n, d = 20_000, 64
    columns = {"ra": np.linspace(0, 350, n), "dec": np.linspace(-20, 30, n)}
    write_chunks(tmp_path, columns, (0, 9_000, n))
    write_representations(tmp_path, survey_embeddings(n, d), (0, 15_000, n))
    source = open_source(tmp_path)
    tracemalloc.start()
    for _, rows in source.embedding_chunks(500):
        assert len(rows) <= 500
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n * d * 4 / 10


def test_gaps_overlaps_and_wrong_counts_are_named_in_one_message(tmp_path: Path) -> None:
    columns = survey_columns()
    write_chunks(tmp_path, columns, (10, 30))
    write_chunks(tmp_path, columns, (25, 60))
    write_chunks(tmp_path, columns, (61, 90))
    short = {name: values[:-1] for name, values in survey_columns(N).items()}
    write_chunks(tmp_path, short, (90, N))
    with h5py.File(tmp_path / numbered("images_npix152", 61, 90, ".h5"), "r+") as f:
        del f["ebv"]
        f["ebv"] = np.zeros(28)
    write_representations(tmp_path, survey_embeddings(), (0, 40))
    write_representations(tmp_path, survey_embeddings()[:98], (50, N))
    np.save(tmp_path / numbered("representations", 40, 50, ".npy"), survey_embeddings(10, 11))
    text = problems_of(tmp_path)
    for part in (
        "rows 25 to 29 are in both images_npix152_000000010_000000030.h5 and images_npix152_000000025_000000060.h5",
        "row 60 is in no file, between images_npix152_000000025_000000060.h5 and images_npix152_000000061_000000090.h5",
        "images_npix152_000000090_000000100.h5 holds 9 rows; its name says 10",
        "images_npix152_000000061_000000090.h5 holds datasets of different lengths: 28 rows in ebv; 29 rows in ",
        "representations_000000050_000000100.npy holds 48 rows; its name says 50",
        "representations_000000040_000000050.npy holds embeddings of 11 numbers, "
        "representations_000000000_000000040.npy of 12",
    ):
        assert part in text


def test_a_broken_file_is_named_where_representations_end_early(tmp_path: Path) -> None:
    write_chunks(tmp_path, survey_columns(), (0, 50, N))
    write_representations(tmp_path, survey_embeddings(), (0, 20, 80))
    (tmp_path / numbered("images_npix152", 0, 50, ".h5")).write_bytes(b"not HDF5")
    text = problems_of(tmp_path)
    assert "images_npix152_000000000_000000050.h5 cannot be read as HDF5" in text


def test_a_truncated_chunk_is_named(legacy: Path) -> None:
    path = legacy / numbered("images_npix152", 37, 38, ".h5")
    path.write_bytes(path.read_bytes()[:-500])
    assert "000000037_000000038.h5 cannot be read as HDF5" in problems_of(legacy)


def test_datasets_that_some_files_lack_are_left_out_with_a_note_but_positions_are_needed(tmp_path: Path) -> None:
    write_legacy_survey(tmp_path)
    last = tmp_path / numbered("images_npix152", 38, N, ".h5")
    with h5py.File(last, "r+") as f:
        del f["fracin"], f["images"]
    source = open_source(tmp_path)
    assert not any(name.startswith("fracin") for name in source.column_names)
    assert f"dataset 'fracin' is left out, since it is not in {last.name}" in source.notes
    assert f"no images in {last.name}" in source.notes
    assert source.image(3) is not None and source.image(50) is None
    del source  # it holds the file of the last image open
    with h5py.File(last, "r+") as f:
        del f["dec"]
    assert f"no dataset 'dec' in {last.name}" in problems_of(tmp_path)


def test_files_that_do_not_agree_on_a_dataset_are_named(legacy: Path) -> None:
    last = legacy / numbered("images_npix152", 38, N, ".h5")
    with h5py.File(last, "r+") as f:
        del f["objid"], f["flux"]
        f["objid"] = np.arange(N - 38, dtype=np.float64)
        f["flux"] = np.zeros((N - 38, 4), np.float32)
    text = problems_of(legacy)
    first = numbered("images_npix152", 0, 37, ".h5")
    assert f"dataset 'objid' is int32 in {first}, but float64 in {last.name}" in text
    assert f"dataset 'flux' is float32 of 3 in {first}, but float32 of 4 in {last.name}" in text


def test_more_datasets_become_columns_too_and_what_is_no_column_is_left_out(tmp_path: Path) -> None:
    columns = {**survey_columns(), "true_class": np.array(["lens", "ring"])[np.arange(N) % 2].astype("S4")}
    write_chunks(tmp_path, columns, UNEVEN)
    write_representations(tmp_path, survey_embeddings(), (0, N))
    for path in tmp_path.glob("*.h5"):
        with h5py.File(path, "r+") as f:
            f["bands"] = np.array([b"g", b"r"])
            f["scale"] = 0.262
    source = open_source(tmp_path)
    assert read(source, "true_class").vocabulary == ("lens", "ring")
    assert "bands" not in source.column_names and "scale" not in source.column_names
    assert "dataset 'bands' is left out, since it does not have one row a galaxy" in source.notes


def test_a_description_beside_the_chunks_goes_before_the_layouts_own(legacy: Path) -> None:
    write_description(legacy, SourceDescription(title="Ours", id_columns=("inds",), ground_truth=("z_training",)))
    source = open_source(legacy)
    assert (source.description.title, source.description.survey) == ("Ours", "DESI Legacy Imaging Surveys")
    assert source.check().id_columns == ("inds",)
    assert source.description.ground_truth == ("z_training",)


def test_images_of_each_chunk_are_rendered_by_row_with_north_up(legacy: Path) -> None:
    source, images = open_source(legacy), survey_images()
    assert source.has_images
    for row in (0, 36, 37, 38, 99, 1):
        image = source.image(row)
        assert image is not None and image.shape == (PIXELS, PIXELS, 3)
        assert np.array_equal(image, asinh_rgb(images[row])[::-1])
    first = source.image(0)
    # The first row of pixels is the southernmost.
    assert first is not None and first[-1].min() > 200 and first[0].max() < 200
    assert any("north up" in note for note in source.notes)
    told = source.description
    assert (told.image_scale_arcsec, told.image_up_deg, told.seen_arcsec) == (0.262, 0.0, pytest.approx(25.152))


def test_without_images_there_are_none(tmp_path: Path) -> None:
    source = open_source(write_legacy_survey(tmp_path, with_images=False))
    assert not source.has_images and source.image(3) is None
    assert source.description.image_scale_arcsec is None


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    write_legacy_survey(tmp_path, with_images=False)
    for path in tmp_path.glob("*.h5"):
        with h5py.File(path, "r+") as f:
            f["images"] = np.zeros((len(f["ra"]), 4, 8, 8), np.float32)
    assert "images are float32 of 4 × 8 × 8 a row; (3, height, width) in g, r, z are needed" in problems_of(tmp_path)


def test_a_folder_of_images_goes_before_those_of_the_chunks(legacy: Path) -> None:
    (legacy / "pictures").mkdir()
    Image.new("RGB", (9, 9)).save(legacy / "pictures" / "000000002.png")
    source = open_source(legacy, images=legacy / "pictures")
    assert source.image(0) is None
    image = source.image(2)
    assert image is not None and image.shape == (9, 9, 3)
    assert "is not a folder of images" in problems_of(legacy, images=legacy / "nowhere")


def test_two_surveys_in_one_folder_have_to_be_told_apart(tmp_path: Path) -> None:
    for region in ("north", "south"):
        write_legacy_survey(tmp_path / "images" / region)
    assert "holds 2 surveys (images/north/images_npix152, images/south/images_npix152)" in problems_of(tmp_path)
    assert open_source(tmp_path / "images" / "north").n_rows == N


def test_every_chunk_belongs_to_the_fingerprint(legacy: Path) -> None:
    seen = {open_source(legacy).fingerprint()}
    assert open_source(legacy).fingerprint() in seen
    for path in (*legacy.glob("*.h5"), *legacy.glob("*.npy")):
        path.touch()
        seen.add(open_source(legacy).fingerprint())
    assert len(seen) == 6


# The brightest


def test_the_brightest_rows_have_the_smallest_magnitudes_and_missing_ones_come_last() -> None:
    magnitude = np.array([19, np.nan, 17, 18, 17, np.nan, 20])
    assert brightest_rows(magnitude, 3).tolist() == [2, 3, 4]
    assert brightest_rows(magnitude, 1).tolist() == [2]
    assert brightest_rows(magnitude, 6).tolist() == [0, 1, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("names", "found"),
    [(("mag_g", "MAG_Z", "mag_r"), "MAG_Z"), (("flux", "mag"), "mag"), (("magnetic", "image"), "")],
)
def test_brightness_is_told_by_the_reddest_magnitude(names: tuple[str, ...], found: str) -> None:
    assert guess_magnitude(names) == found


# All of them


@pytest.mark.parametrize("write", [write_legacy_survey, write_column_files, write_hats])
def test_an_unfinished_folder_is_refused_whatever_its_layout(tmp_path: Path, write: Any) -> None:
    folder = write(tmp_path)
    (folder / ".partial").mkdir()
    assert "was never finished" in problems_of(folder)
