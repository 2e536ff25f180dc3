"""Bases of indexes: those that hold codes of the embeddings here, whichever engine made them, and those of servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray
from atlas.search.index import IndexDescription
from atlas.search.served_index import ServedIndex
from atlas.storage.scattered_rows import read_rows


class CodedIndex:
    """Sizes of an index, and the rows that its codes describe worst; see `atlas.search.approximate.NeighborIndex`.

    Pickled it is the folder that it was opened from, and is opened again where it arrives.

    Parameters
    ----------
    searcher : object
        The engine's own.
    directory : Path
    description : IndexDescription
    isolated : ndarray of shape (i,), int64
    embeddings : ndarray of shape (n, d), float16 or float32
    """

    ended = False

    def __init__(
        self,
        searcher: Any,
        directory: Path,
        description: IndexDescription,
        isolated: NDArray[np.int64],
        embeddings: EmbeddingArray,
    ) -> None:
        self._searcher = searcher
        self._opened_from = directory.absolute(), description, isolated, embeddings
        self.n_rows = description.n_rows
        self.leaves = description.leaves
        self.isolated = isolated
        self.isolated_embeddings: EmbeddingArray = read_rows(embeddings, isolated)

    @classmethod
    def open(
        cls, directory: Path, description: IndexDescription, isolated: NDArray[np.int64], embeddings: EmbeddingArray
    ) -> Self:
        """Read the index of a folder; see the engines."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).open, self._opened_from


class ServerIndex:
    """Sizes of an index that a server holds; see `atlas.search.approximate.NeighborIndex`.

    Candidates are ranked there by the embeddings themselves, so no rows hide behind codes.

    Attributes
    ----------
    ended : bool
        Whether the server went away, so that the index has to be opened again.
    """

    def __init__(self, served: ServedIndex, embeddings: EmbeddingArray) -> None:
        self.n_rows = served.n_rows
        self.leaves = served.leaves
        self.isolated = np.empty(0, dtype=np.int64)
        self.isolated_embeddings: EmbeddingArray = embeddings[:0]
        self.ended = False
