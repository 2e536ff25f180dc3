"""Binary tables and VOTable, written a part at a time by the libraries that read them."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import tree
from astropy.table import Table
from astropy.table.meta import get_yaml_from_table
from astropy.units import Unit
from numpy.typing import NDArray

from atlas.exports.contents import Contents, Field, Part

_BLOCK = 2880
_CELL, _ROW = "\x1f", "\x1e"
_CONTROL = re.compile(r"[\x00-\x1f]")
_SIGNS = str.maketrans({"×": "x", "−": "-", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "′": "'", "″": '"'})
_WIDER = {"float16": "float32", "int8": "int16"}
"""Types that FITS and VOTable lack, and what holds their values."""

_WIDER_IN_XML = {**_WIDER, "uint16": "int32", "uint32": "int64", "uint64": "U20"}
"""VOTable knows no unsigned number beyond a byte; the widest goes as digits."""


def table_of(contents: Contents, part: Part | None, wider: Mapping[str, str] = _WIDER) -> Table:
    """Some rows as an astropy table; none where no part is given."""
    table = Table(meta=dict(contents.about))
    for field in contents.fields:
        if field.is_text:
            values: Any = np.array([] if part is None else part[field.name].astype(str), dtype=f"U{field.width}")
        else:
            values = np.asarray([] if part is None else part[field.name]).astype(wider.get(field.dtype, field.dtype))
        table[field.name] = values
        table[field.name].description = field.description or None
        if field.unit:
            table[field.name].unit = _unit(field.unit)
        if field.ucd:
            table[field.name].meta["ucd"] = field.ucd
    return table


def parquet(contents: Contents) -> Iterator[bytes]:
    """Parquet, a row group a part; units, UCDs and descriptions beside each column, and as astropy has them."""
    lengths = {f"table::len::{f.name}": str(f.width) for f in contents.fields if f.is_text}
    units = "\n".join(get_yaml_from_table(table_of(contents, None)))
    schema = pa.schema(
        [arrow_field(f) for f in contents.fields],
        metadata={**contents.about, **lengths, "table_meta_yaml": units},
    )
    sink = _Outbox()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for part in contents.parts():
            arrays = [arrow_array(f, part[f.name]) for f in contents.fields]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def fits_table(contents: Contents) -> Iterator[bytes]:
    """FITS, a binary table; UCDs as TUCDn and descriptions as TCOMMn, as TOPCAT has them."""
    yield _bytes_of(fits.PrimaryHDU())
    header = fits.BinTableHDU(_ascii(contents, None).as_array()).header
    header["NAXIS2"] = contents.n_rows
    header["EXTNAME"] = "galaxies"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)  # long texts and names go on in further cards
        for name, text in contents.about.items():
            header[name[:8].upper()] = ascii_text(text)
        for at, field in enumerate(contents.fields, start=1):
            for key, text in ((f"TUNIT{at}", field.unit), (f"TUCD{at}", field.ucd), (f"TCOMM{at}", field.description)):
                if text:
                    header[key] = ascii_text(text)
    yield header.tostring().encode("ascii")
    written = 0
    for part in contents.parts():
        hdu = fits.BinTableHDU(_ascii(contents, part).as_array())
        size = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
        whole = _bytes_of(hdu)
        start = len(whole) - size - (-size % _BLOCK)
        yield whole[start : start + size]
        written += size
    yield b"\0" * (-written % _BLOCK)


def votable(contents: Contents) -> Iterator[bytes]:
    """VOTable 1.4 of one table in ICRS, with units and UCDs.

    Its head and foot are astropy's; the rows are written as CSV is, ten times as fast.
    """
    head, end, foot = _xml(contents).partition(b"  </TABLE>")
    yield head + b"<DATA><TABLEDATA>\n"
    for part in contents.parts():
        cells = {f.name: _xml_cells(f, part[f.name]) for f in contents.fields}
        rows = pd.DataFrame(cells).to_csv(
            index=False, header=False, sep=_CELL, lineterminator=_ROW, na_rep="NaN", quoting=csv.QUOTE_NONE
        )
        lines = (f"<TR><TD>{row.replace(_CELL, '</TD><TD>')}</TD></TR>\n" for row in rows.split(_ROW)[:-1])
        yield "".join(lines).encode()
    yield b"</TABLEDATA></DATA>\n" + end + foot


def _xml(contents: Contents) -> bytes:
    """The document without its rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units that VOTable does not know are written as the survey gives them
        file = tree.VOTableFile.from_table(table_of(contents, None, _WIDER_IN_XML))
        table = file.get_first_table()
        resource = file.resources[0]
        resource.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS"))
        for field, described in zip(table.fields, contents.fields, strict=True):
            if described.ucd:
                field.ucd = described.ucd
            if described.name in (contents.ra, contents.dec):
                field.ref = "icrs"
        resource.infos.extend(tree.Info(name=name, value=text) for name, text in contents.about.items())
        buffer = io.BytesIO()
        file.to_xml(buffer, tabledata_format="tabledata")
    return buffer.getvalue()


def _xml_cells(field: Field, values: NDArray[Any]) -> NDArray[Any]:
    if field.is_text:
        return np.array([escape(_CONTROL.sub(" ", text)) for text in values], dtype=object)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def ascii_text(text: str) -> str:
    """A text in what FITS headers hold: signs that have one are written by it, letters without their accents."""
    plain = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    return "".join(one for one in plain if not unicodedata.combining(one)).encode("ascii", "replace").decode()


def _ascii(contents: Contents, part: Part | None) -> Table:
    """A table whose text is bytes, which is what FITS holds."""
    table = table_of(contents, part)
    for field in contents.fields:
        if field.is_text:
            table[field.name] = np.char.encode(table[field.name].data.astype(f"U{field.width}"), "ascii", "replace")
            table[field.name] = table[field.name].data.astype(f"S{field.width}")
    return table


def _unit(text: str) -> Any:
    return Unit(text, parse_strict="silent")


def _bytes_of(hdu: Any) -> bytes:
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


def _told(field: Field) -> dict[str, str]:
    told = {"unit": field.unit, "ucd": field.ucd, "description": field.description}
    return {name: text for name, text in told.items() if text}


def arrow_field(field: Field) -> Any:
    """A field of a Parquet file, with what is known of it beside it."""
    kind = pa.string() if field.is_text else pa.from_numpy_dtype(np.dtype(field.dtype))
    return pa.field(field.name, kind, metadata=_told(field))


def arrow_array(field: Field, values: NDArray[Any]) -> Any:
    """Values of a field; missing text is null."""
    return pa.array([v or None for v in values], pa.string()) if field.is_text else pa.array(values)


class _Outbox(io.RawIOBase):
    """A file that only grows, emptied as it does."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        copied = bytes(data)
        self._waiting.append(copied)
        self._size += len(copied)
        return len(copied)

    def take(self) -> bytes:
        """Take what was written since the last time."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken
