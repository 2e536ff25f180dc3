"""From the page's state to the question that its gallery asks."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from atlas import Atlas, Query
from atlas.catalog.anomalies import DEFAULT, detector_of
from atlas.catalog.mixtures import mixable
from atlas.page_link import VARIETY
from atlas.queries.ranking import (
    ByColumn,
    ByDetectors,
    ByLabels,
    Ranking,
    Shuffled,
    Similar,
    SimilarToGroup,
    Typical,
    canonical_ranking,
)
from atlas.queries.selection import All, And, Cluster, Not, Selection
from atlas.queries.spacing import Spacing

from ..state.page_state import DETECTED, DetectorMixture, Galaxy, State, Teaching, active, is_narrowed
from .galaxies import row_of


class Question(msgspec.Struct, frozen=True):
    """Question of the gallery.

    Attributes
    ----------
    query : Query or None
        None where there is nothing to be similar to: the page shows its doors.
    gone : tuple of Galaxy
        Examples that this build of the atlas does not have; shown, and left out of the search.
    like : Similar or None
        What similarity is measured to, whatever orders the list; None where there is no example.
    """

    query: Query | None
    gone: tuple[Galaxy, ...] = ()
    like: Similar | None = None


def question_of(atlas: Atlas, state: State) -> Question:
    """The query of a state in an atlas."""
    found = {one: row_of(atlas, one) for one in (*state.wanted, *state.unwanted)}
    gone = tuple(one for one, row in found.items() if row is None)
    wanted = tuple(row for one in state.wanted if (row := found[one]) is not None)
    unwanted = tuple(row for one in state.unwanted if (row := found[one]) is not None)
    if not wanted and not unwanted and state.group is None and state.focus is not None:
        row = row_of(atlas, state.focus)
        wanted, gone = ((row,), gone) if row is not None else ((), (*gone, state.focus))
    like = Similar(wanted, unwanted) if wanted or unwanted else None
    among = active(state) if state.within else All()
    if state.group is not None:
        like = SimilarToGroup(wanted, unwanted, group=state.group)
        among = And((among, Not(state.group)))
    ranking = _ranking(atlas, state, like)
    if ranking is None:
        return Question(None, gone, like)
    query = Query(
        space=atlas.default_space,
        ranking=ranking,
        selection=among,
        exact=state.exact,
        limit=state.shown,
        spacing=_spacing(state, like),
    )
    return Question(query, gone, like)


def by_labels_of(teaching: Teaching) -> ByLabels:
    """The ranking that labels teach."""
    return ByLabels(teaching.wanted, teaching.mode, teaching.revision)


def mixed_ranking(atlas: Atlas, mixture: DetectorMixture) -> Ranking:
    """The ranking of a mixture, of those detectors that the atlas has; its default where it has none of them."""
    columns = atlas.columns(atlas.default_space)
    known = tuple(name for name in mixable(columns) if name in mixture.detectors)
    ranking = ByDetectors(known, mixture.by) if known else ByColumn(detector_of(DEFAULT, columns))
    return canonical_ranking(ranking)


def _is_cluster_of(atlas: Atlas, selection: Selection) -> bool:
    """Whether a cluster is selected, one of the space that is asked: others have no middle there."""
    return isinstance(selection, Cluster) and selection.label >= 0 and selection.space == atlas.default_space


def _spacing(state: State, like: Similar | None) -> Spacing | None:
    """Spacing of the gallery; None where neither twins are hidden nor variety is asked for."""
    variety = VARIETY if state.order == "varied" and like is not None else 0.0
    return Spacing(state.apart_arcsec, variety) if state.apart_arcsec or variety else None


def _ranking(atlas: Atlas, state: State, like: Similar | None) -> Ranking | None:
    match state.order:
        case order if order in DETECTED:
            return ByColumn(detector_of(order, atlas.columns(atlas.default_space)))
        case "mixed" if state.mixture is not None:
            return mixed_ranking(atlas, state.mixture)
        case "typical" if _is_cluster_of(atlas, state.selection):
            assert isinstance(state.selection, Cluster)
            return Typical(state.selection.label)
        case "labels" if state.teaching is not None:
            return by_labels_of(state.teaching)
        case "random" | "typical":
            return Shuffled()
        case _ if like is not None:
            return replace(like, least=state.order == "least")
        case _ if is_narrowed(state):
            # A selection without a galaxy to compare with: a fair sample of it.
            return Shuffled()
    return None
