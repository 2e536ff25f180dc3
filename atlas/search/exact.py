"""Exact similarities between queries and the stored embeddings: the oracle, and the re-scoring of approximate search.

Two speeds. A rough score is fast and good to a known bound: `numkong` sums float16 rows in float32 with SIMD, 0.03 s a
million rows. A final score is the product in float64 over the stored lengths of row and query, rounded to float32: a
copy scores 1 exactly, and nothing scores more. It is summed by `einsum`, row by row: it depends on the row and the
query alone, never on what else was in the batch, so equal rows tie exactly (BLAS sums the rows at a block's edge in
another order, and starts threads of its own). `top_k_exact` proves with the bound that no row outside its short list
can belong to the answer, then re-scores the list.

Rows are assumed to have unit length (the format says so); float16 storage moves that by up to 0.05 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numkong
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.storage.scattered_rows import read_rows

SCAN_ROWS = 65_536
"""Rows of a rough scan step: 16 MB of float16 at 128 numbers, about 2 ms, and a chance to be cancelled."""

GATHER_ROWS = 4_096
"""Rows re-scored at once: 4 MB of float64 at 128 numbers, which stays in the cache of a core."""

BATCH_ROWS = 8_192
BATCH_QUERIES = 1_024
"""A block of `top_k_exact_many`: 32 MiB of float32 products."""

SCAN_SHARE = 0.05
"""Above this share of selected rows a step is scanned whole: picking rows out of it costs more (measured)."""

_LONGEST_ROW = 1.001
_LENGTH_OFF = {"float16": 2.0**-11, "float32": 2.0**-20}
"""How far rounding can take the length of a stored unit row from 1: half a step of each of its numbers."""

EmbeddingArray = NDArray[np.floating[Any]]


class Adjustment(NamedTuple):
    """Adjustment of cosines before rows are put in order by it.

    Attributes
    ----------
    apply : callable
        Scores of rows (m,) from their cosines (m,), float32.
    steepness : float
        A score changes by at most so much times its cosine.
    """

    apply: Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]
    steepness: float


NO_ADJUSTMENT = Adjustment(lambda _, cosines: cosines, 1.0)


def gather(embeddings: EmbeddingArray, rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The embeddings of some rows in float64.

    Every random read of embeddings passes here. Give rows in ascending order where the file may be cold.
    """
    # numpy converts float16 to float64 faster than to float32 (measured with 2.4: 0.06 against 0.09 ms for 500 rows).
    picked: NDArray[np.float64] = read_rows(embeddings, rows).astype(np.float64)
    return picked


def _cosines(subscripts: str, rows: NDArray[np.float64], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Final scores: products in float64 over both lengths; 0 where one has none."""
    wide = queries.astype(np.float64)
    length = np.linalg.norm(rows, axis=-1) * np.linalg.norm(wide, axis=-1)[..., None]
    scores: NDArray[np.float32] = (np.einsum(subscripts, rows, wide) / np.where(length > 0, length, 1)).astype(
        np.float32
    )
    return scores


def check_query(query: NDArray[np.floating[Any]], dimensions: int) -> NDArray[np.float32]:
    """The query as a contiguous float32 array.

    Raises
    ------
    InputError
        If the query's shape does not fit the embeddings or a value is not finite.
    """
    if query.ndim != 1 or query.shape[0] != dimensions:
        raise InputError(f"the query has shape {query.shape}, the embeddings need ({dimensions},)")
    if not np.isfinite(query).all():
        raise InputError("the query holds a value that is not finite")
    return np.ascontiguousarray(query, dtype=np.float32)


def exact_scores(
    embeddings: EmbeddingArray, rows: NDArray[np.integer[Any]], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosine similarity of each given row to the query.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    rows : ndarray of shape (m,), integer
        Read in ascending order whatever their own order.
    query : ndarray of shape (d,), float32

    Returns
    -------
    ndarray of shape (m,), float32
    """
    order = np.argsort(rows, kind="stable")
    scores = np.empty(rows.size, dtype=np.float32)
    for start in range(0, rows.size, GATHER_ROWS):
        part = order[start : start + GATHER_ROWS]
        scores[part] = _cosines("nd,d->n", gather(embeddings, rows[part]), query)
    return scores


def pair_scores(
    embeddings: EmbeddingArray, rows: NDArray[np.int64], queries: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosine similarities of each query to rows of its own; −inf where the row is −1 (padding).

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    rows : ndarray of shape (q, m), int64
    queries : ndarray of shape (q, d), float32

    Returns
    -------
    ndarray of shape (q, m), float32
    """
    scores = np.empty(rows.shape, dtype=np.float32)
    step = max(1, GATHER_ROWS // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        part = slice(start, start + step)
        scores[part] = _cosines("qmd,qd->qm", gather(embeddings, rows[part]), queries[part])
    scores[rows < 0] = -np.inf
    return scores


def top_of_each(
    rows: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best of each line, by decreasing score, ties by ascending row.

    Parameters
    ----------
    rows, scores : ndarrays of shape (q, m)
    k : int
        At most m.

    Returns
    -------
    rows, scores : ndarrays of shape (q, k)
    """
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def top_k_exact(
    embeddings: EmbeddingArray,
    query: NDArray[np.floating[Any]],
    k: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    rows: NDArray[np.integer[Any]] | None = None,
    skip: Sequence[int] = (),
    adjustment: Adjustment = NO_ADJUSTMENT,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows of largest cosine similarity to the query, or of what is made of it, exactly.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows; may be memory-mapped.
    query : ndarray of shape (d,)
        Of any length.
    k : int
        Rows wanted; fewer come back when fewer are allowed.
    mask : ndarray of shape (n,), bool, optional
        Allowed rows.
    rows : ndarray of shape (m,), integer, optional
        Allowed rows, ascending and distinct; instead of `mask`.
    skip : sequence of int
        Rows to leave out, the query's own for instance.
    adjustment : Adjustment
        What is made of the similarities.

    Returns
    -------
    rows : ndarray of shape (≤ k,), int64
    scores : ndarray of shape (≤ k,), float32
        Descending; ties by ascending row.

    Raises
    ------
    InputError
        If the query does not fit the embeddings.
    """
    query = check_query(query, embeddings.shape[1])
    rough, margin = rough_scorer(embeddings.dtype, query)
    adjusted, steepness = adjustment
    # Adding in float32 rounds both ways: the margin gets room for it.
    short = _ShortList(k + len(skip), 1.01 * margin * steepness)
    for start, local in _allowed(embeddings.shape[0], mask, rows):
        block = embeddings[start : start + SCAN_ROWS]
        if local is None:
            at, scores = np.arange(start, start + len(block)), rough(block)
        elif local.size > SCAN_SHARE * len(block):
            at, scores = start + local, rough(block)[local]
        elif local.size:
            at, scores = start + local, rough(read_rows(block, local))
        else:
            continue
        short.add(at, adjusted(at, scores))
    found = short.rows()
    found = found[~np.isin(found, np.asarray(skip, dtype=np.int64))]
    best, scores = top_of_each(found[None], adjusted(found, exact_scores(embeddings, found, query))[None], k)
    return best[0], scores[0]


def top_k_of_blocks(
    blocks: Sequence[tuple[NDArray[np.int64], EmbeddingArray]],
    query: NDArray[np.float32],
    k: int,
    skip: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows of largest cosine similarity among some whose embeddings are at hand, exactly.

    Parameters
    ----------
    blocks : sequence of pairs of ndarrays
        At least one. Rows of shape (m,), int64, and their unit embeddings of shape (m, d), float16 or float32. A row
        may stand in several blocks, and once in each.
    query : ndarray of shape (d,), float32
        Of any length.
    k : int
        Rows wanted; fewer come back when there are fewer.
    skip : ndarray of shape (s,), int64
        Rows to leave out.

    Returns
    -------
    rows : ndarray of shape (≤ k,), int64
        No row twice.
    scores : ndarray of the same shape, float32
        As `exact_scores` has them, bit by bit. Descending; ties by ascending row.
    """
    rough, margin = rough_scorer(blocks[0][1].dtype, query)
    wanted = k + skip.size
    scored = [(rows, embeddings, rough(embeddings)) for rows, embeddings in blocks if rows.size]
    # The best of a block are among those of all: no need to know here which rows stand in several blocks.
    floor = max((_floor(scores, wanted, margin) for _, _, scores in scored), default=-np.inf)
    near = [(rows, embeddings, np.flatnonzero(scores >= floor)) for rows, embeddings, scores in scored]
    if not near or k <= 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    found = np.concatenate([rows[at] for rows, _, at in near])
    picked = np.concatenate([embeddings.take(at, axis=0) for _, embeddings, at in near])
    exact = _cosines("nd,d->n", picked.astype(np.float64), query)
    order = np.lexsort((found, -exact))
    found, exact = found[order], exact[order]
    keep = np.ones(found.size, dtype=bool)
    np.not_equal(found[1:], found[:-1], out=keep[1:])  # equal rows have equal scores, and stand together
    keep &= (found[:, None] != skip).all(axis=1)  # both are short: a tenth of the time of `np.isin`
    return found[keep][:k], exact[keep][:k]


def top_k_exact_many(
    embeddings: EmbeddingArray, queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows of largest cosine similarity to each of many queries, by blocks of matrix products.

    Faster than `top_k_exact` from a few queries on. At the k-th place, rows whose scores agree to 1e-6 may stand in for
    each other.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    queries : ndarray of shape (q, d), float32
    k : int

    Returns
    -------
    rows : ndarray of shape (q, min(k, n)), int64
    scores : ndarray of shape (q, min(k, n)), float32
        Descending; ties by ascending row.
    """
    k = min(k, embeddings.shape[0])
    rows = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), BATCH_QUERIES):
        part = slice(start, start + BATCH_QUERIES)
        found = _best_of_all_blocks(embeddings, queries[part], k)
        rows[part], scores[part] = top_of_each(found, pair_scores(embeddings, found, queries[part]), k)
    return rows, scores


def _best_of_all_blocks(embeddings: EmbeddingArray, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Rows (q, k) of the largest float32 products, unordered."""
    # A short first block sets the mark that scores of the next ones have to pass.
    first = min(max(2 * k, BATCH_ROWS // 8), embeddings.shape[0])
    scores = queries @ unit_rows(embeddings[:first]).T
    best_rows = np.argpartition(-scores, min(k, first - 1), axis=1)[:, :k]
    best = np.take_along_axis(scores, best_rows, axis=1)
    mark = best.min(axis=1)
    # Scores above the mark wait until they are as many as the best: a merge sorts all of those, and of ten million rows
    # it takes ten, not one a block. The rows' own order within a query does not matter here.
    waiting: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    for start in range(first, embeddings.shape[0], BATCH_ROWS):
        scores = queries @ unit_rows(embeddings[start : start + BATCH_ROWS]).T
        # Through flat positions: on two axes `nonzero` takes ten times as long.
        line, column = np.divmod(np.flatnonzero(scores > mark[:, None]), scores.shape[1])
        waiting.append((line, column + start, scores[line, column]))
        if sum(lines.size for lines, _, _ in waiting) >= best.size:
            best_rows, best = _merge(best_rows, best, waiting)
            mark = best.min(axis=1)
            waiting.clear()
    return _merge(best_rows, best, waiting)[0]


def unit_rows(rows: EmbeddingArray) -> NDArray[np.float32]:
    """Stored rows in float32, brought to unit length."""
    wide = np.array(rows, dtype=np.float32)
    length = np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None]
    wide /= np.where(length > 0, length, np.float32(1))
    return wide


def _merge(
    best_rows: NDArray[np.int64],
    best: NDArray[np.float32],
    waiting: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k best (q, k) so far and of others, each a query's number, a row and its score."""
    q, k = best.shape
    lines = np.concatenate([np.repeat(np.arange(q), k), *(line for line, _, _ in waiting)])
    all_rows = np.concatenate([best_rows.ravel(), *(rows for _, rows, _ in waiting)])
    all_scores = np.concatenate([best.ravel(), *(scores for _, _, scores in waiting)])
    order = np.lexsort((-all_scores, lines))
    held = np.bincount(lines, minlength=q)
    rank = np.arange(order.size) - np.repeat(np.cumsum(held) - held, held)
    order = order[rank < k]
    return all_rows[order].reshape(q, k), all_scores[order].reshape(q, k)


def _allowed(
    n_rows: int, mask: NDArray[np.bool_] | None, rows: NDArray[np.integer[Any]] | None
) -> Iterator[tuple[int, NDArray[np.int64] | None]]:
    """Steps of a scan: first row, and the allowed rows counted from there, or None where all are."""
    for start in range(0, n_rows, SCAN_ROWS):
        if mask is not None:
            yield start, np.flatnonzero(mask[start : start + SCAN_ROWS])
        elif rows is not None:
            low, high = np.searchsorted(rows, (start, start + SCAN_ROWS))
            yield start, rows[low:high].astype(np.int64) - start
        else:
            yield start, None


def rough_scorer(
    dtype: np.dtype[Any], query: NDArray[np.float32]
) -> tuple[Callable[[EmbeddingArray], NDArray[np.float32]], float]:
    """A fast scorer of blocks, and how far its scores can be from the final ones over the query's length."""
    wide = query.astype(np.float64)
    length = math.sqrt(wide @ wide) or 1.0
    wide /= length
    # Summing d products in float32 errs by at most d u ‖x‖ ‖y‖, u = 2⁻²⁴ (Higham 2002, Accuracy and Stability of
    # Numerical Algorithms, section 3.1); one more u each for the rounding below, that of the floor, and that of the
    # final score, whose steps are wider where it is tiny.
    summation = (query.size + 3) * 2.0**-24 * _LONGEST_ROW + 2.0**-149
    # Rough scores are of rows as they are stored, final ones of rows of unit length.
    summation += _LENGTH_OFF[dtype.name]
    if dtype == np.float16:
        line = wide.astype(np.float16)[None]
        wide -= line[0]
        rounding = math.sqrt(wide @ wide) * _LONGEST_ROW

        def rough(block: EmbeddingArray) -> NDArray[np.float32]:
            scores: NDArray[np.float32] = np.asarray(numkong.cdist(line, block, "dot"), dtype=np.float32)
            return scores.ravel()

        return rough, summation + rounding
    unit = wide.astype(np.float32)
    return lambda block: np.asarray(block @ unit, dtype=np.float32), summation


def _floor(scores: NDArray[np.float32], wanted: int, margin: float) -> float:
    """The rough score below which no row can be among the `wanted` best, given scores that err by at most `margin`."""
    if not 0 < wanted < scores.size:
        return -np.inf
    # The k-th best true score is at least the k-th best rough one less the margin, and a row that reaches it has a
    # rough score at most a margin below: hence twice.
    return float(np.partition(scores, -wanted)[-wanted]) - 2 * margin


class _ShortList:
    """Rows that can still be among the `wanted` best, given scores that err by at most `margin`."""

    def __init__(self, wanted: int, margin: float) -> None:
        self._wanted = wanted
        self._margin = margin
        self._limit = max(4 * wanted, SCAN_ROWS)
        self._floor = -np.inf
        self._rows: list[NDArray[np.int64]] = []
        self._scores: list[NDArray[np.float32]] = []
        self._held = 0

    def add(self, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        keep = scores >= self._floor
        self._rows.append(rows[keep])
        self._scores.append(scores[keep])
        self._held += self._rows[-1].size
        if self._held > self._limit:
            self._shrink()
            # A list of near ties shrinks little: look again only when it has doubled.
            self._limit = max(self._limit, 2 * self._held)

    def rows(self) -> NDArray[np.int64]:
        """The short list, ascending."""
        self._shrink()
        return self._rows[0] if self._rows else np.empty(0, dtype=np.int64)

    def _shrink(self) -> None:
        if not self._rows:
            return
        rows, scores = np.concatenate(self._rows), np.concatenate(self._scores)
        if rows.size > self._wanted > 0:
            self._floor = _floor(scores, self._wanted, self._margin)
            keep = scores >= self._floor
            rows, scores = rows[keep], scores[keep]
        self._rows, self._scores, self._held = [rows], [scores], rows.size
