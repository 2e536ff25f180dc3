"""Engines that `benchmarks.search` holds beside `benchmarks.search_peers`: ours, and exact scans."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.approximate import candidate_rows, search
from atlas.search.exact import EmbeddingArray, top_k_exact, top_k_of_blocks
from atlas.search.index import SearchSetting
from atlas.search.open_index import open_index
from atlas.storage.scattered_rows import read_rows
from precompute.config import BuildConfig
from precompute.stages.index.stage import build_index, choose_engine

K = 100
ADD_ROWS = 131_072
SAMPLE = 250_000
"""Rows that engines learn from."""

CONVERT_ROWS = 8_192
"""Rows that numpy converts to float32 at once: they stay in the cache of a core."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Setting = tuple[int, ...]


def without(found: NDArray[np.integer[Any]], own: NDArray[np.int64]) -> list[NDArray[np.integer[Any]]]:
    """Each line's first K rows that are neither its own nor padding (−1)."""
    return [line[(line != row) & (line >= 0)][:K] for line, row in zip(found, own, strict=True)]


class Engine:
    """A way to search; what is here is that of an engine that scans all rows.

    Attributes
    ----------
    name : str
    knobs : tuple of str
        What the numbers of a setting are.
    ladder : tuple of tuples of int
        Settings to choose from, the most thorough one last; a single one where all rows are scanned.
    reads_file : bool
        Whether a search reads embeddings from their mapped file; the page cache should have room for them.
    """

    name = ""
    knobs: tuple[str, ...] = ()
    ladder: tuple[Setting, ...] = ((),)
    reads_file = False

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        """Write the index, on all cores."""

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        """Open it for searches."""
        self._embeddings = embeddings

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        """The K nearest of one query, nearest first, its own row left out; on one thread."""
        raise NotImplementedError

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        """The same of many queries, on all cores."""
        with ThreadPoolExecutor(CORES) as pool:
            return list(pool.map(lambda query, row: self.one(query, int(row), setting), queries, rows))

    def parts(self, setting: Setting) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
        """Parts of a search that are worth a time of their own."""
        return {}


class Ours(Engine):
    """The index of an atlas: codes in memory, candidates re-scored exactly from the float16 file."""

    name = "ours"
    knobs = ("leaves", "candidates")
    ladder = tuple(
        product((5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 360), (150, 200, 250, 300, 500, 700, 1_000, 2_000))
    )
    reads_file = True

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        build_index(embeddings, folder, engine=choose_engine("auto", embeddings.shape[0]), config=BuildConfig())

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        self._embeddings = embeddings
        self._index = open_index(folder, embeddings)

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        return search(self._index, self._embeddings, query, K, SearchSetting(*setting), skip=(row,))[0]

    def parts(self, setting: Setting) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
        """The engine's own work, fetching as many rows as it proposes, and ranking them with the isolated ones."""
        index, embeddings, chosen = self._index, self._embeddings, SearchSetting(*setting)
        spread = np.linspace(0, index.n_rows - 1, chosen.candidates).astype(np.int64)
        blocks = ((spread, read_rows(embeddings, spread)), (index.isolated, index.isolated_embeddings))
        return {
            "the codes": lambda query: index.candidates(query[None], chosen),
            "fetching candidates": lambda query: read_rows(embeddings, spread),
            "ranking": lambda query: top_k_of_blocks(blocks, query, K, spread[:1]),
        }


class OursReduced(Ours):
    """Ours over the leading components of the rows, where embeddings have many numbers; re-scored from whole rows."""

    name = "ours, of 128 components"
    components = 128

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        rows = np.sort(np.random.default_rng(0).choice(len(embeddings), min(len(embeddings), SAMPLE), replace=False))
        sample = np.asarray(embeddings[rows], dtype=np.float32)
        # About zero, not about the mean: inner products are to stay what they are.
        axes = np.linalg.eigh(sample.T @ sample)[1][:, : -self.components - 1 : -1]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "axes.npy", axes)
        path = folder / "reduced.npy"
        reduced = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(len(embeddings), axes.shape[1]))
        for start in range(0, len(embeddings), ADD_ROWS):
            block = np.asarray(embeddings[start : start + ADD_ROWS], dtype=np.float32) @ axes
            reduced[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        super().build(reduced, folder / "index")

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        self._embeddings = embeddings
        self._axes = np.load(folder / "axes.npy")
        self._index = open_index(folder / "index", np.load(folder / "reduced.npy", mmap_mode="r"))

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        rows = candidate_rows(self._index, query @ self._axes, SearchSetting(*setting))
        return top_k_of_blocks([(rows, read_rows(self._embeddings, rows))], query, K, np.array([row]))[0]

    def parts(self, setting: Setting) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
        return {}


class ExactScan(Engine):
    """All rows of the float16 file: numkong's products, short-listed and re-scored as the atlas does."""

    name = "exact, numkong"
    reads_file = True

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        return top_k_exact(self._embeddings, query, K, skip=(row,))[0]


class ExactNumpy(Engine):
    """All rows of the float16 file: numpy's products over their lengths, converted a piece at a time."""

    name = "exact, numpy"
    reads_file = True

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        self._embeddings = embeddings
        pieces = (embeddings[start : start + CONVERT_ROWS] for start in range(0, embeddings.shape[0], CONVERT_ROWS))
        self._lengths = np.concatenate(
            [np.linalg.norm(np.asarray(piece, dtype=np.float32), axis=1) for piece in pieces]
        )

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        scores = np.empty(self._embeddings.shape[0], dtype=np.float32)
        for start in range(0, scores.size, CONVERT_ROWS):
            part = slice(start, start + CONVERT_ROWS)
            np.matmul(np.asarray(self._embeddings[part], dtype=np.float32), query, out=scores[part])
        scores /= self._lengths
        scores[row] = -np.inf
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best], kind="stable")]
