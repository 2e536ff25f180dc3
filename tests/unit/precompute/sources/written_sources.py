"""Small surveys in every format that a catalogue may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table
from pyarrow.feather import write_feather

from precompute.source_description import (
    SourceDescription,
    write_description,
)
from precompute.sources.column_types import normalize_column
from precompute.sources.source import Source

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


def as_arrow(table: Table) -> pa.Table:
    """Arrow's form, with units in the metadata of its fields."""
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
    return pa.table(arrays, schema=pa.schema(fields))


def write_arrow(path: Path, table: Table) -> None:
    """Parquet."""
    pq.write_table(as_arrow(table), path)


def write_stream(path: Path, table: Table) -> None:
    """A stream of Arrow's batches, as Hugging Face's `datasets` keeps them."""
    arrow = as_arrow(table)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, arrow.schema) as stream:
        stream.write_table(arrow, max_chunksize=5)


def write_fits(path: Path, table: Table) -> None:
    """FITS with its keywords of unit, description and UCD."""
    hdu = fits.table_to_hdu(table)
    for i, name in enumerate(table.colnames, start=1):
        hdu.header[f"TUCD{i}"] = table[name].meta.get("ucd", "")
        hdu.header[f"TCOMM{i}"] = table[name].description or ""
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "catalog.parquet": write_arrow,
    "catalog.feather": lambda path, table: write_feather(as_arrow(table), path),
    "catalog.arrow": write_stream,
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


def broken_positions(column: str, rows: dict[int, float]) -> dict[str, Any]:
    p = positions()
    for row, value in rows.items():
        p[column][row] = value
    return p
