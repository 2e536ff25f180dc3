"""Has ScaNN encode some rows of an index whose tree and codebook are trained, in a process of its own.

A folder that lists a codebook, a tree, and the embeddings and leaves of some rows is an index without codes: ScaNN
computes them on opening and `serialize` writes them. The code of a row depends on that row, its leaf's centroid and the
codebook alone. So a piece whose rows lie in a few leaves needs a tree of those few: opening takes 20 seconds and 4 GB
for the 13,000 leaves of a whole tree, whatever the rows.

    <piece>/scann_config.pb ah_codebook.pb    links to what training wrote
            serialized_partitioner.pb         the leaves of these rows, numbered from 0
            dataset.npy                       float32 (m, d)
            datapoint_to_token.npy            int32 (m,), leaf of each row
            scann_assets.pbtxt                names the four that hold data
            coded/hashed_dataset.npy          uint8 (m, blocks): what we came for

This layout is undocumented: the version of scann is pinned, and tests hold it to what is written here.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import ResourceError
from atlas.search.engines.scann import ASSETS, CODES, LEAF_OF_ROW

from ...native_code import quiet_native_code

CODEBOOK, TREE, CONFIG = "ah_codebook.pb", "serialized_partitioner.pb", "scann_config.pb"
DATASET, CODED = "dataset.npy", "coded"

PIECE_ASSETS = "".join(
    f'assets {{\n  asset_type: {kind}\n  asset_path: "{name}"\n}}\n'
    for kind, name in (
        ("AH_CENTERS", CODEBOOK),
        ("PARTITIONER", TREE),
        ("TOKENIZATION_NPY", LEAF_OF_ROW),
        ("DATASET_NPY", DATASET),
    )
)


class Tree:
    """The k-means tree of an index.

    Attributes
    ----------
    centroids : ndarray of shape (leaves, d), float32
        In the order of the leaves' numbers.
    """

    def __init__(self, directory: Path) -> None:
        from scann.partitioning import partitioner_pb2

        self._whole = partitioner_pb2.SerializedPartitioner()
        self._whole.ParseFromString((directory / TREE).read_bytes())
        root = self._whole.kmeans.kmeans_tree.root
        # Nodes and their centres stand side by side, in any order of the numbers.
        self._place = np.empty(len(root.centers), dtype=np.int64)
        self.centroids = np.empty((len(root.centers), len(root.centers[0].dimension)), dtype=np.float32)
        for place, (child, centre) in enumerate(zip(root.children, root.centers, strict=True)):
            self._place[child.leaf_id] = place
            self.centroids[child.leaf_id] = centre.dimension

    def write_level(self, path: Path) -> None:
        """Write the tree with all centroids at the same distance from zero, their mean one.

        ScaNN searches the leaves of largest inner product with the query, which favours tight groups: their mean is the
        longer one. With lengths out of the way it searches those nearest to the query, and needs a quarter to a third
        fewer of them. At the mean length, differences to centroids hardly grow, so that codes are as good as before.
        """
        length = np.linalg.norm(self.centroids, axis=1)
        scale = np.where(length > 0, length.mean() / np.maximum(length, np.finfo(np.float32).tiny), 1)
        root = self._whole.kmeans.kmeans_tree.root
        for child, centre in zip(root.children, root.centers, strict=True):
            self.centroids[child.leaf_id] *= scale[child.leaf_id]
            centre.dimension[:] = self.centroids[child.leaf_id].tolist()
        path.write_bytes(self._whole.SerializeToString())

    def write_leaves(self, path: Path, first: int, stop: int) -> None:
        """Write a tree of the leaves from `first` to before `stop`, numbered from 0."""
        from scann.partitioning import partitioner_pb2

        few = partitioner_pb2.SerializedPartitioner()
        few.n_tokens = stop - first
        few.kmeans.kmeans_tree.learned_spilling_type = self._whole.kmeans.kmeans_tree.learned_spilling_type
        whole, root = self._whole.kmeans.kmeans_tree.root, few.kmeans.kmeans_tree.root
        root.learned_spilling_threshold, root.leaf_id = whole.learned_spilling_threshold, whole.leaf_id
        for number, place in enumerate(self._place[first:stop].tolist()):
            root.centers.add().CopyFrom(whole.centers[place])
            root.children.add().CopyFrom(whole.children[place])
            root.children[number].leaf_id = number
        path.write_bytes(few.SerializeToString())


def begin_piece(
    piece: Path, directory: Path, tree: Tree, leaf: NDArray[np.int32], dimensions: int
) -> np.memmap[Any, Any]:
    """Make the folder of a piece.

    Parameters
    ----------
    piece : Path
        Does not exist.
    directory : Path
        What training wrote.
    tree : Tree
        Of that.
    leaf : ndarray of shape (m,), int32
        Leaf of each row. Memory goes with the leaves from the lowest to the highest.
    dimensions : int

    Returns
    -------
    memmap of shape (m, dimensions), float32
        For the rows' embeddings, to be filled.
    """
    piece.mkdir()
    for name in (CODEBOOK, CONFIG):
        (piece / name).symlink_to((directory / name).absolute())
    first = int(leaf.min())
    tree.write_leaves(piece / TREE, first, int(leaf.max()) + 1)
    np.save(piece / LEAF_OF_ROW, leaf - np.int32(first), allow_pickle=False)
    (piece / ASSETS).write_text(PIECE_ASSETS)
    return np.lib.format.open_memmap(piece / DATASET, mode="w+", dtype=np.float32, shape=(leaf.size, dimensions))


def encode_piece(piece: Path) -> None:
    """Have ScaNN compute the codes of a piece. For a process of its own: it holds the interpreter's lock."""
    from scann.scann_ops.py import scann_ops_pybind

    (piece / CODED).mkdir()
    with quiet_native_code():
        scann_ops_pybind.load_searcher(str(piece)).serialize(str(piece / CODED), relative_path=True)


def read_codes(piece: Path) -> NDArray[np.uint8]:
    """Codes of a piece's rows, (m, blocks), once `encode_piece` has run."""
    codes: NDArray[np.uint8] = np.load(piece / CODED / CODES, allow_pickle=False)
    return codes


def run_apart(work: Callable[[Path], Any], piece: Path) -> None:
    """Call a function in a new process, and wait for it.

    Raises
    ------
    ResourceError
        If it fails, or the system ends it.
    """
    # Spawned: a fork would copy locks that other threads hold. A daemon ends with this process.
    process = multiprocessing.get_context("spawn").Process(target=work, args=(piece,), daemon=True)
    process.start()
    process.join()
    if process.exitcode:
        how = "ran out of memory: lower memory_gib" if process.exitcode == -9 else f"exit status {process.exitcode}"
        raise ResourceError(f"the process that encodes {piece.name} of the index was ended, {how}")
