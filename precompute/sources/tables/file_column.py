"""A column and a catalogue as a file has them: the face that every format shows."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec
from numpy.typing import NDArray

from ...source_description import ColumnDescription

FileColumnKind = Literal["number", "text", "vector", "list", "other"]


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
    kind: FileColumnKind
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
