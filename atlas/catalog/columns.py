"""Columns: one value a row, memory-mapped, read by name."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError, UnknownColumnError, shorten
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)

EXACT_WHOLE = 2**53
"""Whole numbers up to here are floats too; those beyond are integers throughout, and travel as text."""

FAR_TAIL = 3
"""From so many times the 1 % quantile on, the 99 % quantile is far enough for logarithms to show something else."""

REDSHIFT_NAMES = ("z", "zphot", "zspec", "zbest", "z_best", "photo_z", "spec_z")
REDSHIFT_BOUNDS = ("err", "std", "flag", "low", "upp", "l68", "l95", "u68", "u95")


class Columns:
    """The columns of a build and of one of its spaces, under one roof.

    Parameters
    ----------
    build : Path
        Folder of the build.
    columns : iterable of Column
        Their descriptions.
    n_rows : int
        Length that each array must have.
    """

    def __init__(self, build: Path, columns: tuple[Column, ...], n_rows: int) -> None:
        self._build = build
        self._n_rows = n_rows
        self._described = {c.name: c for c in columns}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Column]:
        return iter(self._described.values())

    def __contains__(self, name: object) -> bool:
        return name in self._described

    def describe(self, name: str) -> Column:
        """Entry of a column in the manifest.

        Raises
        ------
        UnknownColumnError
            If there is no such column.
        """
        try:
            return self._described[name]
        except KeyError:
            raise UnknownColumnError(name, self._described) from None

    def array(self, name: str) -> NDArray[Any]:
        """The stored array of shape (n,), memory-mapped: codes of a category, bytes of a text."""
        column = self.describe(name)
        with self._lock:
            array = self._arrays.get(name)
            if array is None:
                array = open_array(self._build / column.file, shape=(self._n_rows,), dtype=column.dtype)
                self._arrays[name] = array
        return array

    def number(self, name: str) -> NDArray[Any]:
        """The array of a number or flags column.

        Raises
        ------
        InputError
            If the column holds categories or text.
        """
        column = self.describe(name)
        if column.kind not in ("number", "flags"):
            raise InputError(f"column {name!r} holds {column.kind}, not numbers")
        return self.array(name)

    def text(self, name: str) -> NDArray[Any]:
        """The bytes of a text column.

        Raises
        ------
        InputError
            If the column holds numbers, flags or categories.
        """
        column = self.describe(name)
        if column.kind != "text":
            raise InputError(f"column {name!r} holds {column.kind}, not text")
        return self.array(name)

    def values(self, name: str, rows: NDArray[Any] | list[int]) -> list[Any]:
        """Values of some rows as Python objects: numbers, words of a category, text; None where missing."""
        column = self.describe(name)
        stored = self.array(name)[np.asarray(rows, dtype=np.int64)]
        if column.kind == "category":
            words = (*column.vocabulary, None)
            return [words[min(int(code), len(column.vocabulary))] for code in stored]
        if column.kind == "text":
            return [bytes(value).decode("utf-8", errors="replace") or None for value in stored]
        return [None if value != value else value for value in stored.tolist()]

    def code(self, name: str, word: str) -> int:
        """Position of a word in a category's vocabulary.

        Raises
        ------
        InputError
            If the column is no category or does not know the word.
        """
        column = self.describe(name)
        if column.kind != "category":
            raise InputError(f"column {name!r} holds {column.kind}, not categories")
        if word not in column.vocabulary:
            raise InputError(
                f"{name!r} has no value {shorten(word)!r}; it has {', '.join(column.vocabulary[:20]) or 'none'}"
            )
        return column.vocabulary.index(word)


def bit_name(column: Column, bit: int) -> str:
    """Name of a bit of a flags column; "bit 5" where nobody named it."""
    name = column.vocabulary[bit] if bit < len(column.vocabulary) else ""
    return name or f"bit {bit}"


def free_name(name: str, taken: Container[str]) -> str:
    """A name, for what is told beside the columns of a catalogue, that none of them has."""
    while name in taken:
        name = f"galaxy_{name}"
    return name


def is_magnitude(column: Column) -> bool:
    """Whether a column is a brightness in magnitudes, which grow as galaxies fade; colours and errors are not."""
    other = ("color", "colour", "minus", "err", "ebv", "ext", "-")
    return (
        column.unit == "mag"
        and column.ucd[:10] not in ("phot.color", "stat.error")
        and not any(word in column.name for word in other)
    )


def is_redshift(column: Column) -> bool:
    """Whether a column is a redshift, by its UCD or the habits of surveys; errors of redshifts are not."""
    if column.ucd:
        return column.ucd.startswith("src.redshift")
    name = column.name.lower()
    if column.unit or any(word in name for word in REDSHIFT_BOUNDS):
        return False
    return name in REDSHIFT_NAMES or name.startswith(("z_phot", "z_spec", "redshift", "photoz"))


def is_skewed(column: Column) -> bool:
    """Whether a number column is positive with a long tail of large values, so that its logarithm shows more of it.

    The tail, from the median to 99 %, has to be five times as long as what lies between 1 % and the median, and reach
    far: logarithms of dates are dates. Judged by the manifest's quantiles.
    """
    if len(column.quantiles) != len(QUANTILES):
        return False
    lowest, low, middle, high = (column.quantiles[QUANTILES.index(share)] for share in (0.0, 0.01, 0.5, 0.99))
    return lowest > 0 and high - middle > 5 * (middle - low) and high > FAR_TAIL * low


def from_zero(values: NDArray[Any], zero: float) -> NDArray[np.float64]:
    """Values less a zero, in float64: of whole numbers no digit is lost, however large they are.

    Parameters
    ----------
    values : ndarray of any shape, any number dtype
    zero : int or float
        An int for whole numbers, from which none differs by 2⁶³ or more.
    """
    if isinstance(zero, int) and zero and values.dtype.kind in "iu":
        # Modulo 2⁶⁴ throughout, so that neither kind of 64 bits overflows.
        above = values.astype(np.uint64) - np.uint64(zero % 2**64)
        return above.view(np.int64).astype(np.float64)
    wide = np.asarray(values, dtype=np.float64)
    return wide - float(zero) if zero else wide


def describe_numbers(array: NDArray[Any], sample: int = 1_000_000) -> tuple[int, tuple[int | float, ...]]:
    """Count of missing values, exact, and quantiles (of a strided sample beyond `sample` rows).

    Quantiles of whole numbers beyond 2⁵³ are whole numbers, which keep the digits that float64 would round.
    """
    missing = 0
    if array.dtype.kind == "f":
        for start in range(0, array.size, 1 << 22):
            missing += int(np.isnan(array[start : start + (1 << 22)]).sum())
    if missing == array.size:
        return missing, ()
    stride = max(1, array.size // sample)
    some = np.asarray(array[::stride])
    if some.dtype.kind in "iu" and max(abs(int(some.min())), abs(int(some.max()))) > EXACT_WHOLE:
        zero = int(np.median(some.astype(np.float64)))
        return missing, tuple(zero + round(float(q)) for q in np.quantile(from_zero(some, zero), QUANTILES))
    part = np.asarray(some, dtype=np.float64)
    part = part[~np.isnan(part)]
    if part.size == 0:
        return missing, ()
    quantiles = np.quantile(part, QUANTILES)
    return missing, tuple(float(q) for q in quantiles)
