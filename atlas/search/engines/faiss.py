"""faiss, where ScaNN has no wheel: product quantisation of 4 bits for every 2 numbers in the lists of an inverted file.

The closest that faiss has to ScaNN's codes, at as many bytes a row: "fast scan" (André, Kermarrec & Le Scouarnec 2017,
ICMR; Douze et al. 2024, arXiv 2401.08281).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError, shorten
from atlas.search.engines.base import CodedIndex
from atlas.search.exact import EmbeddingArray
from atlas.search.index import IndexDescription, SearchSetting

CODES = "index.faiss"

MIN_ROWS = 16
"""Product quantisation trains 16 centres a block."""


class FaissIndex(CodedIndex):
    """An opened faiss index. Use `open`."""

    name = "faiss"

    @classmethod
    def open(
        cls, directory: Path, description: IndexDescription, isolated: NDArray[np.int64], embeddings: EmbeddingArray
    ) -> FaissIndex:
        """Load the codes into memory.

        Raises
        ------
        FormatError
            If faiss is not installed, or the file is missing, truncated or foreign.
        """
        try:
            import faiss
        except ImportError as e:
            raise FormatError(f"{directory} is a faiss index and faiss is not installed here") from e
        path = directory / CODES
        if not path.is_file():
            raise FormatError(f"{path} is missing")
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as e:
            raise FormatError(f"faiss cannot read {path}: {shorten(e, 200)}") from e
        if (index.ntotal, index.d) != (description.n_rows, description.dimensions):
            raise FormatError(
                f"{path} indexes {index.ntotal:,} rows of {index.d} numbers, "
                f"expected {description.n_rows:,} of {description.dimensions}"
            )
        return cls(index, directory, description, isolated, embeddings)

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`."""
        import faiss

        wanted = min(setting.candidates, self.n_rows)
        # Parameters of this call alone: the index's own `nprobe` would be shared by all threads.
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(setting.leaves, self.leaves)
        _, rows = self._searcher.search(np.ascontiguousarray(queries), wanted, params=parameters)
        found: NDArray[np.int64] = np.asarray(rows, dtype=np.int64)
        return found
