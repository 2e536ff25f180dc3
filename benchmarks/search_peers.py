"""Peers of ours in `benchmarks.search`, each as its own library builds and searches it.

NGT is not among them: its wheel searches quantised graphs and has no way to make one.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import rabitqlib
from numpy.typing import NDArray
from usearch.index import Index as UsearchGraph

from atlas.search.exact import EmbeddingArray, top_k_of_blocks
from atlas.storage.scattered_rows import read_rows
from benchmarks.search_engines import (
    ADD_ROWS,
    CORES,
    SAMPLE,
    Engine,
    ExactNumpy,
    ExactScan,
    K,
    Ours,
    OursReduced,
    Setting,
    without,
)
from precompute.stages.index.stage import leaf_count

_faiss: Any = faiss
"""What its type stubs leave out is there all the same."""


class _Faiss(Engine):
    """An index of faiss, by its factory's language."""

    _file = "peer.faiss"

    def _new(self, n_rows: int, dimension: int) -> Any:
        raise NotImplementedError

    def _parameters(self, setting: Setting) -> Any:
        raise NotImplementedError

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        faiss.omp_set_num_threads(CORES)
        index = self._new(*embeddings.shape)
        if not index.is_trained:
            rng = np.random.default_rng(0)
            sample = rng.choice(embeddings.shape[0], min(embeddings.shape[0], SAMPLE), replace=False)
            index.train(np.asarray(embeddings[np.sort(sample)], dtype=np.float32))
        for start in range(0, embeddings.shape[0], ADD_ROWS):
            index.add(np.asarray(embeddings[start : start + ADD_ROWS], dtype=np.float32))
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(folder / self._file))

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        self._index = faiss.read_index(str(folder / self._file))

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        faiss.omp_set_num_threads(1)
        found: NDArray[np.int64] = self._index.search(query[None], K + 1, params=self._parameters(setting))[1][0]
        return np.asarray(found[(found != row) & (found >= 0)][:K])

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        faiss.omp_set_num_threads(CORES)
        return without(self._index.search(queries, K + 1, params=self._parameters(setting))[1], rows)


class FaissCodes(_Faiss):
    """Inverted lists of 4-bit codes by fast scan, candidates re-scored from float16 rows in memory: as exact as ours.

    As many lists and as many numbers a code as ours.
    """

    name = "faiss IVF-PQ fast scan, refined"
    knobs = ("lists", "candidates")
    ladder = tuple(product((5, 20, 30, 60, 120, 240), (200, 500, 1_000, 2_000, 4_000, 8_000)))

    def _new(self, n_rows: int, dimension: int) -> Any:
        factory = f"IVF{leaf_count(0, n_rows)},PQ{dimension // 2}x4fs,Refine(SQfp16)"
        return faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)

    def _parameters(self, setting: Setting) -> Any:
        lists, candidates = setting
        within = _faiss.SearchParametersIVF(nprobe=lists)
        return _faiss.IndexRefineSearchParameters(k_factor=candidates / (K + 1), base_index_params=within)


class FaissGraph(_Faiss):
    """A navigable graph (HNSW) over float32 rows."""

    name = "faiss HNSW"
    knobs = ("efSearch",)
    ladder = tuple((effort,) for effort in (101, 120, 140, 170, 200, 250, 300, 400, 600, 800, 1_200, 2_000))
    links = 32
    build_effort = 80

    def _new(self, n_rows: int, dimension: int) -> Any:
        index = faiss.IndexHNSWFlat(dimension, self.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.build_effort
        return index

    def _parameters(self, setting: Setting) -> Any:
        return _faiss.SearchParametersHNSW(efSearch=setting[0])


class Usearch(Engine):
    """A navigable graph over float16 rows, built as usearch does by itself."""

    name = "usearch"
    knobs = ("expansion",)
    ladder = FaissGraph.ladder
    _file = "peer.usearch"

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        graph = UsearchGraph(ndim=embeddings.shape[1], metric="ip", dtype="f16")
        for start in range(0, embeddings.shape[0], ADD_ROWS):
            block = np.ascontiguousarray(embeddings[start : start + ADD_ROWS])
            graph.add(np.arange(start, start + len(block), dtype=np.uint64), block, threads=CORES)
        folder.mkdir(parents=True, exist_ok=True)
        graph.save(str(folder / self._file))

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        graph = UsearchGraph.restore(str(folder / self._file))
        assert graph is not None
        self._graph = graph

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        self._graph.expansion_search = setting[0]
        found: NDArray[np.int64] = np.asarray(self._graph.search(query, K + 1, threads=1).keys, dtype=np.int64)
        return np.asarray(found[found != row][:K])

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        self._graph.expansion_search = setting[0]
        return without(np.asarray(self._graph.search(queries, K + 1, threads=CORES).keys, dtype=np.int64), rows)


class _Rabitq(Engine):
    """An index of rabitqlib: distances estimated by codes of a random rotation, with a bound on their error."""

    _file = "peer.rabitq"
    _kind: Any

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        self._index = self._kind.load(str(folder / self._file))

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        found: NDArray[np.int64] = np.asarray(self._index.search(query[None], K + 1, setting[0])[0][0], dtype=np.int64)
        return np.asarray(found[found != row][:K])

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        found = self._index.search(queries, K + 1, setting[0], num_threads=CORES)[0]
        return without(np.asarray(found, dtype=np.int64), rows)


class RabitqLists(_Rabitq):
    """Inverted lists of RaBitQ's codes of seven bits a number (Gao & Long 2024), as many lists as ours.

    Its centroids are those of faiss's k-means, which takes samples; its own would go over all rows.
    """

    name = "RaBitQ, lists of 7 bits"
    knobs: tuple[str, ...] = ("lists",)
    ladder: tuple[Setting, ...] = tuple((lists,) for lists in (5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 360))
    bits = 7
    _kind = rabitqlib.IvfIndex

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        faiss.omp_set_num_threads(CORES)
        rows = np.asarray(embeddings, dtype=np.float32)
        sample = np.random.default_rng(0).choice(len(rows), min(len(rows), SAMPLE), replace=False)
        lists = leaf_count(0, len(rows))
        means = faiss.Kmeans(rows.shape[1], lists, niter=10, seed=0, spherical=True)
        means.train(rows[np.sort(sample)])
        nearest = means.index.search(rows, 1)[1][:, 0].astype(np.uint32)
        index = rabitqlib.IvfIndex(rows.shape[1], len(rows), lists, self.bits, "ip")
        index.build(rows, means.centroids, nearest, num_threads=CORES)
        folder.mkdir(parents=True, exist_ok=True)
        index.save(str(folder / self._file))


class RabitqShortLists(RabitqLists):
    """The same lists with codes of four bits a number, which fit into a hundred bytes a row, re-scored as ours are."""

    name = "RaBitQ, lists of 4 bits, re-scored"
    knobs = ("lists", "candidates")
    ladder = tuple(product((20, 30, 45, 60, 90, 120, 180, 240), (110, 130, 160, 200, 300, 500)))
    bits = 4
    reads_file = True

    def load(self, embeddings: EmbeddingArray, folder: Path) -> None:
        super().load(embeddings, folder)
        self._embeddings = embeddings

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        lists, candidates = setting
        found: NDArray[np.int64] = np.sort(self._index.search(query[None], candidates, lists)[0][0].astype(np.int64))
        blocks = ((found, read_rows(self._embeddings, found)),)
        return top_k_of_blocks(blocks, query, K, np.array([row]))[0]

    many = Engine.many


class RabitqGraph(_Rabitq):
    """A graph whose links carry RaBitQ's codes of where they lead (SymphonyQG, Gou et al. 2025), over float32 rows.

    By distance, which orders unit rows as the inner product does: a graph built by inner products finds hardly any.
    """

    name = "SymphonyQG"
    knobs = ("ef",)
    ladder = FaissGraph.ladder
    links = 32
    build_effort = 200
    _kind = rabitqlib.SymqgIndex

    def build(self, embeddings: EmbeddingArray, folder: Path) -> None:
        graph = rabitqlib.SymqgIndex(embeddings.shape[1], self.links, "l2")
        graph.build(np.asarray(embeddings, dtype=np.float32), self.build_effort, num_threads=CORES)
        folder.mkdir(parents=True, exist_ok=True)
        graph.save(str(folder / self._file))


ENGINES: tuple[type[Engine], ...] = (
    Ours, FaissCodes, FaissGraph, Usearch, RabitqLists, RabitqShortLists, RabitqGraph, ExactScan, ExactNumpy
)  # fmt: skip
WIDE_ENGINES: tuple[type[Engine], ...] = (Ours, OursReduced, *ENGINES[1:])
"""Where embeddings have several hundred numbers."""

LARGE_ENGINES: tuple[type[Engine], ...] = (Ours, FaissCodes, ExactScan)
"""At ten million the graphs, and float32 rows to build from, would not fit beside everything else."""

NAMES = tuple(kind.name for kind in WIDE_ENGINES)
