"""Catalogue files: one reader a format, all with the same face. Columns are read one at a time.

Parquet          pyarrow; a column is read when asked for
FITS             astropy, memory-mapped; a column is read when asked for
HDF5             h5py; a column is read when asked for
Feather          pyarrow, memory-mapped; held in memory where it is compressed
CSV, TSV         pyarrow, after `text_table` found their form; the file is held in memory
VOTable, ECSV    astropy; the file is held in memory
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable.exceptions import VOWarning
from astropy.table import Table

from atlas.errors import shorten

from ..errors import SourceError
from .tables.arrow_table import ArrowCatalog, open_feather, open_parquet
from .tables.astropy_table import AstropyCatalog, described_by_meta, warnings_note, with_warnings
from .tables.file_column import CatalogFile, FileColumn
from .tables.files_in_one import FilesInOne, told_of_files
from .tables.fits_table import FitsCatalog
from .tables.hdf5_table import Hdf5Table
from .tables.several_tables import Suits
from .tables.text_table import read_text_table
from .tables.votable_table import open_votable

# astropy and pyarrow raise many kinds for broken files; VOTable's errors are warnings by type.
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    NotImplementedError,
    csv.Error,
    pa.ArrowException,
    fits.VerifyError,
    VOWarning,
)


PARQUET_ENDINGS = (".parquet", ".pq")
HDF5_ENDINGS = (".hdf5", ".h5")
_FORMATS = {
    ending: name
    for name, endings in {
        "Parquet": PARQUET_ENDINGS,
        "Feather": (".feather", ".arrow"),
        "FITS": (".fits", ".fit", ".fits.gz", ".fit.gz"),
        "HDF5": HDF5_ENDINGS,
        "CSV": (".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        "ECSV": (".ecsv", ".ecsv.gz"),
        "VOTable": (".vot", ".votable", ".xml", ".vot.gz", ".votable.gz", ".xml.gz"),
    }.items()
    for ending in endings
}
# Formats whose files may hold several tables.
SEVERAL = ("FITS", "VOTable")


def _any_table(columns: Sequence[FileColumn], n_rows: int) -> int:
    """No table is better than another."""
    return 0


def open_catalog(path: Path, table: str = "", suits: Suits = _any_table) -> CatalogFile:
    """Open a catalogue by the ending of its name.

    Parameters
    ----------
    path : Path
    table : str
        Number or name of the table, in a FITS file or VOTable of several. Empty: the one that suits best.
    suits : callable
        How well a table serves as the catalogue, by its columns and number of rows.

    Raises
    ------
    SourceError
        If the ending is not known, the file is missing, truncated or of another format than its ending says, or
        nothing tells which of several tables is meant.
    """
    ending = catalog_ending(path)
    if ending is None:
        raise SourceError(f"{path}: not a catalogue that can be read; known endings are {', '.join(_FORMATS)}")
    known = _FORMATS[ending]
    if table and known not in SEVERAL:
        raise SourceError(f"{path} is {known}, which holds one table: --hdu says something of {' or '.join(SEVERAL)}")
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty")
        match known:
            case "Parquet":
                return open_parquet([path], pq.read_schema(path), pq.read_metadata(path).num_rows)
            case "Feather":
                return open_feather(path)
            case "FITS":
                return FitsCatalog(path, table, suits)
            case "HDF5":
                return Hdf5Table(path, suits)
            case "VOTable":
                return open_votable(path, table, suits)
            case "CSV" if not _starts_as_ecsv(path):
                text, notes = read_text_table(path)
                return ArrowCatalog(text.schema, text.num_rows, text.column, notes)
            case _:
                return _open_ecsv(path)
    except BROKEN as e:
        raise SourceError(f"{path} cannot be read as {known}: {shorten(e, 200)}") from e


def open_catalogs(paths: Sequence[Path], table: str = "", suits: Suits = _any_table) -> CatalogFile:
    """Open the files of a catalogue as one; see `open_catalog`."""
    if len(paths) > 1 and all(catalog_ending(path) in PARQUET_ENDINGS for path in paths) and not table:
        footers = [_footer(path) for path in paths]
        schema = footers[0][0] if footers[0] else None
        if all(one is not None and one[0].equals(schema) for one in footers):
            n_rows = sum(one[1] for one in footers if one)
            return open_parquet(paths, schema, n_rows, notes=(told_of_files(paths),))
    files = [open_catalog(path, table, suits) for path in paths]
    return files[0] if len(files) == 1 else FilesInOne(paths, files)


def _footer(path: Path) -> tuple[pa.Schema, int] | None:
    """Columns and number of rows of a Parquet file; None of a broken one, which `open_catalog` names."""
    try:
        return pq.read_schema(path), pq.read_metadata(path).num_rows
    except BROKEN:
        return None


def catalog_ending(path: Path) -> str | None:
    """The ending by which a file's format is known, or None for a file that is no catalogue."""
    return next((ending for ending in _FORMATS if path.name.lower().endswith(ending)), None)


def _open_ecsv(path: Path) -> CatalogFile:
    table, told = with_warnings(lambda: Table.read(path, format="ascii.ecsv"))
    return AstropyCatalog(table, warnings_note(path, told), described_by_meta(table))


def _starts_as_ecsv(path: Path) -> bool:
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as f:
        return f.read(9).startswith(b"# %ECSV ")
