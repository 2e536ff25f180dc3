"""Catalogues that Arrow reads, Parquet, Feather and text, and Arrow's values as numpy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.table.meta import get_header_from_yaml
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import ColumnDescription
from ..names import unique_names
from .file_column import CatalogFile, FileColumn, FileColumnKind

_ARROW_FILE = b"ARROW1"

WIDE = 10_000
"""Columns of all files together from which several are read at once."""

AHEAD_BYTES = 1 << 29


class ArrowCatalog:
    """Parquet, Feather and CSV: all are read by Arrow and differ in where a column comes from."""

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
        return arrow_values(self._read(name))


def open_parquet(paths: Sequence[Path], schema: pa.Schema, n_rows: int, notes: tuple[str, ...] = ()) -> CatalogFile:
    """Parquet files of one schema that hold consecutive rows, as one catalogue; only their footers have been read."""
    # Text as dictionaries: the few words of a category are then held once and not once a row.
    words = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    names, renamed = unique_names(schema.names)
    # By its name in the file and how many there had it before; Arrow finds columns by name, and "a" finds "a.b", too.
    places = {
        name: (old, schema.names[:i].count(old)) for i, (name, old) in enumerate(zip(names, schema.names, strict=True))
    }
    unique = pa.schema(
        [field.with_name(name) for name, field in zip(names, schema, strict=True)], metadata=schema.metadata
    )

    def read_files(wanted: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        parts: dict[str, list[pa.Table]] = {name: [] for name in wanted}
        for path in paths:
            # Opening sees the footer only; damage inside shows here.
            try:
                file = pq.ParquetFile(path, memory_map=True, read_dictionary=words)
                table = file.read(columns=[places[name][0] for name in wanted])
                for name in wanted:
                    old, before = places[name]
                    found = table.column([i for i, one in enumerate(table.schema.names) if one == old][before])
                    parts[name].append(pa.table({name: _as_type(found, unique.field(name).type)}))
            except (OSError, IndexError, pa.ArrowException) as e:
                raise SourceError(f"{path} is damaged at column {wanted[0]!r}: {shorten(e, 200)}") from e
        return {name: pa.concat_tables(tables).column(0) for name, tables in parts.items()}

    return ArrowCatalog(unique, n_rows, _ReadAhead(unique, n_rows, len(paths), read_files), (*notes, *renamed))


class _ReadAhead:
    """A column, and those after it where opening so many wide files again for each of them would take minutes.

    A footer of 1,300 columns takes 5 ms, and 400 files have one each.
    """

    def __init__(
        self,
        schema: pa.Schema,
        n_rows: int,
        n_files: int,
        read_files: Callable[[Sequence[str]], dict[str, pa.ChunkedArray]],
    ) -> None:
        self._read_files = read_files
        plain = [field.name for field in schema if _arrow_kind(field.type)[0] in ("number", "text")]
        self._after = {name: i for i, name in enumerate(plain)}
        self._plain = plain
        self._many = AHEAD_BYTES // (8 * max(1, n_rows)) if len(schema) * n_files > WIDE else 1
        self._ahead: dict[str, pa.ChunkedArray] = {}
        self._lock = Lock()

    def __call__(self, name: str) -> pa.ChunkedArray:
        with self._lock:
            if name not in self._ahead:
                self._ahead = {}
                start = self._after.get(name)
                group = [name] if start is None else self._plain[start : start + max(1, self._many)]
                try:
                    self._ahead = self._read_files(group)
                except SourceError:
                    self._many = 1  # one that is damaged keeps no other out
                    self._ahead = self._read_files([name])
            return self._ahead.pop(name)


def widest_type(types: Sequence[pa.DataType]) -> pa.DataType | None:
    """The type that holds every value of some types as it is; None where there is none."""
    if len(types) == 1:
        return types[0]
    try:
        schemas = [pa.schema([("column", kind)]) for kind in types]
        widest = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None
    whole = [kind for kind in types if pa.types.is_integer(kind)]
    # Arrow would make floats of whole numbers of 64 bits, and signed ones of unsigned.
    is_beyond = pa.types.is_floating(widest) and any(kind.bit_width > 32 for kind in whole)
    is_signed = pa.types.is_signed_integer(widest) and pa.uint64() in whole
    return None if is_beyond or is_signed else widest


def _as_type(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Values of one file in the type of all; text as dictionaries."""
    if not _is_arrow_text(wanted):
        return values if values.type == wanted else values.cast(wanted)
    words = pa.dictionary(pa.int32(), wanted)
    if values.type == words:
        return values
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    return plain.cast(wanted).dictionary_encode()


def open_feather(path: Path) -> CatalogFile:
    """A file of Arrow's own format, of files (pandas, polars) or of streams (Hugging Face's `datasets`)."""
    with pa.memory_map(str(path)) as mapped:
        is_file = mapped.read(len(_ARROW_FILE)) == _ARROW_FILE
    source = pa.memory_map(str(path))
    table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
    names, notes = unique_names(table.schema.names)
    table = table.rename_columns(names)
    return ArrowCatalog(table.schema, table.num_rows, table.column, tuple(notes))


def _described_by_astropy(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Notes of astropy's own Parquet writer on each column, by name; empty for files of other writers."""
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


def _arrow_kind(kind: pa.DataType) -> tuple[FileColumnKind, int]:
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
    known = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary
    is_text: bool = any(one(kind) for one in known)
    return is_text


def _is_arrow_number(kind: pa.DataType) -> bool:
    is_number: bool = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return is_number


def arrow_values(column: pa.ChunkedArray) -> NDArray[Any]:
    """Native numpy values; masked where Arrow has nulls."""
    kind = column.type
    value_kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string_view(kind):  # polars writes it; Arrow cannot encode it as it is
        column = column.cast(pa.large_string())
        kind = column.type
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
        return arrow_values(_undecimal(column))
    if pa.types.is_fixed_size_list(kind):
        return _vectors(column, kind.list_size)
    values: NDArray[Any]
    if column.null_count == 0:
        values = column.to_numpy()
    else:
        filled = pc.fill_null(column, pa.scalar(0).cast(column.type)).to_numpy()
        values = np.ma.MaskedArray(filled, mask=column.is_null().to_numpy())
    return values


def _vectors(column: pa.ChunkedArray, width: int) -> NDArray[Any]:
    """Rows of (n, width); a list that is null is masked as its null numbers are."""
    flat = [chunk.values.slice(chunk.offset * width, len(chunk) * width) for chunk in column.chunks]
    values = arrow_values(pa.chunked_array(flat, column.type.value_type)).reshape(-1, width)
    if column.null_count:
        values = np.ma.MaskedArray(values)
        values[column.is_null().to_numpy()] = np.ma.masked
    return values


def _undecimal(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals as floats; whole ones, which databases make of ids, as integers or, beyond 64 bits, as text."""
    if column.type.scale > 0:
        return column.cast(pa.float64())
    for kind in (pa.int64(), pa.uint64()):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column.cast(pa.string())
