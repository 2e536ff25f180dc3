"""Searches of `benchmarks.survey`: by the index, through the planner, exactly, and many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from atlas import Atlas, Query, Result, Similar
from atlas.queries.planner import WANTED_RECALL
from atlas.search.approximate import search
from atlas.search.exact import EmbeddingArray, top_k_exact_many
from atlas.search.index import SearchSetting
from atlas.search.quality import choose_setting
from atlas.storage.validate import open_current
from benchmarks.disk import draw_rows, embeddings_path, forget, read_from_disk
from benchmarks.planes import timed
from precompute.stages.measure import RECALL_AT, TIE
from precompute.stages.stage import release

K = 100
LADDER = ((30, 500), (60, 500), (120, 1_000), (240, 1_000), (240, 2_000), (480, 2_000), (120, 4_000))
"""Leaves and candidates."""

GALLERY = 24
"""Galaxies that the page shows at first."""

COLD_QUERIES = 20
ROUNDS = 3
EXACT_QUERIES = 5
THREADS = 8
RATE_QUERIES = 1_000
GIB = 2**30


@dataclass(frozen=True)
class Truth:
    """True similarities of the neighbours of some rows.

    Attributes
    ----------
    rows : ndarray of shape (q,), int64
        Distinct; each is left out of its own answer.
    at : tuple of int
        Numbers of neighbours that recall is told at.
    scores : ndarray of shape (q, len(at)), float32
        Exact score of the last of as many neighbours.
    """

    rows: NDArray[np.int64]
    at: tuple[int, ...]
    scores: NDArray[np.float32]

    def recall(self, k: int, found: Sequence[NDArray[np.float32]]) -> float:
        """Mean share of the k nearest among answers, given by their scores; equal scores are as good."""
        last = self.scores[:, self.at.index(k)]
        return float(np.mean([(scores[:k] >= one - TIE).sum() / k for scores, one in zip(found, last, strict=True)]))


def find_truth(embeddings: EmbeddingArray, rows: NDArray[np.int64]) -> Truth:
    """Neighbours by one pass over all rows."""
    at = tuple(k for k in RECALL_AT if k < embeddings.shape[0])
    own = np.asarray(embeddings[rows], dtype=np.float32)
    nearest, scores = top_k_exact_many(embeddings, own, max(at, default=0) + 1)
    # In descending order, the row itself last.
    best = -np.sort(np.where(nearest == rows[:, None], np.inf, -scores), axis=1)
    return Truth(rows, at, best[:, np.array(at, dtype=np.int64) - 1])


def truth_of(root: Path, queries: int) -> Truth:
    """The truth about seeded rows of an atlas."""
    atlas = Atlas.open(root)
    return find_truth(atlas.space().embeddings, draw_rows(atlas.n_rows, queries))


def as_the_page(atlas: Atlas, row: int, limit: int, *, exact: bool = False) -> Result:
    """Galaxies like one, through the planner."""
    return atlas.run(Query(space=atlas.default_space, ranking=Similar((row,)), exact=exact, limit=limit))


class Searches:
    """Searches for the neighbours of some rows, the index in memory."""

    def __init__(self, root: Path, rows: NDArray[np.int64]) -> None:
        self.atlas, self.rows = Atlas.open(root), rows
        self.space = self.atlas.space()
        self.own = np.asarray(self.space.embeddings[rows], dtype=np.float32)
        self.k = min(K, self.atlas.n_rows - 1)
        self.index = self.space.index
        self.exact = self.index.name == "exact"

    def pages_setting(self) -> SearchSetting:
        """Setting that the page takes for a hundred rows like one."""
        if self.exact:
            return SearchSetting(1, self.k)
        chosen = choose_setting(self.space.quality, "row", self.k, wanted=WANTED_RECALL)[0]
        return self._clipped(chosen.leaves, chosen.candidates)

    def settings(self) -> list[SearchSetting]:
        """From quick to thorough, each that differs for this index; an exact one has one."""
        if self.exact:
            return [self.pages_setting()]
        found = {self.pages_setting(), *(self._clipped(*step) for step in LADDER)}
        return sorted(found, key=lambda setting: (setting.leaves, setting.candidates))

    def _clipped(self, leaves: int, candidates: int) -> SearchSetting:
        return SearchSetting(min(leaves, self.index.leaves), min(candidates, self.index.n_rows))

    def told(self, setting: SearchSetting) -> dict[str, int]:
        """A setting for the record; an exact index has none."""
        return {} if self.exact else msgspec.structs.asdict(setting)

    def one(self, i: int, setting: SearchSetting, k: int) -> NDArray[np.float32]:
        """Scores of the nearest of one row."""
        at = i % len(self.rows)
        return search(self.index, self.space.embeddings, self.own[at], k, setting, skip=(int(self.rows[at]),))[1]

    def recall(self, setting: SearchSetting, truth: Truth) -> dict[str, float]:
        """Recall at every k that the setting has candidates for."""
        reached = [k for k in truth.at if self.exact or k <= setting.candidates]
        found = [self.one(i, setting, max(reached, default=0)) for i in range(len(self.rows))]
        return {str(k): round(truth.recall(k, found), 4) for k in reached}

    def cold(self, work: Callable[[int], Any]) -> dict[str, float]:
        """A call that has to read the embeddings from the disk, again and again: median and slowest."""
        path = embeddings_path(self.atlas)
        taken = []
        for i in range(min(COLD_QUERIES, len(self.rows))):
            assert isinstance(self.space.embeddings, np.memmap)
            release(self.space.embeddings)
            forget(path)
            before = read_from_disk()
            begun = time.perf_counter()
            work(i)
            seconds = time.perf_counter() - begun
            after = read_from_disk()
            taken.append((seconds * 1e3, (after[0] - before[0]) / 1024, after[1] - before[1]))
        ms, kib, faults = np.array(taken).T
        return {
            "cold_p50_ms": round(float(np.median(ms)), 2),
            "cold_worst_ms": round(float(ms.max()), 2),
            "cold_read_kib": round(float(np.median(kib))),
            "cold_major_faults": round(float(np.median(faults))),
        }


def measure_search(root: Path, truth: Truth) -> dict[str, Any]:
    """Every setting, and the page's own way, warm and cold."""
    searches = Searches(root, truth.rows)
    queries = len(truth.rows)
    lines: list[tuple[dict[str, Any], Callable[[int], Any]]] = []
    for setting in searches.settings():
        line: dict[str, Any] = {"what": "index", **searches.told(setting), "pages": setting == searches.pages_setting()}
        line["recall"] = searches.recall(setting, truth)
        lines.append((line, partial(searches.one, setting=setting, k=searches.k)))
    chosen = as_the_page(searches.atlas, int(truth.rows[0]), GALLERY).recall
    line = {"what": "planner", "limit": GALLERY}
    line |= searches.told(searches.pages_setting() if chosen is None else chosen.setting)
    lines.append((line, lambda i: as_the_page(searches.atlas, int(truth.rows[i % queries]), GALLERY)))
    with threadpool_limits(limits=1, user_api="blas"):
        for line, work in lines:
            for i in range(queries):
                work(i)
            line |= min((timed(work, queries) for _ in range(ROUNDS)), key=lambda of: of["p50_ms"])
        for line, work in lines:
            line |= searches.cold(work)
    return {
        "engine": searches.index.name,
        "leaves": searches.index.leaves,
        "queries": queries,
        "cold_queries": min(COLD_QUERIES, queries),
        "k": searches.k,
        "lines": [line for line, _ in lines],
    }


def measure_exact(root: Path) -> dict[str, Any]:
    """Exact search over all rows: from the disk, then from the page cache as far as that holds them."""
    atlas = Atlas.open(root)
    forget(embeddings_path(atlas))
    taken = []
    for row in draw_rows(atlas.n_rows, 1 + EXACT_QUERIES):
        before = read_from_disk()[0]
        begun = time.perf_counter()
        result = as_the_page(atlas, int(row), K, exact=True)
        seconds = time.perf_counter() - begun
        if not result.exact:
            raise RuntimeError(f"the planner answered by {result.method}")
        taken.append((seconds, (read_from_disk()[0] - before) / GIB))
    (first_s, first_gib), rest = taken[0], np.array(taken[1:])
    return {
        "first_s": round(first_s, 4),
        "first_read_gib": round(first_gib, 3),
        "p50_s": round(float(np.median(rest[:, 0])), 4),
        "worst_s": round(float(rest[:, 0].max()), 4),
        "read_gib": round(float(np.median(rest[:, 1])), 3),
        "queries": len(rest),
    }


def measure_rate(root: Path) -> dict[str, Any]:
    """Many searches at once."""
    searches = Searches(root, draw_rows(open_current(root)[1].n_rows, RATE_QUERIES))
    setting = searches.pages_setting()
    rates = []
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(1 + ROUNDS):
            begun = time.perf_counter()
            list(pool.map(lambda i: searches.one(i, setting, searches.k), range(RATE_QUERIES)))
            rates.append(RATE_QUERIES / (time.perf_counter() - begun))
    # The first round reads the rows.
    return {"threads": THREADS, **searches.told(setting), "queries_a_second": round(max(rates[1:]))}
