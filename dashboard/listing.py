"""What is active as one long list in an order, read a page at a time: for the table, and whole for its download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas, Mask, Query
from atlas.errors import InputError
from atlas.neighbors import exact_scores
from atlas.planner import embedding_of
from atlas.ranking import ByColumn, Ranking, Shuffled, Similar
from atlas.selection import All
from dashboard.ask import question_of
from dashboard.loading import WORDS
from dashboard.service import Service
from dashboard.state import State, active

EXPORT_ROWS = 8_192
SORTED_EXPORT_ROWS = 1_000_000
"""Up to so many galaxies leave in order of similarity; more leave in order of row, each with its similarity."""

Page = tuple[NDArray[np.uint32], NDArray[np.float32]]


class Listing(msgspec.Struct, frozen=True):
    """A list of galaxies.

    Attributes
    ----------
    total : int
        How many it has.
    scored : str
        What their scores are, in a word; empty where the order has none that no column shows.
    page : callable
        Rows (uint32) and scores (float32, NaN where there are none) from an offset on, at most so many.
    """

    total: int
    scored: str
    page: Callable[[int, int], Page]


def listing_of(service: Service, state: State, sort: str = "", descending: bool = False) -> Listing:
    """The list of a state: sorted by a column where one is named, else in the order of the gallery."""
    atlas = service.atlas
    query = question_of(atlas, state).query
    # The doors are no order: without a question, the list begins with the first row.
    selection = query.selection if query is not None else active(state)
    mask = service.mask(selection, atlas)
    if sort:
        atlas.columns(atlas.default_space).describe(sort)
        return _by_column(service, sort, descending, mask)
    match query.ranking if query is not None else None:
        case ByColumn(column, down):
            return _by_column(service, column, down, mask)
        case None | Shuffled():
            return _by_row(atlas, mask)
    assert query is not None
    result = service.run(replace(query, limit=service.settings.table_rows, offset=0), atlas)
    if result is None:
        raise InputError(WORDS[service.progress(atlas)])

    def page(offset: int, limit: int) -> Page:
        part = slice(offset, offset + limit)
        return result.rows[part], result.scores[part]

    return Listing(int(result.rows.size), "similarity", page)


def _by_column(service: Service, column: str, descending: bool, mask: Mask | None) -> Listing:
    orders = service.orders

    def page(offset: int, limit: int) -> Page:
        return _unscored(orders.page(column, descending, mask, offset, limit))

    return Listing(service.atlas.n_rows if mask is None else mask.count, "", page)


def _by_row(atlas: Atlas, mask: Mask | None) -> Listing:
    def page(offset: int, limit: int) -> Page:
        if mask is None:
            return _unscored(np.arange(offset, min(offset + limit, atlas.n_rows), dtype=np.uint32))
        return _unscored(mask.rows[offset : offset + limit])

    return Listing(atlas.n_rows if mask is None else mask.count, "", page)


def _unscored(rows: NDArray[np.uint32]) -> Page:
    return rows, np.full(rows.size, np.nan, dtype=np.float32)


def csv_lines(service: Service, state: State) -> Iterator[str]:
    """All that is active as CSV, in the order of the list, a part at a time; every column, with ids in full."""
    atlas = service.atlas
    for at, (rows, scores) in enumerate(_pages(service, state)):
        table = atlas.table(rows)
        if not np.isnan(scores).all():
            table.insert(0, "similarity", scores)
        yield str(table.to_csv(index=False, header=at == 0))


def _pages(service: Service, state: State) -> Iterator[Page]:
    atlas = service.atlas
    query = question_of(atlas, state).query
    sort = state.table.sort
    if sort or query is None or not _is_similarity(query.ranking):
        listing = listing_of(service, state, sort, state.table.descending)
        for offset in range(0, max(1, listing.total), EXPORT_ROWS):
            yield listing.page(offset, EXPORT_ROWS)
        return
    rows = _rows(service, atlas, query)
    space = atlas.space(query.space)
    q = embedding_of(space, query.ranking)
    sign = np.float32(-1 if isinstance(query.ranking, Similar) and query.ranking.least else 1)
    if rows.size <= SORTED_EXPORT_ROWS:
        scores = exact_scores(space.embeddings, rows, q)
        order = np.lexsort((rows, -scores))
        rows, scores = rows[order], scores[order] * sign
        for start in range(0, max(1, rows.size), EXPORT_ROWS):
            yield rows[start : start + EXPORT_ROWS], scores[start : start + EXPORT_ROWS]
        return
    for start in range(0, rows.size, EXPORT_ROWS):
        part = rows[start : start + EXPORT_ROWS]
        yield part, exact_scores(space.embeddings, part, q) * sign


def _rows(service: Service, atlas: Atlas, query: Query) -> NDArray[Any]:
    mask = None if isinstance(query.selection, All) else service.mask(query.selection, atlas)
    return np.arange(atlas.n_rows, dtype=np.uint32) if mask is None else mask.rows


def _is_similarity(ranking: Ranking) -> bool:
    return not isinstance(ranking, ByColumn | Shuffled)
