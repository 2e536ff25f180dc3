"""Labels teach an order."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from atlas.queries.ranking import LabelMode

from ..service.atlas_service import Service
from ..service.teaching import teaching_of
from ..state.page_state import State, SubsetName, Table, Teaching
from .event import BrowserEvent, Event


class Teach(BrowserEvent, frozen=True):
    """The gallery is to be ordered by the labels that are there now; what is left out stays as it is."""

    wanted: Annotated[tuple[SubsetName, ...], msgspec.Meta(max_length=64)] = ()
    mode: LabelMode | None = None

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return LabelsTeach(teaching_of(service, state.teaching, self.wanted, self.mode))


class LabelsTeach(Event, frozen=True):
    """Labels of a revision order the gallery."""

    teaching: Teaching

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, teaching=self.teaching, order="labels", table=Table(state.table.columns))


SENT = (Teach,)
