"""Downloads of what is listed, whole: a part at a time, so that a million rows need no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import Atlas, Query
from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.columns import free_name
from atlas.catalog.mixtures import mixture_meaning
from atlas.cluster_names import NamesHere
from atlas.exports.contents import Contents, Field, Part, cells, field_of, id_field, provenance, texts
from atlas.notebook import ABOUT_SIMILARITY, SIMILARITY
from atlas.planes.sampling import row_hash
from atlas.queries.by_labels import in_order_of_labels
from atlas.queries.planner import settings_of
from atlas.queries.query import receipt
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Shuffled, Similar, canonical_ranking
from atlas.queries.selection import All
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..state.page_state import State
from .atlas_service import Service
from .gallery_query import question_of
from .result_list import Page, ResultList, columns_of, listing_of, scores_of

ROWS_AT_ONCE, FIRST_ROWS = 8_192, 256
SORTED_ROWS = 1_000_000
"""Up to so many galaxies of a gallery leave in its order; more leave in order of row, each with its similarity."""

NO_QUESTION = "none: all galaxies of this build"

What = Literal["table", "selection"]


def contents_of(service: Service, state: State, what: What) -> Contents:
    """Contents of a download: the table as it stands, or all that the gallery is of, with every column.

    Both begin with the id, and with the similarity where there is one.
    """
    atlas = service.atlas
    if what == "table":
        listing = listing_of(service, state, state.table.sort, state.table.descending)
        return _contents(service, state, columns_of(atlas, state), listing)
    return _contents(service, state, list(atlas.columns(atlas.default_space)), _whole(service, state))


def name_of_receipt(service: Service, state: State) -> str:
    """The hash that names the question of a page, labels as of now; empty where it asks none."""
    query = question_of(service.atlas, state).query
    if query is None:
        return ""
    query = service.pinned(query)
    return receipt(service.atlas.build_id, query, settings_of(query))


def _contents(service: Service, state: State, columns: list[Column], listing: ResultList) -> Contents:
    atlas = service.atlas
    similarity = Field(name=SIMILARITY, dtype="float32", description=ABOUT_SIMILARITY)
    asked = name_of_receipt(service, state) or NO_QUESTION
    told = similarity if listing.scored else None
    names = service.book.cluster_names(atlas)
    more = {"receipt": asked, "order": "" if state.listing == "table" and state.table.sort else _order(atlas, state)}
    return export_contents(atlas, columns, listing.total, lambda: _pages(listing), told, names, **more)


def _order(atlas: Atlas, state: State) -> str:
    """Sentence on the mixture that ordered the galaxies, which its columns alone do not tell; empty of other orders."""
    query = question_of(atlas, state).query
    if query is None or not isinstance(query.ranking, ByDetectors):
        return ""
    return mixture_meaning(query.ranking.detectors, query.ranking.mixed_by)


def export_contents(
    atlas: Atlas,
    columns: list[Column],
    n_rows: int,
    pages: Callable[[], Iterator[tuple[NDArray[np.uint32], NDArray[Any]]]],
    measured: Field | None,
    clusters: NamesHere | None = None,
    **told: str,
) -> Contents:
    """A table of some columns that begins with each galaxy's id and one figure beside the catalogue's, if any.

    Parameters
    ----------
    atlas : Atlas
    columns : list of Column
    n_rows : int
    pages : callable
        Gives rows and their figures, page by page, anew at each call.
    measured : Field or None
        What the figures are; gets another name where a column has its own.
    clusters : NamesHere, optional
        Names of clusters: a field beside each column of clusters that has some.
    **told : str
        What the file says beside where it came from.
    """
    described = atlas.columns(atlas.default_space)
    names = [column.name for column in columns]
    own = id_field([described.describe(name) for name in atlas.manifest.id_columns], names)
    first = [own]
    if measured is not None:
        first.append(msgspec.structs.replace(measured, name=free_name(measured.name, names)))

    called = {} if clusters is None else _called(atlas, names, clusters)

    def parts() -> Iterator[Part]:
        for rows, figures in pages():
            # Positions too, chosen or not: for what points at the sky.
            wanted = (*columns, *(described.describe(name) for name in (layout.RA, layout.DEC)))
            values = {column.name: cells(described, column, rows) for column in wanted}
            if measured is not None:
                values[first[1].name] = figures
            for field, (column, of) in called.items():
                values[field.name] = texts([of.get(label) for label in described.array(column)[rows].tolist()])
            yield {own.name: texts(atlas.identity.names(rows)), **values}

    return Contents(
        fields=(*first, *(field_of(column) for column in columns), *called),
        n_rows=n_rows,
        id=own.name,
        about=provenance(atlas.manifest, **told),
        parts=parts,
    )


def _called(atlas: Atlas, taken: list[str], clusters: NamesHere) -> dict[Field, tuple[str, dict[int, str]]]:
    """Fields of the names of clusters, each with its column of labels and the names by label."""
    found = {}
    for column in CLUSTERS:
        at_scale = [label for label in clusters.of if atlas.space().cluster(label).scale == column]
        of = {label: name for label in at_scale if (name := clusters.name(label))}
        if of and column in taken:
            field = Field(name=free_name(f"{column}_name", taken), width=max(map(len, of.values())),
                          description="Name that people gave to the cluster")  # fmt: skip
            found[field] = column, of
    return found


def pages_of(rows: NDArray[np.uint32], figures: NDArray[Any]) -> Iterator[tuple[NDArray[np.uint32], NDArray[Any]]]:
    """Rows and a figure of each, page by page."""
    for start in range(0, max(1, rows.size), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE], figures[start : start + ROWS_AT_ONCE]


def _pages(listing: ResultList) -> Iterator[Page]:
    # A few first: text of eight thousand rows takes a second, and a download is to begin at once.
    yield listing.page(0, FIRST_ROWS)
    for offset in range(FIRST_ROWS, listing.total, ROWS_AT_ONCE):
        yield listing.page(offset, ROWS_AT_ONCE)


def _whole(service: Service, state: State) -> ResultList:
    """All that the gallery is of, in its order."""
    atlas = service.atlas
    question = question_of(atlas, state)
    query = question.query
    if query is None or isinstance(query.ranking, ByColumn | ByDetectors):
        return listing_of(service, state)
    rows = _rows(service, atlas, query)
    by = question.like if isinstance(query.ranking, Shuffled | ByLabels) else query.ranking
    scores = scores_of(atlas, None if by is None else canonical_ranking(by, service.canonical))
    if rows.size <= SORTED_ROWS:
        if isinstance(query.ranking, ByLabels):
            rows = in_order_of_labels(atlas, query.ranking, rows)
        elif isinstance(query.ranking, Shuffled):
            rows = rows[np.argsort(row_hash(rows, query.ranking.seed))]
        else:
            told = scores(rows)
            least = isinstance(query.ranking, Similar) and query.ranking.least
            rows = rows[np.lexsort((rows, told if least else -told))]

    def page(offset: int, limit: int) -> Page:
        part = rows[offset : offset + limit]
        return part, scores(part)

    return ResultList(int(rows.size), by is not None, page)


def _rows(service: Service, atlas: Atlas, query: Query) -> NDArray[np.uint32]:
    mask = None if isinstance(query.selection, All) else service.mask(query.selection, atlas)
    return np.arange(atlas.n_rows, dtype=np.uint32) if mask is None else mask.rows
