"""Index of chunks of images: which rows a galaxy may be, by its id or by its declination.

    <folder>/index.json    which rows of which chunk each part is, and what could not be read
             keys.npy      (n,) uint64: hashes of ids, or declinations in degrees, bit by bit; each part sorted
             rows.npy      (n,) uint32: row in the chunk of each key

A part holds up to a million rows of one chunk, which bounds the memory that it is made in, at 12 bytes a row on disk.
What the index names is to be confirmed: hashes may be equal, and a declination says nothing of the right ascension.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import msgspec
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from atlas.catalog.identity import hash_columns
from atlas.errors import FormatError
from atlas.parallel import passed

ABOUT, KEYS, ROWS = "index.json", "keys.npy", "rows.npy"
PART_ROWS = 1 << 20
MOST_CANDIDATES = 10_000
"""Rows of one part at one declination: more are no survey of galaxies."""


class Wanted(Protocol):
    """Galaxy that is looked for."""

    @property
    def ids(self) -> dict[str, str]:
        """Text of each id column."""

    @property
    def dec_deg(self) -> float:
        """Declination."""


class Indexed(Protocol):
    """Chunk, as the index sees it."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def n_rows(self) -> int:
        """Count of its rows."""

    @property
    def has_ids(self) -> bool:
        """Whether ids tell its rows, else positions."""


class IndexPart(msgspec.Struct, frozen=True):
    """Sorted part of the index: `keys[start:stop]` are of rows of one chunk, by id or by declination.

    `numbers` says of each id column whether the chunk holds whole numbers rather than text.
    """

    chunk: int
    start: int
    stop: int
    numbers: dict[str, bool]


class _About(msgspec.Struct, frozen=True):
    parts: tuple[IndexPart, ...]
    unfit: tuple[str, ...]


class ChunkIndex:
    """Open index. `unfit` says what could not be read when it was made."""

    def __init__(self, about: _About, keys: NDArray[np.uint64], rows: NDArray[np.uint32]) -> None:
        self.unfit = about.unfit
        self._parts = about.parts
        self._keys, self._rows = keys, rows

    def candidates(self, galaxy: Wanted, within_arcsec: float) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Numbers of chunks, each with the rows that may be a galaxy."""
        found: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
        for part in self._parts:
            keys = self._keys[part.start : part.stop]
            if part.numbers:
                key = _key(galaxy.ids, part.numbers)
                if key is None:
                    continue
                first, end = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
            else:
                decs, away = keys.view(np.float64), within_arcsec / 3600
                first = np.searchsorted(decs, galaxy.dec_deg - away, "left")
                end = np.searchsorted(decs, galaxy.dec_deg + away, "right")
            if end > first:
                rows = self._rows[part.start : part.stop][first : min(end, first + MOST_CANDIDATES)]
                found[part.chunk].append(np.sort(rows.astype(np.int64)))
        for number, lists in found.items():
            yield number, np.concatenate(lists)


def open_chunk_index(folder: Path) -> ChunkIndex:
    """Open an index.

    Raises
    ------
    FormatError
        If it is not there, or not whole.
    """
    try:
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=_About)
        keys, rows = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (KEYS, ROWS))
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise FormatError(f"{folder} is no index of images") from error
    n = max((part.stop for part in about.parts), default=0)
    if keys.dtype != np.uint64 or rows.dtype != np.uint32 or not keys.shape == rows.shape or len(keys) < n:
        raise FormatError(f"{folder} is no index of images")
    return ChunkIndex(about, np.asarray(keys), np.asarray(rows))


def write_chunk_index(folder: Path, chunks: Sequence[Indexed], id_columns: Sequence[str]) -> None:
    """Write the index of some chunks; those that cannot be read are named in it."""
    n = sum(chunk.n_rows for chunk in chunks)
    keys = open_memmap(folder / KEYS, "w+", np.uint64, (max(1, n),))
    rows = open_memmap(folder / ROWS, "w+", np.uint32, (max(1, n),))
    parts: list[IndexPart] = []
    unfit, at = [], 0
    for number, chunk in enumerate(chunks):
        made: list[IndexPart] = []
        try:
            with h5py.File(chunk.path, "r") as file:
                for start in range(0, chunk.n_rows, PART_ROWS):
                    some, numbers = _keys(file, slice(start, start + PART_ROWS), id_columns if chunk.has_ids else ())
                    order = np.argsort(some if chunk.has_ids else some.view(np.float64), kind="stable")
                    part = IndexPart(number, at + start, at + start + len(some), numbers)
                    keys[part.start : part.stop] = some[order]
                    rows[part.start : part.stop] = order + start
                    made.append(part)
                    passed(0.0)
        except (OSError, KeyError, ValueError, RuntimeError):
            unfit.append(f"{chunk.path.name} is damaged")
            continue
        parts += made
        at += chunk.n_rows
    keys.flush()
    rows.flush()
    (folder / ABOUT).write_bytes(msgspec.json.encode(_About(tuple(parts), tuple(unfit))))


def can_be_id(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds whole numbers or text."""
    return dataset.dtype.kind in "iuSO"


def id_text(value: Any) -> str:
    """A value of an id column as the page writes it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()


def _keys(file: h5py.File, rows: slice, id_columns: Sequence[str]) -> tuple[NDArray[np.uint64], dict[str, bool]]:
    """Keys of some rows, not sorted, and of which id columns those are numbers; declinations where none is given."""
    if not id_columns:
        return np.ascontiguousarray(file["dec"][rows], np.float64).view(np.uint64), {}
    columns = {name: file[name][rows] for name in id_columns}
    numbers = {name: values.dtype.kind in "iu" for name, values in columns.items()}
    return hash_columns([_plain(values) for values in columns.values()]), numbers


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Ids in one type: text without the spaces around it."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64 if values.dtype.kind == "i" else np.uint64)
    texts: NDArray[Any] = np.char.strip(np.array(values, dtype="S"))
    return texts


def _key(ids: dict[str, str], numbers: dict[str, bool]) -> np.uint64 | None:
    """The key of a galaxy; None where its id is no such number."""
    columns: list[NDArray[Any]] = []
    for name, whole in numbers.items():
        if not whole:
            columns.append(np.array([ids[name].encode()]))
            continue
        try:
            value = int(ids[name])
            columns.append(np.array([value], np.uint64 if value >= 2**63 else np.int64))
        except (ValueError, OverflowError):
            return None
    return np.uint64(hash_columns(columns)[0])
