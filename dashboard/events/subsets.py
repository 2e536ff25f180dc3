"""Subsets: selections that are kept, each with a name and a colour."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.catalog.reserved_names import DENSITY, SUBSETS
from atlas.errors import InputError
from atlas.queries.selection import canonical

from ..state.page_state import MOST_SUBSETS, State, Subset, SubsetName, active, is_narrowed
from .event import PlainEvent
from .selections import taken


class Keep(PlainEvent, frozen=True):
    """Keep what is active as a subset."""

    name: SubsetName

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if len(state.subsets) >= MOST_SUBSETS:
            raise InputError(f"{MOST_SUBSETS} subsets can be kept: drop one first")
        if not is_narrowed(state):
            raise InputError("nothing is selected: draw a lasso or set a filter, then keep it")
        used = {one.color for one in state.subsets}
        color = next(i for i in range(MOST_SUBSETS) if i not in used)
        kept = Subset(self.name, canonical(active(state)), color)
        # Whoever keeps a subset wants to see it beside the others.
        shown = SUBSETS if state.color == DENSITY else state.color
        return replace(state, subsets=(*state.subsets, kept), color=shown)


class WithSubset(PlainEvent, frozen=True):
    """Something was done with a subset: the selection became it, or was joined with it, or it was changed itself."""

    at: Annotated[int, msgspec.Meta(ge=0, lt=MOST_SUBSETS)]
    do: Literal["select", "intersect", "unite", "subtract", "show", "drop", "rename"]
    name: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if self.at >= len(state.subsets):
            return state
        one = state.subsets[self.at]
        match self.do:
            case "select":
                # What was kept holds its filters too: the present ones would narrow it.
                return replace(state, selection=one.selection, filters=(), expression="", within=True)
            case "intersect" | "unite" | "subtract":
                return replace(state, selection=taken(state.selection, one.selection, self.do), within=True)
            case "show":
                return self._changed(state, replace(one, shown=not one.shown))
            case "rename" if self.name.strip():
                return self._changed(state, replace(one, name=self.name.strip()))
            case "drop":
                left = self._changed(state)
                blank = not left.subsets and state.color == SUBSETS
                return replace(left, color=DENSITY) if blank else left
        return state

    def _changed(self, state: State, *instead: Subset) -> State:
        before, after = state.subsets[: self.at], state.subsets[self.at + 1 :]
        return replace(state, subsets=(*before, *instead, *after))


SENT = (Keep, WithSubset)
