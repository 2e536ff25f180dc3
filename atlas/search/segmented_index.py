"""One neighbour index made of several: the base's, and one for the rows of each segment that was appended.

Each proposes candidates among its own rows, as many as the setting says; exact scores decide between them
(`atlas.search.approximate.search`). So nothing that the whole would find is lost, at the price of one search a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.search.exact import EmbeddingArray
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import ExactIndex, open_index
from atlas.storage.manifest import Segment


class SegmentedIndex:
    """Several indexes as one (`NeighborIndex`).

    Parameters
    ----------
    indexes : sequence of NeighborIndex
        One a segment, the base's first.

    Attributes
    ----------
    name : str
        The base's.
    """

    def __init__(self, indexes: Sequence[NeighborIndex]) -> None:
        self._indexes = tuple(indexes)
        sizes = [index.n_rows for index in indexes]
        self._starts = np.cumsum([0, *sizes[:-1]]).tolist()
        self.name = indexes[0].name
        self.n_rows = sum(sizes)
        self.leaves = max(index.leaves for index in indexes)
        self.isolated: NDArray[np.int64] = np.concatenate(
            [index.isolated + start for index, start in zip(indexes, self._starts, strict=True)]
        )
        self.isolated_embeddings: EmbeddingArray = np.concatenate([index.isolated_embeddings for index in indexes])

    @property
    def ended(self) -> bool:
        """Whether one of them can search no more."""
        return any(index.ended for index in self._indexes)

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`; lines are as long as all indexes together fill them."""
        found = []
        for index, start in zip(self._indexes, self._starts, strict=True):
            rows = index.candidates(queries, SearchSetting(setting.leaves, min(setting.candidates, index.n_rows)))
            found.append(np.where(rows >= 0, rows + start, -1))
        return np.concatenate(found, axis=1)


def open_segments(
    directories: Sequence[Path], segments: Sequence[Segment], embeddings: EmbeddingArray, *, apart: bool = False
) -> NeighborIndex:
    """Open the index of every segment as one.

    Parameters
    ----------
    directories : sequence of Path
        Folder of each segment's index.
    segments : sequence of Segment
        Their rows.
    embeddings : ndarray of shape (n, d), float16 or float32
        Of all rows.
    apart : bool
        As `open_index` takes it.

    Raises
    ------
    FormatError
        As `open_index` does.
    """
    if len(directories) != len(segments):
        raise FormatError(f"{len(directories)} indexes for {len(segments)} segments")
    parts = [
        open_index(directory, embeddings[segment.start : segment.stop], apart)
        for directory, segment in zip(directories, segments, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    # One pass over all rows, rather than one a segment.
    if all(part.name == "exact" for part in parts):
        return ExactIndex(embeddings)
    return SegmentedIndex(parts)
