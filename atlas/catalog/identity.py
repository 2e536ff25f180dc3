"""Identity of galaxies: id columns to row and back, in logarithmic time and without a table in memory.

Rows change with each build; a galaxy is named by the survey's id columns together, joined by "-" on the page
(`9010-123456-789`). A sorted array of 64-bit hashes finds the row; the id columns themselves confirm it. Each segment
of an atlas has such an array of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.errors import InputError, UnknownGalaxyError, shorten
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Segment

SEPARATOR = "-"
MOST_PIECES = 12
KEYS = "keys.npy"
ROWS = "rows.npy"


class Identity:
    """Looks up galaxies by id.

    Parameters
    ----------
    build : Path
        Folder of the build.
    id_columns : tuple of str
        Names of the columns that together name a galaxy.
    columns : Columns
        Where they are read.
    segments : tuple of Segment
        Rows that were added together.
    """

    def __init__(
        self, build: Path, id_columns: tuple[str, ...], columns: Columns, segments: tuple[Segment, ...]
    ) -> None:
        self.id_columns = id_columns
        self._columns = columns
        self._hashed = []
        for number, segment in enumerate(segments):
            folder = layout.segment_path(build, number) / layout.IDENTITY
            shape = (segment.stop - segment.start,)
            keys = open_array(folder / KEYS, shape=shape, dtype="uint64")
            self._hashed.append((keys, open_array(folder / ROWS, shape=shape, dtype="uint32")))

    def name(self, row: int) -> str:
        """Id of one row as it stands on the page and in links."""
        return self.names([row])[0]

    def names(self, rows: NDArray[Any] | list[int]) -> list[str]:
        """Ids of several rows."""
        parts = [self._columns.values(name, rows) for name in self.id_columns]
        return [SEPARATOR.join(str(p) for p in one) for one in zip(*parts, strict=True)]

    def row(self, name: str) -> int:
        """Row of an id.

        Raises
        ------
        UnknownGalaxyError
            If no galaxy of this build has it, or it is not of the id columns' form.
        """
        text = name.strip()
        for parts in self._readings(text):
            for row in self._rows_of(hash_columns(parts))[1]:
                if self.name(int(row)) == text:
                    return int(row)
        raise UnknownGalaxyError(f"no galaxy {shorten(name)!r} in this atlas; an id here is {self._form()}")

    def rows(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Rows of many ids, −1 for those that this build does not have."""
        found = np.full(len(names), -1, dtype=np.int64)
        width = len(self.id_columns)
        plain = [i for i, name in enumerate(names) if name.count(SEPARATOR) == width - 1]
        # One list of all words: a hundred thousand small ones would keep the garbage collector busy.
        words = SEPARATOR.join(names[i] for i in plain).split(SEPARATOR)
        columns = [self._whole(column, words[at::width]) for at, column in enumerate(self.id_columns)]
        known = [column for column in columns if column is not None]
        together = set(plain) if len(known) == len(columns) else set()
        if together:
            found[plain] = self.find(known)
        # Ids whose values hold the separator, or are no whole numbers, are read one by one.
        for i, name in enumerate(names):
            if i not in together:
                with suppress(UnknownGalaxyError):
                    found[i] = self.row(name)
        return found

    def _whole(self, column: str, words: list[str]) -> NDArray[Any] | None:
        """Words as whole numbers of a column, written in no other way; None where some are not."""
        described = self._columns.describe(column)
        if described.kind == "category" or np.dtype(described.dtype).kind not in "iu":
            return None
        try:
            values = np.array([int(word) for word in words], dtype=described.dtype)
        except (ValueError, OverflowError):
            return None
        return values if values.astype(str).tolist() == words else None

    def has_form(self, name: str) -> bool:
        """Whether a text could be an id here, known or not."""
        return any(True for _ in self._readings(name.strip()))

    def _form(self) -> str:
        example = self.name(0)
        return f"{SEPARATOR.join(self.id_columns)}, such as {example}"

    def _readings(self, text: str) -> Iterator[list[NDArray[Any]]]:
        """Every way to read a text as values of the id columns: a value may hold the separator itself."""
        pieces = text.split(SEPARATOR)[:MOST_PIECES]
        for cuts in combinations(range(1, len(pieces)), len(self.id_columns) - 1):
            edges = (0, *cuts, len(pieces))
            words = [SEPARATOR.join(pieces[a:b]) for a, b in pairwise(edges)]
            values = [self._value(column, word) for column, word in zip(self.id_columns, words, strict=True)]
            found = [value for value in values if value is not None]
            if len(found) == len(values):
                yield found

    def _value(self, column: str, word: str) -> NDArray[Any] | None:
        """A word as a value of a column, or None where it cannot be one."""
        described = self._columns.describe(column)
        dtype = np.dtype(described.dtype)
        try:
            if described.kind == "category":
                return np.array([self._columns.code(column, word)], dtype=dtype)
            if dtype.kind in "iu":
                return np.array([int(word)], dtype=dtype)
            if dtype.kind == "S":
                return np.array([word.encode()], dtype=dtype) if word else None
            return np.array([float(word)], dtype=dtype)
        except (ValueError, OverflowError, InputError):
            return None

    def find(self, columns: list[NDArray[Any]]) -> NDArray[np.int64]:
        """Rows of many ids, −1 for those that this atlas does not have.

        Parameters
        ----------
        columns : list of ndarray of shape (m,)
            Values of the id columns, as the atlas stores them.
        """
        found = np.full(len(columns[0]), -1, dtype=np.int64)
        wanted, rows = self._rows_of(hash_columns(columns))
        same = np.ones(rows.size, dtype=np.bool_)
        for name, values in zip(self.id_columns, columns, strict=True):
            same &= self._columns.array(name)[rows] == values[wanted]
        found[wanted[same]] = rows[same]
        return found

    def _rows_of(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose hash is one of some keys, each with the position of its key."""
        positions, rows = [], []
        for hashed, row in self._hashed:
            first, end = (np.searchsorted(hashed, keys, side=side) for side in ("left", "right"))
            # Equal hashes are next to unheard of, so that this loop goes round once or twice.
            while (more := np.flatnonzero(first < end)).size:
                positions.append(more)
                rows.append(row[first[more]].astype(np.int64))
                first[more] += 1
        if not rows:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        return np.concatenate(positions), np.concatenate(rows)


def hash_columns(columns: list[NDArray[Any]]) -> NDArray[np.uint64]:
    """A 64-bit hash of each row of some columns, stable between runs and platforms.

    Parameters
    ----------
    columns : list of ndarray of shape (n,)
        Integers, floats, or bytes.

    Returns
    -------
    ndarray of shape (n,), uint64
    """
    total = np.zeros(columns[0].shape[0], dtype=np.uint64)
    for column in columns:
        plain = column.astype(object) if column.dtype.kind == "S" else np.asarray(column, dtype=_wide(column.dtype))
        hashed = pd.util.hash_array(plain, categorize=False)
        with np.errstate(over="ignore"):
            total = total * np.uint64(0x9E3779B97F4A7C15) + hashed
    return total


def write_identity(
    folder: Path, columns: list[NDArray[Any]], *, first_row: int = 0, chunk: int = 1 << 20
) -> NDArray[np.uint32]:
    """Write the sorted hashes and their rows, counted from `first_row`.

    Returns rows whose hash another row shares (to be compared by value).
    """
    n = columns[0].shape[0]
    keys = np.empty(n, dtype=np.uint64)
    for start in range(0, n, chunk):
        keys[start : start + chunk] = hash_columns([np.asarray(c[start : start + chunk]) for c in columns])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    rows: NDArray[np.uint32] = (order + first_row).astype(np.uint32)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / KEYS, keys, allow_pickle=False)
    np.save(folder / ROWS, rows, allow_pickle=False)
    same = np.flatnonzero(keys[1:] == keys[:-1])
    return rows[np.union1d(same, same + 1)] if same.size else np.empty(0, dtype=np.uint32)


def _wide(dtype: np.dtype[Any]) -> str:
    """One width for all integers, so that a value hashes alike whatever type its column has."""
    return {"i": "int64", "u": "uint64", "b": "uint64"}.get(dtype.kind, "float64")
