"""Answers of an open build: the rows that a selection holds, and those that a query finds."""

from __future__ import annotations

from atlas.build import OpenBuild
from atlas.mask import Mask
from atlas.queries import planner
from atlas.queries.query import Query, Result, canonical_query
from atlas.queries.selection import All, Selection, canonical
from atlas.queries.selection_mask import evaluate


def rows_of(build: OpenBuild, selection: Selection | str) -> Mask:
    """See `Atlas.mask`."""
    return evaluate(build, canonical(selection))


def answer(build: OpenBuild, query: Query, mask: Mask | None = None) -> Result:
    """See `Atlas.run`."""
    query = canonical_query(query)
    if mask is None and not isinstance(query.selection, All):
        mask = evaluate(build, query.selection)
    return planner.run(build, query, mask)
