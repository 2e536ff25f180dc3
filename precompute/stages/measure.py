"""Stage `measure`: recall of the index by kind of query, and how far the map keeps neighbours together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atlas.queries.feedback import embedding_of_examples
from atlas.queries.ranking import QueryKind
from atlas.search.exact import EmbeddingArray, top_k_exact_many
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import open_index
from atlas.search.quality import FILENAME, Quality, Recall
from atlas.search.settled import STEADY_KINDS, search_as
from atlas.storage import layout

from .costs import Cost, Sizes, opened_index
from .knn import read_neighbors
from .map_neighbourhood import surroundings_radius, trust_share
from .row_passes import fill_rows
from .stage import BuildStage, SpaceColumn, StageContext

RECALL_AT = (10, 100, 1_000)

LADDER = (
    SearchSetting(10, 200),
    SearchSetting(20, 500),
    SearchSetting(30, 500),
    SearchSetting(60, 500),
    SearchSetting(90, 1_000),
    SearchSetting(120, 1_000),
    SearchSetting(180, 1_000),
    SearchSetting(240, 1_000),
    SearchSetting(120, 4_000),
    SearchSetting(240, 4_000),
    SearchSetting(480, 4_000),
    SearchSetting(960, 8_000),
)

TIE = 1e-6
"""Scores this close count as equal: either row is a right answer."""

EXAMPLES = 3

TRUSTWORTHINESS_ROWS = 4_000
TRUSTWORTHINESS_NEIGHBORS = 15

RADIUS_SAMPLE = 10_000
CHUNK_ROWS = 16_384


class Queries(msgspec.Struct, frozen=True):
    """Queries of one kind.

    Attributes
    ----------
    embeddings : ndarray of shape (q, d), float32
    examples : ndarray of shape (q, e), int64
        Rows that each was made from, and that its answer leaves out.
    """

    embeddings: NDArray[np.float32]
    examples: NDArray[np.int64]


def make_queries(
    embeddings: EmbeddingArray,
    known: NDArray[np.uint32],
    neighbors: NDArray[np.uint32],
    centroids: NDArray[np.float32],
    count: int,
    rng: np.random.Generator,
) -> dict[QueryKind, Queries]:
    """Seeded queries of every kind that the page asks.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
    known : ndarray of shape (m,), uint32
        Rows whose nearest are known, ascending: the queries are made from these.
    neighbors : ndarray of shape (m, k), uint32
        The nearest of each.
    centroids : ndarray of shape (c, d), float32
        Of the clusters.
    count : int
        Queries of a kind; as many as there are clusters at most for that kind.
    rng : Generator
    """
    n = embeddings.shape[0]
    drawn = np.sort(rng.choice(known.size, min(known.size, count), replace=False))
    rows = known[drawn].astype(np.int64)
    kinds: dict[QueryKind, Queries] = {}
    of_rows = np.asarray(embeddings[rows], dtype=np.float32)
    kinds["row"] = Queries(of_rows, rows[:, None])
    kinds["least similar"] = Queries(-of_rows, rows[:, None])
    if n > 4 * EXAMPLES:
        # Three galaxies, alike or of different kinds by turns, and three at random that are unwanted.
        others = neighbors[drawn, : EXAMPLES - 1].astype(np.int64)
        others[1::2] = rng.choice(known, others[1::2].shape)
        wanted = np.column_stack([rows, others])
        unwanted = rng.integers(n, size=(rows.size, EXAMPLES))
        pairs = zip(embeddings[wanted], embeddings[unwanted], strict=True)
        asked = np.array([embedding_of_examples(*pair) for pair in pairs])
        kinds["examples"] = Queries(asked, np.column_stack([wanted, unwanted]))
    if len(centroids):
        kinds["cluster"] = Queries(centroids[:count], np.empty((len(centroids[:count]), 0), dtype=np.int64))
    return kinds


def ladder_of(index: NeighborIndex, largest: int) -> tuple[SearchSetting, ...]:
    """The settings that differ for this index; the exact one has a single setting."""
    if index.name == "exact":
        return (SearchSetting(1, largest),)
    clipped = (SearchSetting(min(s.leaves, index.leaves), min(s.candidates, index.n_rows)) for s in LADDER)
    return tuple(dict.fromkeys(clipped))


def measure_recall(
    index: NeighborIndex,
    embeddings: EmbeddingArray,
    kinds: dict[QueryKind, Queries],
    step: Callable[[int], object] = lambda queries: None,
) -> tuple[Recall, ...]:
    """Recall against exact search of every kind, at every k up to n / 2 and every setting that yields so many.

    Parameters
    ----------
    index : NeighborIndex
    embeddings : ndarray of shape (n, d)
    kinds : dict
        As `make_queries` returns it.
    step : callable
        Told after each query and setting.
    """
    at = [k for k in RECALL_AT if k <= embeddings.shape[0] // 2]
    if not at:
        return ()
    table = []
    truth = _scores_at(embeddings, list(kinds.values()), at)
    for (kind, queries), worst_score in zip(kinds.items(), truth, strict=True):
        for setting in ladder_of(index, at[-1]):
            reach = [k for k in at if k <= setting.candidates]
            # One search tells of every k, except where it goes on until so many rows are settled.
            asked = reach[-1:] if kind in STEADY_KINDS else reach
            hits = np.empty((len(queries.embeddings), len(reach)))
            seconds = np.empty(len(queries.embeddings))
            for i, (query, examples) in enumerate(zip(queries.embeddings, queries.examples, strict=True)):
                begun = time.perf_counter()
                skip = examples.tolist()
                scores = {k: search_as(kind, index, embeddings, query, k, setting, skip)[1] for k in asked}
                seconds[i] = (time.perf_counter() - begun) / len(asked)
                best = [scores.get(k, scores[reach[-1]])[:k] for k in reach]
                hits[i] = [(best[j] >= worst_score[i, j] - TIE).sum() / k for j, k in enumerate(reach)]
                step(1)
            table += [
                Recall(
                    kind=kind,
                    k=k,
                    leaves=setting.leaves,
                    candidates=setting.candidates,
                    mean=round(float(hits[:, j].mean()), 4),
                    worst=round(float(hits[:, j].min()), 4),
                    queries=len(hits),
                    median_ms=round(float(np.median(seconds)) * 1e3, 3),
                )
                for j, k in enumerate(reach)
            ]
    return tuple(table)


def _scores_at(embeddings: EmbeddingArray, kinds: Sequence[Queries], at: list[int]) -> list[NDArray[np.float32]]:
    """The k-th best exact score of each query, examples left out, for each k; an array (q, len(at)) a kind.

    All kinds together, since a pass over all rows costs more than the products of a few hundred queries.
    """
    spare = max(queries.examples.shape[1] for queries in kinds)
    together = np.concatenate([queries.embeddings for queries in kinds])
    rows, scores = top_k_exact_many(embeddings, together, at[-1] + spare)
    found, start = [], 0
    for queries in kinds:
        part = slice(start, start + len(queries.embeddings))
        own = (rows[part, :, None] == queries.examples[:, None, :]).any(axis=2)
        # Descending order survives: examples go to the end.
        best = -np.sort(np.where(own, np.inf, -scores[part]), axis=1)
        found.append(best[:, np.array(at) - 1])
        start = part.stop
    return found


def map_trustworthiness(embeddings: NDArray[np.float32], positions: NDArray[np.float32], n_neighbors: int) -> float:
    """Trustworthiness (Venna & Kaski 2001, ICANN) of a sample's positions, in [0, 1]; 1 for fewer than four rows."""
    from sklearn.manifold import trustworthiness

    n_neighbors = min(n_neighbors, (len(embeddings) - 1) // 2)
    if n_neighbors < 1:
        return 1.0
    return float(trustworthiness(embeddings, positions, n_neighbors=n_neighbors, metric="cosine"))


def trust_of(
    own: NDArray[np.float32], neighbors: NDArray[np.float32], radius: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Share of each row's true neighbours that lie within its surroundings on the map.

    Parameters
    ----------
    own : ndarray of shape (m, 2), float32
    neighbors : ndarray of shape (m, k, 2), float32
        Map positions of the nearest in embedding.
    radius : ndarray of shape (m,), float32

    Returns
    -------
    ndarray of shape (m,), float32
        1 where there are no neighbours.
    """
    if neighbors.shape[1] == 0:
        return np.ones(len(own), dtype=np.float32)
    distance = np.linalg.norm(neighbors - own[:, None], axis=2)
    share: NDArray[np.float32] = (distance <= radius[:, None]).mean(axis=1, dtype=np.float32)
    return share


def fill_trust(
    ctx: StageContext,
    positions: NDArray[np.float32],
    known: NDArray[np.uint32],
    neighbors: NDArray[np.uint32],
    trust: np.memmap[Any, Any],
    *,
    first_row: int = 0,
) -> None:
    """Trust of the rows whose neighbours are known; a killed run goes on.

    Parameters
    ----------
    ctx : StageContext
        Its seed chooses the sample that says how wide the surroundings of a position are.
    positions : ndarray of shape (n, 2), float32
        On the map, of all rows.
    known : ndarray of shape (m,), uint32
        Rows whose neighbours are known.
    neighbors : ndarray of shape (m, k), uint32
    trust : memmap of shape (n − first_row,), float32
        Filled; NaN for rows whose neighbours are not known.
    first_row : int
        Row that `trust` begins with.
    """
    n = len(positions)
    share = trust_share(n)
    rng = np.random.default_rng(ctx.config.seed)
    tree = cKDTree(positions[rng.choice(n, min(n, RADIUS_SAMPLE), replace=False)])
    if known.size < len(trust) and not ctx.kept().rows:
        trust[:] = np.nan
    fill_rows(
        ctx,
        partial(_trust_chunk, tree, share),
        known.size,
        CHUNK_ROWS,
        (trust,),
        told=lambda part: (positions[known[part]], positions[neighbors[part]]),
        place=lambda part: known[part] - np.uint32(first_row),
    )


def _trust_chunk(
    tree: cKDTree, share: float, chunk: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> tuple[NDArray[np.float32]]:
    own, neighbors = chunk
    return (trust_of(own, neighbors, surroundings_radius(tree, own, share)),)


class Measure(BuildStage):
    """Measures search and map."""

    name = "measure"
    version = 4
    needs = ("embeddings", "index", "knn", "place", "clusters")
    parameters = ("recall_queries", "seed", "space")
    outputs = ("{space}/quality.json", "{space}/columns/trust.npy")
    columns = (SpaceColumn("trust", "stat.value", "Share of the ten nearest galaxies that lie nearby on the map"),)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        alone = (20 + s.n * 3e-6 * s.d / 128) * s.config.recall_queries / 200
        return Cost(alone=alone, shared=s.known * 30e-6, memory=opened_index(s) + s.n * 16, disk=s.n * 4)

    def run(self, ctx: StageContext) -> None:
        """Write `quality.json` and the column `trust` (float32), NaN for rows whose neighbours are not known."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        positions = np.stack([ctx.load(ctx.space / layout.COLUMNS / f"map_{axis}.npy") for axis in "xy"], axis=1)
        known, neighbors = read_neighbors(ctx, embeddings.shape[0])
        index = open_index(ctx.space / layout.INDEX, embeddings)
        rng = np.random.default_rng(ctx.config.seed)
        n = embeddings.shape[0]
        recall = self._recall(ctx, index, embeddings, known, neighbors, rng)
        sample = np.sort(rng.choice(n, min(n, TRUSTWORTHINESS_ROWS), replace=False))
        trustworthiness = map_trustworthiness(
            np.asarray(embeddings[sample], dtype=np.float32), positions[sample], TRUSTWORTHINESS_NEIGHBORS
        )
        trust = ctx.open_or_create(ctx.space / layout.COLUMNS / "trust.npy", (n,), np.float32)
        fill_trust(ctx, positions, known, neighbors, trust)
        trust_mean = float(trust[known].mean(dtype=np.float64))
        quality = Quality(
            engine=index.name,
            recall=recall,
            trustworthiness=round(trustworthiness, 4),
            trustworthiness_rows=sample.size,
            trustworthiness_neighbors=TRUSTWORTHINESS_NEIGHBORS,
            trust_mean=round(trust_mean, 4),
            trust_share=trust_share(n),
        )
        layout.write_atomically(ctx.space / FILENAME, msgspec.json.format(msgspec.json.encode(quality)))
        ctx.measured["trustworthiness"] = quality.trustworthiness
        ctx.measured["trust_mean"] = quality.trust_mean
        ctx.forget()

    def _recall(
        self,
        ctx: StageContext,
        index: NeighborIndex,
        embeddings: EmbeddingArray,
        known: NDArray[np.uint32],
        neighbors: NDArray[np.uint32],
        rng: np.random.Generator,
    ) -> tuple[Recall, ...]:
        centroids = ctx.load(ctx.space / layout.CLUSTERS / "centroids.npy")
        kinds = make_queries(embeddings, known, neighbors, centroids, ctx.config.recall_queries, rng)
        searches = sum(len(q.embeddings) for q in kinds.values()) * len(ladder_of(index, RECALL_AT[-1]))
        with ctx.progress(searches, "queries") as bar:
            return measure_recall(index, embeddings, kinds, bar.update)


STAGE = Measure()
