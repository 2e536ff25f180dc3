"""Two answers beside each other: the page's question in another space, or one that was kept and the one of now.

Both are exact, so that what differs is no search's fault, and no index has to be in memory: a pass over the embeddings
of each space, as a job where that takes longer than a moment.
"""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.mixtures import MixedColumn
from atlas.queries.agreement import Agreement, ScoreOf, agreement
from atlas.queries.query import Query
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Shuffled, canonical_ranking
from atlas.queries.selection import All, Named

from ..jobs.job import Job, Run
from ..state.page_state import State
from .atlas_service import Service
from .gallery_query import question_of
from .result_list import scores_of

COMPARED = 100
"""Galaxies of each answer."""


class Answers(msgspec.Struct, frozen=True):
    """Rows of both answers, best first."""

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]


class TwoAnswers(msgspec.Struct, frozen=True):
    """Two answers.

    Attributes
    ----------
    a, b : ndarray, uint32
        Their rows, best first.
    agreement : Agreement
    """

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    agreement: Agreement


def two_answers(service: Service, a: State, b: State) -> TwoAnswers | Job:
    """The answers to the questions of two states, each in its space; the job while they are being found.

    What is selected of an earlier comparison narrows neither: it would be compared with itself.
    """
    asked = [_question(service, state) for state in (a, b)]

    def compute(run: Run) -> Answers:
        rows: list[NDArray[np.uint32]] = []
        for atlas, query in asked:
            run.progress(len(rows), len(asked))
            mask = None if isinstance(query.selection, All) else service.mask(query.selection, atlas)
            rows.append(atlas.run(query, mask).rows)
        return Answers(*rows)

    request = msgspec.json.encode([(atlas.build_id, query) for atlas, query in asked], order="deterministic").decode()
    found = service.later("comparison", request, compute, Answers, title="Two answers, compared exactly")
    if isinstance(found, Job):
        return found
    scores = [_score_of(service, *one) for one in asked]
    return TwoAnswers(found.a, found.b, agreement(found.a, found.b, *scores))


def asks(service: Service, state: State) -> bool:
    """Whether a state asks for an order that another answer can be compared with."""
    query = question_of(service.atlas, _whole(state)).query
    return query is not None and not isinstance(query.ranking, Shuffled)


def _whole(state: State) -> State:
    return replace(state, selection=All()) if isinstance(state.selection, Named) else state


def _question(service: Service, state: State) -> tuple[Atlas, Query]:
    atlas = service.atlas.seen_in(state.space)
    query = question_of(atlas, _whole(state)).query
    assert query is not None  # `asks` saw to it
    return atlas, service.pinned(replace(query, limit=COMPARED, exact=True))


def _score_of(service: Service, atlas: Atlas, query: Query) -> ScoreOf | None:
    ranking = query.ranking
    match ranking:
        case ByLabels() | Shuffled():
            return None
        case ByColumn(column, descending):
            values, sign = atlas.columns(query.space).array(column), np.float32(1 if descending else -1)
            return lambda rows: np.asarray(values[rows], dtype=np.float32) * sign
        case ByDetectors(detectors, by):
            return MixedColumn(atlas.columns(query.space), detectors, by).__getitem__
    return scores_of(atlas, canonical_ranking(ranking, service.canonical))
