"""Passes over all rows in chunks, on several threads.

A pass that is killed goes on where it was (`fill_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from atlas.search.exact import EmbeddingArray

from ..parallel import run_chunks, thread_count
from .stage import StageContext

SUM_ROWS = 65_536

KEEP_EVERY = 262_144
"""Rows between two records of progress: some ten seconds of work."""


def fill_rows(
    ctx: StageContext,
    work: Callable[[slice], None],
    n_rows: int,
    size: int,
    arrays: Sequence[np.memmap[Any, Any]],
    *,
    keep_every: int | None = None,
) -> None:
    """Do `work` on all rows in chunks, from where a killed run of this stage ended; shows progress.

    The record stays, so that a stage killed after its pass does not begin anew: `StageContext.forget` drops it.

    Parameters
    ----------
    ctx : StageContext
    work : callable
        Fills one slice of the arrays; calls for different slices may run at once.
    n_rows, size : int
        Rows in all, and in one slice.
    arrays : sequence of memmap
        From `StageContext.open_or_create`.
    keep_every : int, optional
        Rows between two records of progress; `KEEP_EVERY` by default.
    """
    keep_every = KEEP_EVERY if keep_every is None else keep_every
    kept = ctx.kept().rows
    with ctx.progress(n_rows) as bar:
        bar.update(kept)
        for part in run_chunks(work, n_rows, size, thread_count(ctx.config.threads), start=kept):
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
