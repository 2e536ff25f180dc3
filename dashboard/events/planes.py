"""Events of the planes and the table: viewports, the columns on the axes, the order of the rows."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.errors import InputError
from atlas.sky.projection import Projection, SkyFrame
from atlas.storage.manifest import Name

from ..listed_services import LONGEST_NAME
from ..service.atlas_service import Service
from ..settings import Settings
from ..sky_services import read_sky_services
from ..state.page_state import Axes, SkyView, SpaceChoice, State, Table, Viewport
from ..state.sky_look import SkyLine, SkyLook
from ..state.viewports import follow, home, seen_as
from .event import BrowserEvent, Event

PlaneName = Literal["map", "sky", "second"]


class View(BrowserEvent, frozen=True):
    """A plane was panned or zoomed; no box means all of it."""

    plane: PlaneName
    box: Viewport | None = None
    projection: Projection | None = None

    def check(self, settings: Settings) -> None:
        """See `BrowserEvent.check`."""
        if self.box is not None:
            require_projection(self.plane, self.projection)

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        if self.plane == "map":
            return ViewMap(self.box)
        if self.plane == "second":
            return ViewSecond(self.box)
        if self.box is None:
            return ViewSky(None)
        assert self.projection is not None  # `check` saw to it
        return ViewSky(follow(service.atlas, self.projection, self.box, state.sky_look))


class ViewMap(Event, frozen=True):
    """The map was panned or zoomed; None shows all."""

    box: Viewport | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, map=self.box)


class ViewSecond(Event, frozen=True):
    """The map of another space was panned or zoomed; None shows all."""

    box: Viewport | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, second=self.box)


class ViewSky(Event, frozen=True):
    """The sky was panned or zoomed; None shows all."""

    view: SkyView | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, sky=self.view)


class SeeSecond(BrowserEvent, frozen=True, tag="second"):
    """The map of another space was asked for beside the page's own, or the sky in its place (none)."""

    space: SpaceChoice = ""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        if self.space and service.atlas.space(self.space).name == service.atlas.default_space:
            raise InputError(f"the map of {self.space} is the page's own: another space's can stand beside it")
        return SetSecond(self.space)


class SetSecond(Event, frozen=True):
    """The map of another space stands in the place of the sky, or the sky again."""

    space: SpaceChoice

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return state if self.space == state.second_space else replace(state, second_space=self.space, second=None)


class SeeSky(BrowserEvent, frozen=True):
    """Another frame, projection or picture of the sky was chosen, or a line was shown or hidden."""

    frame: SkyFrame | None = None
    projection: Literal["tan", "ait", "mol"] | None = None
    line: SkyLine | None = None
    behind: Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)] | None = None

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        look, view = state.sky_look, state.sky or home(service.atlas, state.sky_look)
        if self.line is not None:
            hidden = set(look.hidden) ^ {self.line}
            look = replace(look, hidden=tuple(sorted(hidden)))
        if self.behind is not None:
            offered = [one.name for one in read_sky_services(service.settings.sky_images)]
            if self.behind and self.behind not in offered:
                raise InputError(f"allowed behind the points are {', '.join(offered) or 'no pictures on this server'}")
            look = replace(look, behind=self.behind)
        if self.frame is None and self.projection is None:
            return SetSkyLook(look, state.sky)
        whole = look.whole if self.projection in (None, "tan") else self.projection
        look = replace(look, frame=self.frame or look.frame, whole=whole)
        around = None if state.focus is None else (state.focus.ra_deg, state.focus.dec_deg)
        kind = self.projection or ("tan" if not view.projection.all_sky else whole)
        return SetSkyLook(look, seen_as(service.atlas, look, view, kind, around))


class SetSkyLook(Event, frozen=True):
    """The sky is seen in another way."""

    look: SkyLook
    view: SkyView | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, sky_look=self.look, sky=self.view)


class Against(BrowserEvent, frozen=True):
    """Columns were chosen for the axes of the map's panel; none for the map of the embedding."""

    x: Annotated[str, msgspec.Meta(max_length=64)] = ""
    y: Annotated[str, msgspec.Meta(max_length=64)] = ""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        if not self.x and not self.y:
            return SetAxes(None)
        columns = service.atlas.columns(service.atlas.default_space)
        for name in (self.x, self.y):
            columns.number(name)
        return SetAxes(Axes(self.x, self.y))


class SetAxes(Event, frozen=True):
    """The map's panel shows two columns against each other, or the map again (None)."""

    axes: Axes | None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        # The viewport was of the other plane.
        return state if self.axes == state.axes else replace(state, axes=self.axes, map=None)


class Tabulate(BrowserEvent, frozen=True):
    """The table was sorted or its columns were chosen; what is left out stays."""

    columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=60)] | None = None
    sort: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    descending: bool | None = None

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        table = state.table
        columns = service.atlas.columns(service.atlas.default_space)
        names = table.columns if self.columns is None else self.columns
        sort = table.sort if self.sort is None else self.sort
        for name in (*names, *([sort] if sort else [])):
            columns.describe(name)
        return SetTable(Table(names, sort, table.descending if self.descending is None else self.descending))


class SetTable(Event, frozen=True):
    """The table was sorted, or its columns were chosen."""

    table: Table

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, table=self.table)


SENT = (View, SeeSecond, SeeSky, Against, Tabulate)


def require_projection(plane: PlaneName, projection: Projection | None) -> None:
    """Refuse a shape on the sky that says not in which projection it was drawn.

    Raises
    ------
    InputError
        If it is one.
    """
    if plane == "sky" and projection is None:
        raise InputError("a shape on the sky needs the projection that it was drawn in")
