"""Approximate search for embeddings that may lie anywhere: it looks further until its answer no longer changes.

A galaxy, the far side of one and the middle of a cluster lie where an index was trained, and how often it is right
there is measured once for all. The mean of several examples may lie between the groups that they are from, and an
embedding from outside anywhere: the same setting then finds all of the true best for one and a third for another. So
these are searched twice, the second time in several times as many leaves, until two answers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.approximate import search
from atlas.search.exact import EmbeddingArray
from atlas.search.index import NeighborIndex, SearchSetting

STEADY_KINDS = frozenset({"row", "least similar", "cluster"})
"""Kinds of query of which each is much like the others, so that one setting does for all."""

WIDER_LEAVES = 4
WIDER_CANDIDATES = 2
AGREED = 0.99
"""Share of an answer that a wider search has to confirm. What that one misses is several times rarer still."""


def search_as(
    kind: str | None,
    index: NeighborIndex,
    embeddings: EmbeddingArray,
    query: NDArray[np.floating[Any]],
    k: int,
    setting: SearchSetting,
    skip: Sequence[int] = (),
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Search as queries of a kind are: once where the kind is steady, else until the answer is settled.

    Parameters
    ----------
    kind : str or None
        As `atlas.queries.ranking.query_kind` names it.
    index, embeddings, query, k, setting, skip
        See `atlas.search.approximate.search`.

    Returns
    -------
    rows, scores : ndarrays
        See `atlas.search.approximate.search`.
    """
    found = search(index, embeddings, query, k, setting, skip=skip)
    while kind not in STEADY_KINDS and setting.leaves < index.leaves:
        setting = SearchSetting(
            min(WIDER_LEAVES * setting.leaves, index.leaves),
            min(WIDER_CANDIDATES * max(setting.candidates, k), index.n_rows),
        )
        before, found = found, search(index, embeddings, query, k, setting, skip=skip)
        if np.isin(found[0], before[0]).sum() >= AGREED * found[0].size:
            break
    return found
