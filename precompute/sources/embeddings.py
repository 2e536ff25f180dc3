"""Embeddings of a source: read in chunks, checked and normalised on the way, never held whole.

embeddings.npy                                   an array (`ArrayEmbeddings`)
representations_000000000_001000000.npy …        an array a chunk (`ChunkedEmbeddings`)
a list column of one or more Parquet files       (`ListEmbeddings`)
a table, HDF5 or batches of arrays with ids      (`precompute.sources.embedding_tables`)

Where they lie is found by `precompute.sources.find_embeddings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atlas.errors import shorten

from ..errors import SourceError
from .checks import SHOWN, WAY_OUT, counted, name_rows, raise_problems
from .chunk_files import ChunkFile, check_count, check_ranges

# A float16 unit row may be off by its rounding; anything more was not a unit vector.
UNIT_TOLERANCE = 1e-3


class Embeddings(Protocol):
    """Embeddings in one file or several.

    Attributes
    ----------
    path : Path
        What messages name: the file, or the folder of the files.
    files : tuple of Path
    n_rows, dimension : int
    """

    path: Path
    files: tuple[Path, ...]
    n_rows: int
    dimension: int

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Each first row with the rows from there, shape (m, dimension), m ≤ `chunk`; as the file has them."""


class ArrayEmbeddings:
    """An `.npy` file of shape (n, d).

    Raises
    ------
    SourceError
        If the file is missing, truncated, foreign, or not a matrix of floats.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: tuple[Path, ...] = (path,)
        try:
            # Opened as a map: whatever the file holds, nothing of it is unpickled.
            self._array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError, EOFError) as e:
            raise SourceError(f"{path} is missing, truncated or not an .npy array: {shorten(e, 200)}") from e
        if self._array.ndim != 2 or self._array.dtype.kind != "f":
            raise SourceError(
                f"{path} holds {self._array.dtype} of shape {self._array.shape}; "
                "embeddings are floats of shape (rows, numbers)"
            )
        self.n_rows, self.dimension = self._array.shape

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`."""
        for start in range(0, self.n_rows, chunk):
            # A float64 beyond float32 becomes infinite, which the check reports.
            with np.errstate(over="ignore"):
                yield start, self._array[start : start + chunk].astype(np.float32)


class ChunkedEmbeddings:
    """Arrays of consecutive rows, one a file.

    Parameters
    ----------
    files : sequence of ChunkFile
        In order.
    anywhere : bool
        Whether the first may hold other rows than those from 0.

    Attributes
    ----------
    first_row : int
        Of the first file, by its name.

    Raises
    ------
    SourceError
        With everything that is wrong: files that cannot be read, gaps, overlaps, wrong counts, different widths.
    """

    def __init__(self, files: Sequence[ChunkFile], *, anywhere: bool = False) -> None:
        self.first_row = files[0].start if anywhere else 0
        self.path = files[0].path.parent
        self.files = tuple(file.path for file in files)
        problems = check_ranges(files, self.first_row)
        self._arrays: list[ArrayEmbeddings] = []
        for file in files:
            try:
                array = ArrayEmbeddings(file.path)
            except SourceError as e:
                problems.append(str(e))
                continue
            problems += check_count(file, array.n_rows)
            first = self._arrays[0] if self._arrays else array
            if array.dimension != first.dimension:
                problems.append(
                    f"{file.path.name} holds embeddings of {array.dimension} numbers, "
                    f"{first.path.name} of {first.dimension}"
                )
            self._arrays.append(array)
        raise_problems(self.path, problems)
        self.n_rows = files[-1].stop - self.first_row
        self.dimension = self._arrays[0].dimension

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`; no chunk reaches from one file into the next."""
        first = 0
        for array in self._arrays:
            for start, rows in array.chunks(chunk):
                yield first + start, rows
            first += array.n_rows


class ListEmbeddings:
    """A list column of Parquet files that hold consecutive rows; every list has the length of the first.

    Parameters
    ----------
    path : Path
        What messages name: the file, or the folder of the files.
    column : str
    files : sequence of Path, optional
        The path itself where not given.

    Raises
    ------
    SourceError
        If the column has no list at all.
    """

    def __init__(self, path: Path, column: str, files: Sequence[Path] = ()) -> None:
        self.path = path
        self.files = tuple(files) or (path,)
        self._column = column
        self.n_rows: int = sum(pq.read_metadata(file).num_rows for file in self.files)
        first = next((a for _, a in self._arrays(1024) if len(a) > a.null_count), None)
        if first is None:
            raise SourceError(f"{path}: column {column!r} holds no embedding in its first rows")
        self.dimension: int = pc.list_value_length(first.drop_null())[0].as_py()

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`; a row without a list is NaN.

        Raises
        ------
        SourceError
            If a list is longer or shorter than the first.
        """
        for start, array in self._arrays(chunk):
            yield start, rows_of_lists(array, self.dimension, self._column, start)

    def _arrays(self, chunk: int) -> Iterator[tuple[int, pa.Array]]:
        start = 0
        # File by file: pyarrow's datasets read ahead, which with embeddings is gigabytes.
        for path in self.files:
            try:
                for batch in pq.ParquetFile(path, memory_map=True).iter_batches(chunk, columns=[self._column]):
                    yield start, batch.column(0)
                    start += len(batch)
            except (OSError, pa.ArrowException) as e:
                raise SourceError(f"{path} is damaged at column {self._column!r}: {shorten(e, 200)}") from e


def rows_of_lists(lists: pa.Array, dimension: int, column: str, start: int) -> NDArray[np.float32]:
    """Rows of (m, dimension) that are an array of lists; a row without a list is NaN.

    Parameters
    ----------
    lists : pyarrow.Array of m lists
    dimension : int
    column : str
        For messages, as is `start`, the row of the first.

    Raises
    ------
    SourceError
        If a list is longer or shorter.
    """
    lengths = pc.fill_null(pc.list_value_length(lists), dimension).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != dimension)
    if wrong.size:
        raise SourceError(
            f"column {column!r} holds lists of different lengths: the first has {dimension}; "
            f"{name_rows(wrong + start, lengths[wrong])}"
        )
    rows = np.full((len(lists), dimension), np.nan, dtype=np.float32)
    present = lists.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        rows[present] = flat.reshape(-1, dimension)
    return rows


@dataclass(frozen=True)
class EmbeddingReport:
    """Report of a pass over embeddings; reports of consecutive chunks add up.

    Attributes
    ----------
    n_rows, n_rescaled : int
        Rows seen, and those among them that were not unit vectors.
    n_bad, n_zero : int
        Rows with NaN or infinite numbers, and rows of zeros only.
    first_bad, first_zero : tuple of int
        The first few of them.
    """

    n_rows: int = 0
    n_rescaled: int = 0
    n_bad: int = 0
    n_zero: int = 0
    first_bad: tuple[int, ...] = ()
    first_zero: tuple[int, ...] = ()

    def __add__(self, other: EmbeddingReport) -> EmbeddingReport:
        return EmbeddingReport(
            self.n_rows + other.n_rows,
            self.n_rescaled + other.n_rescaled,
            self.n_bad + other.n_bad,
            self.n_zero + other.n_zero,
            (self.first_bad + other.first_bad)[:SHOWN],
            (self.first_zero + other.first_zero)[:SHOWN],
        )

    @property
    def problems(self) -> list[str]:
        """Problems that forbid a build; empty when nothing does."""
        found = (
            ("NaN or infinity", self.n_bad, self.first_bad),
            ("only zeros", self.n_zero, self.first_zero),
        )
        return [
            f"{what} in {counted(n, 'embedding')}; {name_rows(np.array(first))}; {WAY_OUT}"
            for what, n, first in found
            if n
        ]

    @property
    def notes(self) -> list[str]:
        """Notes of what was changed."""
        if not self.n_rescaled:
            return []
        return [f"embeddings normalised, since they were not of unit length: {self.n_rescaled:,} of {self.n_rows:,}"]


def check_and_normalize(chunk: NDArray[np.floating[Any]], start: int) -> tuple[NDArray[np.float32], EmbeddingReport]:
    """Unit rows of a chunk, and what is wrong with it.

    Parameters
    ----------
    chunk : ndarray of shape (m, d)
        Embeddings of rows `start` …; not changed.
    start : int
        Row of the first.

    Returns
    -------
    unit : ndarray of shape (m, d), float32
        Each row divided by its length; rows that have none are zero.
    report : EmbeddingReport
    """
    # In float64 no square of a float32 overflows, so a length is finite exactly when all numbers of the row are.
    wide = chunk.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    is_bad, is_zero = ~np.isfinite(lengths), lengths == 0
    wide[is_bad] = 0
    wide /= np.where(is_bad | is_zero, 1.0, lengths)[:, None]
    rescaled = ~(is_bad | is_zero) & (np.abs(lengths - 1) > UNIT_TOLERANCE)
    report = EmbeddingReport(
        n_rows=len(chunk),
        n_rescaled=int(rescaled.sum()),
        n_bad=int(is_bad.sum()),
        n_zero=int(is_zero.sum()),
        first_bad=_first(is_bad, start),
        first_zero=_first(is_zero, start),
    )
    return wide.astype(np.float32), report


def _first(is_wrong: NDArray[np.bool_], start: int) -> tuple[int, ...]:
    return tuple(int(row) + start for row in np.flatnonzero(is_wrong)[:SHOWN])
