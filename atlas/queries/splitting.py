"""Splitting of a selection into parts that look alike: found in a sample, then every galaxy goes to the nearest.

The sample is joined by Ward's criterion (1963, J. Am. Stat. Assoc. 58, 236), which needs no random start: the same
selection of the same build is always split the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.mask import Mask
from atlas.search.exact import EmbeddingArray

SAMPLE = 2_000
MOST = 2_000_000
"""Galaxies that are split at most: to assign them takes about a second."""

FEWEST = 40
CHUNK_ROWS = 16_384


def require_splittable(count: int) -> None:
    """Refuse to split too few galaxies, or too many.

    Raises
    ------
    InputError
        If there are.
    """
    if not FEWEST <= count <= MOST:
        raise InputError(f"{count:,} galaxies are selected: from {FEWEST} to {MOST:,} can be split")


def split_middles(embeddings: EmbeddingArray, mask: Mask, count: int) -> NDArray[np.float32]:
    """Mean embeddings of the parts, of unit length, that of most galaxies of the sample first; (count, d).

    Raises
    ------
    InputError
        If there are too few galaxies to split, or too many.
    """
    require_splittable(mask.count)
    from scipy.cluster.hierarchy import fcluster, linkage

    sample = np.asarray(embeddings[mask.sample(SAMPLE, 0)], dtype=np.float64)
    found = fcluster(linkage(sample, "ward"), count, "maxclust") - 1
    size = np.bincount(found)
    middles = np.stack([sample[found == part].mean(axis=0) for part in np.argsort(-size, kind="stable")])
    length = np.linalg.norm(middles, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(middles, length, out=middles, where=length > 0).astype(np.float32)
    return unit


def assign(
    embeddings: EmbeddingArray,
    rows: NDArray[np.integer],
    middles: NDArray[np.float32],
    tell: Callable[[int], object] = lambda done: None,
) -> NDArray[np.uint8]:
    """The part that each row is most like; (m,). `tell` hears how many rows are done."""
    parts = np.empty(rows.size, dtype=np.uint8)
    for start in range(0, rows.size, CHUNK_ROWS):
        block = np.asarray(embeddings[rows[start : start + CHUNK_ROWS]], dtype=np.float32)
        parts[start : start + CHUNK_ROWS] = (block @ middles.T).argmax(axis=1)
        tell(min(start + CHUNK_ROWS, rows.size))
    return parts


def part_mask(embeddings: EmbeddingArray, mask: Mask, count: int, number: int) -> Mask:
    """Galaxies of one part of a selection.

    Raises
    ------
    InputError
        If the selection cannot be split, or has no such part.
    """
    middles = split_middles(embeddings, mask, count)
    if number >= len(middles):
        raise InputError(f"there is no part {number}: the selection falls into {len(middles)}, from 0 on")
    return Mask.from_rows(mask.rows[assign(embeddings, mask.rows, middles) == number], mask.n_rows)
