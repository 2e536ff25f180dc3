"""Stage `index`: the neighbour index of all embeddings.

ScaNN is built in one shot: it takes a float32 copy of the embeddings and needs twice that at its peak (1.1 GiB for a
million rows of 128 numbers, 10 GiB for ten million).
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import format as layout
from atlas.errors import InputError, ResourceError
from atlas.neighbors import DESCRIPTION, ISOLATED, Embeddings, IndexDescription
from precompute.context import StageContext
from precompute.stages.chunks import sum_by_group, thread_count

Engine = Literal["scann", "faiss", "exact"]
Parameters = dict[str, int | float]

EXACT_BELOW = 10_000
"""Fewer rows than this are scanned. Measured with 128 numbers, for a hundred neighbours: among 960 rows a scan takes
0.09 ms and ScaNN 0.29 at recall 0.9998, among 10,000 it is 0.24 against 0.20 ms at 0.998; from there on ScaNN gains."""

TREE_SAMPLE = 250_000
ROWS_A_LEAF = 64
CODEBOOK_SAMPLE = 250_000
DIMENSIONS_A_BLOCK = 2

SCANN_MIN_PARTITION = 10
"""ScaNN's default of 50 makes two thirds of the centroids near-duplicates at 64 sample rows a leaf."""

ANISOTROPIC_THRESHOLD = 0.2
"""Guo et al. 2020 (ICML), their recommendation for unit embeddings."""

ISOLATED_ROWS = 512
"""Scoring as many takes a query 0.1 ms."""

CHUNK_ROWS = 65_536


def choose_engine(wanted: str, n_rows: int) -> Engine:
    """The engine of an index.

    Parameters
    ----------
    wanted : {"auto", "scann", "faiss", "exact"}
        "auto" scans small atlases, else takes scann where it is installed, else faiss.
    n_rows : int

    Raises
    ------
    InputError
        If `wanted` is none of these.
    ResourceError
        If it is not installed.
    """
    match wanted:
        case "exact":
            return "exact"
        case "scann" | "faiss":
            if find_spec(wanted) is None:
                raise ResourceError(f"engine {wanted!r} was asked for and is not installed")
            # Both train 16 centres for each block of the codes, and cannot on fewer rows.
            return "exact" if n_rows < 16 else wanted
        case "auto":
            if n_rows < EXACT_BELOW:
                return "exact"
            return choose_engine("scann" if find_spec("scann") else "faiss", n_rows)
        case _:
            raise InputError(f"unknown engine {wanted!r}: auto, scann, faiss or exact")


def leaf_count(leaves: int, n_rows: int) -> int:
    """Leaves of the tree: as asked, or 2 sqrt(n) for 0; never more than a quarter of the rows."""
    return max(1, min(leaves or round(2 * math.sqrt(n_rows)), n_rows // 4))


def build_index(
    embeddings: Embeddings, directory: Path, *, engine: Engine, leaves: int = 0, threads: int = 1
) -> IndexDescription:
    """Write an index that `atlas.neighbors.open_index` opens.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    directory : Path
        Made anew; what it held is removed.
    engine : {"scann", "faiss", "exact"}
    leaves : int
        0 for 2 sqrt(n).
    threads : int

    Returns
    -------
    IndexDescription
        What was written as `index.json`.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    n_rows, dimensions = embeddings.shape
    leaves = 1 if engine == "exact" else leaf_count(leaves, n_rows)
    version, parameters = "", Parameters()
    leaf: NDArray[np.signedinteger[Any]]
    match engine:
        case "scann":
            version = metadata.version("scann")
            parameters, leaf = _build_scann(np.asarray(embeddings, dtype=np.float32), directory, leaves, threads)
            np.save(directory / ISOLATED, isolated_rows(embeddings, leaf, ISOLATED_ROWS))
        case "faiss":
            import faiss

            version = faiss.__version__
            parameters, leaf = _build_faiss(np.asarray(embeddings, dtype=np.float32), directory, leaves, threads)
            np.save(directory / ISOLATED, isolated_rows(embeddings, leaf, ISOLATED_ROWS))
        case "exact":
            pass
    description = IndexDescription(
        engine=engine, version=version, n_rows=n_rows, dimensions=dimensions, leaves=leaves, parameters=parameters
    )
    layout.write_atomically(directory / DESCRIPTION, msgspec.json.format(msgspec.json.encode(description)))
    return description


def isolated_rows(embeddings: Embeddings, leaf: NDArray[np.signedinteger[Any]], count: int) -> NDArray[np.uint32]:
    """The rows farthest from the mean of their leaf: what codes of that difference describe worst.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    leaf : ndarray of shape (n,), signed integer
        Leaf of each row.
    count : int

    Returns
    -------
    ndarray of shape (min(count, n),), uint32
        Ascending.
    """
    size = np.bincount(leaf)
    means = (sum_by_group(embeddings, leaf, size.size) / np.maximum(size, 1)[:, None]).astype(np.float32)
    distance = np.empty(len(leaf), dtype=np.float32)
    for start in range(0, len(leaf), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        distance[part] = np.linalg.norm(np.asarray(embeddings[part], dtype=np.float32) - means[leaf[part]], axis=1)
    return np.sort(np.argsort(-distance, kind="stable")[:count]).astype(np.uint32)


def _build_scann(
    embeddings: NDArray[np.float32], directory: Path, leaves: int, threads: int
) -> tuple[Parameters, NDArray[np.int32]]:
    from scann.scann_ops.py import scann_ops_pybind

    from atlas.engines.scann import LEAF_OF_ROW

    tree_sample = max(TREE_SAMPLE, ROWS_A_LEAF * leaves)
    with _quiet_native_code():
        searcher = (
            scann_ops_pybind.builder(embeddings, layout.KNN_NEIGHBORS, "dot_product")
            .set_n_training_threads(threads)
            .tree(
                num_leaves=leaves,
                num_leaves_to_search=leaves,
                training_sample_size=tree_sample,
                min_partition_size=SCANN_MIN_PARTITION,
            )
            .score_ah(
                DIMENSIONS_A_BLOCK,
                anisotropic_quantization_threshold=ANISOTROPIC_THRESHOLD,
                training_sample_size=CODEBOOK_SAMPLE,
            )
            .build()
        )
        # Without relative paths the assets would name this machine's folders.
        searcher.serialize(str(directory), relative_path=True)
    parameters: Parameters = {
        "dimensions_a_block": DIMENSIONS_A_BLOCK,
        "anisotropic_threshold": ANISOTROPIC_THRESHOLD,
        "min_partition_size": SCANN_MIN_PARTITION,
        "tree_sample": min(tree_sample, len(embeddings)),
        "codebook_sample": min(CODEBOOK_SAMPLE, len(embeddings)),
    }
    return parameters, np.load(directory / LEAF_OF_ROW, allow_pickle=False)


def _build_faiss(
    embeddings: NDArray[np.float32], directory: Path, leaves: int, threads: int
) -> tuple[Parameters, NDArray[np.int64]]:
    import faiss

    from atlas.engines.faiss import CODES

    n_rows, dimensions = embeddings.shape
    # Fast scan wants blocks of equal width.
    block = DIMENSIONS_A_BLOCK if dimensions % DIMENSIONS_A_BLOCK == 0 else 1
    coarse = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFPQFastScan(coarse, dimensions, leaves, dimensions // block, 4, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 12
    index.cp.max_points_per_centroid = ROWS_A_LEAF
    faiss.omp_set_num_threads(threads)
    # A seeded sample spread over all rows, since surveys are sorted (by brightness, by position).
    sample = max(TREE_SAMPLE, ROWS_A_LEAF * leaves)
    chosen = np.random.default_rng(0).choice(n_rows, sample, replace=False) if n_rows > sample else slice(None)
    with _quiet_native_code():
        index.train(embeddings[chosen])
    index.add(embeddings)
    faiss.write_index(index, str(directory / CODES))
    _, leaf = coarse.search(embeddings, 1)
    return {"dimensions_a_block": block, "tree_sample": min(sample, n_rows)}, leaf[:, 0]


@contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Keep an engine's own log lines, which C++ writes to the standard error stream, out of the progress display."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Index:
    """Builds the neighbour index that knn, placement and the page search with."""

    name = "index"
    version = 2
    needs = ("embeddings",)
    parameters = ("engine", "leaves", "space")
    outputs = ("{space}/index",)
    reads_source = False

    def run(self, ctx: StageContext) -> None:
        """Write `index/`."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        engine = choose_engine(ctx.config.engine, embeddings.shape[0])
        with ctx.progress(embeddings.shape[0]) as bar:
            description = build_index(
                embeddings,
                ctx.space / layout.INDEX,
                engine=engine,
                leaves=ctx.config.leaves,
                threads=thread_count(ctx.config.threads),
            )
            bar.update(embeddings.shape[0])
        ctx.measured["engine"] = description.engine
        ctx.measured["leaves"] = description.leaves
        ctx.measured["bytes"] = sum(f.stat().st_size for f in (ctx.space / layout.INDEX).iterdir())


STAGE = Index()
