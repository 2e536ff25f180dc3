"""Columns of a catalogue as an atlas stores them: their names, and their values as numbers, categories or text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atlas.catalog.reserved_names import OF_AN_ATLAS
from atlas.storage.layout import NAME

from ..errors import SourceError
from ..source_description import FILENAME, ColumnDescription
from .names import MISSING_WORDS
from .tables.file_column import FileColumn

RESERVED_PREFIX = "survey_"
# A vector of magnitudes is split into columns; a wider one (an embedding, a spectrum) is not.
MAX_SPLIT = 16

# Categories are stored as uint8; the code after the last possible word stands for "missing".
MAX_WORDS = 255
MISSING_CODE = 255
MAX_TEXT = 128
# What catalogues write for "missing" besides NaN, and the least and greatest integers of databases; in the single
# precision that some have.
SENTINELS = frozenset(
    float(np.float32(v)) for v in (99, 99.99, 999, 999.99, 9999, 99999, 1e20, 1e30, 2**15, 2**31, 2**31 - 1, 2**63)
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
# Integers beyond this lose digits as float64.
EXACT_IN_FLOAT64 = 2**53


class StoredColumn(msgspec.Struct, frozen=True):
    """Origin of an atlas column: a column of the file, or one component of a vector there."""

    name: str
    file_name: str
    component: int | None = None


@dataclass(frozen=True, eq=False)
class NormalizedColumn:
    """Values as an atlas stores them.

    Attributes
    ----------
    kind : {"number", "category", "flags", "text"}
    array : ndarray of shape (n,)
        number: native integers or floats, missing values NaN. category: uint8 codes into `vocabulary`, missing 255.
        flags: integers. text: UTF-8 bytes of fixed width, missing empty.
    vocabulary : tuple of str
        Words of a category, sorted; at most 255.
    missing_count : int
        Rows without a value.
    notes : tuple of str
        What was changed on the way, to be read after the column's name.
    """

    kind: Literal["number", "category", "flags", "text"]
    array: NDArray[Any]
    vocabulary: tuple[str, ...] = ()
    missing_count: int = 0
    notes: tuple[str, ...] = ()


def plan_columns(columns: Iterable[FileColumn]) -> tuple[list[StoredColumn], list[str]]:
    """Plan the columns that an atlas takes over, and their names.

    Valid names are kept; others are cleaned, reserved ones get a prefix, vectors of up to 16 numbers become one
    column a component. Names never differ in case only, since some file systems could not tell them apart.

    Returns
    -------
    stored : list of StoredColumn
        In the order of the file.
    notes : list of str
        What was renamed, split or left out.
    """
    wanted: list[tuple[str, str, int | None]] = []
    skipped, split = [], []
    for column in columns:
        if column.kind in ("number", "text"):
            wanted.append((column.name, column.name, None))
        elif column.kind == "vector" and column.width <= MAX_SPLIT:
            wanted.extend((f"{column.name}_{i}", column.name, i) for i in range(column.width))
            split.append(f"{column.name!r} into {column.width}")
        else:
            skipped.append(f"{column.name!r} ({column.type_name})")
    names, taken = {}, set[str]()
    # Good names first, so that no cleaned one takes the name of another column.
    for i, (name, _, component) in enumerate(wanted):
        if component is None and _is_free(name) and name.lower() not in taken:
            names[i] = name
            taken.add(name.lower())
    for i, (name, _, _) in enumerate(wanted):
        if i not in names:
            names[i] = _unused(clean_name(name), taken)
            taken.add(names[i].lower())
    stored = [StoredColumn(names[i], file_name, component) for i, (_, file_name, component) in enumerate(wanted)]
    renamed = [f"{name!r} is called {names[i]}" for i, (name, _, _) in enumerate(wanted) if names[i] != name]
    notes = []
    if split:
        notes.append(f"columns of several numbers are split: {', '.join(split)}")
    if renamed:
        notes.append(f"columns are renamed, since their names are taken or not allowed: {', '.join(renamed)}")
    if skipped:
        notes.append(f"columns of other kinds than numbers and text are left out: {', '.join(skipped)}")
    return stored, notes


def clean_name(name: str) -> str:
    """The nearest allowed name: letters, digits and underscores, a letter first, at most 64, not a reserved one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_") or "column"
    if not plain[0].isalpha():
        plain = f"c_{plain}"
    if plain.lower() in OF_AN_ATLAS:
        plain = f"{RESERVED_PREFIX}{plain}"
    return plain[:64]


def normalize_column(
    values: NDArray[Any], description: ColumnDescription, *, identifier: bool = False
) -> NormalizedColumn:
    """Bring the values of a column into the form in which an atlas stores them.

    Parameters
    ----------
    values : ndarray or masked array of shape (n,)
        Numbers in native byte order, booleans, bytes, or strings (as objects or of fixed width; None where missing).
    description : ColumnDescription
        Its `missing` value is read as missing; its `flags` marks integers as bit sets.
    identifier : bool
        Text stays text, however few words there are.
    """
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else np.zeros(values.shape, dtype=bool)
    plain: NDArray[Any] = np.ma.getdata(values)
    if plain.dtype.kind in "OSU":
        return _normalize_text(plain, mask, identifier)
    if plain.dtype.kind == "b":
        plain = plain.astype(np.uint8)
    elif plain.dtype.itemsize > 8:
        plain = plain.astype(np.float64)
    if description.missing is not None:
        mask = mask | (plain == plain.dtype.type(description.missing)) if _fits(description.missing, plain) else mask
    if plain.dtype.kind == "f":
        values_of = _normalize_floats(plain, mask)
    else:
        values_of = _normalize_integers(plain, mask, description.flags)
    if description.missing is None and values_of.kind == "number" and not identifier:
        values_of = replace(values_of, notes=values_of.notes + _ask_sentinels(values_of.array))
    return values_of


def _normalize_floats(plain: NDArray[Any], mask: NDArray[np.bool_]) -> NormalizedColumn:
    if plain.dtype.itemsize == 2:
        plain = plain.astype(np.float32)
    infinite = np.isinf(plain) & ~mask
    n_infinite = int(infinite.sum())
    missing = mask | infinite | np.isnan(plain)
    array = np.where(missing, plain.dtype.type(np.nan), plain)
    notes = (f"infinite values, read as missing: {n_infinite:,}",) if n_infinite else ()
    return NormalizedColumn("number", array, missing_count=int(missing.sum()), notes=notes)


def _ask_sentinels(array: NDArray[Any]) -> tuple[str, ...]:
    """A question where the least or greatest number is one that catalogues use for "missing", far from the others."""
    notes = []
    for extreme in (np.fmin, np.fmax):
        value = float(extreme.reduce(array)) if array.size else np.nan
        with np.errstate(over="ignore"):
            if float(np.float32(abs(value))) not in SENTINELS:
                continue
        others = array[array != value]
        next_one = float(extreme.reduce(others)) if others.size else np.nan
        if abs(next_one) < abs(value) / 2:
            n = int((array == value).sum())
            shown = str(int(value)) if array.dtype.kind in "iu" else f"{value:g}"
            notes.append(f"{shown} in {n:,} rows is kept: if it stands for missing, say so (missing, in {FILENAME})")
    return tuple(notes)


def _normalize_integers(plain: NDArray[Any], mask: NDArray[np.bool_], is_flags: bool) -> NormalizedColumn:
    n_missing = int(mask.sum())
    if is_flags:
        told = (f"rows without flags, read as 0: {n_missing:,}",) if n_missing else ()
        return NormalizedColumn("flags", np.where(mask, plain.dtype.type(0), plain), (), n_missing, told)
    if not n_missing:
        return NormalizedColumn("number", plain)
    kept = plain[~mask]
    if kept.size and max(abs(int(kept.min())), abs(int(kept.max()))) > EXACT_IN_FLOAT64:
        text = plain.astype("S20")
        text[mask] = b""
        why = f"integers above 2^53 stored as text to keep their digits, since some are missing: {n_missing:,}"
        return NormalizedColumn("text", text, missing_count=n_missing, notes=(why,))
    # Integers have no NaN. Up to 16 bits a float32 is exact.
    array = plain.astype(np.float32 if plain.dtype.itemsize <= 2 else np.float64)
    array[mask] = np.nan
    told = (f"integers stored as {array.dtype}, since some are missing: {n_missing:,}",)
    return NormalizedColumn("number", array, missing_count=n_missing, notes=told)


def _normalize_text(plain: NDArray[Any], mask: NDArray[np.bool_], identifier: bool) -> NormalizedColumn:
    text = pc.utf8_trim_whitespace(_to_arrow_text(plain, mask))
    empty = pc.is_in(pc.utf8_lower(text), pa.array(sorted(MISSING_WORDS), pa.large_string()))
    notes = _told_missing(pc.filter(text, empty))
    text = pc.if_else(empty, pa.scalar(None, pa.large_string()), text)
    missing = text.is_null().to_numpy(zero_copy_only=False)
    n_missing = int(missing.sum())
    if not identifier and pc.count_distinct(text).as_py() <= MAX_WORDS:
        encoded = text.dictionary_encode()
        words = np.array(encoded.dictionary.to_pylist(), dtype=object)
        order = np.argsort(words)
        rank = np.full(len(words) + 1, MISSING_CODE, dtype=np.uint8)
        rank[order] = np.arange(len(words), dtype=np.uint8)
        codes = pc.fill_null(encoded.indices, len(words)).to_numpy(zero_copy_only=False)
        return NormalizedColumn("category", rank[codes], tuple(words[order]), n_missing, notes)
    cut = pc.utf8_slice_codeunits(text, 0, MAX_TEXT)
    n_cut = pc.sum(pc.not_equal(cut, text)).as_py() or 0
    notes += (f"texts cut after {MAX_TEXT} characters: {n_cut:,}",) if n_cut else ()
    return NormalizedColumn("text", _to_bytes(pc.fill_null(cut, "")), (), n_missing, notes)


def _told_missing(words: pa.Array) -> tuple[str, ...]:
    """Words that were read as missing, with their number; nothing of empty cells."""
    counts = {item["values"]: item["counts"] for item in words.value_counts().to_pylist() if item["values"]}
    told = ", ".join(f"{word!r} in {counts[word]:,} rows" for word in sorted(counts))
    return (f"read as missing: {told}",) if told else ()


def _to_arrow_text(plain: NDArray[Any], mask: NDArray[np.bool_]) -> pa.Array:
    if plain.dtype.kind == "S":
        try:
            # Fixed-width bytes arrive in Arrow as binary, checked for UTF-8 by the cast.
            return pa.array(plain, mask=mask, type=pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            # What Windows and Latin-1 have in common; a table says nothing of its encoding.
            plain = np.char.decode(plain, "latin-1")
    try:
        return pa.array(plain, mask=mask, type=pa.large_string(), from_pandas=True)
    except pa.ArrowInvalid as e:
        words = [word.decode("latin-1") if isinstance(word, bytes) else word for word in plain.tolist()]
        if any(CONTROL.search(word) for word in words if isinstance(word, str)):
            raise SourceError("it holds bytes that are no text; to keep them, write them as words or numbers") from e
        return pa.array(words, mask=mask, type=pa.large_string())


def _to_bytes(text: pa.Array, chunk: int = 1 << 20) -> NDArray[np.bytes_]:
    """Fixed-width UTF-8, made in chunks: as Python objects all rows would take many times the room."""
    binary = text.cast(pa.large_binary())
    width = max(1, pc.max(pc.binary_length(binary)).as_py() or 0)
    array: NDArray[np.bytes_] = np.zeros(len(binary), dtype=f"S{width}")
    for start in range(0, len(binary), chunk):
        array[start : start + chunk] = binary.slice(start, chunk).to_numpy(zero_copy_only=False)
    return array


def _fits(value: float, plain: NDArray[Any]) -> bool:
    """Whether a number can occur among the values at all: -99 cannot among unsigned integers."""
    if plain.dtype.kind == "f":
        return True
    bounds = np.iinfo(plain.dtype)
    return float(value).is_integer() and bounds.min <= value <= bounds.max


def _is_free(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and name.lower() not in OF_AN_ATLAS


def _unused(name: str, taken: set[str]) -> str:
    """The name, or the first of name_2, name_3 … that nobody has."""
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        ending = f"_{number}"
        candidate = name[: 64 - len(ending)] + ending
    return candidate
