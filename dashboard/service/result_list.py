"""What is active as one long list in an order, read a page at a time: for the table, and whole for its download."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pandas as pd
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas, Mask, Query
from atlas.catalog.columns import free_name
from atlas.catalog.key_columns import key_columns
from atlas.errors import InputError
from atlas.planes.sampling import row_hash
from atlas.queries.planner import embedding_of
from atlas.queries.ranking import ByColumn, Ranking, Shuffled, Similar
from atlas.queries.selection import All
from atlas.search.exact import exact_scores
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..state.page_state import State, active
from .atlas_service import Service
from .gallery_query import Question, question_of
from .index_loading import WORDS

EXPORT_ROWS = 8_192
SORTED_EXPORT_ROWS = 1_000_000
"""Up to so many galaxies of a gallery leave in its order; more leave in order of row, each with its similarity."""

USUAL_COLUMNS = 8

Page = tuple[NDArray[np.uint32], NDArray[np.float32]]
Scores = Callable[[NDArray[np.uint32]], NDArray[np.float32]]


class Listing(msgspec.Struct, frozen=True):
    """A list of galaxies.

    Attributes
    ----------
    total : int
        How many it has.
    scored : bool
        Whether it tells similarities.
    page : callable
        Rows (uint32) and similarities (float32, NaN where there are none) from an offset on, at most so many.
    """

    total: int
    scored: bool
    page: Callable[[int, int], Page]


def listing_of(service: Service, state: State, sort: str = "", descending: bool = False) -> Listing:
    """The list of a state: sorted by a column where one is named, else in the order of the gallery.

    Where there is an example, each galaxy has its similarity to it, whatever the order.
    """
    atlas = service.atlas
    question = question_of(atlas, state)
    query = question.query
    # The doors are no order: without a question, the list begins with the first row.
    selection = query.selection if query is not None else active(state)
    mask = service.mask(selection, atlas)
    if sort:
        atlas.columns(atlas.default_space).describe(sort)
        return _by_column(service, question, sort, descending, mask)
    match query.ranking if query is not None else None:
        case ByColumn(column, down):
            return _by_column(service, question, column, down, mask)
        case None | Shuffled():
            return _by_row(atlas, question, mask)
    assert query is not None
    result = service.run(replace(query, limit=service.settings.table_rows, offset=0), atlas)
    if result is None:
        raise InputError(WORDS[service.progress(atlas)])

    def page(offset: int, limit: int) -> Page:
        part = slice(offset, offset + limit)
        return result.rows[part], result.scores[part]

    return Listing(int(result.rows.size), True, page)


def _by_column(service: Service, question: Question, column: str, descending: bool, mask: Mask | None) -> Listing:
    atlas, orders = service.atlas, service.orders
    scores = _scores(atlas, question.like)

    def page(offset: int, limit: int) -> Page:
        rows = orders.page(column, descending, mask, offset, limit)
        return rows, scores(rows)

    return Listing(atlas.n_rows if mask is None else mask.count, question.like is not None, page)


def _by_row(atlas: Atlas, question: Question, mask: Mask | None) -> Listing:
    scores = _scores(atlas, question.like)

    def page(offset: int, limit: int) -> Page:
        if mask is None:
            rows = np.arange(offset, min(offset + limit, atlas.n_rows), dtype=np.uint32)
        else:
            rows = mask.rows[offset : offset + limit]
        return rows, scores(rows)

    return Listing(atlas.n_rows if mask is None else mask.count, question.like is not None, page)


def _scores(atlas: Atlas, ranking: Ranking | None) -> Scores:
    """What gives rows their similarity: NaN where there is nothing to be similar to."""
    if ranking is None:
        return lambda rows: np.full(rows.size, np.nan, dtype=np.float32)
    space = atlas.space(atlas.default_space)
    q = embedding_of(atlas, space, ranking)
    sign = np.float32(-1 if isinstance(ranking, Similar) and ranking.least else 1)
    return lambda rows: exact_scores(space.embeddings, rows, q) * sign


def columns_of(atlas: Atlas, state: State) -> list[Column]:
    """Columns of the table: those that were chosen, or position, what says most of a galaxy, and what the build found.

    A catalogue of which nobody knows what says most shows its first columns.
    """
    columns = atlas.columns(atlas.default_space)
    chosen = [columns.describe(name) for name in state.table.columns if name in columns]
    if chosen:
        return chosen
    offered = columns_offered(atlas)
    keys = key_columns(atlas.manifest)
    if keys:
        first = [*(columns.describe(name) for name in (layout.RA, layout.DEC)), *keys]
    else:
        first = [c for c in offered if not c.truth][:USUAL_COLUMNS]
    return first + [c for c in offered if c.name in ("cluster", "anomaly_knn") and c not in first]


def columns_offered(atlas: Atlas) -> list[Column]:
    """Columns that the table can show."""
    skip = {"map_x", "map_y", *atlas.manifest.id_columns}
    return [c for c in atlas.columns(atlas.default_space) if c.name not in skip]


def csv_lines(service: Service, state: State) -> Iterator[str]:
    """What is listed as CSV, a part at a time: a table as it stands, or all that a gallery is of, with every column.

    Both begin with the id, and with the similarity where there is one.
    """
    atlas = service.atlas
    if state.listing == "table":
        listing = listing_of(service, state, state.table.sort, state.table.descending)
        columns, pages = columns_of(atlas, state), _pages(listing)
    else:
        columns, pages = list(atlas.columns(atlas.default_space)), _gallery_pages(service, state)
    for at, (rows, scores) in enumerate(pages):
        yield str(_frame(atlas, columns, rows, scores).to_csv(index=False, header=at == 0))


def _frame(atlas: Atlas, columns: list[Column], rows: NDArray[np.uint32], scores: NDArray[np.float32]) -> pd.DataFrame:
    values = {c.name: _cells(atlas, c, rows) for c in columns}
    own: dict[str, object] = {free_name("id", values): atlas.identity.names(rows)}
    if not np.isnan(scores).all():
        own[free_name("similarity", values)] = scores
    return pd.DataFrame({**own, **values})


def _cells(atlas: Atlas, column: Column, rows: NDArray[np.uint32]) -> object:
    """Values of a column: numbers in the type in which they are stored, which has the digits that they have."""
    columns = atlas.columns(atlas.default_space)
    if column.kind in ("number", "flags"):
        return columns.array(column.name)[rows]
    return columns.values(column.name, rows)


def _pages(listing: Listing) -> Iterator[Page]:
    for offset in range(0, max(1, listing.total), EXPORT_ROWS):
        yield listing.page(offset, EXPORT_ROWS)


def _gallery_pages(service: Service, state: State) -> Iterator[Page]:
    atlas = service.atlas
    question = question_of(atlas, state)
    query = question.query
    if query is None or isinstance(query.ranking, ByColumn):
        yield from _pages(listing_of(service, state))
        return
    rows = _rows(service, atlas, query)
    scores = _scores(atlas, question.like if isinstance(query.ranking, Shuffled) else query.ranking)
    if rows.size <= SORTED_EXPORT_ROWS:
        if isinstance(query.ranking, Shuffled):
            rows = rows[np.argsort(row_hash(rows, query.ranking.seed))]
        else:
            told = scores(rows)
            least = isinstance(query.ranking, Similar) and query.ranking.least
            rows = rows[np.lexsort((rows, told if least else -told))]
    for start in range(0, max(1, rows.size), EXPORT_ROWS):
        part = rows[start : start + EXPORT_ROWS]
        yield part, scores(part)


def _rows(service: Service, atlas: Atlas, query: Query) -> NDArray[np.uint32]:
    mask = None if isinstance(query.selection, All) else service.mask(query.selection, atlas)
    return np.arange(atlas.n_rows, dtype=np.uint32) if mask is None else mask.rows
