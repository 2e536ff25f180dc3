"""ScaNN: asymmetric-hashing codes, 4 bits for every 2 numbers, in the leaves of a k-means tree (Guo et al. 2020, ICML).

Only the codes are in memory, 40 bytes a row at 128 numbers; ScaNN's own reordering is not used,
`atlas.search.approximate` re-scores from the stored embeddings. The files are ScaNN's; their layout is undocumented, so
they are checked before its C++ code sees them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError, shorten
from atlas.search.engines.base import CodedIndex
from atlas.search.exact import EmbeddingArray
from atlas.search.index import IndexDescription, SearchSetting
from atlas.storage.arrays import open_array

ASSETS = "scann_assets.pbtxt"
CODES = "hashed_dataset.npy"
LEAF_OF_ROW = "datapoint_to_token.npy"
NAMED_ASSETS = frozenset({"ah_codebook.pb", "serialized_partitioner.pb", LEAF_OF_ROW, CODES})
FILES = NAMED_ASSETS | {ASSETS, "scann_config.pb"}

MIN_ROWS = 16
"""Asymmetric hashing trains 16 centres a block and fails on fewer rows."""


class ScannIndex(CodedIndex):
    """An opened ScaNN index. Use `open`."""

    name = "scann"

    @classmethod
    def open(
        cls, directory: Path, description: IndexDescription, isolated: NDArray[np.int64], embeddings: EmbeddingArray
    ) -> ScannIndex:
        """Load the codes into memory.

        Raises
        ------
        FormatError
            If ScaNN is not installed, or a file is missing, truncated or foreign.
        """
        try:
            from scann.scann_ops.py import scann_ops_pybind
        except ImportError as e:
            raise FormatError(
                f"{directory} is a ScaNN index and scann is not installed here (it exists for Linux only): "
                "build the atlas again with the faiss engine"
            ) from e
        _check_files(directory, description)
        try:
            searcher = scann_ops_pybind.load_searcher(str(directory))
        except (RuntimeError, ValueError) as e:
            raise FormatError(f"ScaNN cannot read {directory}: {shorten(e, 200)}") from e
        return cls(searcher, directory, description, isolated, embeddings)

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`."""
        wanted = min(setting.candidates, self.n_rows)
        leaves = min(setting.leaves, self.leaves)
        if len(queries) == 1:
            # The same rows 0.04 ms sooner than as a batch of one, and without padding of ScaNN's own.
            alone, _ = self._searcher.search(queries[0], wanted, wanted, leaves)
            line = np.full((1, wanted), -1, dtype=np.int64)
            line[0, : alone.size] = alone
            return line
        found, scores = self._searcher.search_batched(np.ascontiguousarray(queries), wanted, wanted, leaves)
        # ScaNN pads lines that found less with row 0 and NaN: row 0 would become everyone's neighbour.
        rows: NDArray[np.int64] = found.astype(np.int64)
        rows[np.isnan(scores)] = -1
        return rows


def _check_files(directory: Path, description: IndexDescription) -> None:
    """Refuse what would make ScaNN crash, read elsewhere or unpickle."""
    present = {path.name for path in directory.iterdir()}
    missing = FILES - present
    if missing:
        raise FormatError(f"{directory} misses {', '.join(sorted(missing))}")
    pickles = [name for name in present if name.endswith((".pkl", ".pickle"))]
    if pickles:
        raise FormatError(f"{directory} holds {shorten(pickles[0])}: pickles are never opened")
    named = re.findall(r'asset_path:\s*"([^"]*)"', (directory / ASSETS).read_text(encoding="utf-8", errors="replace"))
    if len(named) != len(NAMED_ASSETS) or set(named) != NAMED_ASSETS:
        raise FormatError(f"{directory / ASSETS} names {shorten(named)}, expected {sorted(NAMED_ASSETS)}")
    # Codes are stored one a byte; an odd number of dimensions leaves a last block of one.
    blocks = (description.dimensions + 1) // 2
    open_array(directory / CODES, shape=(description.n_rows, blocks), dtype="uint8")
    open_array(directory / LEAF_OF_ROW, shape=(description.n_rows,), dtype="int32")
