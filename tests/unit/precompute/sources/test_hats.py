"""Column files and catalogues in partitions, read as they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from precompute.sources.source import open_source
from tests.unit.layouts import (
    MISSING,
    SOURCE_TYPES,
    N,
    hats_path,
    healpix,
    numbered,
    survey_columns,
    survey_embeddings,
    write_column_files,
    write_hats,
    write_representations,
)

from .written_layouts import all_embeddings, problems_of, read

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


def test_columns_of_differing_types_are_read_in_one_that_holds_all(hats: Path) -> None:
    told = {name: open_source(hats).read_column(name) for name in ("id", "mag_r", "type")}
    for number, path in enumerate(sorted((hats / "dataset").rglob("*.parquet"))):
        table = pq.read_table(path, partitioning=None)
        for name, kinds in (
            ("id", (pa.int64(), pa.uint32())),
            ("mag_r", (pa.float64(),)),
            ("type", (pa.large_string(),)),
        ):
            if number % 2:
                values = table[name].cast(kinds[number // 2 % len(kinds)])
                table = table.set_column(table.schema.get_field_index(name), name, values)
        pq.write_table(table, path)
    source = open_source(hats)
    for name, values in told.items():
        np.testing.assert_array_equal(source.read_column(name), values)
    assert source.read_column("id").dtype == np.int64
    floats = table.set_column(table.schema.get_field_index("id"), "id", table["id"].cast(pa.float64()))
    pq.write_table(floats, path)
    assert "double in Norder=" in problems_of(hats)


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
        f"string in Norder=1/Npix={pixel[other]}",
        "no type holds the values of all as they are",
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
