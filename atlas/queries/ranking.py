"""In what order: values that say how to rank galaxies, and how each ranking can run.

    Similar(wanted, unwanted, least)    like these examples and unlike those          inner_product
    SimilarToGroup(group, wanted, …)    and like all that a selection holds           inner_product
    Typical(cluster)                    most like the middle of a cluster             inner_product
    Given(embedding)                    most like an embedding from outside           inner_product
    ByColumn(column, descending)        by a value, missing last                      column
    ByDetectors(detectors, mixed_by)    by several detectors of anomalies at once     column
    Shuffled(seed)                      random, the same for the same seed            column
    ByLabels(wanted, mode, revision)    as labels teach (`atlas.queries.by_labels`)   scan

`inner_product`: one embedding q; the order is that of the inner product with q, so the neighbour index can find the
top. `column`: one value a row. `scan`: a score that needs every row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.catalog.anomalies import PERCENTILES
from atlas.catalog.mixtures import MixedBy
from atlas.queries import selection as selections
from atlas.queries.feedback import weighted_examples
from atlas.queries.selection import Row, Selection
from atlas.storage.manifest import Name

QueryKind = Literal["row", "least similar", "examples", "cluster", "given"]
LabelMode = Literal["like", "uncertain", "unlike"]


class _Ranking(msgspec.Struct, frozen=True, tag_field="by", tag=str.lower, forbid_unknown_fields=True):
    """Base of all rankings."""


class Similar(_Ranking, frozen=True):
    """Similarity to examples: to the mean embedding of the wanted, turned away from the unwanted
    (`atlas.queries.feedback`).

    With one wanted example the score is the cosine similarity to it. One that is named several times counts as often.
    `least` turns the order round.
    """

    wanted: Annotated[tuple[Row, ...], msgspec.Meta(max_length=1000)]
    unwanted: Annotated[tuple[Row, ...], msgspec.Meta(max_length=1000)] = ()
    least: bool = False

    @property
    def examples(self) -> tuple[int, ...]:
        """All rows that the ranking is made from, each once."""
        return tuple(dict.fromkeys((*self.wanted, *self.unwanted)))


class SimilarToGroup(Similar, frozen=True, kw_only=True):
    """Similarity to examples of which one is the mean embedding of all that a selection holds.

    Its galaxies may be in the answer; a query leaves them out by its own selection.
    """

    group: Selection


class Typical(_Ranking, frozen=True):
    """Similarity to the mean embedding of a cluster."""

    cluster: Annotated[int, msgspec.Meta(ge=0, lt=2**15)]


class Given(_Ranking, frozen=True):
    """Similarity to an embedding that is given in numbers."""

    embedding: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=4096)]


class ByColumn(_Ranking, frozen=True):
    """By a column's value."""

    column: Name
    descending: bool = True


class ByDetectors(_Ranking, frozen=True):
    """By several detectors of anomalies at once (`atlas.catalog.mixtures`): the oddest first, unknown last.

    Attributes
    ----------
    detectors : tuple of str
        Columns whose percentiles are mixed.
    mixed_by : str
        How: by the highest of them, or by their mean.
    """

    detectors: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=len(PERCENTILES))]
    mixed_by: MixedBy = "highest"


class Shuffled(_Ranking, frozen=True):
    """A random order that the seed fixes."""

    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0


class ByLabels(_Ranking, frozen=True):
    """As labels teach: like the galaxies that have a wanted label, unlike all others that are labelled, and odd.

    Attributes
    ----------
    wanted : tuple of str
        Labels that are wanted.
    mode : str
        What is looked for: more like these, what is most uncertain, or what is unlike all that is labelled.
    revision : int
        Of the labels; 0 stands for now.
    oddness : float
        How much the oddness for its brightness counts beside likeness; 0 leaves it out.
    """

    wanted: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=40)], ...], msgspec.Meta(min_length=1, max_length=64)
    ]
    mode: LabelMode = "like"
    revision: selections.Revision = 0
    oddness: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.8


Ranking = Similar | SimilarToGroup | Typical | Given | ByColumn | ByDetectors | Shuffled | ByLabels


def query_kind(ranking: Ranking) -> QueryKind | None:
    """The kind of query that recall is measured for; None where a ranking is exact by construction."""
    match ranking:
        case SimilarToGroup():
            return None if ranking.least else "examples"
        case Similar((_,), (), least):
            return "least similar" if least else "row"
        case Similar(_, _, False):
            return "examples"
        case Typical():
            return "cluster"
        case Given():
            return "given"
        case _:
            return None


def canonical_ranking(ranking: Ranking, form: Callable[[Selection], Selection] = selections.canonical) -> Ranking:
    """The one form of equal rankings: examples as `weighted_examples` has them; `form` makes that of a group.

    Detectors are in one order, each once; one alone is the order of its column.
    """
    if isinstance(ranking, Similar):
        alone = not isinstance(ranking, SimilarToGroup)
        wanted, unwanted = weighted_examples(ranking.wanted, ranking.unwanted, alone=alone)
        ranking = replace(ranking, wanted=wanted, unwanted=unwanted)
    if isinstance(ranking, ByDetectors):
        detectors = tuple(sorted(set(ranking.detectors)))
        alone = len(detectors) == 1 and detectors[0] in PERCENTILES
        ranking = ByColumn(detectors[0]) if alone else replace(ranking, detectors=detectors)
    if isinstance(ranking, ByLabels):
        ranking = replace(ranking, wanted=tuple(sorted(set(ranking.wanted))))
    if isinstance(ranking, SimilarToGroup):
        ranking = replace(ranking, group=form(ranking.group))
    return ranking
