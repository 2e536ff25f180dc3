"""Reading a user's own survey: every format, every assumption noted, every fault named with its rows."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.io.votable.tree import VOTableFile
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from atlas.catalog.reserved_names import OF_AN_ATLAS
from atlas.errors import UnknownColumnError
from atlas.storage.layout import NAME
from precompute.errors import SourceError
from precompute.source_description import (
    ColumnDescription,
    SkyBackground,
    SourceDescription,
    read_description,
    write_description,
)
from precompute.sources.catalog_files import open_catalog
from precompute.sources.checks import check_positions, find_repeated
from precompute.sources.column_types import clean_name, normalize_column, plan_columns
from precompute.sources.embeddings import EmbeddingReport, check_and_normalize
from precompute.sources.images import MAX_PIXELS, read_image
from precompute.sources.source import Source, open_source
from precompute.sources.tables.file_column import FileColumn

N = 12
BIG = 2**60


def a_table() -> Table:
    """A catalogue with every kind of column that a survey has."""
    n = np.arange(N)
    table = Table()
    table["RAJ2000"] = MaskedColumn(n * 30.0, unit="deg", description="right ascension", dtype="f8")
    table["DEJ2000"] = MaskedColumn(n * 10.0 - 60, unit="deg", dtype="f8")
    table["objid"] = n + BIG
    table["mag_r"] = MaskedColumn((n + 15).astype("f4"), unit="mag", description="r magnitude", mask=n == 3)
    table["counts"] = MaskedColumn(n.astype("i4"), mask=(n == 0) | (n == 5))
    table["maskbits"] = (n * 1000).astype("i2")
    table["is_good"] = n % 2 == 0
    table["type"] = np.where(n % 3 == 0, "DEV", "EXP")
    table["RAJ2000"].meta["ucd"] = "pos.eq.ra;meta.main"
    return table


def write_arrow(path: Path, table: Table) -> None:
    """Parquet with units in the metadata of its fields."""
    fields, arrays = [], []
    for column in table.columns.values():
        values = np.ma.getdata(column.data)
        mask = np.ma.getmaskarray(np.ma.asarray(column.data))
        arrays.append(pa.array(values.tolist() if values.dtype.kind == "U" else values, mask=mask))
        told = {
            "unit": str(column.unit or ""),
            "ucd": column.meta.get("ucd", ""),
            "description": column.description or "",
        }
        fields.append(pa.field(column.name, arrays[-1].type, metadata=told))
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), path)


def write_fits(path: Path, table: Table) -> None:
    """FITS with its keywords of unit, description and UCD."""
    hdu = fits.table_to_hdu(table)
    for i, name in enumerate(table.colnames, start=1):
        hdu.header[f"TUCD{i}"] = table[name].meta.get("ucd", "")
        hdu.header[f"TCOMM{i}"] = table[name].description or ""
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "catalog.parquet": write_arrow,
    "catalog.fits": write_fits,
    "catalog.vot": lambda path, table: from_table(table).to_xml(str(path)),
    "catalog.ecsv": lambda path, table: table.write(path, format="ascii.ecsv"),
    "catalog.csv": lambda path, table: table.write(path, format="ascii.csv"),
}


def embeddings(n: int = N, d: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


def write_source(folder: Path, data: dict[str, Any], /, *, rows: np.ndarray | None = None, **told: Any) -> Path:
    """A source of a Parquet file and `embeddings.npy`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(data)
    pq.write_table(table, folder / "catalog.parquet")
    np.save(folder / "embeddings.npy", embeddings(len(table)) if rows is None else rows)
    if told:
        write_description(folder, SourceDescription(**told))
    return folder


def positions(n: int = N) -> dict[str, Any]:
    return {"ra": np.linspace(0, 350, n), "dec": np.linspace(-80, 80, n)}


def normalized(source: Source, name: str) -> Any:
    return normalize_column(source.read_column(name), source.description.columns[name])


# Formats


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


@pytest.mark.parametrize("name", ["catalog.parquet", "catalog.fits", "catalog.vot", "catalog.ecsv"])
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


# Broken and foreign files


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("catalog.parquet", "Parquet"),
        ("catalog.fits", "FITS"),
        ("catalog.vot", "VOTable"),
        ("catalog.ecsv", "ECSV"),
    ],
)
def test_a_foreign_file_is_named_with_its_format(tmp_path: Path, name: str, format_name: str) -> None:
    (tmp_path / name).write_text("Once upon a time there was a galaxy.\n" * 100)
    with pytest.raises(SourceError, match=rf"{re.escape(name)} cannot be read as {format_name}: "):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("catalog.parquet", "cannot be read as Parquet"),
        ("catalog.fits", "is truncated: File may have been truncated"),
        ("catalog.vot", "cannot be read as VOTable"),
        ("catalog.ecsv", "cannot be read as ECSV"),
        ("catalog.csv", "cannot be read as CSV: .*Expected 8 columns"),
    ],
)
def test_a_truncated_file_is_named_with_the_reason(tmp_path: Path, name: str, match: str) -> None:
    WRITERS[name](tmp_path / name, a_table())
    whole = (tmp_path / name).read_bytes()
    cut = len(whole) - 2880 if name.endswith("fits") else len(whole) - 20
    (tmp_path / name).write_bytes(whole[:cut])
    np.save(tmp_path / "embeddings.npy", embeddings())
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path)


@pytest.mark.parametrize("name", list(WRITERS))
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=rf"{re.escape(name)} is empty"):
        open_source(tmp_path)


def test_damage_inside_a_parquet_file_is_named_with_the_column(tmp_path: Path) -> None:
    columns = {**positions(5000), "v": list(embeddings(5000, 8))}
    pq.write_table(pa.table(columns), tmp_path / "catalog.parquet", use_dictionary=False)
    data = bytearray((tmp_path / "catalog.parquet").read_bytes())
    metadata = pq.read_metadata(tmp_path / "catalog.parquet").row_group(0)
    for i in range(3):
        start = metadata.column(i).data_page_offset
        data[start : start + 200] = b"\xff" * 200
    (tmp_path / "catalog.parquet").write_bytes(bytes(data))
    with pytest.raises(SourceError, match="is damaged at column 'v'"):
        open_source(tmp_path)
    np.save(tmp_path / "embeddings.npy", embeddings(5000))
    with pytest.raises(SourceError, match="is damaged at column 'ra'"):
        open_source(tmp_path).check()


def test_a_fits_image_has_no_table(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "catalog.fits")
    with pytest.raises(SourceError, match="is a FITS file without a table"):
        open_source(tmp_path)


def test_a_votable_without_a_table_is_named(tmp_path: Path) -> None:
    VOTableFile().to_xml(str(tmp_path / "catalog.vot"))
    with pytest.raises(SourceError, match="is a VOTable file without a table"):
        open_source(tmp_path)


def test_a_catalogue_without_rows_is_refused(tmp_path: Path) -> None:
    write_source(tmp_path, {"ra": np.array([]), "dec": np.array([])}, rows=np.zeros((0, 4), np.float32))
    with pytest.raises(SourceError, match="the catalogue has 0 rows; 1 to 4,294,967,295 are allowed"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "holds no catalogue: one of .parquet, .fits"),
        (["notes.txt"], "holds no catalogue"),
        (["catalog.csv", "catalog.fits"], r"holds 2 catalogues \(catalog\.csv, catalog\.fits\); name one"),
        (["a.csv", "b.csv"], r"holds 2 catalogues \(a\.csv, b\.csv\)"),
    ],
)
def test_a_folder_must_hold_one_catalogue(tmp_path: Path, files: list[str], match: str) -> None:
    for name in files:
        (tmp_path / name).write_text("ra,dec\n1,2\n")
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path)


def test_a_missing_path_and_an_unknown_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere does not exist"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "catalog.xlsx").write_text("")
    with pytest.raises(SourceError, match=r"known endings are \.parquet"):
        open_source(tmp_path / "catalog.xlsx")


@pytest.mark.parametrize("data", [b"{", b'{"nmae": "x"}', b'{"columns": {"a": {"missing": "no"}}}'])
def test_a_malformed_source_json_is_named(tmp_path: Path, data: bytes) -> None:
    write_source(tmp_path, positions())
    (tmp_path / "source.json").write_bytes(data)
    with pytest.raises(SourceError, match=r"source\.json: not a source description"):
        open_source(tmp_path)


# Positions


@pytest.mark.parametrize(
    ("ra", "dec"),
    [("ra", "dec"), ("RA", "DEC"), ("ra_deg", "dec_deg"), ("_RAJ2000", "_DEJ2000"), ("ALPHA_J2000", "DELTA_J2000")],
)
def test_positions_are_found_by_usual_names(tmp_path: Path, ra: str, dec: str) -> None:
    write_source(tmp_path, {"id": np.arange(N), ra: positions()["ra"], dec: positions()["dec"]})
    source = open_source(tmp_path)
    assert np.array_equal(source.check().ra_deg, positions()["ra"])
    assert source.column_names == ("id",)


def test_positions_of_the_main_ucd_go_before_usual_names(tmp_path: Path) -> None:
    p = positions()
    told = {
        "lon": ColumnDescription("deg", "pos.eq.ra;meta.main"),
        "lat": ColumnDescription("deg", "pos.eq.dec;meta.main"),
    }
    write_source(tmp_path, {"ra": p["ra"] * 0, "dec": p["dec"] * 0, "lon": p["ra"], "lat": p["dec"]}, columns=told)
    source = open_source(tmp_path)
    assert np.array_equal(source.check().dec_deg, p["dec"])
    # What is called ra and dec in an atlas are the positions; the others keep their values under another name.
    assert source.column_names == ("survey_ra", "survey_dec")


def test_named_positions_go_before_everything(tmp_path: Path) -> None:
    p = positions()
    write_source(
        tmp_path, {"ra": p["ra"], "dec": p["dec"], "ra2": p["ra"] + 1, "dec2": p["dec"] + 1}, ra="ra", dec="dec"
    )
    assert np.array_equal(open_source(tmp_path, ra="ra2", dec="dec2").check().ra_deg, p["ra"] + 1)


@pytest.mark.parametrize(("unit", "factor"), [("hourangle", 15), ("h", 15), ("rad", np.degrees(1))])
def test_other_units_of_angle_are_converted_and_noted(tmp_path: Path, unit: str, factor: float) -> None:
    p = positions()
    dec_unit = "rad" if unit == "rad" else "deg"
    told = {"ra": ColumnDescription(unit), "dec": ColumnDescription(dec_unit)}
    write_source(tmp_path, {"ra": p["ra"] / factor, "dec": p["dec"] / (factor if unit == "rad" else 1)}, columns=told)
    source = open_source(tmp_path)
    catalog = source.check()
    np.testing.assert_allclose(catalog.ra_deg, p["ra"], rtol=1e-14)
    np.testing.assert_allclose(catalog.dec_deg, p["dec"], rtol=1e-14)
    assert f"column 'ra' is converted from {unit} to degrees" in source.notes
    assert source.description.columns["ra"].unit == "deg"


@pytest.mark.parametrize("unit", ["deg", "DEG", "degrees", "degree"])
def test_spellings_of_degrees_are_degrees(tmp_path: Path, unit: str) -> None:
    write_source(tmp_path, positions(), columns={"ra": ColumnDescription(unit), "dec": ColumnDescription(unit)})
    source = open_source(tmp_path)
    assert np.array_equal(source.check().ra_deg, positions()["ra"])
    assert source.notes == []


@pytest.mark.parametrize("unit", ["mag", "s", "furlong"])
def test_a_unit_that_is_no_angle_is_refused(tmp_path: Path, unit: str) -> None:
    write_source(tmp_path, positions(), columns={"ra": ColumnDescription(unit)})
    with pytest.raises(SourceError, match=f"column 'ra': unit '{unit}' is no angle; give degrees"):
        open_source(tmp_path)


def test_sexagesimal_text_is_refused_as_position(tmp_path: Path) -> None:
    write_source(tmp_path, {"ra": ["03:32:38.5"] * N, "dec": positions()["dec"]})
    with pytest.raises(SourceError, match=r"column 'ra' \(string\) is no right ascension: degrees as numbers"):
        open_source(tmp_path)


def test_without_columns_of_position_both_are_asked_for(tmp_path: Path) -> None:
    write_source(tmp_path, {"x": np.arange(N), "y": np.arange(N)})
    with pytest.raises(SourceError, match="no column of right ascension") as caught:
        open_source(tmp_path)
    assert "no column of declination" in str(caught.value)
    assert "Columns: x, y" in str(caught.value)


def broken_positions(column: str, rows: dict[int, float]) -> dict[str, Any]:
    p = positions()
    for row, value in rows.items():
        p[column][row] = value
    return p


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (
            broken_positions("ra", {2: np.nan, 5: np.inf}),
            r"no right ascension in 2 rows; first rows \(from 0\): 2, 5",
        ),
        (broken_positions("dec", {7: np.nan}), r"no declination in 1 row; first rows \(from 0\): 7; --drop-bad-rows"),
        (
            broken_positions("dec", {0: -91.5, 9: 120}),
            r"declination outside -90…90° in 2 rows; .*: 0 \(-91\.5\), 9 \(120\.0\)",
        ),
        (
            broken_positions("ra", {4: 360.5}),
            r"right ascension outside both 0…360° and -180…180° in 1 row; .*: 4 \(360\.5\)",
        ),
        (broken_positions("ra", {4: -181}), r"right ascension outside both .* in 1 row; .*: 4 \(-181\.0\)"),
        (broken_positions("ra", {3: -1}), r"negative in 1 row \(first rows \(from 0\): 3\) and above 180° in 6 rows"),
    ],
)
def test_impossible_positions_are_named_with_count_rows_and_values(
    tmp_path: Path, columns: dict[str, Any], match: str
) -> None:
    write_source(tmp_path, columns)
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path).check()


def test_null_positions_and_sentinels_are_missing(tmp_path: Path) -> None:
    p = positions()
    ra = pa.array(p["ra"], mask=np.arange(N) == 1)
    p["dec"][6] = -99
    write_source(tmp_path, {"ra": ra, "dec": p["dec"]}, columns={"dec": ColumnDescription("deg", missing=-99)})
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path).check()
    assert "no right ascension in 1 row; first rows (from 0): 1" in str(caught.value)
    assert "no declination in 1 row; first rows (from 0): 6" in str(caught.value)


def test_negative_right_ascension_is_wrapped_with_a_note(tmp_path: Path) -> None:
    ra = np.linspace(-180, 170, N)
    write_source(tmp_path, {"ra": ra, "dec": positions()["dec"]})
    catalog = open_source(tmp_path).check()
    expected = SkyCoord(ra, 0, unit="deg").ra.deg
    np.testing.assert_allclose(catalog.ra_deg, expected, atol=1e-12)
    assert "right ascension ran from -180 to 170° and was wrapped to 0…360°" in catalog.notes


@given(
    hnp.arrays(np.float64, 8, elements=st.floats(-180, 180)),
    hnp.arrays(np.float64, 8, elements=st.floats(-90, 90)),
)
@settings(max_examples=200, derandomize=True, database=None)
def test_wrapped_positions_are_in_range_and_the_same_place(ra: np.ndarray, dec: np.ndarray) -> None:
    result = check_positions(ra, dec)
    assert result.problems == ()
    assert (result.ra_deg >= 0).all() and (result.ra_deg < 360).all()
    moved = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(result.ra_deg, result.dec_deg, unit="deg"))
    assert moved.max() < 1e-9 * u.arcsec


def test_single_precision_right_ascension_is_noted() -> None:
    p = positions()
    assert any("single precision" in note for note in check_positions(p["ra"].astype(np.float32), p["dec"]).notes)


# Ids


def test_ids_that_are_unique_only_together_are_found(tmp_path: Path) -> None:
    ids = {"release": [9010, 9011] * 6, "brickid": np.arange(N) // 4, "objid": (np.arange(N) // 2) % 2}
    write_source(tmp_path, {**positions(), **ids})
    catalog = open_source(tmp_path).check()
    assert catalog.id_columns == ("release", "brickid", "objid")
    assert "galaxies are named by release, brickid, objid" in catalog.notes


@pytest.mark.parametrize("name", ["objid", "SOURCE_ID", "id", "object_id"])
@pytest.mark.parametrize("values", [np.arange(N) + BIG, [f"J{i:04d}" for i in range(N)]])
def test_a_unique_id_column_is_found_by_its_name(tmp_path: Path, name: str, values: Any) -> None:
    write_source(tmp_path, {**positions(), name: values})
    assert open_source(tmp_path).check().id_columns == (name,)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1] * N, "the id (objid) of an earlier row is repeated in 11 rows"),
        (np.arange(N, dtype=np.float64), "holds float64; ids are integers or text"),
        (pa.array([None, *range(N - 1)]), "is missing in 1 row"),
    ],
)
def test_without_a_good_id_the_row_becomes_the_id_and_the_reason_is_noted(
    tmp_path: Path, values: Any, why: str
) -> None:
    write_source(tmp_path, {**positions(), "objid": values})
    source = open_source(tmp_path)
    catalog = source.check()
    assert catalog.id_columns == ("source_row",)
    assert catalog.column_names == ("objid", "source_row")
    assert source.read_column("source_row").tolist() == list(range(N))
    assert source.description.columns["source_row"].ucd == "meta.id;meta.main"
    assert any("objid cannot name the galaxies" in note and why in note for note in catalog.notes)
    assert "no column names the galaxies; source_row, counted from 0, does" in catalog.notes


def test_repeated_ids_are_counted_with_examples(tmp_path: Path) -> None:
    ids = {"field": ["a"] * 6 + ["b"] * 6, "number": [0, 1, 2, 3, 4, 2, 0, 1, 2, 3, 3, 3]}
    write_source(tmp_path, {**positions(), **ids}, id_columns=("field", "number"))
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path).check()
    assert "the id (field, number) of an earlier row is repeated in 3 rows" in str(caught.value)
    assert "a, 2 in rows 2 and 5; b, 3 in rows 9 and 10; b, 3 in rows 9 and 11" in str(caught.value)


def test_ids_repeated_in_a_fits_file_are_found_too(tmp_path: Path) -> None:
    table = a_table()
    table["objid"][5] = table["objid"][2]
    write_fits(tmp_path / "catalog.fits", table)
    np.save(tmp_path / "embeddings.npy", embeddings())
    with pytest.raises(
        SourceError, match=rf"the id \(objid\) of an earlier row is repeated in 1 row; .* {BIG + 2} in rows 2 and 5"
    ):
        open_source(tmp_path, id_columns=("objid",)).check()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.arange(N) + 0.0, "id column 'key' holds float64; ids are integers or text"),
        (pa.array([None, *range(N - 1)]), r"id column 'key' is missing in 1 row; first rows \(from 0\): 0"),
        (["a", " ", *"cdefghijkl"], r"id column 'key' is missing in 1 row; first rows \(from 0\): 1"),
        (["x" * 200, *"bcdefghijkl"], "id column 'key': texts cut after 128 characters: 1"),
    ],
)
def test_ids_that_cannot_name_a_galaxy_are_refused(tmp_path: Path, values: Any, match: str) -> None:
    write_source(tmp_path, {**positions(), "key": values}, id_columns=("key",))
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path).check()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-2, 2), st.sampled_from(["", "a", "ab", "ä"])), min_size=1, max_size=40
    )
)
@settings(max_examples=200, derandomize=True, database=None)
def test_repeated_rows_are_those_that_a_set_has_seen(rows: list[tuple[int, int, str]]) -> None:
    seen: set[tuple[int, int, str]] = set()
    expected = [i for i, row in enumerate(rows) if row in seen or seen.add(row)]
    columns = [
        np.array([row[0] for row in rows], dtype=np.uint8),
        np.array([row[1] for row in rows]),
        np.array([row[2].encode() for row in rows], dtype="S4"),
    ]
    assert find_repeated(columns).tolist() == expected


def test_an_id_equal_to_its_sentinel_is_missing(tmp_path: Path) -> None:
    told = {"key": ColumnDescription(missing=-1)}
    write_source(tmp_path, {**positions(), "key": np.arange(N) - 1}, id_columns=("key",), columns=told)
    with pytest.raises(SourceError, match=r"id column 'key' is missing in 1 row; first rows \(from 0\): 0"):
        open_source(tmp_path).check()


def test_integer_ids_are_stored_as_the_integers_they_are(tmp_path: Path) -> None:
    told = {"key": ColumnDescription(missing=-1)}
    write_source(tmp_path, {**positions(), "key": np.arange(N) + BIG}, id_columns=("key",), columns=told)
    source = open_source(tmp_path)
    source.check()
    assert normalized(source, "key").array.tolist() == [BIG + i for i in range(N)]


# Names


def test_unknown_columns_are_all_named_with_the_nearest_name(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "objid": np.arange(N)})
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path, ra="raa", id_columns=("obj_id", "objid"))
    assert "2 problems" in str(caught.value)
    assert "no column 'raa'; did you mean 'ra'?" in str(caught.value)
    assert "no column 'obj_id'; did you mean 'objid'?" in str(caught.value)


def test_reading_an_unknown_column_suggests_the_nearest(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "mag_r": np.arange(N)})
    with pytest.raises(UnknownColumnError, match="did you mean 'mag_r'"):
        open_source(tmp_path).read_column("mag_rr")


def test_names_are_cleaned_without_collisions_and_that_is_noted(tmp_path: Path) -> None:
    value = np.arange(N)
    names = ["flux g", "flux_g", "2mass_j", "Cluster", "map_x", "é mag", "Mag", "mag", "_x", "%"]
    write_source(tmp_path, {**positions(), **{name: value + i for i, name in enumerate(names)}})
    source = open_source(tmp_path)
    assert source.column_names == (
        "flux_g_2",
        "flux_g",
        "c_2mass_j",
        "survey_Cluster",
        "survey_map_x",
        "e_mag",
        "Mag",
        "mag_2",
        "x",
        "column",
    )
    assert [int(source.read_column(name)[0]) for name in source.column_names] == list(range(len(names)))
    [note] = [note for note in source.notes if "renamed" in note]
    assert "'flux g' is called flux_g_2" in note and "'Cluster' is called survey_Cluster" in note


def test_ids_and_truth_follow_a_renamed_column(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "my id": np.arange(N)}, id_columns=("my id",), ground_truth=("my id",))
    source = open_source(tmp_path)
    assert source.check().id_columns == ("my_id",)
    assert source.description.ground_truth == ("my_id",)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=12, unique=True))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_stored_name_is_allowed_free_and_different_beyond_case(names: list[str]) -> None:
    stored, _ = plan_columns([FileColumn(name=name, kind="number", type_name="int64") for name in names])
    assert [column.file_name for column in stored] == names
    assert all(NAME.fullmatch(column.name) for column in stored)
    assert not OF_AN_ATLAS & {column.name.lower() for column in stored}
    assert len({column.name.lower() for column in stored}) == len(names)


@given(
    st.from_regex(NAME, fullmatch=True).filter(lambda name: name.lower() not in OF_AN_ATLAS and not name.endswith("_"))
)
@settings(max_examples=100, derandomize=True, database=None)
def test_a_good_name_is_its_own_clean_name(name: str) -> None:
    assert clean_name(name) == name


# Values


NOTHING = ColumnDescription()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_stay_integers_when_none_is_missing(dtype: str) -> None:
    info = np.iinfo(dtype)
    column = normalize_column(np.array([info.min, 0, info.max], dtype=dtype), NOTHING)
    assert column.array.dtype == dtype
    assert column.array.tolist() == [info.min, 0, info.max]


def test_missing_integers_become_nan_and_those_that_would_lose_digits_text() -> None:
    column = normalize_column(np.ma.MaskedArray([1, 2**53, 3], mask=[True, False, False]), NOTHING)
    assert np.isnan(column.array[0]) and column.array.dtype == np.float64
    assert column.notes == ("integers stored as float64, since some are missing: 1",)
    column = normalize_column(np.ma.MaskedArray([1, 2**60 + 1, -(2**63)], mask=[True, False, False]), NOTHING)
    assert (column.kind, column.array.tolist()) == ("text", [b"", b"1152921504606846977", b"-9223372036854775808"])
    assert column.notes == ("integers above 2^53 stored as text to keep their digits, since some are missing: 1",)


@pytest.mark.parametrize(
    ("values", "missing", "expected"),
    [
        (np.array([-99, 5, 7], np.int32), -99.0, [np.nan, 5, 7]),
        (np.array([-99, 5, 7], np.float32), -99.0, [np.nan, 5, 7]),
        (np.array([0.1, 5, 7], np.float32), 0.1, [np.nan, 5, 7]),
        (np.array([255, 5, 7], np.uint8), -99.0, [255, 5, 7]),
        (np.array([1, 5, 7], np.int16), 0.5, [1, 5, 7]),
    ],
)
def test_sentinels_are_missing_where_the_type_can_hold_them(
    values: np.ndarray, missing: float, expected: list[float]
) -> None:
    column = normalize_column(values, ColumnDescription(missing=missing))
    assert np.array_equal(column.array, expected, equal_nan=True)
    assert column.missing_count == np.isnan(expected).sum()


def test_infinite_values_are_missing_and_counted() -> None:
    column = normalize_column(np.array([np.inf, 1, -np.inf, np.nan], np.float32), NOTHING)
    assert column.missing_count == 3
    assert column.notes == ("infinite values, read as missing: 2",)
    assert column.array.dtype == np.float32


def test_half_and_extended_floats_become_common_ones() -> None:
    assert normalize_column(np.array([1.5], np.float16), NOTHING).array.dtype == np.float32
    assert normalize_column(np.array([1.5], np.longdouble), NOTHING).array.dtype == np.float64


def test_normalising_leaves_the_values_given_as_they_are() -> None:
    values = np.ma.MaskedArray([np.inf, -99.0, 3.0], mask=[False, False, True])
    normalize_column(values, ColumnDescription(missing=-99))
    assert values.tolist() == [np.inf, -99.0, None]


def test_flags_stay_integers_also_where_some_are_missing() -> None:
    column = normalize_column(np.ma.MaskedArray([3, 4], mask=[False, True], dtype="u2"), ColumnDescription(flags=True))
    assert (column.kind, column.array.tolist(), column.missing_count) == ("flags", [3, 0], 1)
    assert column.notes == ("rows without flags, read as 0: 1",)


def as_bytes(words: list[str]) -> np.ndarray:
    return np.array([word.encode() for word in words])


@pytest.mark.parametrize("make", [as_bytes, np.array, lambda words: np.array([w or None for w in words], dtype=object)])
def test_few_words_are_a_category_with_missing_as_255(make: Callable[[list[str]], np.ndarray]) -> None:
    column = normalize_column(make(["b ", "", "ä", "b"]), NOTHING)
    assert (column.kind, column.vocabulary) == ("category", ("b", "ä"))
    assert column.array.tolist() == [0, 255, 1, 0]
    assert column.missing_count == 1


@pytest.mark.parametrize(("n_words", "kind"), [(255, "category"), (256, "text")])
def test_up_to_255_words_are_a_category(n_words: int, kind: str) -> None:
    words = [f"word {i:03d}" for i in range(n_words)]
    column = normalize_column(np.array([*words, "", *words], dtype=object), NOTHING)
    assert (column.kind, column.missing_count) == (kind, 1)
    if kind == "category":
        assert [column.vocabulary[code] for code in column.array[:n_words]] == words
    else:
        assert column.array.dtype == "S8"
        assert column.array[[0, n_words]].tolist() == [b"word 000", b""]


def test_masked_text_is_missing() -> None:
    column = normalize_column(np.ma.MaskedArray(["a", "b"], mask=[False, True]), NOTHING)
    assert (column.array.tolist(), column.vocabulary) == ([0, 255], ("a",))


def test_text_of_an_id_is_never_a_category() -> None:
    column = normalize_column(np.array(["ä1", "b"], dtype=object), NOTHING, identifier=True)
    assert (column.kind, column.array.tolist()) == ("text", ["ä1".encode(), b"b"])


def test_long_text_is_cut_between_characters_with_a_note() -> None:
    column = normalize_column(np.array(["ä" * 300, "b"], dtype=object), NOTHING, identifier=True)
    assert column.array[0].decode() == "ä" * 128
    assert column.notes == ("texts cut after 128 characters: 1",)


def test_bytes_that_are_no_utf8_are_read_all_the_same() -> None:
    assert normalize_column(np.array([b"caf\xe9", b"b"]), NOTHING).vocabulary == ("b", "café")


# Embeddings


def chunked(source: Source, chunk: int) -> tuple[np.ndarray, EmbeddingReport]:
    parts, report, expected_start = [], EmbeddingReport(), 0
    for start, rows in source.embedding_chunks(chunk):
        assert start == expected_start and len(rows) <= chunk and rows.dtype == np.float32
        unit, found = check_and_normalize(rows, start)
        parts.append(unit)
        report += found
        expected_start += len(rows)
    return np.concatenate(parts), report


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_embeddings_of_any_float_are_normalised_and_that_is_counted(tmp_path: Path, dtype: str, chunk: int) -> None:
    rows = embeddings().astype(dtype)
    unit, report = chunked(open_source(write_source(tmp_path, positions(), rows=rows)), chunk)
    expected = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(unit, expected, rtol=1e-6)
    assert report.problems == []
    assert report.notes == ["embeddings normalised, since they were not of unit length: 12 of 12"]


def test_unit_rows_in_half_precision_are_not_called_normalised(tmp_path: Path) -> None:
    rows = embeddings(N, 128)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    _, report = chunked(open_source(write_source(tmp_path, positions(), rows=rows.astype(np.float16))), 5)
    assert report.notes == []


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_embeddings_in_a_parquet_column_are_found_and_read_in_chunks(tmp_path: Path, kind: str) -> None:
    rows = embeddings(50, 9)
    values = pa.array(rows.ravel())
    lists = {
        "list": lambda: pa.array(list(rows), pa.list_(pa.float32())),
        "large_list": lambda: pa.array(list(rows), pa.large_list(pa.float32())),
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(values, 9),
    }
    table = pa.table({**positions(50), "latent": lists[kind](), "mag": np.arange(50)})
    pq.write_table(table, tmp_path / "catalog.parquet", row_group_size=17)
    source = open_source(tmp_path)
    assert (source.dimension, source.column_names) == (9, ("mag",))
    for chunk in (7, 1000):
        unit, _ = chunked(source, chunk)
        np.testing.assert_allclose(unit, rows / np.linalg.norm(rows, axis=1, keepdims=True), rtol=1e-5)


def test_named_embeddings_go_before_embeddings_npy(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "v": list(embeddings(N, 4))})
    np.save(tmp_path / "other.npy", embeddings(N, 5))
    assert open_source(tmp_path).dimension == 6
    assert open_source(tmp_path, embeddings="v").dimension == 4
    assert open_source(tmp_path, embeddings="other.npy").dimension == 5
    assert open_source(tmp_path, embeddings=str(tmp_path / "other.npy")).dimension == 5


def test_bad_embeddings_are_counted_over_all_chunks_with_the_first_rows(tmp_path: Path) -> None:
    rows = embeddings(40)
    rows[[3, 11, 12, 25, 26, 39], [0, 1, 2, 3, 4, 5]] = [np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan]
    rows[[7, 38]] = 0
    unit, report = chunked(open_source(write_source(tmp_path, positions(40), rows=rows)), 6)
    assert report.problems == [
        "NaN or infinity in 6 embeddings; first rows (from 0): 3, 11, 12, 25, 26; --drop-bad-rows leaves such rows out",
        "only zeros in 2 embeddings; first rows (from 0): 7, 38; --drop-bad-rows leaves such rows out",
    ]
    assert np.isfinite(unit).all()
    good = np.setdiff1d(np.arange(40), [3, 7, 11, 12, 25, 26, 38, 39])
    np.testing.assert_allclose(np.linalg.norm(unit[good], axis=1), 1, rtol=1e-6)


@given(hnp.arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_row_is_of_unit_length_or_reported(rows: np.ndarray) -> None:
    unit, report = check_and_normalize(rows, 100)
    is_bad = ~np.isfinite(rows).all(axis=1)
    is_zero = (rows == 0).all(axis=1)
    assert list(report.first_bad) == (np.flatnonzero(is_bad) + 100).tolist()
    assert list(report.first_zero) == (np.flatnonzero(is_zero) + 100).tolist()
    np.testing.assert_allclose(np.linalg.norm(unit[~is_bad & ~is_zero].astype(np.float64), axis=1), 1, rtol=1e-6)
    assert not unit[is_bad | is_zero].any()


def test_null_lists_and_numbers_count_as_bad_embeddings(tmp_path: Path) -> None:
    rows: list[Any] = [list(row) for row in embeddings(N, 3)]
    rows[4] = None
    rows[6][1] = None
    lists = pa.array(rows, pa.list_(pa.float64()))
    pq.write_table(pa.table({**positions(), "embedding": lists}), tmp_path / "catalog.parquet")
    _, report = chunked(open_source(tmp_path), 5)
    assert report.first_bad == (4, 6)


def test_lists_of_different_lengths_are_named(tmp_path: Path) -> None:
    rows: list[Any] = [list(row) for row in embeddings(N, 3)]
    rows[8] = [1.0]
    lists = pa.array(rows, pa.list_(pa.float64()))
    pq.write_table(pa.table({**positions(), "embedding": lists}), tmp_path / "catalog.parquet")
    with pytest.raises(
        SourceError, match=r"lists of different lengths: the first has 3; first rows \(from 0\): 8 \(1\)"
    ):
        chunked(open_source(tmp_path), 5)


def test_different_numbers_of_rows_are_named(tmp_path: Path) -> None:
    write_source(tmp_path, positions(), rows=embeddings(N - 1))
    with pytest.raises(
        SourceError, match=r"the catalogue has 12 rows, but there are 11 embeddings \(embeddings\.npy\)"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(N, np.float32), r"holds float32 of shape \(12,\); embeddings are floats of shape"),
        (np.zeros((N, 2), np.int8), r"holds int8 of shape \(12, 2\)"),
        (np.array([[object()]]), "missing, truncated or not an .npy array"),
    ],
)
def test_arrays_that_are_no_embeddings_are_named(tmp_path: Path, array: np.ndarray, match: str) -> None:
    write_source(tmp_path, positions())
    np.save(tmp_path / "embeddings.npy", array, allow_pickle=True)
    with pytest.raises(SourceError, match=match):
        open_source(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"truncated"])
def test_broken_npy_files_are_named(tmp_path: Path, data: bytes) -> None:
    path = write_source(tmp_path, positions()) / "embeddings.npy"
    path.write_bytes(data if data != b"truncated" else path.read_bytes()[:-1])
    with pytest.raises(SourceError, match=r"embeddings\.npy is missing, truncated or not an \.npy array"):
        open_source(tmp_path)


def test_missing_embeddings_and_wrong_names_say_what_is_needed(tmp_path: Path) -> None:
    write_source(tmp_path, {**positions(), "mag": np.arange(N)})
    with pytest.raises(SourceError, match="embeddings 'nothing' are neither a file nor a column"):
        open_source(tmp_path, embeddings="nothing")
    with pytest.raises(SourceError, match=r"column 'mag' \(int64\) holds no embeddings"):
        open_source(tmp_path, embeddings="mag")
    (tmp_path / "embeddings.npy").unlink()
    with pytest.raises(
        SourceError, match=r"no embeddings: neither embeddings\.npy beside the catalogue nor a list column"
    ):
        open_source(tmp_path)


def test_all_that_is_wrong_on_opening_is_said_at_once(tmp_path: Path) -> None:
    background = SkyBackground("sky.png", 0, 0, 1, 1)
    write_source(tmp_path, {"x": np.arange(N)}, rows=embeddings(3), sky_background=background, image_column="picture")
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path, images=tmp_path / "pictures")
    text = str(caught.value)
    assert "6 problems" in text
    for part in (
        "no column 'picture'",
        "no column of right ascension",
        "no column of declination",
        "12 rows, but there are 3 embeddings",
        "pictures is not a folder of images",
        "the picture of the sky, sky.png, is missing",
    ):
        assert part in text


def test_all_that_is_wrong_with_the_rows_is_said_at_once(tmp_path: Path) -> None:
    columns = broken_positions("dec", {1: 95, 2: np.nan})
    write_source(tmp_path, {**columns, "objid": [1] * N}, id_columns=("objid",))
    with pytest.raises(SourceError, match="3 problems"):
        open_source(tmp_path).check()


# Images


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for i, name in enumerate(names):
        Image.new("RGB", (4 + i, 3), (i, 0, 0)).save(folder / name)


def widths(source: Source, rows: int) -> list[int | None]:
    """Each image's width, by which `write_images` tells them apart; None where there is none."""
    images = [source.image(row) for row in range(rows)]
    return [None if image is None else image.shape[1] for image in images]


def test_images_are_found_by_row(tmp_path: Path) -> None:
    write_source(tmp_path, positions())
    write_images(tmp_path / "images", ["000000000.png", "000000002.jpg"])
    source = open_source(tmp_path)
    assert source.has_images
    assert widths(source, 3) == [4, None, 5]


@pytest.mark.parametrize("column", ["image", "picture"])
def test_images_are_found_by_a_column_which_is_not_stored(tmp_path: Path, column: str) -> None:
    names = ["b.png", "a.png", "", "gone.png", *[None] * (N - 4)]
    told = {"image_column": column} if column == "picture" else {}
    write_source(tmp_path, {**positions(), column: pa.array(names, pa.string()), "m": np.arange(N)}, **told)
    write_images(tmp_path / "images", ["a.png", "b.png"])
    source = open_source(tmp_path)
    assert widths(source, 5) == [5, 4, None, None, None]
    assert source.column_names == ("m",)


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    write_source(tmp_path / "source", positions())
    write_images(tmp_path / "elsewhere", ["000000000.png"])
    assert not open_source(tmp_path / "source").has_images
    assert open_source(tmp_path / "source").image(0) is None
    source = open_source(tmp_path / "source", images=tmp_path / "elsewhere")
    assert widths(source, 1) == [4]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_image_names_do_not_lead_out_of_their_folder(tmp_path: Path, name: str) -> None:
    write_source(tmp_path, {**positions(), "image": [name] * N})
    write_images(tmp_path / "images", [])
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    with pytest.raises(SourceError, match="leads out of"):
        open_source(tmp_path).image(0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_images_of_eight_bits_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (5, 3), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert (image.shape, image.dtype) == ((3, 5, 3), np.uint8)
    assert (image == 255).all()


def test_an_image_keeps_its_pixels_and_orientation(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels)


def test_unreadable_images_are_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.png cannot be read as an image"):
        read_image(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(SourceError, match=r"text\.png cannot be read as an image"):
        read_image(tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"cut\.png cannot be read as an image"):
        read_image(tmp_path / "cut.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    with pytest.raises(SourceError, match=r"a\.gif cannot be read as an image"):
        read_image(tmp_path / "a.gif")
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(SourceError, match=r"deep\.png has more than 8 bits a channel"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize(
    ("side", "match"),
    [(4097, "4097 × 4097 pixels; at most"), (10_000, "decompression bomb"), (14_000, "decompression bomb")],
)
def test_images_that_would_fill_the_memory_are_refused_unread(tmp_path: Path, side: int, match: str) -> None:
    assert side * side > MAX_PIXELS
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(SourceError, match=match):
        read_image(tmp_path / "bomb.png")


# Description and fingerprint


def test_a_description_survives_being_written(tmp_path: Path) -> None:
    description = SourceDescription(
        name="x",
        id_columns=("a", "b"),
        columns={"a": ColumnDescription("mag", "phot.mag", "é", -99, True)},
        sky_background=SkyBackground("sky.png", 1, 2, 3, 4),
    )
    write_description(tmp_path, description)
    assert read_description(tmp_path) == description
    assert msgspec.json.decode((tmp_path / "source.json").read_bytes())["columns"]["a"]["missing"] == -99


def test_the_fingerprint_is_stable_and_follows_every_input(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "a", {**positions(), "objid": np.arange(N), "v": list(embeddings())}, name="x")
    first = open_source(folder).fingerprint()
    assert open_source(folder).fingerprint() == first
    assert open_source(folder, embeddings="v").fingerprint() != first
    assert open_source(folder, id_columns=("objid",)).fingerprint() != first
    seen = {first}

    def changed() -> bool:
        fingerprint = open_source(folder).fingerprint()
        is_new = fingerprint not in seen
        seen.add(fingerprint)
        return is_new

    write_description(folder, SourceDescription(name="y"))
    assert changed()
    np.save(folder / "embeddings.npy", embeddings(N, 7))
    assert changed()
    table = pq.read_table(folder / "catalog.parquet")
    pq.write_table(table.append_column("new", [np.arange(N)]), folder / "catalog.parquet")
    assert changed()
    write_images(folder / "images", ["000000000.png"])
    assert changed()
    assert not changed()


def test_opening_reads_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_source(tmp_path, {**positions(), "word": ["a"] * N})

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(pq.ParquetFile, "read", fail)
    monkeypatch.setattr(pa_csv, "read_csv", fail)
    assert open_source(tmp_path).fingerprint()
