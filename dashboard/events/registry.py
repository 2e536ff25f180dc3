"""All events: what a browser may send, and what becomes of the state."""

from __future__ import annotations

from typing import Any, Union

from msgspec.structs import replace

from atlas.queries.selection import Cluster

from ..state.page_state import SIMILARITY, State, has_examples, is_narrowed
from . import filters, galaxies, mixing, page, planes, scores, selections, subsets, teaching
from .event import Event
from .page import Open

FAMILIES = (page, galaxies, selections, scores, filters, subsets, planes, teaching, mixing)
SENT: Any = Union[tuple(kind for family in FAMILIES for kind in family.SENT)]  # noqa: UP007 - made of a tuple
"""Whatever a browser may send, told apart by `is`: as a type for msgspec."""


def reduce(state: State, event: Event) -> State:
    """The state after an event."""
    after = event.apply(state)
    # What was opened is not what the page held with something taken away.
    return _answerable(after if isinstance(event, Open) else state, after)


def _answerable(before: State, state: State) -> State:
    """A state whose order can be shown: a selection without a galaxy to be similar to is met by a sample of it, and
    that sample goes with the selection."""
    if state.order == "labels" and state.teaching is None:
        state = replace(state, order="most")  # no labels are named: a link that was made by hand
    if state.order == "mixed" and state.mixture is None:
        state = replace(state, order="most")  # likewise
    elif state.order != "mixed" and state.mixture is not None:
        state = replace(state, mixture=None)
    examples = has_examples(state)
    if state.order in SIMILARITY and not examples and is_narrowed(state):
        return replace(state, order="random")
    if state.order == "typical" and not isinstance(state.selection, Cluster):
        return replace(state, order="random" if is_narrowed(state) else "most")
    if state.order == "random" and not examples and is_narrowed(before) and not is_narrowed(state):
        return replace(state, order="most")
    return state
