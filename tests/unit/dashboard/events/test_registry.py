"""Every event can be sent, and says what becomes of the state."""

from __future__ import annotations

from typing import get_args

from dashboard.events.event import BrowserEvent, Event, PlainEvent
from dashboard.events.registry import SENT


def leaves(kind: type) -> set[type]:
    below = kind.__subclasses__()
    return {kind} if not below else set().union(*map(leaves, below))


def test_whatever_is_written_as_an_event_of_the_browser_may_be_sent() -> None:
    assert leaves(BrowserEvent) == set(get_args(SENT))


def test_every_event_says_what_becomes_of_the_state_and_every_other_what_it_stands_for() -> None:
    assert all(kind.apply is not Event.apply for kind in leaves(Event))
    assert all(kind.resolve is not BrowserEvent.resolve for kind in leaves(BrowserEvent))
    assert all(issubclass(kind, PlainEvent) or not issubclass(kind, Event) for kind in leaves(BrowserEvent))
