"""Builds a ScaNN index out of core: tree and codebook from a sample, then the codes of all rows, a chunk at a time.

In one shot ScaNN takes 2.07 times the float32 embeddings of memory: 10 GiB for ten million rows of 128 numbers. Its
own files allow another way. A folder that lists a codebook, a tree, and the embeddings and leaves of some rows is an
index without codes: ScaNN computes them on opening and `serialize` writes them. The code of a row depends on that row,
tree and codebook alone, so chunks laid end to end are the index of all rows. This layout is undocumented: the version
of scann is pinned, and tests hold it to what is written here.

    <chunk>/scann_config.pb ah_codebook.pb serialized_partitioner.pb    links to what training wrote
            dataset.npy               float32 (m, d)
            datapoint_to_token.npy    int32 (m,), leaf of each row
            scann_assets.pbtxt        names the four that hold data
            coded/hashed_dataset.npy  uint8 (m, blocks): what we came for

Opening holds the interpreter's lock and takes memory for every leaf, so it has processes of its own, as many as the
budget allows. Leaves are found here meanwhile: a product of matrices gives ScaNN's own leaves in half of its time.
"""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import format as layout
from atlas.engines.scann import ASSETS, CODES, LEAF_OF_ROW
from atlas.errors import ResourceError
from atlas.neighbors import Embeddings
from precompute.context import release
from precompute.stages.chunks import run_chunks
from precompute.stages.native import quiet_native_code, trim_heap

DIMENSIONS_A_BLOCK = 2

MIN_PARTITION = 10
"""ScaNN's default of 50 makes two thirds of the centroids near-duplicates at 64 sample rows a leaf."""

ANISOTROPIC_THRESHOLD = 0.2
"""Guo et al. 2020 (ICML), their recommendation for unit embeddings."""

BUILD_FACTOR = 2.07
"""Memory that ScaNN takes to build, over the float32 embeddings it is given (measured at 1 and 10 million rows)."""

LEAF_BYTES = 2_450
"""Memory that ScaNN takes for a leaf while it encodes, for each number of an embedding (measured at 64 to 256)."""

ENCODE_FACTOR = 1.5
"""Memory that encoding takes, over the float32 embeddings of a chunk (measured)."""

PROCESS_BYTES = 100 << 20
"""An interpreter with numpy and ScaNN."""

LEAST_CHUNK_ROWS = 65_536
ASSIGN_ROWS = 1_024
"""Rows whose products with all centroids are held at once: they stay in a core's cache."""

PROGRESS = "progress.json"
CODEBOOK, TREE, CONFIG = "ah_codebook.pb", "serialized_partitioner.pb", "scann_config.pb"
DATASET, CODED = "dataset.npy", "coded"

CHUNK_ASSETS = "".join(
    f'assets {{\n  asset_type: {kind}\n  asset_path: "{name}"\n}}\n'
    for kind, name in (
        ("AH_CENTERS", CODEBOOK),
        ("PARTITIONER", TREE),
        ("TOKENIZATION_NPY", LEAF_OF_ROW),
        ("DATASET_NPY", DATASET),
    )
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a ScaNN index is built. None of it but `leaves` and the samples changes what comes out.

    Attributes
    ----------
    leaves : int
        Leaves of the tree.
    tree_sample, codebook_sample : int
        Rows that tree and codebook are trained on.
    chunk_rows : int
        Rows that are encoded at once.
    encoders : int
        Processes that encode at the same time.
    train_bytes, encode_bytes : int
        Memory that training takes, and that encoding takes with all its processes.
    """

    leaves: int
    tree_sample: int
    codebook_sample: int
    chunk_rows: int
    encoders: int
    train_bytes: int
    encode_bytes: int


def plan_build(
    n_rows: int, dimensions: int, *, leaves: int, tree_sample: int, codebook_sample: int, memory: int, threads: int
) -> Plan:
    """Chunks and processes that keep within a budget of memory, as far as that is possible.

    Parameters
    ----------
    n_rows, dimensions : int
    leaves, tree_sample, codebook_sample : int
        As in `Plan`; samples are cut to the number of rows.
    memory : int
        Bytes. A chunk takes a sixteenth at most; there is one process at least, whatever it takes.
    threads : int
        Most processes.
    """
    row = 4 * dimensions
    chunk_rows = max(LEAST_CHUNK_ROWS, min(memory // 16 // row, -(-n_rows // threads)))
    tree_sample = min(tree_sample, n_rows)
    of_leaves = leaves * dimensions * LEAF_BYTES
    encoder = PROCESS_BYTES + of_leaves + int(ENCODE_FACTOR * row * min(chunk_rows, n_rows))
    own = 2 * PROCESS_BYTES + 16 * n_rows
    encoders = max(1, min(threads, (memory - own) // encoder, -(-n_rows // chunk_rows)))
    return Plan(
        leaves=leaves,
        tree_sample=tree_sample,
        codebook_sample=min(codebook_sample, n_rows),
        chunk_rows=chunk_rows,
        encoders=encoders,
        train_bytes=2 * PROCESS_BYTES + int(BUILD_FACTOR * row * tree_sample) + of_leaves,
        encode_bytes=own + encoders * encoder,
    )


def build_scann(
    embeddings: Embeddings,
    directory: Path,
    plan: Plan,
    *,
    seed: int,
    threads: int,
    step: Callable[[int], object] = lambda rows: None,
) -> NDArray[np.int32]:
    """Write an index's files; goes on where a killed run of the same plan ended.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    directory : Path
        Exists; either empty or as a killed run left it.
    plan : Plan
    seed : int
        Seeds the choice of the sample. ScaNN's own training has no seed.
    threads : int
    step : callable
        Told the rows that are done.

    Returns
    -------
    ndarray of shape (n,), int32
        Leaf of each row, memory-mapped.

    Raises
    ------
    ResourceError
        If a process that encodes was ended by the system.
    """
    n_rows, dimensions = embeddings.shape
    record = directory / PROGRESS
    if not record.exists():
        _train(embeddings, directory, plan, seed, threads)
        trim_heap()
        shapes = {CODES: ((n_rows, -(-dimensions // DIMENSIONS_A_BLOCK)), np.uint8), LEAF_OF_ROW: ((n_rows,), np.int32)}
        for name, (shape, dtype) in shapes.items():
            np.lib.format.open_memmap(directory / name, mode="w+", dtype=dtype, shape=shape).flush()
        layout.write_atomically(record, msgspec.json.encode(0))
    done = msgspec.json.decode(record.read_bytes(), type=int)
    for left_over in directory.glob("chunk-*"):
        shutil.rmtree(left_over)
    codes: np.memmap[Any, Any] = np.load(directory / CODES, mmap_mode="r+", allow_pickle=False)
    leaf: np.memmap[Any, Any] = np.load(directory / LEAF_OF_ROW, mmap_mode="r+", allow_pickle=False)
    centroids = read_centroids(directory)
    turn = threading.BoundedSemaphore(plan.encoders)

    def work(part: slice) -> None:
        chunk = directory / f"chunk-{part.start}"
        leaf[part] = _write_chunk(embeddings[part], centroids, directory, chunk)
        with turn:
            _run_apart(encode_chunk, chunk)
        codes[part] = np.load(chunk / CODED / CODES, allow_pickle=False)
        shutil.rmtree(chunk)

    step(done)
    # One more than encode, so that the leaves of the next chunk are found meanwhile.
    workers = plan.encoders + 1 if threads > 1 else 1
    for part in run_chunks(work, n_rows, plan.chunk_rows, workers, start=done):
        codes.flush()
        leaf.flush()
        layout.write_atomically(record, msgspec.json.encode(part.stop))
        release(codes)
        release(leaf)
        step(part.stop - part.start)
    record.unlink()
    return leaf


def read_centroids(directory: Path) -> NDArray[np.float32]:
    """Centroids of a tree's leaves, (leaves, d), in the order of their numbers."""
    from scann.partitioning import partitioner_pb2

    tree = partitioner_pb2.SerializedPartitioner()
    tree.ParseFromString((directory / TREE).read_bytes())
    root = tree.kmeans.kmeans_tree.root
    centroids = np.empty((len(root.centers), len(root.centers[0].dimension)), dtype=np.float32)
    for child, centre in zip(root.children, root.centers, strict=True):
        centroids[child.leaf_id] = centre.dimension
    return centroids


def nearest_leaf(embeddings: Embeddings, centroids: NDArray[np.float32]) -> NDArray[np.int32]:
    """The leaf whose centroid is nearest to each row, which is where ScaNN would put it.

    Parameters
    ----------
    embeddings : ndarray of shape (m, d), float16 or float32
    centroids : ndarray of shape (leaves, d), float32

    Returns
    -------
    ndarray of shape (m,), int32
    """
    half = np.einsum("ld,ld->l", centroids, centroids) / 2
    nearest = np.empty(len(embeddings), dtype=np.int32)
    products = np.empty((ASSIGN_ROWS, len(centroids)), dtype=np.float32)
    for start in range(0, len(embeddings), ASSIGN_ROWS):
        rows = np.asarray(embeddings[start : start + ASSIGN_ROWS], dtype=np.float32)
        block = products[: len(rows)]
        np.matmul(rows, centroids.T, out=block)
        block -= half
        nearest[start : start + len(rows)] = block.argmax(axis=1)
    return nearest


def encode_chunk(chunk: Path) -> None:
    """Have ScaNN compute the codes of a chunk's folder. Runs in a process of its own."""
    from scann.scann_ops.py import scann_ops_pybind

    (chunk / CODED).mkdir()
    with quiet_native_code():
        scann_ops_pybind.load_searcher(str(chunk)).serialize(str(chunk / CODED), relative_path=True)


def _train(embeddings: Embeddings, directory: Path, plan: Plan, seed: int, threads: int) -> None:
    """Write tree, codebook and configuration, from a seeded sample of all rows: surveys are sorted by something."""
    from scann.scann_ops.py import scann_ops_pybind

    rows = np.arange(embeddings.shape[0])
    if plan.tree_sample < rows.size:
        rows = np.sort(np.random.default_rng(seed).choice(rows.size, plan.tree_sample, replace=False))
    sample = np.asarray(embeddings[rows], dtype=np.float32)
    with quiet_native_code():
        searcher = (
            scann_ops_pybind.builder(sample, layout.KNN_NEIGHBORS, "dot_product")
            .set_n_training_threads(threads)
            .tree(
                num_leaves=plan.leaves,
                num_leaves_to_search=plan.leaves,
                training_sample_size=len(sample),
                min_partition_size=MIN_PARTITION,
            )
            .score_ah(
                DIMENSIONS_A_BLOCK,
                anisotropic_quantization_threshold=ANISOTROPIC_THRESHOLD,
                training_sample_size=plan.codebook_sample,
            )
            .build()
        )
        # Without relative paths the assets would name this machine's folders. Codes and leaves of the sample, which
        # come along, are overwritten by those of all rows.
        searcher.serialize(str(directory), relative_path=True)


def _write_chunk(
    embeddings: Embeddings, centroids: NDArray[np.float32], directory: Path, chunk: Path
) -> NDArray[np.int32]:
    """A folder that ScaNN encodes on opening; returns the leaf of each row."""
    chunk.mkdir()
    for name in (CODEBOOK, TREE, CONFIG):
        (chunk / name).symlink_to((directory / name).absolute())
    leaf = nearest_leaf(embeddings, centroids)
    np.save(chunk / LEAF_OF_ROW, leaf, allow_pickle=False)
    dataset = np.lib.format.open_memmap(chunk / DATASET, mode="w+", dtype=np.float32, shape=embeddings.shape)
    for start in range(0, len(embeddings), LEAST_CHUNK_ROWS):
        dataset[start : start + LEAST_CHUNK_ROWS] = embeddings[start : start + LEAST_CHUNK_ROWS]
    dataset.flush()
    (chunk / ASSETS).write_text(CHUNK_ASSETS)
    return leaf


def _run_apart(work: Callable[[Path], Any], chunk: Path) -> None:
    """Call a function in a new process, and wait for it."""
    # Spawned: a fork would copy locks that other threads hold. A daemon ends with this process.
    process = multiprocessing.get_context("spawn").Process(target=work, args=(chunk,), daemon=True)
    process.start()
    process.join()
    if process.exitcode:
        how = "ran out of memory: lower memory_gib" if process.exitcode == -9 else f"exit status {process.exitcode}"
        raise ResourceError(f"the process that encodes {chunk.name} of the index was ended, {how}")
