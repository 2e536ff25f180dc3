"""Groups of rows that resemble one another, found in a sample: what the stage `subsample` hands anchors to.

Most groups are cells about random rows of the sample: they cover what is common, and each holds about as many rows as
the next. A class of one in ten thousand gets a cell of its own only by luck. k-means would not find it either, nor
seeds drawn by their distance to earlier ones: its members need not lie far from anything. What makes them a class is
that they are one another's neighbours. Hence the other groups. Every row of the sample is linked to its neighbours
there and follows the links towards where rows lie closer together; rows that end at the same peak are a swarm. A swarm
that keeps most of its links to itself is a group, however few rows it has, and reaches no farther than it did.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray

from ..parallel import run_chunks
from .row_passes import sum_by_group

SAMPLE_ROWS = 300_000
"""Some thirty members of a class of one in ten thousand."""

LINKS = 10
"""Neighbours that each row of the sample is linked to: fewer than the members that a small class may have there."""

CELL_ROWS = 200
CELLS_A_ROW = 8
"""A row's neighbours are looked for in the cells nearest to it, not in its own alone: where no seed falls on a class,
its members are scattered over the cells around. Of simulated rare classes half of the links were found in the worst
case; with those that others have to a row, which is what joins a class, two thirds."""

SWARM_SHARE = 0.2
"""Of all groups, at most. What the swarms leave over goes to what is common."""

CLOSED = 0.5
"""Share of its links that a swarm has to keep: more than lead out of it, the weak definition of a community by Radicchi
et al. (2004, PNAS 101, 2658). Of swarms amid what is common two in a hundred keep as many, and add a group there."""

REACH_PERCENT = 95
"""Members of a swarm that a group about its middle takes in. The last few are often rows of what lies around."""

CHUNK_ROWS = 4_096
CELLS_AT_ONCE = 16
MOST_MEMBERS = 4_096
"""Of a cell, that are looked at: equal rows share one, however many they are."""


@dataclass(frozen=True, eq=False)
class Groups:
    """A row belongs to the nearest centre that reaches it.

    Attributes
    ----------
    centres : ndarray of shape (g, d), float32
        Of cells, then of swarms.
    reach : ndarray of shape (s,), float32
        How far each swarm reaches, as the least nearness of its rows; cells reach everywhere.
    """

    centres: NDArray[np.float32]
    reach: NDArray[np.float32]

    def of(self, embeddings: EmbeddingArray) -> NDArray[np.int32]:
        """Group of each row, (m,) from the embeddings (m, d)."""
        near = nearness(np.asarray(embeddings, dtype=np.float32), self.centres)
        to_swarms = near[:, len(self.centres) - self.reach.size :]
        to_swarms[to_swarms < self.reach] = -np.inf
        group: NDArray[np.int32] = np.argmax(near, axis=1).astype(np.int32)
        return group


def nearness(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half of what the squared distance of each row to each centre is short of the row's squared length; (m, g)."""
    near: NDArray[np.float32] = rows @ centres.T - (centres * centres).sum(axis=1) / 2
    return near


def find_groups(
    embeddings: EmbeddingArray,
    n_groups: int,
    rng: np.random.Generator,
    *,
    among: NDArray[np.integer[Any]] | None = None,
    threads: int = 1,
) -> Groups:
    """Groups of the rows, found in a sample of some.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    n_groups : int
        Groups at most.
    rng : Generator
    among : ndarray of shape (m,), integer, optional
        Rows that the sample is of, ascending; all by default.
    threads : int
        Do not change the result.
    """
    among = np.arange(len(embeddings)) if among is None else among
    rows = among[np.sort(rng.choice(among.size, min(among.size, SAMPLE_ROWS), replace=False))]
    sample = np.empty((rows.size, embeddings.shape[1]), dtype=np.float32)

    def read(part: slice) -> None:
        sample[part] = embeddings[rows[part]]

    _in_chunks(read, rows.size, threads)
    links = link_rows(sample, _draw(sample, max(1, rows.size // CELL_ROWS), rng), threads=threads)
    swarms = closed_swarms(*links, int(SWARM_SHARE * n_groups))
    of_swarms = _means(sample, swarms)
    reach = [
        np.percentile(nearness(sample[members], centre[None]), 100 - REACH_PERCENT)
        for members, centre in zip(_positions_of_each(swarms, len(of_swarms)), of_swarms, strict=True)
    ]
    seeds = _draw(sample, min(n_groups - len(of_swarms), rows.size), rng)
    cells = np.empty(rows.size, dtype=np.int32)

    def assign(part: slice) -> None:
        cells[part] = np.argmax(nearness(sample[part], seeds), axis=1)

    _in_chunks(assign, rows.size, threads)
    return Groups(np.concatenate([_means(sample, cells), of_swarms]), np.array(reach, dtype=np.float32))


def link_rows(
    rows: NDArray[np.float32], seeds: NDArray[np.float32], *, threads: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest others of each row, as far as the cells nearest to one of both hold the other.

    Parameters
    ----------
    rows : ndarray of shape (m, d), float32
        Of unit length.
    seeds : ndarray of shape (c, d), float32
        Some of the rows: each row belongs to the cell of the nearest.
    threads : int
        Do not change the result.

    Returns
    -------
    neighbors : ndarray of shape (m, LINKS), int32
        Nearest first, never the row itself; −1 where there are no more.
    similarity : ndarray of shape (m, LINKS), float32
        Descending; −inf where there is no neighbour.
    """
    m, width = len(rows), min(CELLS_A_ROW, len(seeds))
    own = np.empty(m, dtype=np.int32)
    near = np.empty((m, width), dtype=np.int32)

    def find_cells(part: slice) -> None:
        products = rows[part] @ seeds.T
        own[part] = np.argmax(products, axis=1)
        near[part] = np.argpartition(products, -width, axis=1)[:, -width:]

    _in_chunks(find_cells, m, threads)
    members, visits = _positions_of_each(own, len(seeds)), _positions_of_each(near.ravel(), len(seeds))
    found = np.full((m * width, LINKS), -1, dtype=np.int32)
    scores = np.full((m * width, LINKS), -np.inf, dtype=np.float32)

    def visit(part: slice) -> None:
        for cell in range(part.start, part.stop):
            others = members[cell][:: -(-members[cell].size // MOST_MEMBERS) or 1]
            for start in range(0, visits[cell].size, CHUNK_ROWS):
                at = visits[cell][start : start + CHUNK_ROWS]
                products = rows[at // width] @ rows[others].T
                products[(at // width)[:, None] == others] = -np.inf
                best, scores[at, : others.size] = _largest(products, LINKS)
                found[at, : others.size] = others[best]

    for _ in run_chunks(visit, len(seeds), CELLS_AT_ONCE, threads):
        pass
    found, scores = found.reshape(m, -1), scores.reshape(m, -1)
    neighbors = np.empty((m, LINKS), dtype=np.int32)
    similarity = np.empty((m, LINKS), dtype=np.float32)

    def join(part: slice) -> None:
        best, similarity[part] = _largest(scores[part], LINKS)
        neighbors[part] = np.take_along_axis(found[part], best, axis=1)

    _in_chunks(join, m, threads)
    neighbors[np.isneginf(similarity)] = -1
    return _both_ways(neighbors, similarity)


def closed_swarms(neighbors: NDArray[np.int32], similarity: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The swarm of each row, −1 where that is not closed.

    A row follows the link to the nearest neighbour that lies closer to its own neighbours than the row to its own, and
    so on to a peak (quick shift: Vedaldi & Soatto 2008, ECCV).

    Parameters
    ----------
    neighbors : ndarray of shape (m, k), int32
        Nearest first; −1 for none.
    similarity : ndarray of shape (m, k), float32
        Descending.
    most : int
        Swarms at most: those that keep the largest share of their links.

    Returns
    -------
    ndarray of shape (m,), int64
        0 is the swarm that keeps most.
    """
    own = np.arange(len(neighbors))
    rank = np.empty_like(own)
    rank[np.argsort(-similarity[:, -1], kind="stable")] = own
    is_link = neighbors >= 0
    is_closer = is_link & (rank[neighbors] < rank[:, None])
    peak = np.where(is_closer.any(axis=1), neighbors[own, np.argmax(is_closer, axis=1)], own)
    while not np.array_equal(beyond := peak[peak], peak):
        peak = beyond
    swarm = np.unique(peak, return_inverse=True)[1]
    is_kept = is_link & (swarm[neighbors] == swarm[:, None])
    share = np.bincount(swarm, weights=is_kept.mean(axis=1)) / np.bincount(swarm)
    closed = np.argsort(-share, kind="stable")[:most]
    closed = closed[share[closed] > CLOSED]
    number = np.full(share.size, -1)
    number[closed] = np.arange(closed.size)
    return number[swarm]


def _in_chunks(work: Callable[[slice], None], n_rows: int, threads: int) -> None:
    for _ in run_chunks(work, n_rows, CHUNK_ROWS, threads):
        pass


def _draw(rows: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rows[np.sort(rng.choice(len(rows), count, replace=False))]


def _positions_of_each(groups: NDArray[np.signedinteger[Any]], n_groups: int) -> list[NDArray[np.int64]]:
    """Positions of each of the groups 0 … in `groups`, ascending."""
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(n_groups + 1))
    return [order[start:stop] for start, stop in itertools.pairwise(edges)]


def _largest(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions of the k largest of each line, or of all where they are fewer, and these; descending."""
    rest = max(0, scores.shape[1] - k)
    best = np.argpartition(scores, rest, axis=1)[:, rest:] if rest else np.argsort(scores, axis=1)
    of_best = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-of_best, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(of_best, order, axis=1)


def _both_ways(
    neighbors: NDArray[np.int32], similarity: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest among those that each row is linked to and those that are linked to it."""
    m, k = neighbors.shape
    line, column = np.nonzero(neighbors >= 0)
    other = neighbors[line, column].astype(np.int64)
    # A pair that is linked in both directions counts once: its similarity can differ in the last bit.
    pairs, first = np.unique(np.concatenate([line * m + other, other * m + line]), return_index=True)
    line, other = np.divmod(pairs, m)
    scores = np.tile(similarity[neighbors >= 0], 2)[first]
    order = np.lexsort((-scores, line))
    size = np.bincount(line, minlength=m)
    rank = np.arange(line.size) - np.repeat(np.cumsum(size) - size, size)
    kept, rank = order[rank < k], rank[rank < k]
    joined, of_joined = np.full_like(neighbors, -1), np.full_like(similarity, -np.inf)
    joined[line[kept], rank], of_joined[line[kept], rank] = other[kept], scores[kept]
    return joined, of_joined


def _means(rows: NDArray[np.float32], groups: NDArray[np.signedinteger[Any]]) -> NDArray[np.float32]:
    """Mean of the members of each group that has any; rows of group −1 are left out."""
    size = np.bincount(groups[groups >= 0])
    total = sum_by_group(rows, groups, size.size)
    means: NDArray[np.float32] = (total[size > 0] / size[size > 0, None]).astype(np.float32)
    return means
