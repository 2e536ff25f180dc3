"""A table that leaves in a file: what its columns are, where it came from, and its rows a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns, free_name
from atlas.storage import layout
from atlas.storage.manifest import Column, Manifest

Part = Mapping[str, NDArray[Any]]
"""Some rows: an array a field; text as an object array of str, empty where it is missing."""

_POSITION = {
    layout.RA: {"unit": "deg", "ucd": "pos.eq.ra;meta.main"},
    layout.DEC: {"unit": "deg", "ucd": "pos.eq.dec;meta.main"},
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the file.

    Attributes
    ----------
    name : str
    dtype : str
        numpy's name of a number; "text" else.
    width : int
        Characters that a text has at most.
    unit, ucd, description : str
        Empty where unknown.
    """

    name: str
    dtype: str = "text"
    width: int = 1
    unit: str = ""
    ucd: str = ""
    description: str = ""

    @property
    def is_text(self) -> bool:
        return self.dtype == "text"


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of a file.

    Attributes
    ----------
    fields : tuple of Field
        In order.
    n_rows : int
    id, ra, dec : str
        Names of the fields that say who and where a galaxy is; a table may lack the latter two.
    about : dict of str
        Where the rows came from: atlas, build, survey, receipt and their like, none empty.
    parts : callable
        Gives all rows, in order, anew at each call.
    """

    fields: tuple[Field, ...]
    n_rows: int
    id: str
    about: dict[str, str]
    parts: Callable[[], Iterator[Part]]
    ra: str = layout.RA
    dec: str = layout.DEC


def field_of(column: Column) -> Field:
    """The field of a catalogue's column."""
    told = {name: getattr(column, name) for name in ("unit", "ucd", "description")}
    for name, value in _POSITION.get(column.name, {}).items():
        told[name] = told[name] or value
    if column.kind == "category":
        return Field(name=column.name, width=max((len(word) for word in column.vocabulary), default=1), **told)
    if column.kind == "text":
        return Field(name=column.name, width=max(1, np.dtype(column.dtype).itemsize), **told)
    return Field(name=column.name, dtype=np.dtype(column.dtype).name, **told)


def id_field(columns: Sequence[Column], taken: Sequence[str]) -> Field:
    """The field of a galaxy's name, which the id columns make together."""
    width = sum(_longest(column) for column in columns) + len(columns) - 1
    names = ", ".join(column.name for column in columns)
    return Field(
        name=free_name("id", taken), width=width, ucd="meta.id;meta.main", description=f"Name of the galaxy: {names}"
    )


def provenance(manifest: Manifest, **more: str) -> dict[str, str]:
    """Provenance that every file carries."""
    p = manifest.provenance
    told = {
        "atlas": manifest.title,
        "build": manifest.build_id,
        "survey": p.survey,
        "release": p.release,
        "licence": p.licence,
        "acknowledgement": p.acknowledgement,
        "bibtex": p.bibtex,
        **more,
    }
    return {name: " ".join(text.split()) for name, text in told.items() if text}


def cells(columns: Columns, column: Column, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Values of a column: numbers in the type in which they are stored, which has the digits that they have."""
    if column.kind in ("number", "flags"):
        return np.asarray(columns.array(column.name)[rows])
    return texts(columns.values(column.name, rows))


def texts(values: Sequence[object]) -> NDArray[np.object_]:
    """Text of some rows as an object array, empty where it is missing."""
    found = np.empty(len(values), dtype=object)
    found[:] = ["" if value is None else str(value) for value in values]
    return found


def _longest(column: Column) -> int:
    """Characters of the longest value that a column can hold."""
    field = field_of(column)
    if field.is_text:
        return field.width
    dtype = np.dtype(field.dtype)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return max(len(str(bounds.min)), len(str(bounds.max)))
    return 24
