"""Recovery of galaxies that are known already by an order: a search judged by what it should have found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.mixtures import MixedColumn
from atlas.catalog.numbers import short_text
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.queries.planner import embedding_of
from atlas.queries.query import Query, canonical_query, examples_of
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Shuffled
from atlas.search.exact_ranks import ranks_by_similarity, ranks_by_value

FIRST = (10, 100, 1_000, 10_000)


class Recovery(msgspec.Struct, frozen=True):
    """Places of known galaxies in an order.

    Attributes
    ----------
    rows : ndarray of shape (k,), int64
        Those that are ranked, best first: known, selected, and no examples of the search.
    ranks : ndarray of shape (k,), int64
        Their places among all that are ranked, from 1; equal scores share the better place.
    total : int
        Galaxies that are ranked.
    """

    rows: NDArray[np.int64]
    ranks: NDArray[np.int64]
    total: int

    def found(self, first: int) -> int:
        """Known galaxies among the first so many."""
        return int(np.searchsorted(self.ranks, first, side="right"))

    def by_chance(self, first: int) -> float:
        """Number of them that a random order has there, on average."""
        return self.ranks.size * min(first, self.total) / self.total if self.total else 0.0

    def looks_for(self, completeness: float) -> int:
        """Number of galaxies that hold that share of the known ones.

        Raises
        ------
        InputError
            If the share is not above 0 and at most 1, or nothing is known.
        """
        if not 0 < completeness <= 1:
            raise InputError(f"completeness is a share above 0 and up to 1, not {completeness:g}")
        if not self.ranks.size:
            raise InputError("none of the known galaxies is ranked")
        return int(self.ranks[int(np.ceil(completeness * self.ranks.size)) - 1])

    def purity(self, completeness: float) -> float:
        """The share of known galaxies among as many as it takes to reach a completeness.

        Galaxies of the kind that nobody knew yet count as others: the true purity is at least this.
        """
        return float(np.ceil(completeness * self.ranks.size)) / self.looks_for(completeness)

    def __str__(self) -> str:
        found = ", ".join(
            f"{self.found(first):,} in the first {first:,} (by chance {short_text(self.by_chance(first))})"
            for first in FIRST
            if first < self.total
        )
        return f"{self.ranks.size:,} known galaxies among {self.total:,}: {found}"


def recovery(
    atlas: OpenBuild,
    query: Query,
    known: Sequence[int] | NDArray[np.integer[Any]],
    mask: Mask | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Recovery:
    """Places of known galaxies in the order of a query, among all that it selects; exactly, in one pass over them.

    Parameters
    ----------
    atlas : OpenBuild
    query : Query
        Its limit and offset do not matter.
    known : sequence of int
        Rows; those that are not selected, or are examples of the query, are left out.
    mask : Mask or None
        Rows of `query.selection`; None stands for all.
    advance : callable
        Told how many rows of the atlas are done. What it raises ends the pass.

    Raises
    ------
    InputError
        If the order is random, or the query or the rows name what the atlas does not have.
    """
    query = canonical_query(query)
    rows = np.unique(np.asarray(known, dtype=np.int64))
    if rows.size and not (rows[0] >= 0 and rows[-1] < atlas.n_rows):
        raise InputError(f"rows lie in 0…{atlas.n_rows - 1:,}")
    skip = np.unique(np.asarray(examples_of(query), dtype=np.int64))
    ranked = None
    if mask is not None or skip.size:
        ranked = np.ones(atlas.n_rows, dtype=bool) if mask is None else mask.dense.copy()
        ranked[skip] = False
        rows = rows[ranked[rows]]
    total = atlas.n_rows if ranked is None else int(np.count_nonzero(ranked))
    match query.ranking:
        case Shuffled():
            raise InputError("a random order ranks nothing: choose examples or a column")
        case ByLabels():
            raise InputError("an order by labels knows the labelled galaxies already: ask for one by examples")
        case ByColumn(column, descending):
            values = atlas.columns(query.space).number(column)
            ranks = ranks_by_value(values, rows, descending=descending, mask=ranked)
        case ByDetectors(detectors, by):
            mixed = MixedColumn(atlas.columns(query.space), detectors, by)
            ranks = ranks_by_value(mixed[:], rows, descending=True, mask=ranked)
        case _:
            space = atlas.space(query.space)
            q = embedding_of(atlas, space, query.ranking)
            ranks, _ = ranks_by_similarity(space.embeddings, q, rows, mask=ranked, advance=advance)
    order = np.lexsort((rows, ranks))
    return Recovery(rows[order], ranks[order], total)
