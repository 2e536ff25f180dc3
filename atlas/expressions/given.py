"""Words that people gave galaxies, named in conditions like columns of text: `label == "lens" & grade != "C"`.

    label         holds a word for each person who labelled the galaxy: == is true where one of them said so
    grade         likewise
    collection    the collections that the galaxy is in
    cluster_name  the names of the clusters that the galaxy is in, one a scale where it has one

As with columns, those without any are in neither == nor !=; `missing(label)` finds them. A column of the catalogue that
has such a name is meant in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.catalog.reserved_names import OF_PEOPLE
from atlas.errors import ExpressionError
from atlas.expressions.check import names
from atlas.expressions.tree import (
    Call,
    ColumnReference,
    Comparison,
    Evaluated,
    Junction,
    Membership,
    Negation,
    Node,
    WordLiteral,
)
from atlas.mask import Mask
from atlas.storage.manifest import Column

GivenRows = Mapping[str, Callable[[Callable[[str], bool]], Mask]]
"""By name: from what a word must be to the galaxies that were given such a one."""


@lru_cache(maxsize=256)
def asks_people(text: str) -> bool:
    """Whether what an expression holds may depend on labels, collections or names of clusters."""
    try:
        return not set(OF_PEOPLE).isdisjoint(names(text))
    except ExpressionError:
        return False


class WithGiven(Columns):
    """Columns, and beside them what people gave.

    Parameters
    ----------
    columns : Columns
    words : callable
        The words given so far under a name, to choose from.
    """

    def __init__(self, columns: Columns, words: Callable[[str], list[str]]) -> None:
        self._columns = columns
        self._words = words
        free = (name for name in OF_PEOPLE if name not in columns)
        self._given = {name: Column(name=name, file="", dtype="S40", kind="text") for name in free}

    def __iter__(self) -> Iterator[Column]:
        return iter((*self._columns, *self._given.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._given or name in self._columns

    def describe(self, name: str) -> Column:
        return self._given.get(name) or self._columns.describe(name)

    def array(self, name: str) -> NDArray[Any]:
        """As of `Columns`; of what people gave, each word once."""
        if name not in self._given:
            return self._columns.array(name)
        return np.array([word.encode() for word in self._words(name)], dtype=np.bytes_)


def with_given_evaluated(condition: Node, columns: Columns, given: GivenRows) -> Node:
    """A condition with its parts on what people gave worked out: those are few galaxies, and no pass over the rows."""
    match condition:
        case Junction(_, operands):
            return replace(condition, operands=tuple(with_given_evaluated(one, columns, given) for one in operands))
        case Negation(of):
            return replace(condition, of=with_given_evaluated(of, columns, given))
        case Comparison(
            (operator,), (ColumnReference(name), WordLiteral(word)) | (WordLiteral(word), ColumnReference(name))
        ) if _is_given(name, columns):
            return _evaluated(condition, _among(given[name], {word}, operator == "!="))
        case Membership(ColumnReference(name), options, negated) if _is_given(name, columns):
            words = {option.text for option in options if isinstance(option, WordLiteral)}
            return _evaluated(condition, _among(given[name], words, negated))
        case Call("contains", (ColumnReference(name), WordLiteral(word))) if _is_given(name, columns):
            return _evaluated(condition, given[name](lambda one: word.lower() in one.lower()))
        case Call("missing", (ColumnReference(name),)) if _is_given(name, columns):
            return _evaluated(condition, ~given[name](bool))
    return condition


def _is_given(name: str, columns: Columns) -> bool:
    return name in OF_PEOPLE and name not in columns


def _among(rows: Callable[[Callable[[str], bool]], Mask], words: set[str], negated: bool) -> Mask:
    among = rows(lambda word: word in words)
    return rows(bool) & ~among if negated else among


def _evaluated(node: Node, mask: Mask) -> Evaluated:
    return Evaluated(mask.packed, start=node.start, end=node.end)
