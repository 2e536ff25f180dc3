"""Broken and foreign files: each is named with what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable.tree import VOTableFile

from precompute.errors import SourceError
from precompute.sources.source import open_source

from .written_sources import WRITERS, a_table, embeddings, positions, write_source


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
