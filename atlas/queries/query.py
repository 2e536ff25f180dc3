"""A question and its answer: `Query = space + selection + ranking + policy + page`, `Result = rows + how sure`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.queries import ranking as rankings
from atlas.queries import selection as selections
from atlas.queries.ranking import Ranking, Similar
from atlas.queries.selection import All, Selection
from atlas.queries.spacing import Spacing
from atlas.search.quality import Recall
from atlas.storage.manifest import Name

MAX_LIMIT = 10_000
Method = Literal["index", "exact", "exact on the selection", "column order"]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Question: galaxies in an order.

    Attributes
    ----------
    space : str
        Embedding space that is searched.
    selection : Selection
        Which galaxies may appear.
    ranking : Ranking
        In what order.
    exact : bool
        True asks for the exact answer, whatever it costs.
    with_examples : bool
        Whether a ranking's own examples may appear in the answer.
    offset, limit : int
        The page.
    spacing : Spacing or None
        Whether near twins are left out, and how varied the answer is.
    """

    space: Name
    ranking: Ranking
    selection: Selection = All()
    exact: bool = False
    with_examples: bool = False
    offset: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 100
    spacing: Spacing | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query.

    Attributes
    ----------
    rows : ndarray of shape (m,), uint32
        Best first; ties in order of row.
    scores : ndarray of shape (m,), float32
        Inner products for similarity, values for a column; NaN for a shuffled order.
    total : int
        Rows that the selection holds (less the examples left out).
    method : str
        How the answer was found; all but "index" are exact.
    recall : Recall or None
        What this kind of query measured against exact search; None when exact or not measured.
    elapsed_ms : float
        Time that the query took when it ran.
    hidden : int
        Near twins that were left out on the way to the last of `rows`.
    receipt : str
        Short hash of the query, the build and the search settings: the same receipt means the same question.
    """

    rows: NDArray[np.uint32]
    scores: NDArray[np.float32]
    total: int
    method: Method
    recall: Recall | None
    elapsed_ms: float
    receipt: str
    hidden: int = 0

    @property
    def exact(self) -> bool:
        """Whether no better row can exist."""
        return self.method != "index"


def canonical_query(query: Query, form: Callable[[Selection], Selection] = selections.canonical) -> Query:
    """The one form of equal queries; `form` makes that of selections."""
    ranking = rankings.canonical_ranking(query.ranking, form)
    spacing = None if query.spacing == Spacing() else query.spacing
    return msgspec.structs.replace(query, spacing=spacing, selection=form(query.selection), ranking=ranking)


def examples_of(query: Query) -> tuple[int, ...]:
    """Rows that must not appear in the answer."""
    if query.with_examples or not isinstance(query.ranking, Similar):
        return ()
    return query.ranking.examples


def receipt(build_id: str, query: Query, settings: dict[str, Any]) -> str:
    """Eight hexadecimal digits that name the question of a canonical query."""
    body = msgspec.json.encode([build_id, query, settings], order="deterministic")
    # Without spacing a question has the name that it had before there was any.
    return hashlib.sha256(body.replace(b',"spacing":null', b"", 1)).hexdigest()[:8]
