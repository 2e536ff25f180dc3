"""VOTables whose cells are text, read by what the cells hold where the header promises too little room for them.

astropy cuts a `char` without `arraysize` to one letter and holds a `short` at 32767, as the header says; archives write
such headers. So whole numbers and text are taken from the cells as they stand, and given the type that the header
promises where it holds them.
"""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io import votable
from astropy.table import MaskedColumn, Table

from ...errors import SourceError
from ...source_description import ColumnDescription
from .arrow_table import arrow_values
from .astropy_table import AstropyCatalog, described_by_meta, warnings_note, with_warnings
from .file_column import FileColumn
from .several_tables import Suits, TableHead, choose_table
from .text_table import typed_cells

# Types of whole numbers in VOTable, and numpy's.
INTEGERS = {"unsignedByte": "u1", "short": "i2", "int": "i4", "long": "i8"}
TEXT = ("char", "unicodeChar")
KNOWN = frozenset((*INTEGERS, *TEXT, "float", "double", "boolean", "bit", "floatComplex", "doubleComplex"))

_FIELD = re.compile(rb"""<(?:\w+:)?FIELD\b(?:"[^"]*"|'[^']*'|[^>"'])*>""")
_DATATYPE = re.compile(rb"""\sdatatype\s*=\s*["']\s*(\w*)\s*["']""")
_ARRAYSIZE = re.compile(rb"""\sarraysize\s*=\s*["']\s*([^"']*?)\s*["']""")


def open_votable(path: Path, wanted: str, suits: Suits) -> AstropyCatalog:
    """Read one table of a VOTable.

    Raises
    ------
    SourceError
        If there is none, or nothing tells which is meant.
    """
    data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    is_text = re.search(rb"<(?:\w+:)?TABLEDATA\b", data) is not None
    declared: list[str] = []
    if is_text:
        data = _FIELD.sub(lambda match: _as_text(match[0], declared), data)
    tables, told = with_warnings(lambda: list(votable.parse(io.BytesIO(data), verify="ignore").iter_tables()))
    if not tables:
        raise SourceError(f"{path} is a VOTable file without a table")
    heads = [
        TableHead(place, table.name or table.ID or "", len(table.array), _heads(table))
        for place, table in enumerate(tables, start=1)
    ]
    head, notes = choose_table(path, heads, wanted, suits)
    first = sum(len(table.fields) for table in tables[: head.place - 1])
    chosen = tables[head.place - 1]
    table, told_later = with_warnings(lambda: chosen.to_table(use_names_over_ids=True))
    if is_text:
        promised = declared[first : first + len(chosen.fields)]
        for field, name, kind in zip(chosen.fields, table.colnames, promised, strict=True):
            if kind:
                notes += [f"{path.name}: column {name!r}: {note}" for note in _retype(table, name, kind, field)]
    given = [field.name for field in chosen.fields]
    notes += [
        f"{path.name}: a second column {old!r} is called {new!r}"
        for old, new in zip(given, table.colnames, strict=True)
        if old != new
    ]
    return AstropyCatalog(table, (*notes, *warnings_note(path, told + told_later)), described_by_meta(table))


def _as_text(tag: bytes, declared: list[str]) -> bytes:
    """A field's tag with room for any text, where it is one cell of text or a whole number; notes what it was."""
    found, size = _DATATYPE.search(tag), _ARRAYSIZE.search(tag)
    kind = found[1].decode() if found else ""
    is_text = kind in TEXT or kind not in KNOWN
    many = size is not None and size[1] not in (b"", b"1") and not (is_text and b"x" not in size[1])
    if many or (kind in KNOWN and kind not in INTEGERS and kind not in TEXT):
        declared.append("")
        return tag
    limit = size[1].decode() if size else ""
    declared.append(f"{kind or 'nothing'} {limit}".strip())
    for known in (_DATATYPE, _ARRAYSIZE):
        tag = known.sub(b"", tag)
    end = b"/>" if tag.endswith(b"/>") else b">"
    return tag[: -len(end)].rstrip() + b' datatype="unicodeChar" arraysize="*"' + end


def _retype(table: Table, name: str, declared: str, field: Any) -> list[str]:
    """Give a column that was read as text the type that its header promises, or the one that its cells need."""
    kind, _, limit = declared.partition(" ")
    old = table[name]
    cells = pa.chunked_array([pa.array(np.ma.filled(np.ma.asarray(old.data), "").astype(object), pa.string())])
    notes: list[str] = []
    if kind in TEXT:
        longest = pc.max(pc.utf8_length(cells)).as_py() or 0
        room = int(limit) if limit.isdecimal() else 1 if not limit else None
        if room is not None and longest > room:
            notes.append(f"texts have up to {longest:,} letters where the header promises {room}; read whole")
        return notes
    if (null := field.values.null) is not None:
        cells = pc.if_else(pc.equal(pc.utf8_trim_whitespace(cells), str(null).strip()), pa.scalar(""), cells)
    typed, notes = typed_cells(cells)
    if kind not in INTEGERS or not pa.types.is_integer(typed.type):
        notes.append(f"the header promises {repr(kind) if kind != 'nothing' else 'no type'}; read as {typed.type}")
    values = typed.to_pandas().to_numpy(dtype=object) if pa.types.is_string(typed.type) else arrow_values(typed)
    promised = np.dtype(INTEGERS.get(kind, "i8"))
    if kind in INTEGERS and values.dtype.kind in "iu":
        kept = np.ma.compressed(values)
        bounds = np.iinfo(promised)
        if not kept.size or (int(kept.min()) >= bounds.min and int(kept.max()) <= bounds.max):
            values = values.astype(promised)
        else:
            notes.append(f"holds numbers that {kind!r}, its type in the header, cannot; read as {values.dtype.name}")
    table[name] = MaskedColumn(values, unit=old.unit, description=old.description, meta=old.meta)
    return notes


def _heads(table: Any) -> tuple[FileColumn, ...]:
    return tuple(
        FileColumn(field.name, "number", field.datatype, description=ColumnDescription(ucd=field.ucd or ""))
        for field in table.fields
    )
