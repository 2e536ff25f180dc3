"""Surveys in the layouts that exist: read as they lie, in chunks, and every fault named in one message."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from precompute.errors import SourceError
from precompute.source_description import ColumnDescription, SourceDescription, write_description
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.column_guesses import guess_magnitude
from precompute.sources.column_types import NormalizedColumn, normalize_column
from precompute.sources.source import Source, open_source
from precompute.stages.thumbnails import brightest_rows
from tests.unit.layouts import (
    MISSING,
    NO_FLUX,
    NOT_A_NUMBER,
    PIXELS,
    SOURCE_TYPES,
    UNEVEN,
    N,
    hats_path,
    healpix,
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


def read(source: Source, name: str) -> NormalizedColumn:
    return normalize_column(source.read_column(name), source.description.columns[name])


def all_embeddings(source: Source, chunk: int) -> np.ndarray:
    parts, expected = [], 0
    for start, rows in source.embedding_chunks(chunk):
        assert start == expected and 0 < len(rows) <= chunk and rows.dtype == np.float32
        parts.append(rows)
        expected += len(rows)
    return np.concatenate(parts)


def problems_of(folder: Path, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(folder, **options)
    return str(caught.value)


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
        "rows 0 to 9 are in no file, before images_npix152_000000010_000000030.h5",
        "rows 25 to 29 are in both images_npix152_000000010_000000030.h5 and images_npix152_000000025_000000060.h5",
        "row 60 is in no file, between images_npix152_000000025_000000060.h5 and images_npix152_000000061_000000090.h5",
        "images_npix152_000000090_000000100.h5 holds 9 rows; its name says 10",
        "images_npix152_000000061_000000090.h5 holds datasets of different lengths: 28 rows in ebv; 29 rows in ",
        "representations_000000050_000000100.npy holds 48 rows; its name says 50",
        "representations_000000040_000000050.npy holds embeddings of 11 numbers, "
        "representations_000000000_000000040.npy of 12",
    ):
        assert part in text


def test_missing_rows_of_representations_are_named_with_other_faults(tmp_path: Path) -> None:
    write_chunks(tmp_path, survey_columns(), (0, 50, N))
    write_representations(tmp_path, survey_embeddings(), (0, 20, 80))
    (tmp_path / numbered("images_npix152", 0, 50, ".h5")).write_bytes(b"not HDF5")
    text = problems_of(tmp_path)
    assert "2 problems" in text
    assert "images_npix152_000000000_000000050.h5 cannot be read as HDF5" in text
    assert "the catalogue has 100 rows, but there are 80 embeddings" in text


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
    assert source.description.image_scale_arcsec == 0.262


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


# RGB


def rgb_of_pixel(g: float, r: float, z: float) -> list[int]:
    """Lupton et al. 2004 for one pixel, in plain arithmetic."""
    red, green, blue = 2.2 * z + 0.03, 3.4 * r + 0.03, 6.0 * g + 0.03
    intensity = (max(red, 0) + max(green, 0) + max(blue, 0)) / 3
    if intensity == 0:
        return [0, 0, 0]
    factor = math.asinh(20 * intensity) / math.sqrt(20) / intensity
    return [round(255 * min(1, max(0, band * factor))) for band in (red, green, blue)]


def test_rgb_is_the_surveys_asinh_mapping_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    grz = np.concatenate([rng.normal(0, 0.02, (3, 8, 8)), rng.lognormal(-2, 2, (3, 8, 8))], axis=2).astype(np.float32)
    grz[:, 0, 0] = -1
    rendered = asinh_rgb(grz)
    assert (rendered.shape, rendered.dtype) == ((8, 16, 3), np.uint8)
    for y, x in np.ndindex(8, 16):
        expected = rgb_of_pixel(*(float(band) for band in grz[:, y, x]))
        assert np.abs(rendered[y, x].astype(int) - expected).max() <= 1
    assert rendered[0, 0].tolist() == [0, 0, 0]


def test_rgb_keeps_the_ratios_of_the_bands_whatever_the_brightness() -> None:
    """What the mapping is for: a core twice as bright is no whiter."""
    scaled = np.array([0.2, 0.4, 0.8])[:, None, None] * np.array([0.25, 0.5])
    grz = (scaled - 0.03) / np.array([6.0, 3.4, 2.2])[:, None, None]
    rendered = asinh_rgb(grz).astype(float)
    np.testing.assert_allclose(rendered[0, :, 0] / rendered[0, :, 2], 4, rtol=0.05)
    assert (rendered[0, 1] > rendered[0, 0]).all()


def test_pixels_without_a_number_are_sky() -> None:
    grz = np.zeros((3, 2, 2))
    grz[:, 0, 0] = np.nan
    grz[1, 0, 1] = np.inf
    assert (asinh_rgb(grz) == asinh_rgb(np.zeros((3, 1, 1)))[0, 0]).all()


# Column files


def test_one_file_a_column_is_read_as_the_first_galaxy_finder_wrote_it(tmp_path: Path) -> None:
    source, told = open_source(write_column_files(tmp_path)), survey_columns()
    assert np.array_equal(source.check().ra_deg, told["ra"])
    assert source.column_names == ("mag_g", "mag_r", "mag_z", "photometric_redshift", "source_type")
    for band, letter in enumerate("grz"):
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = 22.5 - 2.5 * np.log10(told["flux"][:, band])
        expected[~np.isfinite(expected)] = np.nan
        np.testing.assert_allclose(read(source, f"mag_{letter}").array, expected, rtol=1e-6)
    redshift = read(source, "photometric_redshift")
    assert np.flatnonzero(np.isnan(redshift.array)).tolist() == [MISSING]
    types = read(source, "source_type")
    assert types.vocabulary == ("DEV", "EXP", "REX", "SER")
    assert np.array_equal(types.array, told["source_type"])
    assert np.array_equal(all_embeddings(source, 13), survey_embeddings())
    assert not source.has_images


def test_representations_may_also_come_in_one_file(tmp_path: Path) -> None:
    write_column_files(tmp_path)
    for path in tmp_path.glob("representations_*"):
        path.unlink()
    assert "nor embeddings.npy or representations.npy in it" in problems_of(tmp_path)
    np.save(tmp_path / "representations.npy", survey_embeddings(d=5))
    source = open_source(tmp_path)
    assert source.dimension == 5
    assert "representations" not in "".join(source.column_names)


def test_all_faults_of_column_files_are_named_in_one_message(tmp_path: Path) -> None:
    write_column_files(tmp_path)
    np.save(tmp_path / "mag.npy", np.zeros((N - 1, 3), np.float32))
    np.save(tmp_path / "dec.npy", np.zeros(N + 1))
    np.save(tmp_path / "note.npy", np.array([{"a": 1}] * N, dtype=object), allow_pickle=True)
    (tmp_path / numbered("representations", 0, 60, ".npy")).unlink()
    text = problems_of(tmp_path)
    assert "4 problems" in text
    for part in (
        "mag.npy has 99 rows, the other columns 100",
        "dec.npy has 101 rows, the other columns 100",
        "note.npy is truncated or not an .npy array of numbers or text",
        "rows 0 to 59 are in no file, before representations_000000060_000000100.npy",
    ):
        assert part in text


def test_big_endian_columns_are_read(tmp_path: Path) -> None:
    write_column_files(tmp_path)
    ra = np.load(tmp_path / "ra.npy")
    np.save(tmp_path / "ra.npy", ra.astype(">f8"))
    assert np.array_equal(open_source(tmp_path).check().ra_deg, ra)


# HATS


@pytest.fixture
def hats(tmp_path: Path) -> Path:
    return write_hats(tmp_path / "hats")


def test_partitions_become_one_catalogue_in_the_order_of_the_sky(hats: Path) -> None:
    source, told = open_source(hats), survey_columns()
    assert source.n_rows == N
    # The positions are found by the names in the properties, which no habit would guess.
    catalog = source.check()
    order = np.argsort(healpix(told["ra"], told["dec"], 29), kind="stable")
    assert np.array_equal(catalog.ra_deg, told["ra"][order])
    assert catalog.id_columns == ("id",)
    assert np.array_equal(source.read_column("id"), told["objid"][order])
    assert np.array_equal(all_embeddings(source, 9), survey_embeddings()[order])
    types = read(source, "type")
    assert np.array_equal(np.array(types.vocabulary)[types.array], SOURCE_TYPES[told["source_type"]][order])
    assert source.column_names == ("id", "mag_r", "type")
    assert "columns of the partitioning are left out: _healpix_29" in source.notes
    assert source.description.name == "small:sky"


def test_partitions_may_be_folders_and_the_catalogue_part_of_a_collection(hats: Path) -> None:
    path = max((hats / "dataset").rglob("*.parquet"), key=lambda p: pq.read_metadata(p).num_rows)
    table = pq.read_table(path, partitioning=None)
    path.unlink()
    path.with_suffix("").mkdir()
    pq.write_table(table.slice(0, 2), path.with_suffix("") / "part0.parquet")
    pq.write_table(table.slice(2), path.with_suffix("") / "part1.parquet")
    collection = hats.parent / "collection"
    collection.mkdir()
    whole = hats.rename(collection / "main")
    (collection / "collection.properties").write_text("obs_collection=all\nhats_primary_table_url=main\n")
    assert np.array_equal(open_source(collection).read_column("id"), open_source(whole).read_column("id"))
    assert sorted(open_source(whole).read_column("id")) == list(range(N))
    (collection / "collection.properties").write_text("hats_primary_table_url=gone\n")
    assert "names 'gone' as its catalogue, which is not there" in problems_of(collection)


def test_all_faults_of_partitions_are_named_in_one_message(hats: Path) -> None:
    paths = sorted((hats / "dataset" / "Norder=1").rglob("*.parquet"))
    gone, broken, other = paths[:3]
    pixel = {path: int(path.stem.removeprefix("Npix=")) for path in paths}
    gone.unlink()
    broken.write_bytes(b"not Parquet")
    table = pq.read_table(other, partitioning=None)
    changed = table.drop_columns(["mag_r", "id"]).append_column("id", table["id"].cast(pa.string()))
    pq.write_table(changed, other)
    child = hats_path(hats, 2, 4 * pixel[paths[3]] + 1)
    child.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, child)
    text = problems_of(hats)
    for part in (
        f"partition Norder=1/Npix={pixel[gone]} is listed in partition_info.csv and missing",
        f"{broken} cannot be read as Parquet",
        f"Norder=1/Npix={pixel[other]}: no column mag_r, which the first partition has",
        f"Norder=1/Npix={pixel[other]}: column 'id' is string, in the first partition int32",
        f"partition Norder=2/Npix={4 * pixel[paths[3]] + 1} is not listed in partition_info.csv",
        f"partitions Norder=1/Npix={pixel[paths[3]]} and Norder=2/Npix={4 * pixel[paths[3]] + 1} cover the same part",
        "the properties say 100 rows, the partitions hold",
    ):
        assert part in text


def test_a_pixel_that_does_not_exist_and_a_lost_row_are_named(hats: Path) -> None:
    path = next((hats / "dataset").rglob("*.parquet"))
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.slice(1), path)
    pq.write_table(table, hats_path(hats, 1, 48))
    (hats / "partition_info.csv").unlink()
    text = problems_of(hats)
    assert "partition Norder=1/Npix=48 is no pixel of the sky" in text
    assert f"the properties say 100 rows, the partitions hold {99 + len(table)}" in text


def test_without_a_list_column_there_are_no_embeddings(hats: Path) -> None:
    assert "embeddings 'mag_r': (float) is no list column of the partitions" in problems_of(hats, embeddings="mag_r")
    assert "embeddings 'v9': is no column of the partitions" in problems_of(hats, embeddings="v9")
    for path in (hats / "dataset").rglob("*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns("embedding"), path)
    assert "no embeddings: no list column of floats in the partitions" in problems_of(hats)


def test_a_margin_is_no_catalogue(hats: Path) -> None:
    path = hats / "hats.properties"
    path.write_text(path.read_text().replace("=object", "=margin"))
    assert "is a HATS margin; an atlas is built from an object catalogue" in problems_of(hats)


def test_properties_under_their_old_name_are_read_too(hats: Path) -> None:
    (hats / "hats.properties").rename(hats / "properties")
    assert open_source(hats).n_rows == N


def test_a_table_may_have_its_embeddings_in_chunks_too(tmp_path: Path) -> None:
    columns = survey_columns()
    pq.write_table(pa.table({name: columns[name] for name in ("ra", "dec", "objid")}), tmp_path / "catalog.parquet")
    write_representations(tmp_path / "latent", survey_embeddings(), (0, 30, N), "v1_embeddings")
    source = open_source(tmp_path, embeddings="latent")
    assert source.column_names == ("objid",)
    assert np.array_equal(all_embeddings(source, 20), survey_embeddings())
    (tmp_path / "latent" / numbered("v1_embeddings", 0, 30, ".npy")).unlink()
    assert "rows 0 to 29 are in no file" in problems_of(tmp_path, embeddings="latent")


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
