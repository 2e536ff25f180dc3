"""What leaves in a file is what the libraries that read it find there."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy.io.votable import parse as parse_votable
from astropy.table import Table
from astropy.units import UnitsWarning
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC
from msgspec.structs import replace
from regions import Regions

from atlas.errors import InputError
from atlas.exports.contents import Contents, Field, Part, texts
from atlas.exports.formats import FORMATS, format_of
from atlas.exports.tables import ascii_text

N = 10_000
ABOUT = {"atlas": "Deep & <wide>", "build": "0" * 12, "survey": "A survey", "receipt": "1f8a02c7", "licence": "l" * 90}
FIELDS = (
    Field(name="id", width=12, ucd="meta.id;meta.main"),
    Field(name="ra", dtype="float64", unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension (ICRS)"),
    Field(name="dec", dtype="float64", unit="deg", ucd="pos.eq.dec;meta.main"),
    Field(name="flux", dtype="float32", unit="nanomaggy", ucd="phot.flux"),
    Field(name="half", dtype="float16", unit="mag"),
    Field(name="huge", dtype="uint64"),
    Field(name="small", dtype="int8"),
    Field(name="good", dtype="bool"),
    Field(name="word", width=12),
)


def rows(n: int) -> Part:
    rng = np.random.default_rng(7)
    flux = rng.normal(size=n).astype(np.float32)
    flux[::7] = np.nan
    words = ["", "=1+2", "+cmd|' /C calc'!A0", "-5.5", "@x", 'a "b"', "<c>&d;", "ö, é"]
    return {
        "id": texts([f"9010-{i}" for i in range(n)]),
        "ra": rng.uniform(0, 360, n),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        "flux": flux,
        "half": rng.uniform(15, 25, n).astype(np.float16),
        "huge": rng.integers(2**63, 2**64, n, dtype=np.uint64),
        "small": rng.integers(-128, 128, n, dtype=np.int8),
        "good": rng.random(n) > 0.5,
        "word": texts([words[i % len(words)][:12] for i in range(n)]),
    }


def contents(n: int = N, at_once: int = 4_096) -> Contents:
    whole = rows(n)

    def parts() -> Iterator[Part]:
        for start in range(0, max(n, 1), at_once):
            yield {name: values[start : start + at_once] for name, values in whole.items()}

    return Contents(fields=FIELDS, n_rows=n, id="id", about=ABOUT, parts=parts)


def written(kind: str, of: Contents, folder: Path) -> Path:
    path = folder / f"galaxies{FORMATS[kind].ending}"
    with path.open("wb") as file:
        file.writelines(FORMATS[kind].write(of))
    return path


def same(table: Table, expected: Part, *, ascii_only: bool = False) -> None:
    """All values, to the last bit of numbers."""
    for name, values in expected.items():
        found = table[name]
        if values.dtype != object:
            filled = found.filled(np.nan) if hasattr(found, "filled") and values.dtype.kind == "f" else found
            np.testing.assert_array_equal(np.asarray(filled).astype(values.dtype), values, err_msg=name)
            continue
        told = ["" if value is np.ma.masked else str(value) for value in found]
        want = [v.encode("ascii", "replace").decode() if ascii_only else v for v in values]
        assert told == want, name


def test_fits_is_read_by_astropy_with_units_ucds_and_origin(tmp_path: Path) -> None:
    path = written("fits", contents(), tmp_path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[1].header
        assert header["TUNIT4"] == "nanomaggy" and header["TUCD2"] == "pos.eq.ra;meta.main"
        assert {name: header[name[:8]] for name in ABOUT} == ABOUT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)
        same(Table.read(path), rows(N), ascii_only=True)


def test_votable_is_read_by_astropy_with_units_ucds_and_origin(tmp_path: Path) -> None:
    path = written("vot", contents(), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)
        file = parse_votable(path, verify="exception")
        table = file.get_first_table()
        same(table.to_table(), rows(N))
    by_name = {field.name: field for field in table.fields}
    assert by_name["ra"].ucd == "pos.eq.ra;meta.main" and str(by_name["ra"].unit) == "deg"
    assert file.get_coosys_by_id(by_name["dec"].ref).system == "ICRS"
    assert {info.name: info.value for info in file.resources[0].infos} == ABOUT


def test_parquet_is_read_by_pyarrow_with_units_ucds_and_origin(tmp_path: Path) -> None:
    found = pq.ParquetFile(written("parquet", contents(), tmp_path))
    assert found.num_row_groups == 3
    table, expected = found.read(), rows(N)
    assert table["word"].null_count == N // 8
    for name, values in expected.items():
        if values.dtype == object:
            assert [v or "" for v in table[name].to_pylist()] == list(values)
        else:
            np.testing.assert_array_equal(table[name].to_numpy(), values)
    assert ABOUT.items() <= {k.decode(): v.decode() for k, v in table.schema.metadata.items()}.items()
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"
    assert Table.read(tmp_path / "galaxies.parquet")["ra"].unit == "deg"


def test_ecsv_is_read_by_astropy_with_units_and_origin(tmp_path: Path) -> None:
    table = Table.read(written("ecsv", contents(), tmp_path))
    same(table, rows(N))
    assert table.meta == ABOUT and table["ra"].unit == "deg" and table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"


def test_csv_holds_no_formula_and_every_digit(tmp_path: Path) -> None:
    table = pd.read_csv(written("csv", contents(), tmp_path), keep_default_na=False, dtype={"word": str, "huge": str})
    assert list(table["word"][:7]) == ["", "'=1+2", "'+cmd|' /C ca", "-5.5", "'@x", 'a "b"', "<c>&d;"]
    assert list(table["ra"]) == list(rows(N)["ra"])
    assert list(table["huge"].astype(np.uint64)) == list(rows(N)["huge"])


@pytest.mark.filterwarnings("ignore:OverflowError converting to IntType in column huge")  # astropy keeps its digits
@pytest.mark.parametrize("receipt", ["1f8a02c7", "00012345", "12345e67"])
def test_csv_says_in_every_row_where_it_came_from(receipt: str, tmp_path: Path) -> None:
    told = {**ABOUT, "survey": '=A "deep", wide survey', "receipt": receipt}
    path = written("csv", replace(contents(), about=told), tmp_path)
    origin = f'survey: =A "deep", wide survey; build: {"0" * 12}; receipt: {receipt}'
    for table in (pd.read_csv(path), Table.read(path)):
        assert list(table.columns)[-1] == "origin" and len(table) == N and set(table["origin"]) == {origin}
    assert "=" not in {line[0] for line in path.read_text().splitlines()}
    empty = pd.read_csv(written("csv", replace(contents(0), about=told), tmp_path))
    assert list(empty)[-1] == "origin" and not len(empty)


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=12), st.text("+-=@0123456789.e", max_size=6)))
def test_csv_starts_no_cell_as_a_formula(word: str) -> None:
    of = contents_of_one({**rows(1), "word": texts([word])})
    (line,) = csv.DictReader(io.StringIO(b"".join(FORMATS["csv"].write(of)).decode(), newline=""))
    cell = line["word"]
    assert cell.removeprefix("'") in (told := word.replace("\r", " "), told.removeprefix("'"))
    if cell[:1] in tuple("=+-@\t\r"):
        assert np.isfinite(float(cell))


def contents_of_one(one: Part) -> Contents:
    return Contents(fields=FIELDS, n_rows=1, id="id", about={}, parts=lambda: iter([one]))


def test_ds9_regions_are_read_by_regions(tmp_path: Path) -> None:
    path = written("reg", contents(300), tmp_path)
    found, expected = Regions.read(path), rows(300)
    centers = np.array([(one.center.ra.deg, one.center.dec.deg) for one in found])
    np.testing.assert_allclose(centers[:, 0], expected["ra"], atol=1e-8)
    np.testing.assert_allclose(centers[:, 1], expected["dec"], atol=1e-8)
    assert [one.meta["text"] for one in found] == list(expected["id"])
    assert "receipt: 1f8a02c7" in path.read_text()


def test_a_moc_holds_every_galaxy_and_no_cell_without_one(tmp_path: Path) -> None:
    path, expected = written("moc", contents(), tmp_path), rows(N)
    found = MOC.from_fits(str(path))
    assert found == MOC.from_lonlat(expected["ra"] * units.deg, expected["dec"] * units.deg, max_norder=11)
    header = fits.getheader(path, 1)
    assert "receipt: 1f8a02c7" in list(header["HISTORY"])
    assert header["ORDERING"] == "NUNIQ", "which readers of both versions of the standard know"


def test_what_fits_cannot_hold_is_written_as_near_as_it_can() -> None:
    assert ascii_text("872 × 1000 pixels, 5″ – Müller’s Å 日") == "872 x 1000 pixels, 5\" - Muller's A ?"


@pytest.mark.parametrize("kind", FORMATS)
def test_no_rows_make_a_file_too(kind: str, tmp_path: Path) -> None:
    path = written(kind, contents(0), tmp_path)
    if kind in ("fits", "vot", "ecsv", "parquet"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            table = Table.read(path)
        assert len(table) == 0 and table.colnames == [field.name for field in FIELDS]
    assert kind != "moc" or MOC.from_fits(str(path)).empty()


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"moc"}))
def test_no_part_of_a_file_grows_with_the_table(kind: str) -> None:
    sizes = [max(len(part) for part in FORMATS[kind].write(contents(n, 1_000))) for n in (3_000, 12_000)]
    assert sizes[1] < 1.1 * sizes[0]


def test_an_unknown_ending_is_told_the_known_ones() -> None:
    assert format_of(Path("a.moc.fits")).label == "MOC" and format_of(Path("A.FITS")).label == "FITS"
    with pytest.raises(InputError, match=r"\.docx' has none of the known endings: \.csv, "):
        format_of(Path("a.docx"))
