"""Several detectors of anomalies are mixed."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
from msgspec.structs import replace

from atlas.catalog.anomalies import DETECTORS
from atlas.catalog.mixtures import MixedBy, mixable
from atlas.errors import InputError, shorten
from atlas.storage.manifest import Name

from ..service.atlas_service import Service
from ..state.page_state import DetectorMixture, Mixable, State, Table
from .event import BrowserEvent, Event


class Mix(BrowserEvent, frozen=True):
    """The gallery is to be ordered by these detectors together; by one, where one is named."""

    detectors: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)]
    by: MixedBy = "highest"

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        known = mixable(service.atlas.columns(service.atlas.default_space))
        if not known:
            raise InputError("this atlas has no detectors that can be mixed")
        allowed = ", ".join(DETECTORS[name].title for name in known)
        for name in self.detectors:
            if name not in known:
                raise InputError(f"{shorten(name)!r} is no detector that can be mixed: tick some of {allowed}")
        if len(self.detectors) > len(known):
            raise InputError(f"{len(self.detectors)} detectors are named, and there are {len(known)}: {allowed}")
        if not self.detectors:
            raise InputError(f"no detector is ticked: tick one or more of {allowed}")
        ticked = tuple(name for name in known if name in self.detectors)
        return Mixed(cast("tuple[Mixable, ...]", ticked), self.by)


class Mixed(Event, frozen=True):
    """Detectors order the gallery: known ones, each once, in the order of menus."""

    detectors: tuple[Mixable, ...]
    by: MixedBy

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        unsorted = Table(state.table.columns)
        if len(self.detectors) == 1:
            return replace(state, order=self.detectors[0], mixture=None, table=unsorted)
        return replace(state, order="mixed", mixture=DetectorMixture(self.detectors, self.by), table=unsorted)


SENT = (Mix,)
