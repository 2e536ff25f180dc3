"""Text: CSV for spreadsheets, ECSV for astropy, and regions for DS9."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from atlas.catalog.columns import free_name
from atlas.exports.contents import Contents, Part, texts
from atlas.exports.tables import table_of

ORIGIN = ("survey", "build", "receipt")
_FORMULA = re.compile(r"^[=+\-@\t]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv(contents: Contents) -> Iterator[bytes]:
    """Comma-separated values. A text that a spreadsheet would run as a formula gets an apostrophe in front.

    The last column says in each row where that came from: lines above the header are no CSV to most readers, and what
    is told once is lost when rows are sorted, cut or joined. It is one column, since a receipt of its own, such as
    12345e67, would be read as a number.
    """
    column = free_name("origin", [field.name for field in contents.fields])
    origin = "; ".join(f"{name}: {contents.about[name]}" for name in ORIGIN if name in contents.about)
    for at, part in enumerate(contents.parts()):
        cells = {name: _safe(values) if values.dtype == object else values for name, values in _cells(contents, part)}
        yield pd.DataFrame(cells | {column: origin}).to_csv(index=False, header=at == 0).encode()


def ecsv(contents: Contents) -> Iterator[bytes]:
    """Comma-separated values below a head that gives types, units, UCDs and where the rows came from."""
    head = io.StringIO()
    empty: Table = table_of(contents, None)
    empty.write(head, format="ascii.ecsv", delimiter=",")
    yield head.getvalue().encode()
    for part in contents.parts():
        yield pd.DataFrame(dict(_cells(contents, part))).to_csv(index=False, header=False, na_rep="nan").encode()


def regions(contents: Contents) -> Iterator[bytes]:
    """A point a galaxy, labelled by its id, for DS9 and whatever reads its regions."""
    told = "".join(f"# {name}: {_unbroken(text)}\n" for name, text in contents.about.items())
    yield f"# Region file format: DS9 version 4.1\n{told}global color=green\nicrs\n".encode()
    for part in contents.parts():
        yield "".join(_points(contents, part)).encode()


def _points(contents: Contents, part: Part) -> Iterator[str]:
    for name, ra, dec in zip(*(part[of] for of in (contents.id, contents.ra, contents.dec)), strict=True):
        yield f"point({ra:.8f},{dec:.8f}) # point=circle text={{{_unbroken(name)}}}\n"


def _unbroken(text: str) -> str:
    """A text without what ends a label, a command or a line of DS9."""
    return re.sub(r"[{};\s]+", " ", text)


def _cells(contents: Contents, part: Part) -> Iterator[tuple[str, NDArray[Any]]]:
    """Columns of a part. A carriage return, which pandas leaves outside of quotes, becomes a blank."""
    for field in contents.fields:
        values = part[field.name]
        yield field.name, texts([text.replace("\r", " ") for text in values]) if field.is_text else values


def _safe(values: NDArray[np.object_]) -> NDArray[np.object_]:
    return texts([f"'{v}" if _FORMULA.match(v) and not _NUMBER.fullmatch(v) else v for v in values])
