"""Stage `place`: positions of all rows on the map, each among the anchors that it resembles most.

A row goes to the weighted geometric median of its nearest anchors, found by three steps of Weiszfeld's iteration. A
mean would drop a row whose anchors lie on two islands into the empty space between them; the median stays on the one
that has more weight. Against `umap.transform` it keeps more neighbours, strays a tenth as often and takes 1/4 of the
time. Rows of equal embedding share a position: nothing is jittered, for the map shows what the embedding says.

A row whose anchors lie apart has no right place. It is put among some of them and marked as a stray.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atlas.search.exact import EmbeddingArray, top_of_each
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import open_index
from atlas.storage import layout

from .costs import Cost, Sizes
from .index.stage import build_index, choose_engine
from .knn import stored_scores
from .map_neighbourhood import surroundings_radius
from .row_passes import fill_rows
from .stage import BuildStage, SpaceColumn, StageContext
from .umap import ANCHORS_XY

CHUNK_ROWS = 2_048
WEISZFELD_STEPS = 3

SOFTENING = 0.02
"""Smallest distance in Weiszfeld's weights, in units of the map (±10): keeps a row from sticking to one anchor."""

NEARBY_SHARE = 0.05
"""Anchors that count as near to a position on the map: inside a large island the nearest in embedding are as scattered
as UMAP left them. On a simulated million this calls 0.9 % of the rows strays, 1 % would call a tenth so."""

RADIUS_SAMPLE = 5_000

SETTING = SearchSetting(leaves=20, candidates=60)
"""For the fifteen nearest of 50,000 anchors; one that is missed is replaced by one almost as near."""


def nearest_anchors(
    index: NeighborIndex, anchors: EmbeddingArray, rows: EmbeddingArray, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest anchors of each row, nearest first, and their similarities; −1 and −inf where fewer were found.

    The embeddings of the rows, (q, d), are of the anchors' dtype.
    """
    # More than are wanted, of an exact index too: at the last place its rounding would decide, not the stored scores.
    setting = SearchSetting(SETTING.leaves, max(SETTING.candidates, k))
    found = index.candidates(rows.astype(np.float32), setting)
    return top_of_each(found, stored_scores(anchors, found, rows), k)


def anchor_weights(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of a row's anchors: exponential in cosine distance, on the scale of that row's own neighbourhood.

    Parameters
    ----------
    similarity : ndarray of shape (q, k), float32
        Descending; −inf for a missing anchor, which gets weight 0.

    Returns
    -------
    ndarray of shape (q, k), float32
        The nearest anchor has weight 1.
    """
    beyond = similarity[:, :1] - similarity
    present = np.isfinite(beyond)
    scale = np.where(present, beyond, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    weights: NDArray[np.float32] = np.exp(-beyond / np.maximum(scale, 1e-6)[:, None]).astype(np.float32)
    return weights


def geometric_median(points: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted geometric medians by Weiszfeld's iteration (1937, Tôhoku Math. J. 43, 355), begun at the mean.

    Parameters
    ----------
    points : ndarray of shape (q, k, 2), float32
    weights : ndarray of shape (q, k), float32

    Returns
    -------
    ndarray of shape (q, 2), float32
    """
    median = _weighted_mean(points, weights)
    for _ in range(WEISZFELD_STEPS):
        distance = np.linalg.norm(points - median[:, None], axis=2)
        median = _weighted_mean(points, weights / np.maximum(distance, SOFTENING))
    return median


def is_stray(
    points: NDArray[np.float32], weights: NDArray[np.float32], own: NDArray[np.float32], radius: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Whether a row lies far from what it resembles: less than half of its anchors' weight lies nearby.

    Parameters
    ----------
    points : ndarray of shape (q, k, 2), float32
        Positions of each row's anchors.
    weights : ndarray of shape (q, k), float32
    own : ndarray of shape (q, 2), float32
        Where the rows were placed.
    radius : ndarray of shape (q,), float32
        What is nearby.

    Returns
    -------
    ndarray of shape (q,), bool
    """
    near = np.linalg.norm(points - own[:, None], axis=2) <= radius[:, None]
    stray: NDArray[np.bool_] = np.where(near, weights, 0).sum(axis=1) < weights.sum(axis=1) / 2
    return stray


def _weighted_mean(points: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.einsum("qk,qkx->qx", weights, points) / weights.sum(axis=1)[:, None]
    return mean


def place_rows(
    ctx: StageContext,
    embeddings: EmbeddingArray,
    anchors: EmbeddingArray,
    positions: NDArray[np.float32],
    out: tuple[np.memmap[Any, Any], ...],
) -> None:
    """Place rows among the anchors; a killed run goes on.

    Parameters
    ----------
    ctx : StageContext
        `engine`, `place_neighbors` and what an index reads of its parameters are used.
    embeddings : ndarray of shape (m, d)
        Of the rows.
    anchors : ndarray of shape (a, d)
    positions : ndarray of shape (a, 2), float32
        Where the anchors lie.
    out : tuple of memmap of shape (m,)
        Filled with x, y, whether the row is a stray, and its nearest anchor.
    """
    k = min(ctx.config.place_neighbors, len(anchors))
    sample = positions[:: -(-len(positions) // RADIUS_SAMPLE)]
    radius = surroundings_radius(cKDTree(sample), positions, NEARBY_SHARE)
    # A killed build leaves the folder, of a name that the next one clears away.
    with tempfile.TemporaryDirectory(dir=ctx.workers.scratch, prefix=".", suffix=".partial") as scratch:
        folder = Path(scratch) / layout.INDEX
        # The parameters of the atlas's own index would not fit one of the anchors.
        of_anchors = msgspec.structs.replace(ctx.config, leaves=0, tree_sample=0)
        build_index(anchors, folder, engine=choose_engine(ctx.config.engine, len(anchors)), config=of_anchors)
        work = partial(_place_chunk, open_index(folder, anchors), embeddings, anchors, positions, radius, k)
        fill_rows(ctx, work, embeddings.shape[0], CHUNK_ROWS, out)


def _place_chunk(
    index: NeighborIndex,
    embeddings: EmbeddingArray,
    anchors: EmbeddingArray,
    positions: NDArray[np.float32],
    radius: NDArray[np.float32],
    k: int,
    part: slice,
) -> tuple[NDArray[Any], ...]:
    """Values of `place_rows` for some rows; `radius` is that of the surroundings of each anchor."""
    rows = np.asarray(embeddings[part])
    found, similarity = nearest_anchors(index, anchors, rows, k)
    points, weights = positions[found], anchor_weights(similarity)
    own = geometric_median(points, weights)
    # Rows that an anchor stands for lie on it, wherever its neighbours are.
    equal = (rows == np.asarray(anchors[found[:, 0]])).all(axis=1)
    own[equal] = points[equal, 0]
    return *own.T, is_stray(points, weights, own, radius[found[:, 0]]), found[:, 0].astype(np.uint32)


class PlaceRows(BuildStage):
    """Gives every row its position on the map."""

    name = "place"
    version = 3
    needs = ("embeddings", "subsample", "umap")
    parameters = ("engine", "place_neighbors", "space")
    outputs = (
        "{space}/columns/map_x.npy",
        "{space}/columns/map_y.npy",
        "{space}/columns/stray.npy",
        "{space}/map/nearest_anchor.npy",
    )
    columns = (
        SpaceColumn("map_x", "", "Position on the map of embedding space"),
        SpaceColumn("map_y", "", "Position on the map of embedding space"),
        SpaceColumn(
            "stray",
            "meta.code",
            "Placed far from most of the anchors that it resembles: its position means little",
            words=("no", "yes"),
        ),
    )
    smaller = "a smaller subsample (--subsample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        memory, disk = s.anchors * s.d * 8, s.n * 13
        if s.anchors == s.n:
            return Cost(memory=memory, disk=disk)
        return Cost(alone=2, shared=8 * s.anchors / 50_000 + s.n * 35e-6 * s.d / 128, memory=memory, disk=disk)

    def run(self, ctx: StageContext) -> None:
        """Write the columns `map_x`, `map_y` (float32) and `stray` (uint8, 0 or 1), and `map/nearest_anchor.npy`.

        The latter is uint32: which anchor of the subsample each row resembles most.
        """
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        rows = np.array(ctx.load(ctx.space / layout.MAP / "subsample.npy"))
        positions = np.array(ctx.load(ctx.space / layout.MAP / ANCHORS_XY))
        n = embeddings.shape[0]
        columns = ctx.space / layout.COLUMNS
        out = (
            ctx.open_or_create(columns / "map_x.npy", (n,), np.float32),
            ctx.open_or_create(columns / "map_y.npy", (n,), np.float32),
            ctx.open_or_create(columns / "stray.npy", (n,), np.uint8),
            ctx.open_or_create(ctx.space / layout.MAP / "nearest_anchor.npy", (n,), np.uint32),
        )
        if len(rows) < n:
            place_rows(ctx, embeddings, embeddings[rows], positions, out)
        # Anchors stay where UMAP put them.
        x, y, stray, nearest = out
        x[rows], y[rows] = positions.T
        stray[rows] = 0
        nearest[rows] = np.arange(len(rows))
        for array in out:
            array.flush()
        ctx.measured["stray"] = int(np.count_nonzero(stray))
        ctx.forget()


STAGE = PlaceRows()
