"""Every format of a catalogue: the same columns, units and values, whatever it was written in."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Table

from precompute.source_description import (
    ColumnDescription,
    SourceDescription,
    write_description,
)
from precompute.sources.catalog_files import open_catalog
from precompute.sources.source import open_source

from .written_sources import (
    BIG,
    WRITERS,
    N,
    a_table,
    embeddings,
    normalized,
    positions,
    write_arrow,
    write_fits,
    write_source,
)


@pytest.fixture(params=list(WRITERS))
def any_format(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same catalogue in each format."""
    table = a_table()
    WRITERS[request.param](tmp_path / request.param, table)
    np.save(tmp_path / "embeddings.npy", embeddings())
    return tmp_path


def test_every_format_gives_the_same_positions_and_ids(any_format: Path) -> None:
    source = open_source(any_format)
    catalog = source.check()
    assert np.array_equal(catalog.ra_deg, np.arange(N) * 30.0)
    assert np.array_equal(catalog.dec_deg, np.arange(N) * 10.0 - 60)
    assert catalog.id_columns == ("objid",)
    ids = source.read_column("objid")
    assert ids.dtype == np.int64
    assert ids.tolist() == [BIG + i for i in range(N)]


def test_every_format_gives_the_same_normalised_columns(any_format: Path) -> None:
    source = open_source(any_format)
    assert source.column_names == ("objid", "mag_r", "counts", "maskbits", "is_good", "type")
    mag = normalized(source, "mag_r")
    assert (mag.kind, mag.missing_count) == ("number", 1)
    assert np.array_equal(mag.array, np.where(np.arange(N) == 3, np.nan, np.arange(N) + 15), equal_nan=True)
    counts = normalized(source, "counts")
    assert (counts.kind, counts.missing_count) == ("number", 2)
    assert np.flatnonzero(np.isnan(counts.array)).tolist() == [0, 5]
    flags = normalized(source, "maskbits")
    assert (flags.kind, flags.array.dtype.kind) == ("flags", "i")
    assert flags.array.tolist() == [i * 1000 for i in range(N)]
    kinds = normalized(source, "type")
    assert (kinds.kind, kinds.vocabulary, kinds.array.dtype) == ("category", ("DEV", "EXP"), np.uint8)
    assert kinds.array.tolist() == [int(i % 3 != 0) for i in range(N)]


@pytest.mark.parametrize("name", ["catalog.parquet", "catalog.feather", "catalog.fits", "catalog.vot", "catalog.ecsv"])
def test_units_descriptions_and_ucds_are_kept_where_the_format_carries_them(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, a_table())
    np.save(tmp_path / "embeddings.npy", embeddings())
    source = open_source(tmp_path)
    told = source.description.columns
    assert told["mag_r"].unit == "mag"
    assert told["mag_r"].description == "r magnitude"
    assert told["ra"] == ColumnDescription("deg", "pos.eq.ra;meta.main", "right ascension")
    assert not any("unit" in note for note in source.notes)


def test_units_that_astropy_wrote_into_parquet_are_kept(tmp_path: Path) -> None:
    a_table().write(tmp_path / "catalog.parquet")
    np.save(tmp_path / "embeddings.npy", embeddings())
    told = open_source(tmp_path).description.columns
    assert (told["mag_r"].unit, told["mag_r"].description) == ("mag", "r magnitude")
    assert told["ra"].ucd == "pos.eq.ra;meta.main"


def test_source_json_goes_before_what_the_file_says(tmp_path: Path) -> None:
    write_arrow(tmp_path / "catalog.parquet", a_table())
    np.save(tmp_path / "embeddings.npy", embeddings())
    write_description(
        tmp_path,
        SourceDescription(
            columns={"mag_r": ColumnDescription(unit="mag(AB)", missing=17), "magg": ColumnDescription()}
        ),
    )
    source = open_source(tmp_path)
    assert source.description.columns["mag_r"].unit == "mag(AB)"
    assert normalized(source, "mag_r").missing_count == 2
    assert "source.json describes columns that the catalogue does not have: magg" in source.notes


def test_a_csv_names_no_units_and_degrees_are_noted_as_assumed(tmp_path: Path) -> None:
    a_table().write(tmp_path / "catalog.csv", format="ascii.csv")
    np.save(tmp_path / "embeddings.npy", embeddings())
    assert "column 'RAJ2000' names no unit; degrees are assumed" in open_source(tmp_path).notes


def test_an_ecsv_that_is_called_csv_keeps_its_units(tmp_path: Path) -> None:
    a_table().write(tmp_path / "catalog.csv", format="ascii.ecsv")
    np.save(tmp_path / "embeddings.npy", embeddings())
    assert open_source(tmp_path).description.columns["mag_r"].unit == "mag"


def test_compressed_csv_and_fits_are_read(tmp_path: Path) -> None:
    for name, writer in (("a.csv", WRITERS["catalog.csv"]), ("b.fits", write_fits)):
        writer(tmp_path / name, a_table())
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert open_catalog(tmp_path / f"{name}.gz").read("objid")[1] == BIG + 1


def test_a_catalogue_file_is_as_good_as_its_folder(tmp_path: Path) -> None:
    write_source(tmp_path, positions())
    (tmp_path / "catalog.parquet").rename(tmp_path / "my galaxies.parquet")
    assert open_source(tmp_path / "my galaxies.parquet").n_rows == N
    assert open_source(tmp_path).n_rows == N


@pytest.mark.parametrize(("n_tables", "name"), [(2, "catalog.fits"), (2, "catalog.vot")])
def test_of_several_tables_that_of_as_many_rows_as_embeddings_is_read_and_that_is_noted(
    tmp_path: Path, n_tables: int, name: str
) -> None:
    first, second = a_table(), a_table()[:3]
    if name.endswith("fits"):
        fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(first), fits.table_to_hdu(second)]).writeto(tmp_path / name)
    else:
        file = from_table(first)
        file.resources.append(from_table(second).resources[0])
        file.to_xml(str(tmp_path / name))
    np.save(tmp_path / "embeddings.npy", embeddings())
    source = open_source(tmp_path)
    assert source.n_rows == N
    assert any(f"{name} holds {n_tables} tables; read is 1" in note for note in source.notes)


def test_fits_scaled_unsigned_and_null_integers_keep_their_values(tmp_path: Path) -> None:
    columns = [
        fits.Column("ra", "D", array=np.arange(4.0), unit="deg"),
        fits.Column("dec", "D", array=np.arange(4.0), unit="deg"),
        fits.Column("big", "K", bzero=2**63, array=np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)),
        fits.Column("short", "I", null=-1, array=np.array([-1, 0, 1, 2], dtype=np.int16)),
        fits.Column("name", "5A", array=["a ", "b", "a", ""]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "catalog.fits")
    np.save(tmp_path / "embeddings.npy", embeddings(4))
    source = open_source(tmp_path)
    assert normalized(source, "big").array.tolist() == [0, 1, 2**63, 2**64 - 1]
    assert np.array_equal(normalized(source, "short").array, [np.nan, 0, 1, 2], equal_nan=True)
    name = normalized(source, "name")
    assert (name.vocabulary, name.array.tolist(), name.missing_count) == (("a", "b"), [0, 1, 0, 255], 1)


def test_parquet_dictionaries_decimals_and_nulls_are_read(tmp_path: Path) -> None:
    n_null = pa.array([None, 5, None, 7], pa.int16())
    columns = {
        "ra": np.arange(4.0),
        "dec": np.arange(4.0),
        "word": pa.array(["b", None, "a", "b"]).dictionary_encode(),
        "code": pa.array([30, 10, 30, 20]).dictionary_encode(),
        "money": pa.array([Decimal("1.50"), Decimal("2.25"), None, Decimal("0")]),
        "count": n_null,
        "yes": pa.array([True, None, False, True]),
    }
    source = open_source(write_source(tmp_path, columns))
    assert normalized(source, "word").vocabulary == ("a", "b")
    assert normalized(source, "word").array.tolist() == [1, 255, 0, 1]
    assert normalized(source, "code").array.tolist() == [30, 10, 30, 20]
    assert np.array_equal(normalized(source, "money").array, [1.5, 2.25, np.nan, 0], equal_nan=True)
    count = normalized(source, "count")
    assert count.array.dtype == np.float32
    assert np.array_equal(count.array, [np.nan, 5, np.nan, 7], equal_nan=True)
    assert np.array_equal(normalized(source, "yes").array, [1, np.nan, 0, 1], equal_nan=True)


def test_text_of_a_parquet_file_in_many_row_groups_keeps_its_order(tmp_path: Path) -> None:
    words = [f"w{i % 7}" for i in range(500)]
    table = pa.table({**positions(500), "word": words})
    pq.write_table(table, tmp_path / "catalog.parquet", row_group_size=64)
    np.save(tmp_path / "embeddings.npy", embeddings(500))
    assert open_source(tmp_path).read_column("word").tolist() == words


def test_columns_that_are_no_numbers_or_text_are_left_out_with_a_note(tmp_path: Path) -> None:
    table = a_table()
    table["where"] = SkyCoord(table["RAJ2000"], table["DEJ2000"])
    table.write(tmp_path / "catalog.ecsv", format="ascii.ecsv")
    np.save(tmp_path / "embeddings.npy", embeddings())
    source = open_source(tmp_path)
    assert "where" not in source.column_names
    assert any("left out: 'where' (SkyCoord)" in note for note in source.notes)


@pytest.mark.parametrize("name", ["catalog.parquet", "catalog.fits", "catalog.ecsv"])
def test_short_vectors_become_one_column_a_component_and_long_ones_are_left_out(tmp_path: Path, name: str) -> None:
    mag = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
    spectrum = np.zeros((N, 40), dtype=np.float32)
    if name.endswith("parquet"):
        vectors = {
            key: pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), v.shape[1])
            for key, v in (("mag", mag), ("spectrum", spectrum))
        }
        pq.write_table(pa.table({**positions(), **vectors}), tmp_path / name)
    else:
        Table({**positions(), "mag": mag, "spectrum": spectrum}).write(tmp_path / name)
    np.save(tmp_path / "embeddings.npy", embeddings())
    source = open_source(tmp_path)
    assert source.column_names == ("mag_0", "mag_1", "mag_2")
    assert np.array_equal(source.read_column("mag_1"), mag[:, 1])
    assert "columns of several numbers are split: 'mag' into 3" in source.notes
    assert any("left out: 'spectrum'" in note for note in source.notes)
