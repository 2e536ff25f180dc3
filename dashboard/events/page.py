"""The page itself: it is opened, its settings are changed, labels are kept beside it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from atlas import Atlas
from atlas.catalog.reserved_names import DENSITY
from atlas.errors import InputError
from atlas.storage.manifest import Name

from ..service.atlas_service import Service
from ..settings import Settings
from ..state import url as links
from ..state.coloring import LONGEST, column_of
from ..state.image_look import ImageLook
from ..state.page_state import (
    LOOKS,
    MOST_CAPTIONS,
    MOST_PINNED,
    Arcsec,
    ClusterOrder,
    ClusterScale,
    Drawer,
    Listing,
    Order,
    Paint,
    Panel,
    SpaceChoice,
    State,
    Table,
    question,
)
from ..state.shading import Shading
from ..state.viewports import are_numbers
from .event import BrowserEvent, Event, PlainEvent
from .teaching import Teach


class OpenToken(BrowserEvent, frozen=True, tag="open"):
    """The page was opened with this link, or went back to it."""

    token: str

    def check(self, settings: Settings) -> None:
        """See `BrowserEvent.check`."""
        if len(self.token) > settings.max_state_bytes:
            raise InputError(f"a link has at most {settings.max_state_bytes:,} characters; this one was not made here")

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        opened = links.from_link(self.token, service.kept)
        service.see(opened.space)
        opened = _known(service.atlas, opened)
        known = service.book.known()
        return Open(replace(opened, labels_at=known.revision, names_at=known.named_at))


class Open(Event, frozen=True):
    """The page was opened, or the browser went back or forth, with this state."""

    state: State

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return self.state


class LabelsChanged(BrowserEvent, frozen=True, tag="labels"):
    """Labels were kept since the page was drawn, by its visitor or by others."""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        known = service.book.known(fresh=True)
        return LabelsSeen(known.revision, known.named_at)


class LabelsSeen(Event, frozen=True):
    """Labels were changed: the page shows those of a revision, and the names of clusters that stood then."""

    revision: int
    named_at: int

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, labels_at=self.revision, names_at=self.named_at)


class Change(PlainEvent, frozen=True):
    """One of the plain settings was changed."""

    order: Order | None = None
    within: bool | None = None
    exact: bool | None = None
    apart_arcsec: Arcsec | None = None
    shown: Annotated[int, msgspec.Meta(ge=16, le=1000)] | None = None
    color: Annotated[str, msgspec.Meta(max_length=LONGEST)] | None = None
    paint: Paint | None = None
    shading: Shading | None = None
    listing: Listing | None = None
    sexagesimal: bool | None = None
    light: bool | None = None
    look: ImageLook | None = None
    pinned: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_PINNED)] | None = None
    captions: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_CAPTIONS)] | None = None
    enlarged: Panel | None = None
    drawer: Drawer | None = None
    cluster_order: ClusterOrder | None = None
    cluster_scale: ClusterScale | None = None

    def check(self, settings: Settings) -> None:
        """See `BrowserEvent.check`."""
        if self.shown is not None and self.shown > settings.gallery_max:
            raise InputError(f"the gallery shows at most {settings.gallery_max} images")

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        color = () if self.color is None else (column_of(self.color),)
        for name in (*color, *(self.pinned or ()), *(self.captions or ())):
            if name is not None:
                service.atlas.columns(service.atlas.default_space).describe(name)
        # Which labels it is that order is a matter of what is there.
        return Teach().resolve(service, state) if self.order == "labels" else self

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        changed = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        # There is one order: whoever chooses one takes back what a table was sorted by.
        unsorted = {} if self.order is None else {"table": Table(state.table.columns)}
        after = replace(state, **changed, **unsorted)
        if after.color != state.color:
            # Ends are of one column; a palette is of taste.
            shading = replace(after.shading, low=None, high=None, log=None)
            return replace(after, shading=shading)
        return after


class See(BrowserEvent, frozen=True):
    """Another embedding space of the same galaxies was chosen."""

    space: Name

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        service.atlas.space(self.space)
        other = service.atlas.default_space if state.second_space == self.space else state.second_space
        return SeenIn(_space(service.atlas, self.space), other)


class SeenIn(Event, frozen=True):
    """The page shows another space: galaxies that were chosen stay, the map is another.

    Where that was the second map, the two change their places.
    """

    space: SpaceChoice
    second_space: SpaceChoice = ""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if self.space == state.space:
            return state
        return replace(
            state,
            space=self.space,
            map=None if state.axes is None else state.map,
            second_space=self.second_space,
            # Panels of different shapes: a view of one is none of the other.
            second=state.second if self.second_space == state.second_space else None,
        )


class KeepAnswer(PlainEvent, frozen=True):
    """The answer of the gallery was kept, to be compared with those that follow, or was let go."""

    take: bool

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        asked = replace(question(state), kept=None, subsets=(), axes=None)
        return replace(state, kept=asked if self.take else None)


class SeeKept(PlainEvent, frozen=True):
    """The answer that was kept was asked for once more."""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if state.kept is None:
            return state
        looks = {name: getattr(state, name) for name in (*LOOKS, "axes", "subsets", "shown")}
        another = state.axes is None and state.kept.space != state.space
        return replace(state.kept, **(looks | ({"map": None} if another else {})))


SENT = (OpenToken, LabelsChanged, Change, See, KeepAnswer, SeeKept)


def _space(atlas: Atlas, name: str) -> SpaceChoice:
    """A space as a state names it: the first, and what this atlas does not have, by nothing."""
    return name if name in atlas.space_names[1:] else ""


def _known(atlas: Atlas, state: State) -> State:
    """A state from a link, without looks at columns that this atlas does not have; what it selects by is kept."""
    columns = atlas.columns(atlas.default_space)
    axes = state.axes
    if axes is not None and not are_numbers(atlas, axes):
        axes = None
    color = column_of(state.color)
    return replace(
        state,
        space=_space(atlas, state.space),
        kept=None if state.kept is None else replace(state.kept, space=_space(atlas, state.kept.space), kept=None),
        axes=axes,
        map=state.map if axes == state.axes else None,
        color=state.color if color is None or color in columns else DENSITY,
        brushed=tuple(name for name in state.brushed if name in columns),
        pinned=tuple(name for name in state.pinned if name in columns),
        captions=tuple(name for name in state.captions if name in columns),
        table=replace(
            state.table,
            columns=tuple(name for name in state.table.columns if name in columns),
            sort=state.table.sort if state.table.sort in columns else "",
        ),
    )
