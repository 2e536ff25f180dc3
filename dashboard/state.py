"""What the page shows, as one value; how an event changes it; how it stands in a URL.

`State` is all of it. `reduce(state, event) -> state` is pure: it needs no atlas, since events carry what they are about
(a galaxy with its id and position, not a row that the next build gives to another). Views are functions of the part of
the state that `parts` hands them, and of nothing that another view holds.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.projection import Projection
from atlas.selection import All, Cluster, MapPolygon, Selection, SkyPolygon, Vertices

Text = Annotated[str, msgspec.Meta(max_length=200)]
Order = Literal["most", "least", "anomaly_knn", "anomaly_forest", "typical", "random"]
Panel = Literal["", "map", "sky", "gallery"]
Drawer = Literal["", "clusters", "anomalies", "about"]
Finite = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
SMALLEST = 1e-9
GALLERY_SIZES = (16, 24, 48, 100)
SIMILARITY: tuple[Order, ...] = ("most", "least")


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what is stored in a state: immutable, compared by content."""


class Galaxy(Value, frozen=True):
    """A galaxy by identity and position, so that a link outlives the build it was made on."""

    id: Text
    ra_deg: Annotated[float, msgspec.Meta(ge=0, lt=360)]
    dec_deg: Annotated[float, msgspec.Meta(ge=-90, le=90)]


class Box(Value, frozen=True):
    """A viewport in the coordinates of its plane."""

    x0: Finite
    x1: Finite
    y0: Finite
    y1: Finite

    def __post_init__(self) -> None:
        if not (self.x1 - self.x0 >= SMALLEST and self.y1 - self.y0 >= SMALLEST):
            raise ValueError("a viewport must have its left below its right and its bottom below its top")


class SkyView(Value, frozen=True):
    """A viewport of the sky: what is seen of which projection."""

    projection: Projection
    box: Box


class State(Value, frozen=True, kw_only=True):
    """Everything that the page is a function of.

    Attributes
    ----------
    focus : Galaxy or None
        The galaxy in the details; also the query where there are no examples.
    wanted, unwanted : tuple of Galaxy
        Examples that were collected.
    selection : Selection
        Which galaxies are selected.
    order : str
        How the gallery is ordered.
    within : bool
        Whether the gallery stays inside the selection.
    exact : bool
        Whether similarity is searched exactly.
    shown : int
        Images in the gallery.
    map, sky : Box, SkyView or None
        Viewports; None shows everything.
    color : str
        What colours the map's points: "density" or a column.
    sexagesimal : bool
        How positions are written.
    light : bool
        The light theme.
    enlarged, drawer
        Which panel fills the page, which drawer is open.
    """

    focus: Galaxy | None = None
    wanted: Annotated[tuple[Galaxy, ...], msgspec.Meta(max_length=50)] = ()
    unwanted: Annotated[tuple[Galaxy, ...], msgspec.Meta(max_length=50)] = ()
    selection: Selection = All()
    order: Order = "most"
    within: bool = True
    exact: bool = False
    shown: Annotated[int, msgspec.Meta(ge=16, le=100)] = 24
    map: Box | None = None
    sky: SkyView | None = None
    color: Annotated[str, msgspec.Meta(max_length=64)] = "density"
    sexagesimal: bool = False
    light: bool = False
    enlarged: Panel = ""
    drawer: Drawer = ""


# Events: what happened, with all that is needed to act on it.


class Event(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower, forbid_unknown_fields=True):
    """Base of all events."""


class Open(Event, frozen=True):
    """The page was opened, or the browser went back or forth, with this state."""

    state: State


class Focus(Event, frozen=True):
    """A galaxy was chosen. `map_box` and `sky_view` are new viewports where it lies outside the old ones."""

    galaxy: Galaxy
    map_box: Box | None = None
    sky_view: SkyView | None = None


class Example(Event, frozen=True):
    """A galaxy became a wanted (+1) or unwanted (−1) example, or stopped being one (0)."""

    galaxy: Galaxy
    sign: Literal[-1, 0, 1]


class LassoMap(Event, frozen=True):
    """A polygon was drawn on the map."""

    space: str
    vertices: Vertices


class LassoSky(Event, frozen=True):
    """A polygon was drawn on the sky."""

    projection: Projection
    vertices: Vertices


class OpenCluster(Event, frozen=True):
    """A cluster was opened: its members, most typical first."""

    space: str
    label: int


class Clear(Event, frozen=True):
    """The selection was cleared."""


class ClearExamples(Event, frozen=True):
    """All examples were dropped."""


class ViewMap(Event, frozen=True):
    """The map was panned or zoomed; None shows all."""

    box: Box | None


class ViewSky(Event, frozen=True):
    """The sky was panned or zoomed; None shows all."""

    view: SkyView | None


class Change(Event, frozen=True):
    """One of the plain settings was changed."""

    order: Order | None = None
    within: bool | None = None
    exact: bool | None = None
    shown: Annotated[int, msgspec.Meta(ge=16, le=100)] | None = None
    color: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    sexagesimal: bool | None = None
    light: bool | None = None
    enlarged: Panel | None = None
    drawer: Drawer | None = None


AnyEvent = (
    Open | Focus | Example | LassoMap | LassoSky | OpenCluster | Clear | ClearExamples | ViewMap | ViewSky | Change
)


def reduce(state: State, event: AnyEvent) -> State:
    """The state after an event."""
    return _answerable(_apply(state, event))


def _answerable(state: State) -> State:
    """A state whose order can be shown: a selection without a galaxy to be similar to is met by a sample of it."""
    examples = state.focus is not None or state.wanted or state.unwanted
    if state.order in SIMILARITY and not examples and state.selection != All():
        return replace(state, order="random")
    if state.order == "typical" and not isinstance(state.selection, Cluster):
        return replace(state, order="random" if state.selection != All() else "most")
    return state


def _apply(state: State, event: AnyEvent) -> State:
    match event:
        case Open(new):
            return new
        case Focus(galaxy, map_box, sky_view):
            # From a list ordered otherwise, choosing a galaxy asks for what is like it.
            order = state.order if state.order in SIMILARITY else "most"
            return replace(
                state, focus=galaxy, order=order, map=map_box or state.map, sky=sky_view or state.sky, drawer=""
            )
        case Example(galaxy, sign):
            wanted = tuple(g for g in state.wanted if g.id != galaxy.id) + ((galaxy,) if sign > 0 else ())
            unwanted = tuple(g for g in state.unwanted if g.id != galaxy.id) + ((galaxy,) if sign < 0 else ())
            order = state.order if state.order in SIMILARITY else "most"
            return replace(state, wanted=wanted, unwanted=unwanted, order=order)
        case LassoMap(space, vertices):
            return replace(state, selection=MapPolygon(space, vertices), within=True)
        case LassoSky(projection, vertices):
            return replace(state, selection=SkyPolygon(projection, vertices), within=True)
        case OpenCluster(space, label):
            return replace(state, selection=Cluster(space, label), order="typical", within=True, drawer="")
        case Clear():
            # Orders that a selection brought along go with it.
            order = "most" if state.order in ("typical", "random") else state.order
            return replace(state, selection=All(), order=order, within=True)
        case ClearExamples():
            return replace(state, wanted=(), unwanted=())
        case ViewMap(box):
            return replace(state, map=box)
        case ViewSky(view):
            return replace(state, sky=view)
        case Change():
            changed = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
            return replace(state, **changed)


def is_step(before: State, after: State) -> bool:
    """Whether a change deserves an entry of its own in the browser's history: a new question, not a new viewport."""
    return question(before) != question(after)


def question(state: State) -> State:
    """The state without what only changes how it is looked at."""
    blank = State()
    return replace(
        state,
        map=blank.map,
        sky=blank.sky,
        sexagesimal=blank.sexagesimal,
        light=blank.light,
        enlarged=blank.enlarged,
        drawer=blank.drawer,
        color=blank.color,
    )


def parts(state: State) -> dict[str, State]:
    """What each view depends on: the state with all else at its default, so that equal parts need no new answer."""
    blank = State()
    return {
        "map": replace(blank, selection=state.selection, map=state.map, color=state.color, light=state.light),
        "sky": replace(
            blank, selection=state.selection, sky=state.sky, color=state.color, sexagesimal=state.sexagesimal
        ),
        "gallery": replace(question(state), sexagesimal=state.sexagesimal),
        "details": replace(blank, focus=state.focus, sexagesimal=state.sexagesimal, wanted=state.wanted,
                           unwanted=state.unwanted),
        "page": replace(blank, light=state.light, enlarged=state.enlarged, drawer=state.drawer, wanted=state.wanted,
                        unwanted=state.unwanted, color=state.color, order=state.order, shown=state.shown,
                        within=state.within, selection=state.selection, sexagesimal=state.sexagesimal,
                        focus=state.focus),
    }  # fmt: skip
