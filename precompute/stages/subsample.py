"""Stage `subsample`: the rows that UMAP sees, the anchors of the map.

A uniform subsample erases rare classes: of a class of one in ten thousand 50,000 uniform rows hold five, and a row is
placed among its nearest anchors, so the map could never show an island. Hence a flattened one: galaxies are grouped
(`precompute.stages.subsample_groups`), groups get anchors in proportion to the square root of their size, and no group
gets fewer than make an island. A tenth of the anchors are the rows farthest from their neighbours: nothing that they
resemble could place them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray
from atlas.storage import layout

from ..parallel import run_chunks, thread_count
from ..sources.checks import counted
from .costs import Cost, Sizes, product_seconds
from .equal_rows import equal_rows
from .stage import BuildStage, StageContext
from .subsample_groups import CELL_ROWS, SAMPLE_ROWS, find_groups

ISOLATED_SHARE = 0.1
ANCHORS_A_GROUP = 20
"""Few, so that groups are many, yet enough of them for an island."""

CHUNK_ROWS = 8_192


def quotas(sizes: NDArray[np.int64], total: int, least: int) -> NDArray[np.int64]:
    """Anchors of each group: in proportion to sqrt(size), at least `least`, at most all.

    Parameters
    ----------
    sizes : ndarray of shape (g,), int64
    total : int
        Anchors to hand out, fewer than there are rows.
    least : int
        For every group that has as many rows; less where `total` does not suffice.

    Returns
    -------
    ndarray of shape (g,), int64
        Sums to `total`.
    """
    least = min(least, total // max(1, int(np.count_nonzero(sizes))))
    root = np.sqrt(sizes)

    def share(scale: float) -> NDArray[np.float64]:
        return np.minimum(sizes, np.maximum(least, scale * root))

    low, high = 0.0, float(root.max(initial=1.0))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle).sum() <= total else (low, middle)
    wanted = share(low)
    quota = np.floor(wanted).astype(np.int64)
    # What rounding left goes to the largest remainders; a group that is exhausted has none.
    remainder = np.where(quota < sizes, wanted - quota, -1.0)
    quota[np.argsort(-remainder, kind="stable")[: total - int(quota.sum())]] += 1
    return quota


def draw_by_group(groups: NDArray[np.int32], quota: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions, ascending, of `quota[g]` random members of each group g; −1 in `groups` is never drawn."""
    order = np.lexsort((rng.random(groups.size, dtype=np.float32), groups))
    order = order[np.searchsorted(groups[order], 0) :]
    of = groups[order]
    sizes = np.bincount(of, minlength=quota.size)
    first = np.cumsum(sizes) - sizes
    rank = np.arange(of.size) - first[of]
    return np.sort(order[rank < quota[of]])


def choose_anchors(
    groups: NDArray[np.int32],
    distance: NDArray[np.floating],
    among: NDArray[np.integer[Any]],
    size: int,
    least: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Rows of the subsample, ascending.

    Parameters
    ----------
    groups : ndarray of shape (n,), int32
        Group of each row.
    distance : ndarray of shape (n,)
        Mean distance of each row to its nearest neighbours.
    among : ndarray of shape (m,), integer
        Rows that may be chosen, ascending.
    size : int
        Rows wanted, less than m.
    least : int
        Smallest number of anchors of a group.
    rng : Generator
    """
    n_isolated = round(size * ISOLATED_SHARE)
    isolated = among[np.argpartition(-distance[among], n_isolated)[:n_isolated]]
    others = np.full_like(groups, -1)
    others[among] = groups[among]
    others[isolated] = -1
    sizes = np.bincount(others[others >= 0], minlength=int(groups.max()) + 1)
    drawn = draw_by_group(others, quotas(sizes, size - n_isolated, least), rng)
    return np.sort(np.concatenate([isolated, drawn]))


def flattened_rows(
    embeddings: EmbeddingArray,
    distance: NDArray[np.floating],
    size: int,
    least: int,
    rng: np.random.Generator,
    *,
    among: NDArray[np.integer[Any]] | None = None,
    threads: int = 1,
    step: Callable[[int], object] = lambda rows: None,
) -> NDArray[np.int64]:
    """A subsample in which rare classes have their place.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    distance : ndarray of shape (n,)
        Mean distance of each row to its nearest neighbours.
    size : int
        Rows wanted, fewer than may be chosen.
    least : int
        Smallest number of anchors of a group.
    rng : Generator
    among : ndarray of shape (m,), integer, optional
        Rows that may be chosen, ascending; all by default.
    threads : int
        Do not change the result.
    step : callable
        Told the rows that have got their group.

    Returns
    -------
    ndarray of shape (size,), int64
        Ascending.
    """
    n = embeddings.shape[0]
    among = np.arange(n) if among is None else among
    found = find_groups(embeddings, max(1, size // ANCHORS_A_GROUP), rng, among=among, threads=threads)
    groups = np.empty(n, dtype=np.int32)

    def work(part: slice) -> None:
        groups[part] = found.of(embeddings[part])

    for part in run_chunks(work, n, CHUNK_ROWS, threads):
        step(part.stop - part.start)
    return choose_anchors(groups, distance, among, size, least, rng)


class Subsample(BuildStage):
    """Chooses the anchors of the map."""

    name = "subsample"
    version = 4
    needs = ("embeddings", "knn")
    parameters = ("subsample", "n_neighbors", "seed", "space")
    outputs = ("{space}/map/subsample.npy",)
    smaller = "a smaller subsample (--subsample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        memory, disk = s.n * 48 + min(s.n, SAMPLE_ROWS) * (s.d * 4 + 900), s.anchors * 4
        if s.anchors == s.n:
            return Cost(memory=memory, disk=disk)
        groups, sample = s.anchors // ANCHORS_A_GROUP, min(s.n, SAMPLE_ROWS)
        links = sample * 35e-6 + product_seconds(s, sample, sample // CELL_ROWS + groups) * 2
        shared = links + product_seconds(s, s.n, groups) * 2
        return Cost(alone=s.n * 4e-7, shared=shared, memory=memory, disk=disk)

    def run(self, ctx: StageContext) -> None:
        """Write `map/subsample.npy`: uint32 rows, ascending."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        n, size = embeddings.shape[0], ctx.config.subsample
        # Equal rows would be torn apart: one of them stands for all.
        equal = equal_rows(embeddings, ctx.config.n_neighbors)
        if equal.first.size <= size:
            rows = equal.first
        else:
            with ctx.progress(n) as bar:
                rows = flattened_rows(
                    embeddings,
                    ctx.load(ctx.space / layout.COLUMNS / "anomaly_knn.npy"),
                    size,
                    # UMAP links each anchor to `n_neighbors` others: a group with as many can hold together.
                    ctx.config.n_neighbors + 1,
                    np.random.default_rng(ctx.config.seed),
                    among=equal.first,
                    threads=thread_count(ctx.config.threads),
                    step=bar.update,
                )
        ctx.save(ctx.space / layout.MAP / "subsample.npy", rows.astype(np.uint32))
        ctx.measured["rows"] = int(rows.size)
        if equal.members:
            note = (
                f"{equal.crowded:,} galaxies share {counted(len(equal.members), 'embedding')}, such as those of row "
                f"{equal.members[0][0]:,}: each lies in one place on the map"
            )
            ctx.note(note)
            ctx.measured["notes"] = [note]


STAGE = Subsample()
