"""Result list: what is active in an order, read a page at a time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas, Mask
from atlas.catalog.anomalies import DEFAULT, detector_of
from atlas.catalog.key_columns import key_columns
from atlas.catalog.mixtures import MixedColumn
from atlas.catalog.sort_order import Sorted
from atlas.errors import InputError
from atlas.queries.planner import embedding_of
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Ranking, Shuffled, Similar, canonical_ranking
from atlas.search.exact import exact_scores
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..state.page_state import State, active
from .atlas_service import Service
from .gallery_query import Question, question_of
from .index_loading import WORDS

USUAL_COLUMNS = 8

Page = tuple[NDArray[np.uint32], NDArray[np.float32]]
ScoreRows = Callable[[NDArray[np.uint32]], NDArray[np.float32]]


class ResultList(msgspec.Struct, frozen=True):
    """A list of galaxies.

    Attributes
    ----------
    total : int
        How many it has.
    scored : bool
        Whether it tells similarities.
    page : callable
        Rows (uint32) and similarities (float32, NaN where there are none) from an offset on, at most so many.
    require_ready : callable
        Raises UnderWayError where the first page would wait until a column is sorted, which a job does meanwhile.
    """

    total: int
    scored: bool
    page: Callable[[int, int], Page]
    require_ready: Callable[[], None] = lambda: None


def listing_of(service: Service, state: State, sort: str = "", descending: bool = False) -> ResultList:
    """The list of a state: sorted by a column where one is named, else in the order of the gallery.

    Where there is an example, each galaxy has its similarity to it, whatever the order.
    """
    atlas = service.atlas
    question = question_of(atlas, state)
    if question.like is not None:
        question = replace(question, like=canonical_ranking(question.like, service.canonical))
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
        case ByDetectors(detectors, by):
            mixed = MixedColumn(atlas.columns(atlas.default_space), detectors, by)
            return _by_column(service, question, mixed, True, mask)
        case None | Shuffled():
            return _by_row(atlas, question, mask)
    assert query is not None
    result = service.run(replace(query, limit=service.settings.table_rows, offset=0), atlas)
    if result is None:
        raise InputError(WORDS[service.progress(atlas)])

    # What labels teach is no similarity: a list tells that to the examples, if there are any.
    by_labels = isinstance(query.ranking, ByLabels)
    similar = scores_of(atlas, question.like)

    def page(offset: int, limit: int) -> Page:
        part = slice(offset, offset + limit)
        rows = result.rows[part]
        return rows, similar(rows) if by_labels else result.scores[part]

    return ResultList(int(result.rows.size), not by_labels or question.like is not None, page)


def _by_column(service: Service, question: Question, column: Sorted, descending: bool, mask: Mask | None) -> ResultList:
    atlas, orders = service.atlas, service.orders
    scores = scores_of(atlas, question.like)

    def page(offset: int, limit: int) -> Page:
        rows = orders.page(column, descending, mask, offset, limit)
        return rows, scores(rows)

    return ResultList(
        atlas.n_rows if mask is None else mask.count,
        question.like is not None,
        page,
        lambda: service.require_order(column, descending, mask),
    )


def _by_row(atlas: Atlas, question: Question, mask: Mask | None) -> ResultList:
    scores = scores_of(atlas, question.like)

    def page(offset: int, limit: int) -> Page:
        if mask is None:
            rows = np.arange(offset, min(offset + limit, atlas.n_rows), dtype=np.uint32)
        else:
            rows = mask.rows[offset : offset + limit]
        return rows, scores(rows)

    return ResultList(atlas.n_rows if mask is None else mask.count, question.like is not None, page)


def scores_of(atlas: Atlas, ranking: Ranking | None) -> ScoreRows:
    """Function that gives rows their similarity by a canonical ranking: NaN where there is nothing to be similar to."""
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
    own = ("cluster", detector_of(DEFAULT, columns))
    return first + [c for c in offered if c.name in own and c not in first]


def columns_offered(atlas: Atlas) -> list[Column]:
    """Columns that the table can show."""
    skip = {"map_x", "map_y", *atlas.manifest.id_columns}
    return [c for c in atlas.columns(atlas.default_space) if c.name not in skip]
