"""Builds a ScaNN index out of core: tree and codebook from a sample, then leaves and codes of all rows.

In one shot ScaNN takes 2.07 times the float32 embeddings of memory: 10 GiB for ten million rows of 128 numbers. Here
rows go through in three passes, each of which goes on where a killed run ended:

1. the leaf of every row, found here (`leaves`);
2. codes by ScaNN's own encoder, in the order of the leaves, so that a piece of rows lies in few of them and needs
   little memory (`scann_pieces`);
3. codes from the order of the leaves to that of the rows.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.search.engines.scann import CODES, LEAF_OF_ROW
from atlas.search.exact import EmbeddingArray
from atlas.storage import layout
from atlas.storage.scattered_rows import read_rows

from ...native_code import quiet_native_code, trim_heap
from ...parallel import Threads, Workers, run_slices, slices_of
from ..stage import release
from .leaf_finder import LeafFinder
from .scann_encoding import TREE, Tree, begin_piece, encode_piece, read_codes, run_apart

DIMENSIONS_A_BLOCK = 2

MIN_PARTITION = 10
"""ScaNN's default of 50 makes two thirds of the centroids near-duplicates at 64 sample rows a leaf."""

ANISOTROPIC_THRESHOLD = 0.2
"""Guo et al. 2020 (ICML), their recommendation for unit embeddings."""

BUILD_FACTOR = 2.07
"""Memory that ScaNN takes to build, over the float32 embeddings it is given (measured at 1 and 10 million rows)."""

LEAF_BYTES = 2_450
"""Memory that ScaNN takes for a leaf while it trains or encodes, for each number of an embedding (measured at 64 to
256)."""

ENCODE_FACTOR = 1.5
"""Memory that encoding takes, over the float32 embeddings of a piece (measured)."""

PROCESS_BYTES = 100 << 20
"""An interpreter with numpy and ScaNN."""

ORDER_BYTES = 16
"""Memory for each row while rows are put in the order of their leaves."""

LEAST_PIECE_ROWS = 65_536
PIECE_LEAVES = 1_024
"""Leaves of a piece at most."""

PASS_ROWS = 65_536
"""Rows at a time in the passes that encode nothing."""

KEEP_EVERY = 1_048_576
"""Rows between two records of the first pass: some ten seconds of work."""

PASSES = 2
"""Times that `step` is told of each row; the third pass takes moments."""

PROGRESS = "progress.json"
CODES_BY_LEAF = "codes-by-leaf.npy"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Plan of a ScaNN index. None of it but `leaves` and the samples changes what comes out.

    Attributes
    ----------
    leaves : int
        Leaves of the tree.
    tree_sample, codebook_sample : int
        Rows that tree and codebook are trained on.
    piece_rows : int
        Rows that are encoded at once, at most.
    encoders : int
        Processes that encode at the same time.
    train_bytes, encode_bytes : int
        Memory that training takes, and that encoding takes with all its processes.
    """

    leaves: int
    tree_sample: int
    codebook_sample: int
    piece_rows: int
    encoders: int
    train_bytes: int
    encode_bytes: int


class EncodingProgress(msgspec.Struct, frozen=True):
    """Progress of an index on disk: the leaves of so many rows, the codes of so many in the order of the leaves."""

    assigned: int = 0
    encoded: int = 0
    in_order: bool = False


def plan_build(
    n_rows: int, dimensions: int, *, leaves: int, tree_sample: int, codebook_sample: int, memory: int, threads: int
) -> Plan:
    """Pieces and processes that keep within a budget of memory, as far as that is possible.

    Parameters
    ----------
    n_rows, dimensions : int
    leaves, tree_sample, codebook_sample : int
        As in `Plan`; samples are cut to the number of rows.
    memory : int
        Bytes. A piece takes a sixteenth at most; there is one process at least, whatever it takes.
    threads : int
        Most processes.
    """
    row = 4 * dimensions
    piece_rows = max(LEAST_PIECE_ROWS, min(memory // 16 // row, -(-n_rows // threads)))
    tree_sample = min(tree_sample, n_rows)
    leaf = dimensions * LEAF_BYTES
    encoder = PROCESS_BYTES + min(leaves, PIECE_LEAVES) * leaf + int(ENCODE_FACTOR * row * min(piece_rows, n_rows))
    own = 2 * PROCESS_BYTES + ORDER_BYTES * n_rows
    encoders = max(1, min(threads, (memory - own) // encoder, -(-n_rows // piece_rows)))
    return Plan(
        leaves=leaves,
        tree_sample=tree_sample,
        codebook_sample=min(codebook_sample, n_rows),
        piece_rows=piece_rows,
        encoders=encoders,
        train_bytes=2 * PROCESS_BYTES + int(BUILD_FACTOR * row * tree_sample) + leaves * leaf,
        encode_bytes=own + encoders * encoder,
    )


def build_scann(
    embeddings: EmbeddingArray,
    directory: Path,
    plan: Plan,
    *,
    seed: int,
    threads: int,
    workers: Workers | None = None,
    step: Callable[[int], object] = lambda rows: None,
) -> NDArray[np.int32]:
    """Write an index's files; goes on where a killed run ended. `finish` drops the record of that.

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
    workers : Workers, optional
        Who finds the leaves of all rows; so many threads by default.
    step : callable
        Told the rows that are done, `PASSES` times each.

    Returns
    -------
    ndarray of shape (n,), int32
        Leaf of each row, memory-mapped.

    Raises
    ------
    ResourceError
        If a process that encodes was ended by the system.
    """
    if not (directory / PROGRESS).exists():
        _train(embeddings, directory, plan, seed, threads)
        trim_heap()
        np.lib.format.open_memmap(directory / LEAF_OF_ROW, mode="w+", dtype=np.int32, shape=embeddings.shape[:1])
        _keep(directory, EncodingProgress())
    work = _Build(embeddings, directory, plan, threads, step)
    work.assign(workers or Threads(threads))
    work.encode()
    work.put_in_order()
    return work.leaf


def is_begun(directory: Path) -> bool:
    """Whether a run of this index was killed, so that another can go on."""
    return (directory / PROGRESS).exists()


def finish(directory: Path) -> None:
    """Drop what an index that is whole needs no more: scratch that a killed run left over, and the record."""
    (directory / CODES_BY_LEAF).unlink(missing_ok=True)
    (directory / PROGRESS).unlink()


def piece_slices(leaf: NDArray[np.int32], start: int, piece_rows: int) -> Iterator[slice]:
    """Cut rows that are in the order of their leaves into pieces.

    Parameters
    ----------
    leaf : ndarray of shape (n,), int32
        Ascending.
    start : int
        First row of the first piece.
    piece_rows : int
        At most so many rows a piece, and `PIECE_LEAVES` leaves from the first to the last.
    """
    while start < leaf.size:
        few_leaves = int(np.searchsorted(leaf, leaf[start] + PIECE_LEAVES))
        stop = min(start + piece_rows, few_leaves, leaf.size)
        yield slice(start, stop)
        start = stop


class _Build:
    """The three passes over an index whose tree and codebook are trained."""

    def __init__(
        self, embeddings: EmbeddingArray, directory: Path, plan: Plan, threads: int, step: Callable[[int], object]
    ) -> None:
        self.embeddings = embeddings
        self.directory = directory
        self.plan = plan
        self.threads = threads
        self.step = step
        self.tree = Tree(directory)
        self.leaf: np.memmap[Any, Any] = np.load(directory / LEAF_OF_ROW, mmap_mode="r+", allow_pickle=False)
        self.done = msgspec.json.decode((directory / PROGRESS).read_bytes(), type=EncodingProgress)

    def _record(self, **done: int) -> None:
        self.done = msgspec.structs.replace(self.done, **done)
        _keep(self.directory, self.done)

    def assign(self, workers: Workers) -> None:
        """The leaf of every row."""
        n = self.leaf.size
        self.step(self.done.assigned)
        if self.done.assigned == n:
            return
        find = partial(_leaves_of, LeafFinder(self.tree.centroids), self.embeddings)
        parts = slices_of(n, PASS_ROWS, self.done.assigned)
        for part, leaves in zip(parts, workers.map(find, parts), strict=True):
            self.leaf[part] = leaves
            if part.stop - self.done.assigned >= KEEP_EVERY or part.stop == n:
                self.leaf.flush()
                self._record(assigned=part.stop)
                release(self.leaf)
            self.step(part.stop - part.start)

    def encode(self) -> None:
        """Codes of all rows, in the order of their leaves."""
        n, dimensions = self.embeddings.shape
        self.step(self.done.encoded)
        if self.done.encoded == n:
            return
        order = self._order()
        ordered = self.leaf[order]
        codes = self._codes_by_leaf(dimensions)
        for left_over in self.directory.glob("piece-*"):
            shutil.rmtree(left_over)
        turn = threading.BoundedSemaphore(self.plan.encoders)

        def work(part: slice) -> None:
            # Read in the order of the file, written in that of the leaves.
            by_row = np.argsort(order[part])
            rows, piece = order[part][by_row], self.directory / f"piece-{part.start}"
            dataset = begin_piece(piece, self.directory, self.tree, ordered[part][by_row], dimensions)
            for start in range(0, rows.size, PASS_ROWS):
                some = slice(start, start + PASS_ROWS)
                dataset[some] = read_rows(self.embeddings, rows[some])
            del dataset  # the other process finds it in the system's cache: no need to wait for the disk
            with turn:
                run_apart(encode_piece, piece)
            codes[by_row + part.start] = read_codes(piece)
            shutil.rmtree(piece)

        pieces = [*piece_slices(ordered, self.done.encoded, self.plan.piece_rows)]
        # One more than encode, so that the next piece is read meanwhile.
        for part in run_slices(work, pieces, self.plan.encoders + 1 if self.threads > 1 else 1):
            codes.flush()
            self._record(encoded=part.stop)
            release(codes)
            self.step(part.stop - part.start)

    def put_in_order(self) -> None:
        """Codes from the order of the leaves to that of the rows."""
        if self.done.in_order:
            return
        codes = self._codes_by_leaf(self.embeddings.shape[1])
        out = np.lib.format.open_memmap(self.directory / CODES, mode="w+", dtype=np.uint8, shape=codes.shape)
        order = self._order()
        place = np.empty(order.size, dtype=np.uint32)
        place[order] = np.arange(order.size, dtype=np.uint32)
        del order
        for start in range(0, place.size, PASS_ROWS):
            part = slice(start, start + PASS_ROWS)
            out[part] = codes[place[part]]
        out.flush()
        self._record(in_order=True)

    def _order(self) -> NDArray[np.uint32]:
        """All rows, those of one leaf together and ascending."""
        return np.argsort(self.leaf, kind="stable").astype(np.uint32)

    def _codes_by_leaf(self, dimensions: int) -> np.memmap[Any, Any]:
        path, shape = self.directory / CODES_BY_LEAF, (self.leaf.size, -(-dimensions // DIMENSIONS_A_BLOCK))
        mode: Any = "r+" if self.done.encoded else "w+"
        return np.lib.format.open_memmap(path, mode=mode, dtype=np.uint8, shape=shape)


def _leaves_of(finder: LeafFinder, embeddings: EmbeddingArray, part: slice) -> NDArray[np.int32]:
    return finder.nearest(embeddings[part])


def _keep(directory: Path, progress: EncodingProgress) -> None:
    layout.write_atomically(directory / PROGRESS, msgspec.json.encode(progress))


def _train(embeddings: EmbeddingArray, directory: Path, plan: Plan, seed: int, threads: int) -> None:
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
    Tree(directory).write_level(directory / TREE)
