"""Simulated embeddings for tests of search and map: unit rows in groups of low intrinsic dimension."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grouped_embeddings(
    sizes: list[int], *, d: int = 48, dimension: int = 8, spread: float = 0.7, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit rows (n, d) in groups of the given sizes, in random order, and the group of each."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = np.empty((groups.size, d), dtype=np.float32)
    for group, size in enumerate(sizes):
        centre = rng.standard_normal(d)
        basis = rng.standard_normal((dimension, d)) / np.sqrt(dimension)
        rows[groups == group] = centre + spread * rng.standard_normal((size, dimension)) @ basis
    rows += 0.1 * rng.standard_normal(rows.shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), groups
