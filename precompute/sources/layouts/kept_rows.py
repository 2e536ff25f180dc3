"""A source without some of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..embeddings import Embeddings
from ..images import Images
from ..tables.file_column import CatalogFile
from .base import Parts


def keep_rows(
    parts: Parts,
    embeddings: Embeddings,
    rows: NDArray[np.int64],
    catalog_rows: NDArray[np.int64] | None = None,
) -> tuple[Parts, Embeddings]:
    """Parts and embeddings of the given rows only.

    Parameters
    ----------
    parts : Parts
    embeddings : Embeddings
    rows : ndarray of shape (m,), int64
        Of the embeddings, ascending.
    catalog_rows : ndarray of shape (m,), int64, optional
        Of the catalogue and its images, in any order; the same where not given.
    """
    of = rows if catalog_rows is None else catalog_rows
    images = None if parts.images is None else _KeptImages(parts.images, of)
    kept = _KeptEmbeddings(embeddings, rows)
    return replace(parts, catalog=_KeptCatalog(parts.catalog, of), embeddings=kept, images=images), kept


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
