"""Rows that have no place in an atlas, for want of a position or an embedding, and a source without them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from precompute.sources.embeddings import Embeddings, check_and_normalize
from precompute.sources.images import Images
from precompute.sources.layouts.base import Parts
from precompute.sources.tables.file_column import CatalogFile

if TYPE_CHECKING:
    from precompute.sources.source import Source

LIST = "left_out.csv"
_CHUNK = 1 << 23


def find_bad_rows(source: Source) -> dict[int, str]:
    """Rows without a position or an embedding, ascending, each with the reason; one pass over the embeddings."""
    reasons: dict[int, list[str]] = {}

    def add(is_bad: Any, start: int, reason: str) -> None:
        for row in np.flatnonzero(is_bad):
            reasons.setdefault(int(row) + start, []).append(reason)

    ra, dec = source.degrees()
    add(~np.isfinite(ra), 0, "no right ascension")
    add(~np.isfinite(dec), 0, "no declination")
    for start, rows in source.embedding_chunks(max(1, _CHUNK // source.dimension)):
        unit, _ = check_and_normalize(rows, start)
        add(~np.isfinite(rows).all(axis=1), start, "embedding with NaN or infinity")
        add(np.isfinite(rows).all(axis=1) & ~unit.any(axis=1), start, "embedding of zeros")
    return {row: "; ".join(reasons[row]) for row in sorted(reasons)}


def write_list(folder: Path, left_out: dict[int, str]) -> Path:
    """Write the rows that were left out, counted from 0 in the source, and why; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LIST).open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("source_row", "reason"), *left_out.items()])
    return folder / LIST


def keep_rows(parts: Parts, embeddings: Embeddings, rows: NDArray[np.int64]) -> tuple[Parts, Embeddings]:
    """Parts and embeddings of the given rows only, which are ascending."""
    images = None if parts.images is None else _KeptImages(parts.images, rows)
    kept = _KeptEmbeddings(embeddings, rows)
    return replace(parts, catalog=_KeptCatalog(parts.catalog, rows), embeddings=kept, images=images), kept


class _KeptCatalog:
    def __init__(self, whole: CatalogFile, rows: NDArray[np.int64]) -> None:
        self.n_rows = len(rows)
        self.columns = whole.columns
        self.notes = whole.notes
        self._whole, self._rows = whole, rows

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`."""
        values: NDArray[Any] = self._whole.read(name)[self._rows]
        return values


class _KeptEmbeddings:
    def __init__(self, whole: Embeddings, rows: NDArray[np.int64]) -> None:
        self.path, self.files = whole.path, whole.files
        self.n_rows, self.dimension = len(rows), whole.dimension
        self._whole, self._rows = whole, rows

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`."""
        for start, found in self._whole.chunks(chunk):
            first, stop = np.searchsorted(self._rows, (start, start + len(found)))
            if stop > first:
                yield int(first), found[self._rows[first:stop] - start]


class _KeptImages:
    def __init__(self, whole: Images, rows: NDArray[np.int64]) -> None:
        self.on_demand = whole.on_demand
        self._whole, self._rows = whole, rows

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """See `Images.read`."""
        return self._whole.read(int(self._rows[row]))
