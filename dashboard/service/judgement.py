"""Judgement of an order as a whole: how the scores of all galaxies are spread, where known ones stand.

Both need a pass over every row, and are jobs (`Service.later`), kept by what they were asked of.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import Atlas, Query, Similar
from atlas.catalog.columns import QUANTILES
from atlas.errors import InputError
from atlas.queries.clumping import FEWEST as FEWEST_OF_REALITY
from atlas.queries.clumping import Reality, reality
from atlas.queries.planner import embedding_of
from atlas.queries.ranking import ByLabels, Shuffled
from atlas.queries.recovery import Recovery, recovery
from atlas.queries.selection import Alike, All, Collected, Labelled
from atlas.search.every_score import score_counts

from ..jobs.job import Job, Run
from ..state.page_state import State, active
from .atlas_service import Service
from .gallery_query import question_of
from .result_list import scores_of

LIKENESS_ROWS = 4_096


class Spread(msgspec.Struct, frozen=True):
    """Spread of similarity over the galaxies: counts of shape (`every_score.BINS`,), int64, from −1 to 1."""

    counts: NDArray[np.int64]


def alike(state: State, low: float | None, high: float | None) -> Alike:
    """The galaxies as similar to the page's examples as two bounds say.

    Raises
    ------
    InputError
        If there is nothing to be similar to.
    """
    wanted, unwanted = (tuple(one.id for one in of) for of in (state.wanted, state.unwanted))
    if not wanted and not unwanted and state.group is None:
        if state.focus is None:
            raise InputError("choose a galaxy first: there is nothing to be similar to")
        wanted = (state.focus.id,)
    return Alike(wanted, unwanted, state.group, low, high)


def spread_of(service: Service, state: State) -> Spread | Job | None:
    """Spread of the similarity of all galaxies to the page's examples; None where there is none."""
    atlas = service.atlas
    like = question_of(atlas, state).like
    if like is None:
        return None
    like = msgspec.structs.replace(like, least=False)
    query = service.pinned(Query(space=atlas.default_space, ranking=like))

    def compute(run: Run) -> Spread:
        space = atlas.space(query.space)
        q = embedding_of(atlas, space, query.ranking)
        return Spread(score_counts(space.embeddings, q, lambda done: run.progress(done, atlas.n_rows)))

    return service.later("scores", _text(query), compute, Spread, title=f"Similarity of {atlas.n_rows:,} galaxies")


def recovery_of(service: Service, state: State) -> Recovery | Job | None:
    """Places of the page's known objects in the order of its gallery; None where there is no order or none is known.

    Raises
    ------
    InputError
        If the atlas has no such collection.
    """
    atlas = service.atlas
    query = question_of(atlas, state).query
    if query is None or state.known is None or isinstance(query.ranking, Shuffled | ByLabels):
        return None
    query = service.pinned(msgspec.structs.replace(query, limit=1, exact=False, spacing=None))
    known = service.canonical(state.known)
    assert isinstance(known, Labelled | Collected)
    rows = known_rows(atlas, known)

    def compute(run: Run) -> Recovery:
        mask = None if isinstance(query.selection, All) else service.mask(query.selection, atlas)
        return recovery(atlas, query, rows, mask, lambda done: run.progress(done, atlas.n_rows))

    title = f"Ranks of {rows.size:,} known galaxies"
    return service.later("recovery", f"{_text(query)} {_text(known)}", compute, Recovery, title=title)


def reality_of(service: Service, state: State) -> Reality | Job | None:
    """Whether what is active follows how it was observed; None where too few galaxies are active to say.

    Raises
    ------
    InputError
        If none of those has others of its brightness.
    """
    atlas = service.atlas
    selection = service.canonical(active(state))
    mask = service.mask(selection, atlas)
    if mask is None or mask.count < FEWEST_OF_REALITY:
        return None
    title = f"Random selections beside {mask.count:,} galaxies"
    return service.later("reality", _text(selection), lambda _: reality(atlas, mask), Reality, title=title)


def known_rows(atlas: Atlas, known: Labelled | Collected) -> NDArray[np.int64]:
    """Rows of known objects that this build has, each once.

    Raises
    ------
    InputError
        If the atlas has no such collection.
    """
    if isinstance(known, Collected):
        rows = atlas.labelled.members(known.name, known.revision)
    else:
        rows = atlas.labelled.rows(known.labels, disputed=known.disputed, revision=known.revision)
    return np.unique(rows[rows >= 0]).astype(np.int64)


def likeness_quantiles(service: Service, like: Similar) -> tuple[float, ...]:
    """Quantiles of the similarity of all galaxies to examples, by a sample of them: what colours are spread over."""
    atlas = service.atlas
    query = service.pinned(Query(space=atlas.default_space, ranking=like))
    rows = np.unique(np.linspace(0, atlas.n_rows - 1, LIKENESS_ROWS).astype(np.uint32))

    def compute() -> list[float]:
        scores = scores_of(atlas, query.ranking)(rows)
        return [round(float(q), 4) for q in np.quantile(scores, QUANTILES)]

    return tuple(service.remembered("likeness", _text(query), compute))


def _text(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
