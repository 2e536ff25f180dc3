"""Opens the neighbour index of a folder by the engine that it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.search.approximate import distinct
from atlas.search.exact import EmbeddingArray, top_k_exact, top_k_exact_many
from atlas.search.index import ISOLATED, IndexDescription, NeighborIndex, SearchSetting, read_index_description
from atlas.storage.arrays import open_array

FEW_QUERIES = 4
"""Up to this many queries the exact index scans for each; above it multiplies matrices."""


class ExactIndex:
    """Scans all rows: the oracle, and the engine of small atlases, where it is faster than any index.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    """

    name = "exact"
    leaves = 1
    ended = False

    def __init__(self, embeddings: EmbeddingArray) -> None:
        self._embeddings = embeddings
        self.n_rows: int = embeddings.shape[0]
        self.isolated = np.empty(0, dtype=np.int64)
        self.isolated_embeddings = embeddings[:0]

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """The `setting.candidates` nearest rows of each query, all of them right."""
        if len(queries) > FEW_QUERIES:
            return top_k_exact_many(self._embeddings, queries, setting.candidates)[0]
        found = [top_k_exact(self._embeddings, query, setting.candidates)[0] for query in queries]
        return np.array(found, dtype=np.int64).reshape(len(queries), -1)


def open_index(directory: Path, embeddings: EmbeddingArray, apart: bool = False) -> NeighborIndex:
    """Open the neighbour index of some embeddings.

    Parameters
    ----------
    directory : Path
        As `precompute` wrote it.
    embeddings : ndarray of shape (n, d), float16 or float32
        The embeddings that were indexed.
    apart : bool
        Whether an engine that holds the interpreter's lock while it opens gets a process of its own, so that this one
        can go on: a server's choice (`atlas.search.engines.scann_process`).

    Raises
    ------
    FormatError
        If the index is of other embeddings, its files are missing, truncated or foreign, or its engine is not
        installed here.
    """
    description = read_index_description(directory)
    if (description.n_rows, description.dimensions) != embeddings.shape:
        raise FormatError(
            f"{directory} indexes {description.n_rows:,} rows of {description.dimensions} numbers, "
            f"the embeddings have shape {embeddings.shape}"
        )
    # Imported here: each engine is present on some platforms only, and takes a moment to load.
    match description.engine:
        case "scann" if apart:
            from atlas.search.engines.scann_process import IndexApart

            return IndexApart.open(directory, description, _read_isolated(directory, description), embeddings)
        case "scann":
            from atlas.search.engines.scann import ScannIndex

            return ScannIndex.open(directory, description, _read_isolated(directory, description), embeddings)
        case "faiss":
            from atlas.search.engines.faiss import FaissIndex

            return FaissIndex.open(directory, description, _read_isolated(directory, description), embeddings)
        case "exact":
            return ExactIndex(embeddings)


def _read_isolated(directory: Path, description: IndexDescription) -> NDArray[np.int64]:
    path = directory / ISOLATED
    rows = open_array(path)
    if rows.ndim != 1 or rows.dtype != np.uint32 or (rows.size and int(rows.max()) >= description.n_rows):
        raise FormatError(f"{path} does not hold rows of this index")
    return distinct(rows.astype(np.int64))
