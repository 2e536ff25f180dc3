"""Bases of what can happen to the page.

A browser sends a `BrowserEvent`, which speaks of rows and words of the build that is open. It resolves to an `Event`,
which stands on its own (a galaxy with its id and position, not a row that the next build gives to another) and says
what becomes of the state, without an atlas. Where both say the same, a `PlainEvent` is both.
"""

from __future__ import annotations

import msgspec

from ..service.atlas_service import Service
from ..settings import Settings
from ..state.page_state import State


class Event(msgspec.Struct, frozen=True):
    """Base of all events."""

    def apply(self, state: State) -> State:
        """The state after this event; pure."""
        raise NotImplementedError


class BrowserEvent(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower, forbid_unknown_fields=True):
    """Base of what a browser may send: types and limits of its fields are checked as it is read."""

    def check(self, settings: Settings) -> None:
        """Refuse what is beyond the limits of the settings.

        Raises
        ------
        InputError
            If something is.
        """

    def resolve(self, service: Service, state: State) -> Event:
        """The event that this stands for, in the atlas that is open.

        Raises
        ------
        InputError
            If it names a galaxy, cluster or column that the atlas does not have, or a position with nothing near.
        """
        raise NotImplementedError


class PlainEvent(BrowserEvent, Event, frozen=True):
    """Base of events that a browser sends as they are."""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return self
