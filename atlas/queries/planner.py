"""Planner of queries: the cheapest way that keeps its promise, chosen by what the selection holds.

A ranking by inner product runs
    without a selection     on the index, at the cheapest setting that measured the wanted recall; further until the
                            answer is settled where one query differs from the next (`atlas.search.settled`)
    ≤ 200,000 selected      exactly, on the selected rows alone
    more                    on the index, fetching 4,000, 16,000, 64,000 candidates until enough of them are selected;
                            if still too few are, exactly over all selected rows
ScaNN has no filter of its own, hence the last two. An order by labels scores all that may appear; a column's order is
read off the column, and that of several detectors off theirs.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.mixtures import MixedColumn
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.planes.sampling import row_hash
from atlas.queries import by_labels
from atlas.queries.by_labels import top_by_labels
from atlas.queries.by_value import top_of_column, top_of_mixture
from atlas.queries.feedback import LOSS, embedding_of_examples
from atlas.queries.group import group_embedding
from atlas.queries.query import MAX_LIMIT, Method, Query, Result, examples_of, receipt
from atlas.queries.ranking import (
    ByColumn,
    ByDetectors,
    ByLabels,
    Given,
    Ranking,
    Shuffled,
    Similar,
    SimilarToGroup,
    Typical,
    query_kind,
)
from atlas.queries.selection_mask import evaluate
from atlas.queries.spacing import VARIED_FROM, Spacing, apart, varied
from atlas.search.approximate import candidate_rows
from atlas.search.exact import top_k_exact, top_k_of_blocks
from atlas.search.index import SearchSetting
from atlas.search.quality import Recall, choose_setting
from atlas.search.settled import search_as
from atlas.space import OpenSpace
from atlas.storage import layout
from atlas.storage.scattered_rows import read_rows

SUBSET_ROWS = 200_000
OVER_FETCH = (4_000, 16_000, 64_000)
INDEX_LIMIT = 1_000
WANTED_RECALL = 0.99
SETTINGS = {"recall": WANTED_RECALL, "unwanted_loss": LOSS}
"""What every answer depends on besides the build and the query."""

Ranked = tuple[NDArray[Any], NDArray[np.float32], Method, Recall | None]


def run(atlas: OpenBuild, query: Query, mask: Mask | None) -> Result:
    """Answer a query.

    Parameters
    ----------
    atlas : OpenBuild
        The build that is asked.
    query : Query
        The question, canonical.
    mask : Mask or None
        Rows of `query.selection`; None stands for all.

    Raises
    ------
    InputError
        If the query names rows, columns or clusters that the atlas does not have.
    """
    return _found(atlas, query, mask) if query.spacing is None else _spaced(atlas, query, query.spacing, mask)


def settings_of(query: Query) -> dict[str, Any]:
    """Everything that an answer depends on besides query and build: `SETTINGS`, and the version of the order by labels
    where a query asks for it."""
    return SETTINGS | ({"label_order": by_labels.VERSION} if isinstance(query.ranking, ByLabels) else {})


def _spaced(atlas: OpenBuild, query: Query, spacing: Spacing, mask: Mask | None) -> Result:
    """The answer without near twins, or with variety: from a longer list, until enough of it is left."""
    if spacing.variety and isinstance(query.ranking, ByColumn | ByDetectors | Shuffled):
        raise InputError("variety is among galaxies that are similar to examples: choose some first")
    started = time.perf_counter()
    end = query.offset + query.limit
    size = VARIED_FROM if spacing.variety else 2 * end + 64
    columns, examples = atlas.columns(), np.asarray(examples_of(query), dtype=np.int64)
    while True:
        size = min(max(size, end), MAX_LIMIT)
        found = _found(atlas, replace(query, spacing=None, offset=0, limit=size), mask)
        kept, most = np.arange(found.rows.size), size if spacing.variety else end
        if spacing.apart_arcsec:
            rows = np.concatenate([examples, found.rows])
            ra, dec = (columns.array(name)[rows] for name in (layout.RA, layout.DEC))
            kept = apart(ra, dec, spacing.apart_arcsec, most, before=examples.size)
        if spacing.variety or kept.size >= end or found.rows.size < size or size == MAX_LIMIT:
            break
        size *= 4
    looked = int(kept[-1]) + 1 if kept.size == most else found.rows.size
    hidden = looked - kept.size
    if spacing.variety:
        sign = -1 if isinstance(query.ranking, Similar) and query.ranking.least else 1
        embeddings = atlas.space(query.space).embeddings
        kept = kept[varied(embeddings, found.rows[kept], sign * found.scores[kept], spacing.variety, end)]
    page = kept[query.offset : end]
    return replace(
        found,
        rows=found.rows[page],
        scores=found.scores[page],
        hidden=hidden,
        elapsed_ms=(time.perf_counter() - started) * 1e3,
        receipt=receipt(atlas.build_id, query, settings_of(query)),
    )


def _found(atlas: OpenBuild, query: Query, mask: Mask | None) -> Result:
    started = time.perf_counter()
    skip = tuple(set(examples_of(query)))
    total = atlas.n_rows if mask is None else mask.count
    total -= sum(1 for row in skip if row < atlas.n_rows and (mask is None or row in mask))
    wanted = query.offset + query.limit
    match query.ranking:
        case ByColumn(column, descending):
            values = atlas.columns(query.space).number(column)
            rows, scores = top_of_column(values, wanted, descending=descending, mask=mask)
            ranked: Ranked = rows, scores, "column order", None
        case ByDetectors(detectors, by):
            mixed = MixedColumn(atlas.columns(query.space), detectors, by)
            ranked = *top_of_mixture(mixed, wanted, mask), "column order", None
        case Shuffled(seed):
            rows = _shuffled(atlas.n_rows, seed, wanted, mask)
            ranked = rows, np.full(rows.size, np.nan, dtype=np.float32), "column order", None
        case ByLabels() as ranking:
            rows, scores = top_by_labels(
                atlas, ranking, atlas.space(query.space), wanted, mask, with_labelled=query.with_examples
            )
            ranked = rows, scores, "exact" if mask is None else "exact on the selection", None
        case _:
            ranked = _by_inner_product(atlas, query, wanted, mask, skip)
    rows, scores, method, recall = ranked
    if isinstance(query.ranking, Similar) and query.ranking.least:
        scores = -scores  # searched from the far side; told as the similarity that it is
    page = slice(query.offset, query.offset + query.limit)
    return Result(
        rows=rows[page].astype(np.uint32),
        scores=scores[page].astype(np.float32),
        total=max(0, total),
        method=method,
        recall=recall,
        elapsed_ms=(time.perf_counter() - started) * 1e3,
        receipt=receipt(atlas.build_id, query, settings_of(query)),
    )


def needs_index(query: Query, mask: Mask | None) -> bool:
    """Whether the neighbour index has to answer a query; everything else is answered without it.

    Parameters
    ----------
    query : Query
    mask : Mask or None
        Rows of `query.selection`; None stands for all.
    """
    if query.spacing is not None and query.spacing.variety:
        return False  # it takes more candidates than an index is asked for
    if isinstance(query.ranking, ByColumn | ByDetectors | Shuffled | ByLabels) or (
        mask is not None and mask.count <= SUBSET_ROWS
    ):
        return False
    return not query.exact and query.offset + query.limit <= INDEX_LIMIT


def embedding_of(atlas: OpenBuild, space: OpenSpace, ranking: Ranking) -> NDArray[np.float32]:
    """The unit embedding whose inner products a ranking orders by.

    Raises
    ------
    InputError
        If an example does not exist or is both wanted and unwanted, there is none, they cancel, or a group is empty.
    """
    match ranking:
        case Similar(wanted, unwanted, least):
            for row in ranking.examples:
                if row >= space.n_rows:
                    raise InputError(f"row {row} does not exist: this atlas has {space.n_rows:,} rows")
            if both := set(wanted) & set(unwanted):
                raise InputError(f"row {min(both)} is both wanted and unwanted: it can be one of them")
            good, bad = space.embeddings[list(wanted)], space.embeddings[list(unwanted)]
            if isinstance(ranking, SimilarToGroup):
                group = evaluate(atlas, ranking.group)
                good = np.concatenate([group_embedding(space, group)[None], good])
            q = embedding_of_examples(good, bad)
            return -q if least else q
        case Typical(cluster):
            q = np.asarray(space.cluster(cluster).centroid, dtype=np.float32)
        case Given(embedding):
            if len(embedding) != space.dimension:
                raise InputError(
                    f"an embedding of space {space.name!r} has {space.dimension} numbers, {len(embedding)} were given"
                )
            q = np.asarray(embedding, dtype=np.float32)
        case _:
            raise TypeError(f"{type(ranking).__name__} is not an inner product")
    norm = float(np.linalg.norm(q))
    if not norm > 1e-6:
        raise InputError("this embedding has no length: nothing is like it")
    return (q / np.float32(norm)).astype(np.float32)


def _shuffled(n_rows: int, seed: int, k: int, mask: Mask | None) -> NDArray[np.int64]:
    rows = np.arange(n_rows, dtype=np.uint32) if mask is None else mask.rows
    keys = row_hash(rows, seed)
    k = min(k, rows.size)
    if k == 0:
        return np.empty(0, dtype=np.int64)
    first = np.argpartition(keys, k - 1)[:k]
    return rows[first[np.argsort(keys[first])]].astype(np.int64)


def _by_inner_product(atlas: OpenBuild, query: Query, wanted: int, mask: Mask | None, skip: tuple[int, ...]) -> Ranked:
    space = atlas.space(query.space)
    q = embedding_of(atlas, space, query.ranking)
    embeddings = space.embeddings
    if mask is not None and (mask.count <= SUBSET_ROWS):
        rows, scores = top_k_exact(embeddings, q, wanted, rows=mask.rows, skip=skip)
        return rows, scores, "exact on the selection", None
    if not needs_index(query, mask) or space.index.name == "exact":
        dense = None if mask is None else mask.dense
        rows, scores = top_k_exact(embeddings, q, wanted, mask=dense, skip=skip)
        return rows, scores, "exact", None
    # Recall was measured without the examples, too: they are no part of an answer.
    kind = query_kind(query.ranking)
    setting, recall = choose_setting(space.quality, kind or "given", wanted, wanted=WANTED_RECALL)
    if mask is None:
        rows, scores = search_as(kind, space.index, embeddings, q, wanted, setting, skip=skip)
        return rows, scores, "index", recall
    return _over_fetch(space, q, wanted, mask, skip, setting)


def _over_fetch(
    space: OpenSpace, q: NDArray[np.float32], wanted: int, mask: Mask, skip: tuple[int, ...], setting: SearchSetting
) -> Ranked:
    enough = max(4 * wanted, wanted + 64)
    for candidates in OVER_FETCH:
        if candidates >= space.n_rows:
            break
        # Leaves grow with the candidates, or the tree rather than the limit decides how many come back.
        leaves = max(setting.leaves, round(setting.leaves * candidates / setting.candidates))
        found = candidate_rows(space.index, q, SearchSetting(leaves, candidates))
        found = np.setdiff1d(found, np.asarray(skip, dtype=np.int64))
        found = found[mask.dense[found]]
        # Isolated rows are candidates of every query: that some are selected says nothing of the query's own.
        if np.setdiff1d(found, space.index.isolated).size >= enough:
            picked = read_rows(space.embeddings, found)
            rows, scores = top_k_of_blocks([(found, picked)], q, wanted, np.empty(0, dtype=np.int64))
            return rows, scores, "index", None
    rows, scores = top_k_exact(space.embeddings, q, wanted, mask=mask.dense, skip=skip)
    return rows, scores, "exact", None
