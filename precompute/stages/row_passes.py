"""Passes over all rows in chunks, on several threads or on other machines.

A pass that is killed goes on where it was (`fill_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from atlas.search.exact import EmbeddingArray

from ..parallel import Workers, slices_of
from .stage import StageContext

SUM_ROWS = 65_536

KEEP_EVERY = 262_144
"""Rows between two records of progress: some ten seconds of work."""


def fill_rows(
    ctx: StageContext,
    work: Callable[[Any], Iterable[NDArray[Any]]],
    n_rows: int,
    size: int,
    arrays: Sequence[np.memmap[Any, Any]],
    *,
    told: Callable[[slice], Any] = lambda part: part,
    place: Callable[[slice], Any] = lambda part: part,
    workers: Workers | None = None,
    keep_every: int | None = None,
) -> None:
    """Fill arrays with what `work` finds in all rows, by chunks, from where a killed run of this stage ended.

    Shows progress. The record stays, so that a stage killed after its pass does not begin anew: `StageContext.forget`
    drops it.

    Parameters
    ----------
    ctx : StageContext
    work : callable
        Values of a chunk for each of the arrays, as `Workers.map` takes it.
    n_rows, size : int
        Rows in all, and in a chunk.
    arrays : sequence of memmap
        From `StageContext.open_or_create`.
    told : callable, optional
        What `work` is told of a chunk; its slice of the rows by default.
    place : callable, optional
        Where in the arrays the values of a chunk belong; at its slice by default.
    workers : Workers, optional
        `ctx.workers` by default.
    keep_every : int, optional
        Rows between two records of progress; `KEEP_EVERY` by default.
    """
    keep_every = KEEP_EVERY if keep_every is None else keep_every
    kept = ctx.kept().rows
    parts = slices_of(n_rows, size, kept)
    with ctx.progress(n_rows) as bar:
        bar.update(kept)
        found = (workers or ctx.workers).map(work, map(told, parts))
        for part, values in zip(parts, found, strict=True):
            for array, some in zip(arrays, values, strict=True):
                array[place(part)] = some
            bar.update(part.stop - part.start)
            if part.stop - kept >= keep_every or part.stop == n_rows:
                for array in arrays:
                    array.flush()
                kept = part.stop
                ctx.keep(kept)
                ctx.release()


def sum_by_group(
    embeddings: EmbeddingArray, groups: NDArray[np.signedinteger[Any]], n_groups: int
) -> NDArray[np.float64]:
    """Sum of the embeddings of each group's members; rows of group −1 are left out.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    groups : ndarray of shape (n,), signed integer
        Below `n_groups`.
    n_groups : int

    Returns
    -------
    ndarray of shape (n_groups, d), float64
    """
    total = np.zeros((n_groups, embeddings.shape[1]))
    for start in range(0, len(groups), SUM_ROWS):
        part = groups[start : start + SUM_ROWS]
        inside = np.flatnonzero(part >= 0)
        members = sparse.csr_array((np.ones(inside.size), (part[inside], inside)), shape=(n_groups, part.size))
        total += members @ np.asarray(embeddings[start : start + SUM_ROWS], dtype=np.float64)
    return total
