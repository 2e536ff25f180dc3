"""Galaxies that were looked for or clicked, and those that are examples of what is sought."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from atlas import Atlas
from atlas.errors import InputError
from atlas.queries.region_text import LONGEST_REGION, names_region, read_region
from atlas.queries.selection import Cone, Row
from atlas.queries.sky_extent import circle_of
from atlas.storage.layout import SEEN

from ..service.atlas_service import Service
from ..service.galaxies import find, galaxy, positions, random_row
from ..settings import Settings
from ..state.page_state import SIMILARITY, Galaxy, Order, SkyView, State, Viewport, active
from ..state.viewports import frame, reveal, reveal_on_map
from .event import BrowserEvent, Event, PlainEvent
from .selections import outlined

Build = Annotated[str, msgspec.Meta(pattern=f"^{SEEN}$")]
MOST_TIMES = 3
"""As often as one example may count."""

GalaxyId = Annotated[str, msgspec.Meta(max_length=200)]


class Find(BrowserEvent, frozen=True):
    """Something was typed into the query bar."""

    text: str

    def check(self, settings: Settings) -> None:
        """See `BrowserEvent.check`."""
        if len(self.text) > (
            most := max(settings.max_text, LONGEST_REGION) if names_region(self.text) else settings.max_text
        ):
            raise InputError(f"a position or id has at most {most} characters")

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`; the sky moves to it, closer than to what was clicked."""
        atlas = service.atlas
        if (region := read_region(self.text)) is not None:
            return outlined(service, state, region.selection, read_as=region.read_as)
        found = find(atlas, self.text, service.settings, service.names)
        chosen = _focus(atlas, state, found.row)
        around = found.around
        cone = None if around is None else circle_of(around)
        look = state.sky_look
        if cone is None:
            view = reveal(atlas, state.sky, chosen.galaxy, closer=True, look=look)
        else:
            view = frame(atlas, cone, look)
        return replace(chosen, sky_view=view, around=around, words=found.words)


class Pick(BrowserEvent, frozen=True):
    """A galaxy was clicked: a row, and the build that the browser believes in."""

    row: Row
    build: Build

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        atlas = service.atlas
        if self.build.partition(".")[0] != atlas.manifest.build_id:  # rows are the same in all spaces
            raise InputError("the atlas was built anew since this page was loaded; reload the page")
        if self.row >= atlas.n_rows:
            raise InputError(f"row {self.row} does not exist: this atlas has {atlas.n_rows:,} rows")
        return _focus(atlas, state, self.row)


class PickId(BrowserEvent, frozen=True):
    """A galaxy was chosen by its id (an example's chip)."""

    id: GalaxyId

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return _focus(service.atlas, state, service.atlas.identity.row(self.id))


class RandomGalaxy(BrowserEvent, frozen=True, tag="random"):
    """Any galaxy, of the selection if there is one."""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return _focus(service.atlas, state, random_row(service.atlas, service.mask(active(state))))


class Focus(Event, frozen=True):
    """A galaxy was chosen. `map_box` and `sky_view` are new viewports where it lies outside the old ones.

    `around` is a part of the sky that was asked for with it; `words` say how what was typed was understood.
    """

    galaxy: Galaxy
    map_box: Viewport | None = None
    sky_view: SkyView | None = None
    around: Cone | None = None
    words: str = ""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        selected = {} if self.around is None else {"selection": self.around, "within": True}
        return replace(
            state,
            focus=self.galaxy,
            order=_by_similarity(state),
            map=self.map_box or state.map,
            sky=self.sky_view or state.sky,
            drawer="",
            **selected,
        )


class Mark(BrowserEvent, frozen=True):
    """A galaxy was made an example, or stopped being one."""

    id: GalaxyId
    sign: Literal[-1, 0, 1]

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        atlas, most = service.atlas, service.settings.max_examples
        known = {one.id: one for one in (*state.wanted, *state.unwanted)}
        if self.sign and self.id not in known and len(known) >= most:
            raise InputError(f"a search takes at most {most} examples")
        return Example(known.get(self.id) or galaxy(atlas, atlas.identity.row(self.id)), self.sign)


class Example(Event, frozen=True):
    """A galaxy became a wanted (+1) or unwanted (−1) example, or stopped being one (0)."""

    galaxy: Galaxy
    sign: Literal[-1, 0, 1]

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        one = self.galaxy
        # Marked in a list of what is like the galaxy in the details, it stands beside that one, not in its place.
        alone = self.sign and not (state.wanted or state.unwanted or state.group) and state.order in SIMILARITY
        first = (state.focus,) if alone and state.focus is not None and state.focus.id != one.id else ()
        wanted = first + tuple(g for g in state.wanted if g.id != one.id) + ((one,) if self.sign > 0 else ())
        unwanted = tuple(g for g in state.unwanted if g.id != one.id) + ((one,) if self.sign < 0 else ())
        return replace(state, wanted=wanted, unwanted=unwanted, order=_by_similarity(state))


class Weigh(BrowserEvent, frozen=True):
    """It was said how often an example counts."""

    id: GalaxyId
    times: Annotated[int, msgspec.Meta(ge=1, le=MOST_TIMES)]

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        others = sum(one.id != self.id for one in (*state.wanted, *state.unwanted))
        if others + self.times > (most := service.settings.max_examples):
            raise InputError(f"examples may count {most} times together")
        return Weighed(self.id, self.times)


class Weighed(Event, frozen=True):
    """An example counts so many times."""

    id: GalaxyId
    times: int

    def apply(self, state: State) -> State:
        """See `Event.apply`; what is no example stays none."""
        wanted, unwanted = (
            tuple(one for g in dict.fromkeys(of) for one in [g] * (self.times if g.id == self.id else of.count(g)))
            for of in (state.wanted, state.unwanted)
        )
        return replace(state, wanted=wanted, unwanted=unwanted)


class ClearExamples(PlainEvent, frozen=True):
    """All examples were dropped."""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, wanted=(), unwanted=(), group=None)


class Compare(PlainEvent, frozen=True):
    """The galaxy of the details stays there, beside whichever is chosen next; or no more."""

    take: bool

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, beside=state.focus if self.take else None)


SENT = (Find, Pick, PickId, RandomGalaxy, Mark, Weigh, ClearExamples, Compare)


def _by_similarity(state: State) -> Order:
    """The order after a galaxy was chosen: from a list ordered otherwise, that asks for what is like it."""
    return state.order if state.order in SIMILARITY else "most"


def _focus(atlas: Atlas, state: State, row: int) -> Focus:
    one = galaxy(atlas, row)
    x, y = (float(v[0]) for v in positions(atlas, state.axes, np.array([row])))
    return Focus(one, reveal_on_map(state.map, x, y), reveal(atlas, state.sky, one, closer=False, look=state.sky_look))
