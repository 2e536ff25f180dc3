"""Values of a further catalogue as the columns of an atlas that exists already hold them.

What a column is was decided when the atlas was built: its kind, type and words. Values that it cannot hold without
loss are an error, never changed in silence; words that are new to a category are added behind those it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten
from atlas.storage.manifest import Column

from ..errors import SourceError
from ..sources.checks import counted
from ..sources.column_types import MAX_WORDS, MISSING_CODE, NormalizedColumn

NOUNS = {"number": "numbers", "flags": "flags", "category": "words", "text": "texts"}


def conform(values: NormalizedColumn, column: Column) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Values in the type of a stored column, and the words that it has from now on.

    Parameters
    ----------
    values : NormalizedColumn
        Of shape (m,), as `normalize_column` returns them.
    column : Column
        What the manifest says of the column that is to hold them.

    Returns
    -------
    array : ndarray of shape (m,)
        Of `column.dtype`.
    vocabulary : tuple of str
        Of a category: `column.vocabulary`, then what is new, sorted. Empty otherwise.

    Raises
    ------
    SourceError
        If the column cannot hold them without loss. The text is to be read after the column's name.
    """
    match column.kind, values.kind:
        case "category", "category" | "text":
            return _as_category(values, column)
        case "text", "category" | "text":
            return _as_text(values, column), ()
        case "number" | "flags", "number" | "flags":
            return _as_number(values.array, np.dtype(column.dtype)), ()
    raise SourceError(f"holds {NOUNS[values.kind]} where the atlas has {NOUNS[column.kind]}")


def _as_number(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=np.bool_)
    if dtype.kind != "f" and missing.any():
        raise SourceError(f"is missing in {counted(int(missing.sum()), 'row')}; the atlas holds whole numbers there")
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype)
    if dtype.kind == "f" and array.dtype.kind == "f":
        # Of fewer digits at most, as the atlas holds the rows it has.
        changed = np.isfinite(array) & ~np.isfinite(cast)
    else:
        changed = ~missing & (cast.astype(array.dtype) != array)
    if changed.any():
        row = int(np.argmax(changed))
        raise SourceError(
            f"has {counted(int(changed.sum()), 'value')} that {dtype.name}, its type in the atlas, cannot hold; "
            f"the first is {array[row]} in row {row}"
        )
    return cast


def _words(values: NormalizedColumn) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Distinct words as objects, "" for a missing one, and which of them each row has."""
    if values.kind == "category":
        words = np.array([*values.vocabulary, ""], dtype=object)
        return words, np.minimum(values.array, len(values.vocabulary)).astype(np.intp)
    distinct, which = np.unique(values.array, return_inverse=True)
    return np.array([bytes(word).decode() for word in distinct], dtype=object), which


def _as_category(values: NormalizedColumn, column: Column) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    words, which = _words(values)
    new = sorted({*words} - {*column.vocabulary, ""})
    vocabulary = (*column.vocabulary, *new)
    if len(vocabulary) > MAX_WORDS:
        raise SourceError(
            f"has {counted(len(new), 'word')} that the atlas does not know, such as {shorten(new[0])!r}: a category "
            f"has at most {MAX_WORDS}, this one {len(column.vocabulary)} already"
        )
    codes = {word: code for code, word in enumerate(vocabulary)}
    code = np.array([codes.get(word, MISSING_CODE) for word in words], dtype=np.uint8)
    return code[which], vocabulary


def _as_text(values: NormalizedColumn, column: Column) -> NDArray[np.bytes_]:
    words, which = _words(values)
    encoded = [word.encode() for word in words]
    width = np.dtype(column.dtype).itemsize
    longest = max(encoded, key=len)
    if len(longest) > width:
        raise SourceError(
            f"has a text of {len(longest)} bytes, {shorten(longest.decode(), 40)!r}, and the atlas holds {width} there"
        )
    array: NDArray[np.bytes_] = np.array(encoded, dtype=column.dtype)[which]
    return array
