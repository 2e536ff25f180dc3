"""Stage `knn`: the nearest neighbours of the rows, by the index with exact re-scoring; a killed run goes on.

`--knn all` finds the ten nearest of every row and keeps them: 80 bytes a row, 3.4 GB for 42 million. `--knn sample`
keeps those of a sample, and searches few leaves for the others, of which it keeps the mean distance alone: half of the
time.

Rows are gone through in the order of their leaves, since what one row reads the next has use for. That halves the time
at 42 million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numkong
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from atlas.search.engines.scann import LEAF_OF_ROW
from atlas.search.exact import EmbeddingArray, top_k_exact_many, top_of_each
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import open_index
from atlas.storage import layout

from ..parallel import slices_of
from .costs import NEIGHBORS_BYTES, Cost, Sizes, opened_index, search_seconds
from .equal_rows import EqualRows, equal_rows
from .row_passes import fill_rows
from .stage import BuildStage, SpaceColumn, StageContext

CHUNK_ROWS = 2_048

SETTING = SearchSetting(leaves=30, candidates=100)
"""Recall@10 0.985 to 0.997 on simulated surveys of 0.2 and 1 million galaxies; 85 µs a row and core."""

QUICK_ROWS = 16_000
QUICK_LEAVES = 5
QUICK_CANDIDATES = 50
"""For the mean distance alone, where `sample` was asked for: leaves of about so many rows together, so that a row costs
the same whatever n, and a few of them at least. In a million simulated galaxies it finds 0.96 of the ten nearest; where
five leaves are all, 0.77 and others almost as near: the mean distance is then 2 % larger in the median, its rank
correlation with that of a careful search 0.994. More candidates find the same neighbours, in half as much time again.
"""

GATHER_ROWS = 64
"""Rows whose candidates are read at once: 1.6 MB for a hundred candidates of 128 numbers in float16."""

CHECKED_ROWS = 500
"""Rows whose neighbours are compared with an exact search, for the record."""


def search_setting(index: NeighborIndex, k: int, setting: SearchSetting) -> SearchSetting:
    """Setting of a search for all rows; the exact index needs no spare candidates."""
    return SearchSetting(1, k + 1) if index.name == "exact" else setting


def quick_setting(n_rows: int, leaves: int) -> SearchSetting:
    """Setting of a quick search over an index of so many leaves, which keeps mean distances alone."""
    wanted = round(QUICK_ROWS * leaves / n_rows)
    return SearchSetting(min(SETTING.leaves, max(QUICK_LEAVES, wanted)), QUICK_CANDIDATES)


def nearest_others(
    index: NeighborIndex, embeddings: EmbeddingArray, rows: NDArray[np.integer], k: int, setting: SearchSetting
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest of each of some rows, itself excluded.

    Parameters
    ----------
    index : NeighborIndex
    embeddings : ndarray of shape (n, d), float16 or float32
    rows : ndarray of shape (m,), integer
    k : int
        At most n − 1.
    setting : SearchSetting

    Returns
    -------
    rows : ndarray of shape (m, k), int64
    similarity : ndarray of shape (m, k), float32
        Descending; ties by ascending row.
    """
    stored = np.asarray(embeddings[rows])
    queries = stored.astype(np.float32)
    own = rows.astype(np.int64)[:, None]
    leaves, candidates = setting.leaves, max(setting.candidates, k + 1)
    found = index.candidates(queries, SearchSetting(leaves, candidates))
    nearest, similarity = _best_others(embeddings, stored, own, found, k)
    # Leaves that held fewer than k others: more of them are searched, and all rows where even that does not suffice.
    while (short := np.flatnonzero(np.isneginf(similarity).any(axis=1))).size:
        if leaves < index.leaves:
            leaves = min(4 * leaves, index.leaves)
            found = index.candidates(queries[short], SearchSetting(leaves, candidates))
        else:
            found = top_k_exact_many(embeddings, queries[short], k + 1)[0]
        nearest[short], similarity[short] = _best_others(embeddings, stored[short], own[short], found, k)
    return nearest, similarity


def _best_others(
    embeddings: EmbeddingArray, queries: EmbeddingArray, own: NDArray[np.int64], found: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    similarity = stored_scores(embeddings, found, queries)
    similarity[found == own] = -np.inf
    return top_of_each(found, similarity, k)


def stored_scores(embeddings: EmbeddingArray, rows: NDArray[np.int64], queries: EmbeddingArray) -> NDArray[np.float32]:
    """Cosine similarities of each of some stored rows to others; −inf where the other is −1 (padding).

    A third of the time of `atlas.search.exact.pair_scores`, summed in float32 rather than rounded to it: the last
    bits may differ. Each depends on its two rows alone, so equal rows tie.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    rows : ndarray of shape (q, m), int64
    queries : ndarray of shape (q, d), of the embeddings' dtype

    Returns
    -------
    ndarray of shape (q, m), float32
    """
    scores = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), GATHER_ROWS):
        picked = np.asarray(embeddings[rows[start : start + GATHER_ROWS]])
        for line, others in enumerate(picked, start):
            scores[line] = 1 - np.asarray(numkong.cdist(queries[line : line + 1], others, "angular"))[0]
    scores[rows < 0] = -np.inf
    return scores


def mean_distance(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine distance to the neighbours, (n,) from their similarities (n, k); 0 where there is none."""
    if similarity.shape[1] == 0:
        return np.zeros(len(similarity), dtype=np.float32)
    # By rounding a copy may be more than equal.
    distance: NDArray[np.float32] = np.maximum(1 - similarity, 0).mean(axis=1, dtype=np.float32)
    return distance


def stratified_sample(order: NDArray[np.uint32], size: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    """A sample in which every part of embedding space has its share: one row of each equal piece of an ordering.

    Parameters
    ----------
    order : ndarray of shape (n,), uint32
        All rows, rows of one leaf together.
    size : int
        At most n.
    rng : Generator

    Returns
    -------
    ndarray of shape (size,), uint32
        Ascending, distinct.
    """
    edges = np.arange(size + 1) * order.size // size
    return np.sort(order[rng.integers(edges[:-1], edges[1:])])


def leaf_order(ctx: StageContext, n_rows: int) -> NDArray[np.uint32]:
    """All rows, those of one leaf of the index together; in their own order where the index does not tell leaves."""
    path = ctx.space / layout.INDEX / LEAF_OF_ROW
    if not path.exists():
        return np.arange(n_rows, dtype=np.uint32)
    return np.argsort(ctx.load(path), kind="stable").astype(np.uint32)


def read_neighbors(ctx: StageContext, n_rows: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Rows (m,) whose nearest are known, ascending, and those (m, k)."""
    folder = ctx.space / layout.KNN
    sampled = folder / layout.KNN_SAMPLED
    known = np.array(ctx.load(sampled)) if sampled.exists() else np.arange(n_rows, dtype=np.uint32)
    return known, ctx.load(folder / layout.KNN_ROWS)


def fill_neighbors(
    ctx: StageContext,
    index: NeighborIndex,
    embeddings: EmbeddingArray,
    rows: NDArray[np.uint32],
    *,
    sample: int,
    careful: SearchSetting,
    quick: SearchSetting,
    equal: EqualRows | None = None,
) -> None:
    """Write `knn/` and the column `anomaly_knn` of some rows into the space of the context; a killed run goes on.

    Parameters
    ----------
    ctx : StageContext
    index : NeighborIndex
        Of all rows.
    embeddings : ndarray of shape (n, d), float16 or float32
        Of all rows.
    rows : ndarray of shape (m,), uint32
        Consecutive rows, in the order in which they are best gone through; the arrays hold them ascending.
    sample : int
        Rows whose neighbours are kept, after a careful search; 0 for all. The others' are searched quickly.
    careful, quick : SearchSetting
    equal : EqualRows, optional
        Of all rows: crowds, of k at least, are not searched for.
    """
    m, k, first = rows.size, min(layout.KNN_NEIGHBORS, index.n_rows - 1), rows.min()
    folder = ctx.space / layout.KNN

    def told(of: NDArray[np.uint32]) -> _Chunk:
        crowded = np.zeros(of.size, dtype=np.bool_) if equal is None else equal.crowd[of] >= 0
        known = equal.neighbors(of[crowded]) if equal is not None and crowded.any() else None
        return _Chunk(of, crowded, known)

    def told_of(part: slice) -> _Chunk:
        return told(rows[part])

    def place(part: slice) -> NDArray[np.uint32]:
        lines: NDArray[np.uint32] = rows[part] - first
        return lines

    distance = ctx.open_or_create(ctx.space / layout.COLUMNS / "anomaly_knn.npy", (m,), np.float32)
    if not sample:
        nearest = ctx.open_or_create(folder / layout.KNN_ROWS, (m, k), np.uint32)
        similarity = ctx.open_or_create(folder / layout.KNN_SIMILARITY, (m, k), np.float32)
        work = partial(_search_chunk, index, embeddings, k, careful)
        fill_rows(ctx, work, m, CHUNK_ROWS, (nearest, similarity, distance), told=told_of, place=place)
        return

    look = partial(_distance_chunk, index, embeddings, k, quick)
    fill_rows(ctx, look, m, CHUNK_ROWS, (distance,), told=told_of, place=place)
    sampled = stratified_sample(rows, sample, np.random.default_rng(ctx.config.seed))
    nearest = ctx.create(folder / layout.KNN_ROWS, (sampled.size, k), np.uint32)
    similarity = ctx.create(folder / layout.KNN_SIMILARITY, (sampled.size, k), np.float32)
    parts = slices_of(sampled.size, CHUNK_ROWS)
    search = partial(_search_chunk, index, embeddings, k, careful)
    for part, found in zip(parts, ctx.workers.map(search, (told(sampled[part]) for part in parts)), strict=True):
        nearest[part], similarity[part], _ = found
    nearest.flush()
    similarity.flush()
    ctx.save(folder / layout.KNN_SAMPLED, sampled)


class _Chunk(NamedTuple):
    """Rows to search for, those of them that are crowded, and the neighbours of these where there are any."""

    rows: NDArray[np.uint32]
    crowded: NDArray[np.bool_]
    known: NDArray[np.int64] | None


def _search_chunk(
    index: NeighborIndex, embeddings: EmbeddingArray, k: int, setting: SearchSetting, chunk: _Chunk
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.float32]]:
    """Nearest of some rows (m, k), their similarities (m, k), and the mean distance to them (m,)."""
    shape, others = (chunk.rows.size, k), ~chunk.crowded
    found, scores = np.empty(shape, dtype=np.uint32), np.ones(shape, dtype=np.float32)
    if chunk.known is not None:
        found[chunk.crowded] = chunk.known
    if others.any():
        found[others], scores[others] = nearest_others(index, embeddings, chunk.rows[others], k, setting)
    return found, scores, mean_distance(scores)


def _distance_chunk(
    index: NeighborIndex, embeddings: EmbeddingArray, k: int, setting: SearchSetting, chunk: _Chunk
) -> tuple[NDArray[np.float32]]:
    """Mean distance of some rows to their nearest, (m,)."""
    return (_search_chunk(index, embeddings, k, setting, chunk)[2],)


class Knn(BuildStage):
    """Finds the ten nearest of every row, or of a sample, and how far they are."""

    name = "knn"
    version = 3
    needs = ("embeddings", "index")
    parameters = ("knn", "knn_sample", "seed", "space")
    outputs = ("{space}/knn", "{space}/columns/anomaly_knn.npy")
    columns = (
        SpaceColumn("anomaly_knn", "stat.value", "Mean cosine distance to the ten nearest galaxies in embedding space"),
    )

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        check = s.n * 6e-6 * s.d / 128
        careful = search_seconds(s, s.known, SETTING)
        quick = 0.0 if s.known == s.n else search_seconds(s, s.n, quick_setting(s.n, s.leaves))
        memory = opened_index(s) + s.n * 48
        return Cost(alone=check, shared=careful + quick, memory=memory, disk=s.n * 4 + s.known * NEIGHBORS_BYTES)

    def run(self, ctx: StageContext) -> None:
        """Write `knn/rows.npy`, `knn/similarity.npy`, for a sample `knn/sampled.npy`, and the column `anomaly_knn`."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        index = open_index(ctx.space / layout.INDEX, embeddings)
        n = embeddings.shape[0]
        k = min(layout.KNN_NEIGHBORS, n - 1)
        careful, quick = (search_setting(index, k, setting) for setting in (SETTING, quick_setting(n, index.leaves)))
        sample = 0 if ctx.config.knn == "all" or n <= ctx.config.knn_sample else ctx.config.knn_sample
        equal, order = equal_rows(embeddings, k), leaf_order(ctx, n)
        fill_neighbors(ctx, index, embeddings, order, sample=sample, careful=careful, quick=quick, equal=equal)
        recall = _recall(index, embeddings, np.flatnonzero(equal.crowd < 0), k, (careful, quick), ctx.config.seed)
        ctx.measured["recall_at_10"] = recall[0]
        if sample:
            ctx.measured["sampled"] = sample
            ctx.measured["rank_correlation"] = self._agreement(ctx)
            ctx.measured["recall_at_10_quick"] = recall[1]
        ctx.forget()

    def _agreement(self, ctx: StageContext) -> float:
        """Spearman's rank correlation of the sample's quick distances with its careful ones."""
        folder = ctx.space / layout.KNN
        careful = mean_distance(ctx.load(folder / layout.KNN_SIMILARITY))
        quick = ctx.load(ctx.space / layout.COLUMNS / "anomaly_knn.npy")[ctx.load(folder / layout.KNN_SAMPLED)]
        if np.ptp(careful) == 0 or np.ptp(quick) == 0:
            return float(np.array_equal(quick, careful))  # equal rows have no order
        return round(float(spearmanr(quick, careful).statistic), 4)


def _recall(
    index: NeighborIndex,
    embeddings: EmbeddingArray,
    rows: NDArray[np.int64],
    k: int,
    settings: Sequence[SearchSetting],
    seed: int,
) -> list[float]:
    """Share of true neighbours that each setting finds, on a seeded sample of some rows; the truth takes one pass."""
    if k == 0 or not rows.size:
        return [1.0] * len(settings)
    sample = rows[np.sort(np.random.default_rng(seed).choice(rows.size, min(rows.size, CHECKED_ROWS), replace=False))]
    stored = np.asarray(embeddings[sample])
    found = top_k_exact_many(embeddings, stored.astype(np.float32), k + 1)[0]
    truth, _ = _best_others(embeddings, stored, sample[:, None], found, k)
    found_by = (nearest_others(index, embeddings, sample, k, setting)[0] for setting in settings)
    return [round(float((truth[:, :, None] == rows[:, None, :]).any(axis=2).mean()), 4) for rows in found_by]


STAGE = Knn()
