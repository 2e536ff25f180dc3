"""Events of the selection: by a hand on a plane, by a cluster or label, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.errors import InputError
from atlas.planes.column_plane import column_axes
from atlas.queries.column_lasso import column_lasso
from atlas.queries.selection import (
    MOST_NAMED,
    All,
    And,
    Cluster,
    Collected,
    Cone,
    ExampleId,
    Labelled,
    MapPolygon,
    Named,
    Not,
    Or,
    PartOf,
    Selection,
    SkyMoc,
    SkyPolygon,
    Vertices,
    canonical,
    canonical_vertices,
    parts_of,
)
from atlas.queries.sky_extent import circle_of
from atlas.queries.splitting import require_splittable
from atlas.sky.projection import Projection

from ..service.atlas_service import Service
from ..settings import Settings
from ..state.page_state import LassoRegion, SkyView, State, active, has_examples, is_narrowed
from ..state.viewports import frame
from .event import BrowserEvent, Event, PlainEvent
from .planes import PlaneName, require_projection

Join = Literal["new", "add", "subtract"]


class Lasso(BrowserEvent, frozen=True):
    """A polygon or box was drawn on a plane; the sky also says in which projection."""

    plane: PlaneName
    vertices: Vertices
    projection: Projection | None = None
    join: Join = "new"

    def check(self, settings: Settings) -> None:
        """See `BrowserEvent.check`."""
        most = settings.max_polygon_vertices_received
        if len(self.vertices) > most:
            raise InputError(f"a lasso may have {most} vertices, this one has {len(self.vertices)}")
        require_projection(self.plane, self.projection)

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return Drawn(self._region(service, state), self.join)

    def _region(self, service: Service, state: State) -> LassoRegion:
        atlas = service.atlas
        one_unit = self.plane != "map" or state.axes is None
        vertices = canonical_vertices(self.vertices, one_unit=one_unit)
        if self.plane == "sky":
            assert self.projection is not None  # `check` saw to it
            return SkyPolygon(self.projection, vertices)
        if self.plane == "second":
            if not state.second_space:
                raise InputError("no second map is shown: a lasso can be drawn on the map and on the sky")
            return MapPolygon(state.second_space, vertices)
        if state.axes is None:
            return MapPolygon(atlas.default_space, vertices)
        axes = column_axes(atlas.columns(atlas.default_space), state.axes.x, state.axes.y)
        return column_lasso(axes, state.axes.x, state.axes.y, vertices)


class Drawn(Event, frozen=True):
    """A lasso or box was drawn on a plane: in place of the selection, added to it or taken from it."""

    lasso: LassoRegion
    join: Join = "new"

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, selection=joined(state.selection, self.lasso, self.join), within=True)


class Outlined(Event, frozen=True):
    """A region of the sky was typed, pasted or brought in a file; `words` say how it was understood."""

    region: Selection
    join: Join = "new"
    sky_view: SkyView | None = None
    words: str = ""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        selection = joined(state.selection, self.region, self.join)
        return replace(state, selection=selection, within=True, sky=self.sky_view or state.sky)


class BringRegion(BrowserEvent, frozen=True, tag="region"):
    """A region of the sky was pasted or brought in a file."""

    region: SkyMoc | SkyPolygon | Cone | And | Or | Not
    join: Join = "new"

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        if not all(isinstance(part, SkyMoc | SkyPolygon | Cone) for part in parts_of(self.region)):
            raise InputError("a region of the sky is made of circles, boxes, polygons and coverage maps")
        return outlined(service, state, self.region, self.join)


def outlined(service: Service, state: State, region: Selection, join: Join = "new", read_as: str = "") -> Outlined:
    """The event of a region of the sky: the view moves to it, and it is said what lies in it."""
    atlas = service.atlas
    region = service.canonical(region)
    mask = service.mask(region, atlas)
    count = atlas.n_rows if mask is None else mask.count
    read = f"Read as {read_as}. " if read_as else ""
    words = f"{read}Selected: {count:,} galax{'y' if count == 1 else 'ies'} inside."
    around = circle_of(region)
    return Outlined(region, join, None if around is None else frame(atlas, around, state.sky_look), words)


class Invert(PlainEvent, frozen=True):
    """The selection became all that it was not."""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, selection=canonical(Not(state.selection)), within=True)


class Clear(PlainEvent, frozen=True):
    """The selection was cleared; where there is none, what else narrows the galaxies: filters and the expression."""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        # Orders that a selection brought along go with it; a sample that was asked for beside a galaxy stays.
        brought = state.order == "typical" or (state.order == "random" and not has_examples(state))
        order = "most" if brought else state.order
        if isinstance(state.selection, All):
            return replace(state, filters=(), expression="", order=order, within=True)
        return replace(state, selection=All(), order=order, within=True)


class SelectNamed(PlainEvent, frozen=True, tag="named"):
    """Some galaxies of a comparison were selected."""

    ids: Annotated[tuple[ExampleId, ...], msgspec.Meta(min_length=1, max_length=MOST_NAMED)]

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, selection=canonical(Named(self.ids)), within=True)


class Group(PlainEvent, frozen=True):
    """All that is active became one wanted example, in place of what narrows the galaxies; or it stopped being one."""

    take: bool

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if not self.take:
            return replace(state, group=None)
        if not is_narrowed(state):
            raise InputError("nothing is selected: draw a lasso or set a filter, then ask for what is like it")
        # What they are like is looked for elsewhere: whatever holds them would leave nothing to find.
        group = canonical(active(state))
        return replace(state, group=group, selection=All(), filters=(), expression="", within=True, order="most")


class OpenClusterLabel(BrowserEvent, frozen=True, tag="cluster"):
    """A cluster was chosen."""

    label: Annotated[int, msgspec.Meta(ge=0, lt=2**15)]

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return OpenCluster(service.atlas.default_space, service.atlas.space().cluster(self.label).label)


class OpenCluster(Event, frozen=True):
    """A cluster was opened: its members, most typical first."""

    space: str
    label: int

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        # The galaxy before is none of the question now; the drawer stays for the next cluster.
        return replace(state, focus=None, selection=Cluster(self.space, self.label), order="typical", within=True)


class SplitSelection(BrowserEvent, frozen=True, tag="split"):
    """All that is active was split into so many parts; 0 shows the clusters of the map again."""

    count: Annotated[int, msgspec.Meta(ge=0, le=24)]

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`: what cannot be split is refused at once."""
        if self.count >= 2:
            if not is_narrowed(state):
                raise InputError("nothing is selected: draw a lasso, open a cluster or set a filter, then split it")
            mask = service.mask(active(state))
            if mask is not None:
                require_splittable(mask.count)
        return SplitInto(service.atlas.default_space, self.count)


class SplitInto(Event, frozen=True):
    """All that is active was split, in a space."""

    space: str
    count: int

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        split = PartOf(self.space, canonical(active(state)), self.count, 0) if self.count >= 2 else None
        return replace(state, split=split, drawer="clusters")


class OpenPart(PlainEvent, frozen=True, tag="part"):
    """A part of what was split was chosen."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=24)]

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if state.split is None:
            return state
        part = replace(state.split, number=self.number)
        return replace(state, focus=None, selection=part, filters=(), expression="", order="random", within=True)


class Choose(PlainEvent, frozen=True):
    """Galaxies with a label, or of a collection, were selected, joined with the selection, or asked to be like."""

    what: Labelled | Collected
    do: Literal["select", "intersect", "unite", "subtract", "like"]

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`; a link names the revision of a collection that its maker saw."""
        if not isinstance(self.what, Collected):
            return self
        revision = service.labels.collection(self.what.name, self.what.revision).revision
        return replace(self, what=replace(self.what, revision=revision))

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        if self.do == "like":
            return replace(state, group=self.what, order="most")
        return replace(state, selection=taken(state.selection, self.what, self.do), within=True)


SENT = (
    Lasso, BringRegion, SelectNamed, Invert, Clear, Group, OpenClusterLabel, SplitSelection, OpenPart, Choose,
)  # fmt: skip


def joined(selection: Selection, other: Selection, join: Join) -> Selection:
    """A selection with another in its place, added to it, or taken from it."""
    everything = isinstance(selection, All)
    match join:
        case "add" if not everything:
            return canonical(Or((selection, other)))
        case "subtract":
            return canonical(Not(other) if everything else And((selection, Not(other))))
        case _:
            return other


def taken(selection: Selection, other: Selection, do: str) -> Selection:
    """A selection after something was done to it with another."""
    match do:
        case "unite":
            return joined(selection, other, "add")
        case "subtract":
            return joined(selection, other, "subtract")
        case "intersect" if not isinstance(selection, All):
            return canonical(And((selection, other)))
    return other
