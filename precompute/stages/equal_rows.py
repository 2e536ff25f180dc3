"""Rows of equal embeddings: images of nothing, say, which an encoder sees as one.

UMAP would make clusters of them that are none, and a search would go through all of them for each of them. So one
stands for all on the map, where the others lie on it, and crowds know their neighbours without a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.identity import hash_columns
from atlas.search.exact import EmbeddingArray

CHUNK_ROWS = 65_536
WORD = 8


@dataclass(frozen=True, eq=False)
class EqualRows:
    """Rows by their embeddings.

    Attributes
    ----------
    first : ndarray of shape (u,), int64
        The first row of each embedding, ascending.
    crowd : ndarray of shape (n,), int32
        The crowd of each row, −1 for rows that share their embedding with few.
    members : list of ndarray of shape (k + 1,), int64
        The first rows of each crowd, ascending.
    """

    first: NDArray[np.int64]
    crowd: NDArray[np.int32]
    members: list[NDArray[np.int64]]

    @property
    def crowded(self) -> int:
        """Rows in crowds."""
        return int(np.count_nonzero(self.crowd >= 0))

    def neighbors(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The k nearest others of rows in crowds, (m, k): equal ones, the first of them."""
        nearest = [self.members[self.crowd[row]] for row in rows]
        return np.stack([one[one != row][: one.size - 1] for one, row in zip(nearest, rows, strict=True)])


def equal_rows(embeddings: EmbeddingArray, k: int) -> EqualRows:
    """Find the rows of equal embeddings in one pass; 28 bytes a row.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        By 64-bit hashes, of which two of tens of millions are equal by chance once in ten thousand builds.
    k : int
        Rows with more equals than so many are in a crowd.
    """
    n = len(embeddings)
    keys = np.empty(n, dtype=np.uint64)
    for start in range(0, n, CHUNK_ROWS):
        keys[start : start + CHUNK_ROWS] = hash_columns(_words(embeddings[start : start + CHUNK_ROWS]))
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.concatenate([[True], keys[order[1:]] != keys[order[:-1]]]))
    sizes = np.diff(begins, append=n)
    crowd = np.full(n, -1, dtype=np.int32)
    members: list[NDArray[np.int64]] = []
    for begin, size in zip(begins[sizes > k + 1], sizes[sizes > k + 1], strict=True):
        rows = order[begin : begin + size]
        crowd[rows] = len(members)
        members.append(rows[: k + 1])
    return EqualRows(np.sort(order[begins]), crowd, members)


def _words(rows: EmbeddingArray) -> list[NDArray[Any]]:
    """The bytes of each row as integers, a column each; 0 has no sign."""
    plain = np.ascontiguousarray(rows) + rows.dtype.type(0)
    spare = -plain.strides[0] % WORD // plain.itemsize
    return list(np.pad(plain, ((0, 0), (0, spare))).view(np.uint64).T)
