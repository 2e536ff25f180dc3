"""Catalogue and embeddings laid side by side by id: each may lack what the other has, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas.errors import shorten

from ..errors import SourceError
from .column_guesses import guess_id_columns
from .column_types import EXACT_IN_FLOAT64
from .embedding_tables import EmbeddingTable
from .layouts.base import Parts

SHOWN = 3


@dataclass(frozen=True, eq=False)
class Joined:
    """Rows of the catalogue that the embeddings are of.

    Attributes
    ----------
    embedding_rows : ndarray of shape (m,), int64
        Ascending.
    catalog_rows : ndarray of shape (m,), int64
    without_embedding, without_galaxy : list of str
        Ids of the catalogue that have no embedding, and the other way round.
    note : str
        What was joined by what, and how many were not.
    """

    embedding_rows: NDArray[np.int64]
    catalog_rows: NDArray[np.int64]
    without_embedding: list[str]
    without_galaxy: list[str]
    note: str


def join_by_id(parts: Parts, table: EmbeddingTable, told: tuple[str, ...], wanted: tuple[str, ...]) -> Joined | None:
    """Join embeddings to a catalogue.

    Parameters
    ----------
    parts : Parts
        Of the catalogue.
    table : EmbeddingTable
    told : tuple of str
        Columns of the catalogue that name a galaxy; empty to find them.
    wanted : tuple of str
        Columns of the table that do; empty: those of the same names, or usual ones.

    Returns
    -------
    Joined or None
        None where the table has no ids: rows then belong together by their order.

    Raises
    ------
    SourceError
        If a named column is missing, an id is repeated, or no id is on both sides.
    """
    readable = [column.name for column in parts.catalog.columns if column.kind in ("number", "text")]
    _require(wanted, table.names, f"{table.path}")
    _require(told, readable, f"{parts.path}")
    pair = _id_pair(readable, table.names, told, wanted)
    if pair is None:
        return None
    catalog_names, table_names = pair
    if len(catalog_names) != len(table_names):
        raise SourceError(
            f"galaxies are named by {', '.join(catalog_names)} in {parts.path}, by {', '.join(table_names)} in "
            f"{table.path}: as many columns are needed on each side (--id, --embeddings-id)"
        )
    ours, theirs = _keys([parts.catalog.read(n) for n in catalog_names], [table.read(n) for n in table_names])
    for keys, path, names in ((ours, parts.path, catalog_names), (theirs, table.path, table_names)):
        if (repeated := keys[keys.duplicated()].unique()).size:
            raise SourceError(
                f"{path}: {', '.join(names)} names {len(repeated):,} galaxies more than once, first "
                f"{_text(repeated[0])!r}; embeddings cannot be joined by it"
            )
    of = ours.get_indexer(theirs)
    found = np.flatnonzero(of >= 0)
    if not found.size:
        raise SourceError(
            f"no embedding is of a galaxy of the catalogue: {', '.join(table_names)} of {table.path} has "
            f"{_some(theirs)}; {', '.join(catalog_names)} of {parts.path} has {_some(ours)}; name "
            "others (--id, --embeddings-id)"
        )
    without_galaxy = [_text(key) for key in theirs[of < 0]]
    without_embedding = [_text(key) for key in ours[np.setdiff1d(np.arange(len(ours)), of[found])]]
    note = (
        f"{len(found):,} embeddings joined by {', '.join(table_names)}; {len(without_embedding):,} galaxies have none "
        f"and are left out, {len(without_galaxy):,} embeddings are of no galaxy of the catalogue"
    )
    return Joined(found, of[found].astype(np.int64), without_embedding, without_galaxy, note)


def _require(names: tuple[str, ...], there: Any, path: str) -> None:
    if missing := [name for name in names if name not in there]:
        raise SourceError(f"{path} has no column {missing[0]!r} for ids; it has {shorten(', '.join(there), 200)}")


def _id_pair(
    readable: list[str], names: tuple[str, ...], told: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Id columns of both sides; those of equal names first."""
    if told and wanted:
        return told, wanted
    ours = [told] if told else [tuple(wanted)] if set(wanted) <= set(readable) and wanted else []
    ours += [] if told else list(guess_id_columns(readable))
    if not ours:
        return None
    if wanted:
        return next((o for o in ours if len(o) == len(wanted)), ours[0]), wanted
    by_name = {name.lower().rpartition("/")[2]: name for name in names}
    for columns in ours:
        if all(column.lower() in by_name for column in columns):
            return columns, tuple(by_name[column.lower()] for column in columns)
    theirs = next(guess_id_columns([name.rpartition("/")[2] for name in names]), None)
    return None if theirs is None else (ours[0], tuple(by_name[name.lower()] for name in theirs))


def _keys(ours: list[NDArray[Any]], theirs: list[NDArray[Any]]) -> tuple[pd.Index, pd.Index]:
    """Ids of both sides in one type: whole numbers where both have those, else text without blanks about it."""
    pairs = [_alike(a, b) for a, b in zip(ours, theirs, strict=True)]
    if len(pairs) == 1:
        return pd.Index(pairs[0][0]), pd.Index(pairs[0][1])
    return pd.MultiIndex.from_arrays([a for a, _ in pairs]), pd.MultiIndex.from_arrays([b for _, b in pairs])


def _alike(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    plain = _whole_numbers(ours), _whole_numbers(theirs)
    if all(values.dtype.kind in "iu" for values in plain):
        return plain
    return _as_text(plain[0]), _as_text(plain[1])


def _whole_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Ids that a tool has made floats of, as the whole numbers that they are; others as they come."""
    plain: NDArray[Any] = np.ma.getdata(values)
    if plain.dtype.kind == "f" and np.all(np.abs(plain) <= EXACT_IN_FLOAT64) and np.all(plain == np.rint(plain)):
        return plain.astype(np.int64)
    return plain


def _as_text(values: NDArray[Any]) -> NDArray[np.object_]:
    return np.array(
        [v.decode("utf-8", "replace").strip() if isinstance(v, bytes) else str(v).strip() for v in values.tolist()],
        dtype=object,
    )


def _text(key: Any) -> str:
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _some(keys: pd.Index) -> str:
    return ", ".join(shorten(_text(key), 40) for key in keys[:SHOWN])
