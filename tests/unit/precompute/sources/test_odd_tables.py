"""FITS, VOTable and Parquet files whose headers are wrong or unusual: no value is changed, nothing else is kept out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from pyarrow.feather import write_feather

from precompute.errors import SourceError
from precompute.sources.source import open_source
from tests.unit.odd_files import DEC, RA, N, beside, noted, opened, stored

COUNT = np.arange(N)
PLACE = [fits.Column("RA", "D", array=RA, unit="deg"), fits.Column("DEC", "D", array=DEC, unit="deg")]


def write_fits(folder: Path, *tables: fits.BinTableHDU) -> None:
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(folder / "catalog.fits")


def rename(path: Path, old: str, new: str) -> None:
    """Put another value of the same width into a header, as no library would write it."""
    data = path.read_bytes()
    assert data.count(old.encode()) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old.encode(), new.encode()))


def write_votable(folder: Path, field: str, cell: Callable[[int], Any], values: str = "") -> None:
    fields = ['name="ra" datatype="double" unit="deg"', 'name="dec" datatype="double" unit="deg"', field]
    rows = ((repr(float(RA[i])), repr(float(DEC[i])), escape(str(cell(i)))) for i in range(N))
    (folder / "catalog.vot").write_text(
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        + "".join(f"<FIELD {f}>{values if f == field else ''}</FIELD>" for f in fields)
        + "<DATA><TABLEDATA>"
        + "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in rows)
        + "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )


def write_parquet(folder: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table({"ra": RA, "dec": DEC, **columns}), folder / "catalog.parquet")


def test_a_fits_name_given_twice_keeps_both_columns(tmp_path: Path) -> None:
    columns = [fits.Column("mag", "E", array=COUNT), fits.Column("gam", "E", array=2 * COUNT)]
    write_fits(tmp_path, fits.BinTableHDU.from_columns([*PLACE, *columns]))
    rename(tmp_path / "catalog.fits", "'gam     '", "'mag     '")
    source = opened(tmp_path)
    assert stored(source, "mag").array.tolist() == COUNT.tolist()
    assert stored(source, "mag_2").array.tolist() == (2 * COUNT).tolist()
    assert noted(source, "'mag' (column 4) is called 'mag_2'")


@pytest.mark.parametrize(("form", "zero"), [("B", -128), ("I", 2**15), ("J", 2**31), ("K", 2**63)])
def test_nulls_of_scaled_fits_integers_of_every_width_are_missing(tmp_path: Path, form: str, zero: int) -> None:
    raw = COUNT.astype({"B": "u1", "I": "i2", "J": "i4", "K": "i8"}[form])
    null = 255 if form == "B" else -zero
    raw[5] = null
    column = fits.Column("cls", form, array=raw, null=null)
    table = fits.BinTableHDU.from_columns([*PLACE, column])
    table.header["TZERO3"] = zero
    write_fits(tmp_path, table)
    with fits.open(tmp_path / "catalog.fits") as hdus:
        hdus[1].header["TZERO3"] = zero
    cls = stored(opened(tmp_path), "cls")
    assert cls.missing_count == 1
    values = [int(value) for value in np.delete(cls.array, 5)]
    with fits.open(tmp_path / "catalog.fits") as hdus:
        shift = int(hdus[1].header["TZERO3"])
    assert values == [int(i) + shift for i in np.delete(COUNT, 5)]


def test_fractions_scaled_from_fits_integers_have_their_null_missing(tmp_path: Path) -> None:
    raw = COUNT.astype("i2")
    raw[5] = -99
    table = fits.BinTableHDU.from_columns([*PLACE, fits.Column("z", "I", array=raw, null=-99)])
    table.header["TSCAL3"] = 0.01
    write_fits(tmp_path, table)
    z = stored(opened(tmp_path), "z")
    assert z.missing_count == 1 and np.isnan(z.array[5])


def test_truths_that_fits_leaves_open_are_missing(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([*PLACE, fits.Column("good", "L", array=COUNT % 2 == 0)])
    table.data.view(np.ndarray)["good"][3] = 0
    write_fits(tmp_path, table)
    assert np.array_equal(stored(opened(tmp_path), "good").array[:4], [1, 0, 1, np.nan], equal_nan=True)


def test_letters_in_fits_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    text = np.array([f"Pe\xf1a {i}".encode("latin-1") for i in range(N)])
    write_fits(tmp_path, fits.BinTableHDU.from_columns([*PLACE, fits.Column("name", "8A", array=text)]))
    name = stored(opened(tmp_path), "name")
    assert name.array[3].decode() == "Peña 3"


def header_table(name: str = "LDAC_IMHEAD") -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns([fits.Column("Card", "J", array=[1])], name=name)


def test_the_fits_table_with_positions_is_read_wherever_it_stands(tmp_path: Path) -> None:
    objects = fits.BinTableHDU.from_columns([*PLACE, fits.Column("MAG", "E", array=COUNT)], name="LDAC_OBJECTS")
    write_fits(tmp_path, header_table(), objects)
    source = opened(tmp_path)
    assert source.column_names == ("MAG",)
    assert noted(source, "holds 2 tables", f"2 'LDAC_OBJECTS' of {N} rows")


@pytest.mark.parametrize("wanted", ["2", "second", "SECOND"])
def test_among_equal_fits_tables_the_one_to_read_is_asked_for(tmp_path: Path, wanted: str) -> None:
    tables = [
        fits.BinTableHDU.from_columns([*PLACE, fits.Column(name, "E", array=COUNT)], name=name)
        for name in ("FIRST", "SECOND")
    ]
    write_fits(tmp_path, *tables)
    with pytest.raises(
        SourceError, match=r"2 tables; name one by its number \(--hdu\): 1 'FIRST' of 20 rows \(RA, DEC"
    ):
        open_source(beside(tmp_path))
    assert open_source(tmp_path, table=wanted).column_names == ("SECOND",)
    with pytest.raises(SourceError, match="has 0 tables 'third'; there are: 1 'FIRST'"):
        open_source(tmp_path, table="third")


def test_a_table_is_named_only_where_there_can_be_several(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"mag": COUNT})
    with pytest.raises(SourceError, match="is Parquet, which holds one table"):
        open_source(beside(tmp_path), table="2")


@pytest.mark.parametrize("field", ["", 'arraysize="1"', 'arraysize="3"', 'arraysize="*"'])
@pytest.mark.parametrize("datatype", ['datatype="char"', 'datatype="unicodeChar"', "", 'datatype="string"'])
def test_words_in_a_votable_are_read_whole_whatever_the_header_promises(
    tmp_path: Path, datatype: str, field: str
) -> None:
    write_votable(tmp_path, f'name="type" {datatype} {field}', lambda i: "A&B" if i % 2 else "PLAIN")
    source = opened(tmp_path)
    assert stored(source, "type").vocabulary == ("A&B", "PLAIN")
    assert noted(source, "column 'type'") == ("*" not in field or "Char" not in datatype.replace("char", "Char"))


@pytest.mark.parametrize("datatype", ["unsignedByte", "short", "int", "long"])
@pytest.mark.parametrize("first", [7, 300, 3_403_340, 2**40, 2**63])
def test_whole_numbers_in_a_votable_are_read_whole_whatever_the_header_promises(
    tmp_path: Path, datatype: str, first: int
) -> None:
    write_votable(tmp_path, f'name="kic" datatype="{datatype}"', lambda i: first + i)
    source = opened(tmp_path)
    kic = stored(source, "kic").array
    assert [int(value) for value in kic] == [first + i for i in range(N)]
    bits = {"unsignedByte": 8, "short": 15, "int": 31, "long": 63}[datatype]
    assert noted(source, "column 'kic'", f"{datatype!r}", "cannot") == (first + N >= 2**bits)
    assert first + N >= 2**bits or kic.dtype.itemsize * 8 == (bits + 7) // 8 * 8


def test_nulls_of_a_votable_are_missing(tmp_path: Path) -> None:
    write_votable(tmp_path, 'name="n" datatype="int"', lambda i: ["-99", "", "7"][i % 3], values='<VALUES null="-99"/>')
    n = stored(opened(tmp_path), "n")
    assert (n.missing_count, n.array[2]) == (sum(i % 3 < 2 for i in range(N)), 7)


def test_fractions_under_a_whole_type_of_a_votable_are_kept(tmp_path: Path) -> None:
    write_votable(tmp_path, 'name="z" datatype="int"', lambda i: i / 10)
    source = opened(tmp_path)
    assert stored(source, "z").array[3] == 0.3
    assert noted(source, "column 'z'", "'int'", "read as double")


def test_numbers_without_a_type_in_a_votable_are_numbers(tmp_path: Path) -> None:
    write_votable(tmp_path, 'name="z"', lambda i: i / 10)
    source = opened(tmp_path)
    assert stored(source, "z").array[3] == 0.3
    assert noted(source, "column 'z'", "no type")


@pytest.mark.parametrize("as_list", [pa.list_(pa.float32(), 3), pa.list_(pa.int32(), 3)])
def test_a_list_that_is_null_in_parquet_is_missing_in_that_row(tmp_path: Path, as_list: pa.DataType) -> None:
    lists = [None if i in (3, N - 1) else [i, None if i == 4 else 1, 2] for i in range(N)]
    table = pa.table({"ra": RA, "dec": DEC, "mags": pa.array(lists, as_list)})
    pq.write_table(table, tmp_path / "catalog.parquet", row_group_size=7)
    source = opened(tmp_path)
    first, second = stored(source, "mags_0"), stored(source, "mags_1")
    assert (first.missing_count, second.missing_count) == (2, 3)
    assert np.isnan(first.array[[3, N - 1]]).all() and np.isnan(second.array[[3, 4, N - 1]]).all()
    assert first.array[2] == 2 and stored(source, "mags_2").array[5] == 2


def test_a_parquet_name_given_twice_keeps_both_columns(tmp_path: Path) -> None:
    arrays = [pa.array(RA), pa.array(DEC), pa.array(COUNT), pa.array(2 * COUNT)]
    pq.write_table(pa.Table.from_arrays(arrays, names=["ra", "dec", "mag", "mag"]), tmp_path / "catalog.parquet")
    source = opened(tmp_path)
    assert (stored(source, "mag").array[3], stored(source, "mag_2").array[3]) == (3, 6)


def test_a_parquet_column_is_not_taken_for_one_that_begins_like_it(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"mag.r": COUNT, "mag": 2 * COUNT})
    source = opened(tmp_path)
    assert (stored(source, "mag_r").array[3], stored(source, "mag").array[3]) == (3, 6)


@pytest.mark.parametrize("first", [-5, 2**60, 2**63, 10**30])
@pytest.mark.parametrize("gap", [False, True])
def test_whole_numbers_in_parquet_keep_every_digit(tmp_path: Path, first: int, gap: bool) -> None:
    values = [None if gap and i == 3 else first + i for i in range(N)]
    kinds = [pa.decimal128(38, 0), pa.uint64() if first > 0 else pa.int64()]
    for kind in kinds if first < 2**64 else kinds[:1]:
        write_parquet(
            tmp_path,
            {"n": pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(38, 0)).cast(kind)},
        )
        column = stored(opened(tmp_path), "n")
        words = np.array([*column.vocabulary, ""])
        kept = words[np.minimum(column.array, len(words) - 1)] if column.kind == "category" else column.array
        assert [int(value) for i, value in enumerate(kept) if values[i] is not None] == [
            v for v in values if v is not None
        ]
        assert column.missing_count == gap


def test_bytes_that_are_no_text_keep_no_other_column_out(tmp_path: Path) -> None:
    blobs = [bytes([255, i, 0, 254]) for i in range(N)]
    write_parquet(tmp_path, {"shape": blobs, "field": [b"Pe\xf1a %d" % i for i in range(N)], "mag": COUNT})
    source = opened(tmp_path)
    assert stored(source, "mag").array.tolist() == COUNT.tolist()
    assert stored(source, "field").vocabulary[0] == "Peña 0"
    with pytest.raises(SourceError, match="bytes that are no text"):
        stored(source, "shape")


def test_views_of_strings_are_text(tmp_path: Path) -> None:
    """As polars writes them."""
    table = pa.table({"ra": RA, "dec": DEC, "kind": pa.array([f"k{i % 2}" for i in range(N)], pa.string_view())})
    write_feather(table, tmp_path / "catalog.arrow")
    assert stored(opened(tmp_path), "kind").vocabulary == ("k0", "k1")


def test_coordinates_of_astropy_are_positions(tmp_path: Path) -> None:
    table = Table({"objid": COUNT})
    table["place"] = SkyCoord(RA, DEC, unit="deg").galactic
    table.write(tmp_path / "catalog.ecsv")
    catalog = opened(tmp_path).check()
    np.testing.assert_allclose((catalog.ra_deg, catalog.dec_deg), (RA, DEC), atol=1e-9)
