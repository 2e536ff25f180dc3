"""Builds a faiss index (`atlas.search.engines.faiss`): trained on a sample, rows are added a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.search.engines.faiss import CODES
from atlas.search.exact import EmbeddingArray

from ...native_code import quiet_native_code

DIMENSIONS_A_BLOCK = 2
ITERATIONS = 12
ADD_ROWS = 65_536


def build_faiss(
    embeddings: EmbeddingArray,
    directory: Path,
    *,
    leaves: int,
    tree_sample: int,
    seed: int,
    threads: int,
    step: Callable[[int], object] = lambda rows: None,
) -> NDArray[np.int32]:
    """Write an index's file.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    directory : Path
        Exists.
    leaves : int
    tree_sample : int
        Rows that centroids and codes are trained on.
    seed : int
        Seeds their choice.
    threads : int
    step : callable
        Told the rows that are done.

    Returns
    -------
    ndarray of shape (n,), int32
        Leaf of each row.
    """
    import faiss

    n_rows, dimensions = embeddings.shape
    coarse = faiss.IndexFlatIP(dimensions)
    block = block_width(dimensions)
    index = faiss.IndexIVFPQFastScan(coarse, dimensions, leaves, dimensions // block, 4, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = ITERATIONS
    index.cp.max_points_per_centroid = max(1, tree_sample // leaves)
    faiss.omp_set_num_threads(threads)
    # Spread over all rows, since surveys are sorted (by brightness, by position).
    rows = np.arange(n_rows)
    if tree_sample < n_rows:
        rows = np.sort(np.random.default_rng(seed).choice(n_rows, tree_sample, replace=False))
    with quiet_native_code():
        index.train(np.asarray(embeddings[rows], dtype=np.float32))
    leaf = np.empty(n_rows, dtype=np.int32)
    for start in range(0, n_rows, ADD_ROWS):
        part = np.asarray(embeddings[start : start + ADD_ROWS], dtype=np.float32)
        index.add(part)
        leaf[start : start + len(part)] = coarse.search(part, 1)[1][:, 0]
        step(len(part))
    faiss.write_index(index, str(directory / CODES))
    return leaf


def block_width(dimensions: int) -> int:
    """Numbers in a block of the codes: fast scan wants all of equal width."""
    return DIMENSIONS_A_BLOCK if dimensions % DIMENSIONS_A_BLOCK == 0 else 1
