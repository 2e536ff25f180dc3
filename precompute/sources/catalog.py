"""Catalogue files: one reader a format, all with the same face. Columns are read one at a time.

Parquet          pyarrow; a column is read when asked for
FITS             astropy, memory-mapped; a column is read when asked for
CSV, TSV         pyarrow, after `text_table` found their form; the file is held in memory
VOTable, ECSV    astropy; the file is held in memory
"""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits, votable
from astropy.io.votable.exceptions import VOWarning
from astropy.table import Column, Table
from astropy.table.meta import get_header_from_yaml
from numpy.typing import NDArray

from atlas.errors import shorten
from precompute.errors import SourceError
from precompute.sources.description import ColumnDescription
from precompute.sources.text_table import read_text_table

T = TypeVar("T")

ColumnKind = Literal["number", "text", "vector", "list", "other"]

# astropy and pyarrow raise many kinds for broken files; VOTable's errors are warnings by type.
_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    NotImplementedError,
    pa.ArrowException,
    fits.VerifyError,
    VOWarning,
)


class FileColumn(msgspec.Struct, frozen=True):
    """A column as a file has it.

    Attributes
    ----------
    kind : {"number", "text", "vector", "list", "other"}
        A vector has `width` numbers in every row, a list any number (its width is found on reading).
    type_name : str
        As the format calls the type, for messages.
    description : ColumnDescription
        What the file itself says.
    """

    name: str
    kind: ColumnKind
    type_name: str
    width: int = 1
    description: ColumnDescription = ColumnDescription()


class CatalogFile(Protocol):
    """An open catalogue."""

    n_rows: int
    columns: tuple[FileColumn, ...]
    notes: tuple[str, ...]

    def read(self, name: str) -> NDArray[Any]:
        """One column in native byte order: shape (n,) or (n, width); masked where values are missing.

        Text comes as objects (None where missing) or as strings or bytes of fixed width.
        """


def open_catalog(path: Path) -> CatalogFile:
    """Open a catalogue by the ending of its name.

    Raises
    ------
    SourceError
        If the ending is not known, or the file is missing, truncated or of another format than its ending says.
    """
    ending = catalog_ending(path)
    if ending is None:
        raise SourceError(f"{path}: not a catalogue that can be read; known endings are {', '.join(_READERS)}")
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty")
        return _READERS[ending](path)
    except _BROKEN as e:
        raise SourceError(f"{path} cannot be read as {_FORMATS[ending]}: {shorten(e, 200)}") from e


def catalog_ending(path: Path) -> str | None:
    """The ending by which a file's format is known, or None for a file that is no catalogue."""
    return next((ending for ending in _READERS if path.name.lower().endswith(ending)), None)


class ArrowCatalog:
    """Parquet and CSV: both are read by Arrow and differ in where a column comes from."""

    def __init__(
        self, schema: pa.Schema, n_rows: int, read: Callable[[str], pa.ChunkedArray], notes: tuple[str, ...] = ()
    ) -> None:
        told = _described_by_astropy(schema)
        self.n_rows = n_rows
        # pandas stores its index as a column of this name; it is no property of the galaxies.
        fields = [field for field in schema if not field.name.startswith("__index_level_")]
        self.columns = tuple(_arrow_column(field, told.get(field.name)) for field in fields)
        self.notes = notes
        self._read = read

    def read(self, name: str) -> NDArray[Any]:
        """One column."""
        return _arrow_to_numpy(self._read(name))


class AstropyCatalog:
    """FITS, VOTable and ECSV, as astropy's table."""

    def __init__(self, table: Table, notes: tuple[str, ...], told: dict[str, ColumnDescription]) -> None:
        self.n_rows = len(table)
        self.columns = tuple(
            _astropy_column(name, table[name], told.get(name, ColumnDescription())) for name in table.colnames
        )
        self.notes = notes
        self._table = table

    def read(self, name: str) -> NDArray[Any]:
        """One column."""
        # FITS is big-endian, which pandas and Arrow do not take.
        values = self._table[name].data
        native: NDArray[Any] = values.astype(values.dtype.newbyteorder("="), copy=False)
        return native


def _open_parquet(path: Path) -> CatalogFile:
    return open_parquet([path], pq.read_schema(path), pq.read_metadata(path).num_rows)


def open_parquet(paths: Sequence[Path], schema: pa.Schema, n_rows: int) -> CatalogFile:
    """Parquet files of one schema that hold consecutive rows, as one catalogue; only their footers have been read."""
    # Text as dictionaries: the few words of a category are then held once and not once a row.
    words = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]

    def read_file(path: Path, name: str) -> pa.Table:
        # Opening sees the footer only; damage inside shows here.
        try:
            return pq.ParquetFile(path, memory_map=True, read_dictionary=words).read(columns=[name])
        except (OSError, pa.ArrowException) as e:
            raise SourceError(f"{path} is damaged at column {name!r}: {shorten(e, 200)}") from e

    return ArrowCatalog(
        schema, n_rows, lambda name: pa.concat_tables([read_file(path, name) for path in paths]).column(0)
    )


def _open_csv(path: Path) -> CatalogFile:
    if _starts_as_ecsv(path):
        return _open_ecsv(path)
    table, notes = read_text_table(path)
    return ArrowCatalog(table.schema, table.num_rows, table.column, notes)


def _open_fits(path: Path) -> CatalogFile:
    def find_tables() -> tuple[list[int], dict[str, ColumnDescription]]:
        with fits.open(path) as hdus:
            tables = [i for i, hdu in enumerate(hdus) if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
            if not tables:
                raise SourceError(f"{path} is a FITS file without a table")
            first = hdus[tables[0]]
            return tables, {
                name: ColumnDescription(
                    ucd=str(first.header.get(f"TUCD{i}", "")), description=str(first.header.get(f"TCOMM{i}", ""))
                )
                for i, name in enumerate(first.columns.names, start=1)
            }

    (tables, described), told = _with_warnings(find_tables)
    # A short file is only a warning to astropy; its last rows would be anything.
    if truncated := [text for text in told if "truncated" in text]:
        raise SourceError(f"{path} is truncated: {shorten(truncated[0], 200)}")
    # NaN stays NaN instead of becoming a mask: the arrays stay on disk until they are read.
    table, told_later = _with_warnings(
        lambda: Table.read(path, hdu=tables[0], memmap=True, mask_invalid=False, unit_parse_strict="silent")
    )
    notes = (f"{path.name} holds {len(tables)} tables; the first is read",) if len(tables) > 1 else ()
    return AstropyCatalog(table, notes + _warnings_note(path, told + told_later), described)


def _open_votable(path: Path) -> CatalogFile:
    def read() -> tuple[Table, int]:
        tables = list(votable.parse(path, verify="ignore").iter_tables())
        if not tables:
            raise SourceError(f"{path} is a VOTable file without a table")
        return tables[0].to_table(use_names_over_ids=True), len(tables)

    (table, n_tables), told = _with_warnings(read)
    notes = (f"{path.name} holds {n_tables} tables; the first is read",) if n_tables > 1 else ()
    return AstropyCatalog(table, notes + _warnings_note(path, told), _described_by_meta(table))


def _open_ecsv(path: Path) -> CatalogFile:
    table, told = _with_warnings(lambda: Table.read(path, format="ascii.ecsv"))
    return AstropyCatalog(table, _warnings_note(path, told), _described_by_meta(table))


_READERS: dict[str, Callable[[Path], CatalogFile]] = {
    ".parquet": _open_parquet,
    ".pq": _open_parquet,
    ".fits": _open_fits,
    ".fit": _open_fits,
    ".fits.gz": _open_fits,
    ".csv": _open_csv,
    ".csv.gz": _open_csv,
    ".tsv": _open_csv,
    ".tsv.gz": _open_csv,
    ".ecsv": _open_ecsv,
    ".ecsv.gz": _open_ecsv,
    ".vot": _open_votable,
    ".vot.gz": _open_votable,
    ".votable.gz": _open_votable,
    ".xml.gz": _open_votable,
    ".fit.gz": _open_fits,
    ".votable": _open_votable,
    ".xml": _open_votable,
}
PARQUET_ENDINGS = (".parquet", ".pq")
_FORMATS = {
    ending: name
    for name, endings in {
        "Parquet": PARQUET_ENDINGS,
        "FITS": (".fits", ".fit", ".fits.gz", ".fit.gz"),
        "CSV": (".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        "ECSV": (".ecsv", ".ecsv.gz"),
        "VOTable": (".vot", ".votable", ".xml", ".vot.gz", ".votable.gz", ".xml.gz"),
    }.items()
    for ending in endings
}


def _with_warnings(read: Callable[[], T]) -> tuple[T, list[str]]:
    """What `read` returns, and the warnings that it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = read()
    return result, [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]


def _warnings_note(path: Path, told: list[str]) -> tuple[str, ...]:
    if not told:
        return ()
    return (f"{path.name}: astropy warned {len(told)} times, first: {shorten(told[0], 200)}",)


def _starts_as_ecsv(path: Path) -> bool:
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as f:
        return f.read(9).startswith(b"# %ECSV ")


def _described_by_meta(table: Table) -> dict[str, ColumnDescription]:
    infos = ((name, table[name].info) for name in table.colnames)
    return {
        name: ColumnDescription(ucd=str((info.meta or {}).get("ucd", "")), description=info.description or "")
        for name, info in infos
    }


def _described_by_astropy(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What astropy's own Parquet writer noted of each column, by name; empty for files of other writers."""
    text = (schema.metadata or {}).get(b"table_meta_yaml")
    if text is None:
        return {}
    return {column["name"]: column for column in get_header_from_yaml(text.decode().split("\n"))["datatype"]}


def _arrow_column(field: pa.Field, told: dict[str, Any] | None) -> FileColumn:
    kind, width = _arrow_kind(field.type)
    metadata = {key.decode().lower(): value.decode() for key, value in (field.metadata or {}).items()}
    if told is not None:
        metadata = {key: str(told[key]) for key in ("unit", "description") if key in told} | metadata
        metadata.setdefault("ucd", str((told.get("meta") or {}).get("ucd", "")))
    return FileColumn(
        name=field.name,
        kind=kind,
        type_name=str(field.type),
        width=width,
        description=ColumnDescription(
            unit=metadata.get("unit", ""), ucd=metadata.get("ucd", ""), description=metadata.get("description", "")
        ),
    )


def _arrow_kind(kind: pa.DataType) -> tuple[ColumnKind, int]:
    if pa.types.is_dictionary(kind):
        return _arrow_kind(kind.value_type)
    if _is_arrow_text(kind):
        return "text", 1
    if _is_arrow_number(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return "number", 1
    if pa.types.is_fixed_size_list(kind) and _is_arrow_number(kind.value_type):
        return "vector", kind.list_size
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_arrow_number(kind.value_type):
        return "list", 0
    return "other", 1


def _is_arrow_text(kind: pa.DataType) -> bool:
    is_text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    return is_text


def _is_arrow_number(kind: pa.DataType) -> bool:
    is_number: bool = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return is_number


def _arrow_to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    """Native numpy values; masked where Arrow has nulls."""
    kind = column.type
    value_kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if _is_arrow_text(value_kind):
        encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
        array = encoded.unify_dictionaries().combine_chunks()
        codes = pc.fill_null(array.indices, len(array.dictionary)).to_numpy(zero_copy_only=False)
        words = np.array([*array.dictionary.to_pylist(), None], dtype=object)
        text: NDArray[Any] = words[codes]
        return text
    if pa.types.is_dictionary(kind):
        column = column.cast(value_kind)
    if pa.types.is_decimal(value_kind):
        column = column.cast(pa.float64())
    if pa.types.is_fixed_size_list(kind):
        flat = pa.chunked_array([chunk.flatten() for chunk in column.chunks], kind.value_type)
        if len(flat) != len(column) * kind.list_size:
            raise SourceError(f"{column.null_count} rows of a {kind} column are null")
        return _arrow_to_numpy(flat).reshape(-1, kind.list_size)
    values: NDArray[Any]
    if column.null_count == 0:
        values = column.to_numpy()
    else:
        filled = pc.fill_null(column, pa.scalar(0).cast(column.type)).to_numpy()
        values = np.ma.MaskedArray(filled, mask=column.is_null().to_numpy())
    return values


def _astropy_column(name: str, column: Any, told: ColumnDescription) -> FileColumn:
    kind: ColumnKind = "other"
    width = 1
    if not isinstance(column, Column):
        # A mixin (SkyCoord, Time): its parts are not columns of numbers.
        return FileColumn(name=name, kind=kind, type_name=type(column).__name__)
    if column.dtype.kind in "biuf" and column.ndim <= 2:
        kind, width = ("number", 1) if column.ndim == 1 else ("vector", column.shape[1])
    elif column.ndim == 1 and (column.dtype.kind in "SU" or _holds_text(column)):
        kind = "text"
    return FileColumn(
        name=name,
        kind=kind,
        type_name=f"{column.dtype.name}{list(column.shape[1:]) or ''}",
        width=width,
        description=msgspec.structs.replace(told, unit="" if column.unit is None else str(column.unit)),
    )


def _holds_text(column: Any) -> bool:
    """Whether a column of objects holds strings; judged by the first value that is there."""
    values = np.ma.compressed(column.data) if isinstance(column.data, np.ma.MaskedArray) else column.data
    first = next((value for value in values if value is not None), None)
    return isinstance(first, str | bytes)
