"""Events about the scores of all galaxies: a threshold to select by, known objects to judge an order by."""

from __future__ import annotations

from msgspec.structs import replace

from atlas.catalog.numbers import parse_number
from atlas.errors import InputError
from atlas.queries.selection import Alike, All, Collected, Labelled, canonical

from ..service.atlas_service import Service
from ..service.judgement import alike
from ..state.page_state import State
from .event import BrowserEvent, Event, PlainEvent
from .filters import Typed


class AlikeBetween(BrowserEvent, frozen=True, tag="alike"):
    """A range of similarity was chosen, as a number or as it was typed; nothing at all drops it."""

    low: float | Typed | None = None
    high: float | Typed | None = None

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        low, high = (_similarity(bound) for bound in (self.low, self.high))
        if low is None and high is None:
            return SelectAlike(None)
        found = canonical(alike(state, low, high))
        assert isinstance(found, Alike)
        return SelectAlike(found)


class SelectAlike(Event, frozen=True):
    """Galaxies of some similarity to the examples were selected, or that was taken back (None)."""

    what: Alike | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if self.what is not None:
            return replace(state, selection=self.what, within=True)
        return replace(state, selection=All()) if isinstance(state.selection, Alike) else state


class Know(PlainEvent, frozen=True):
    """Galaxies with a label, or of a collection, are those that a search should find; None: none are."""

    what: Labelled | Collected | None

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`; a link names the revision of a collection that its maker saw."""
        if not isinstance(self.what, Collected):
            return self
        revision = service.labels.collection(self.what.name, self.what.revision).revision
        return Know(replace(self.what, revision=revision))

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, known=self.what, drawer=state.drawer if self.what is None else "scores")


SENT = (AlikeBetween, Know)


def _similarity(bound: float | str | None) -> float | None:
    value = parse_number(bound) if isinstance(bound, str) else bound
    if value is None:
        return None
    if not -1 <= value <= 1:
        raise InputError(f"a similarity lies between −1 and 1, not at {value:g}")
    return float(value)
