"""What the page shows, as one value; how an event changes it; how it stands in a URL.

`State` is all of it. `reduce(state, event) -> state` is pure: it needs no atlas, since events carry what they are about
(a galaxy with its id and position, not a row that the next build gives to another). Views are functions of the part of
the state that `parts` hands them, and of nothing that another view holds.

Which galaxies are in view is said in three places, joined by `active`: a selection that a hand drew, filters (one a
column) and an expression that somebody typed. Each can be taken back without the others.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.errors import InputError
from atlas.projection import Projection
from atlas.selection import (
    All,
    And,
    Category,
    Cluster,
    ColumnPolygon,
    Expression,
    MapPolygon,
    Name,
    Not,
    Or,
    Range,
    Selection,
    SkyPolygon,
)
from atlas.selection import canonical as canonical_selection

Text = Annotated[str, msgspec.Meta(max_length=200)]
Order = Literal["most", "least", "anomaly_knn", "anomaly_forest", "typical", "random"]
Panel = Literal["", "map", "sky", "gallery"]
Drawer = Literal["", "filters", "subsets", "clusters", "anomalies", "about"]
Paint = Literal["points", "mean"]
Listing = Literal["gallery", "table"]
Join = Literal["new", "add", "subtract"]
Lasso = MapPolygon | ColumnPolygon | SkyPolygon
Filter = Range | Category
SubsetName = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
ExpressionText = Annotated[str, msgspec.Meta(max_length=500)]
MOST_SUBSETS = 12
MOST_FILTERS = 24
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


class Axes(Value, frozen=True):
    """Two columns that the map's panel shows against each other."""

    x: Name
    y: Name


class Subset(Value, frozen=True):
    """A selection that was kept, with a name and a colour of its own."""

    name: SubsetName
    selection: Selection
    color: Annotated[int, msgspec.Meta(ge=0, lt=MOST_SUBSETS)] = 0
    shown: bool = True


class Table(Value, frozen=True):
    """How the table stands: columns in order (none: the usual ones), and the column that sorts it (none: the order of
    the gallery)."""

    columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=60)] = ()
    sort: Annotated[str, msgspec.Meta(max_length=64)] = ""
    descending: bool = False


class State(Value, frozen=True, kw_only=True):
    """Everything that the page is a function of.

    Attributes
    ----------
    focus : Galaxy or None
        The galaxy in the details; also the query where there are no examples.
    wanted, unwanted : tuple of Galaxy
        Examples that were collected.
    selection : Selection
        Which galaxies a hand has selected.
    filters : tuple of Range or Category
        At most one a column, in order of the columns' names.
    expression : str
        A typed condition; empty for none.
    subsets : tuple of Subset
        Selections that were kept.
    brushed : tuple of str
        Columns whose histograms were asked for beside the usual ones.
    order : str
        How the gallery is ordered.
    within : bool
        Whether the gallery stays inside what is active.
    exact : bool
        Whether similarity is searched exactly.
    shown : int
        Images in the gallery.
    axes : Axes or None
        Columns that the map's panel shows; None shows the map of the embedding.
    map, sky : Box, SkyView or None
        Viewports; None shows everything. The map's is of the plane in view.
    color : str
        What colours both planes: "density", "subsets" or a column.
    paint : str
        How a column colours them: point by point, or as the mean of the galaxies in each spot.
    listing : str
        Whether the galaxies are listed as a gallery or as a table.
    table : Table
        How the table stands.
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
    filters: Annotated[tuple[Filter, ...], msgspec.Meta(max_length=MOST_FILTERS)] = ()
    expression: ExpressionText = ""
    subsets: Annotated[tuple[Subset, ...], msgspec.Meta(max_length=MOST_SUBSETS)] = ()
    brushed: Annotated[tuple[Name, ...], msgspec.Meta(max_length=60)] = ()
    order: Order = "most"
    within: bool = True
    exact: bool = False
    shown: Annotated[int, msgspec.Meta(ge=16, le=100)] = 24
    axes: Axes | None = None
    map: Box | None = None
    sky: SkyView | None = None
    color: Annotated[str, msgspec.Meta(max_length=64)] = "density"
    paint: Paint = "points"
    listing: Listing = "gallery"
    table: Table = Table()
    sexagesimal: bool = False
    light: bool = False
    enlarged: Panel = ""
    drawer: Drawer = ""


def active(state: State) -> Selection:
    """Which galaxies every view is about: inside the selection, through all filters, and true to the expression."""
    typed: tuple[Selection, ...] = (Expression(state.expression),) if state.expression else ()
    parts = (state.selection, *state.filters, *typed)
    held = tuple(part for part in parts if not isinstance(part, All))
    return And(held) if len(held) > 1 else held[0] if held else All()


def is_narrowed(state: State) -> bool:
    """Whether some galaxies are left out."""
    return not isinstance(active(state), All)


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


class Drawn(Event, frozen=True, tag="lasso"):
    """A lasso or box was drawn on a plane: in place of the selection, added to it or taken from it."""

    lasso: Lasso
    join: Join = "new"


class SetFilter(Event, frozen=True, tag="filter"):
    """The filter of a column was set, or dropped (None)."""

    column: Name
    to: Filter | None = None


class Brush(Event, frozen=True):
    """The histogram of another column was asked for."""

    column: Name


class ClearFilters(Event, frozen=True):
    """All filters and the expression were dropped."""


class Express(Event, frozen=True):
    """An expression was typed, and found to be one."""

    text: ExpressionText


class Invert(Event, frozen=True):
    """The selection became all that it was not."""


class Keep(Event, frozen=True):
    """What is active was kept as a subset."""

    name: SubsetName


class WithSubset(Event, frozen=True):
    """Something was done with a subset: the selection became it, or was joined with it, or it was changed itself."""

    at: Annotated[int, msgspec.Meta(ge=0, lt=MOST_SUBSETS)]
    do: Literal["select", "intersect", "unite", "subtract", "show", "drop", "rename"]
    name: Annotated[str, msgspec.Meta(max_length=40)] = ""


class Against(Event, frozen=True):
    """The map's panel shows two columns against each other, or the map again (None)."""

    axes: Axes | None


class Tabulate(Event, frozen=True):
    """The table was sorted, or its columns were chosen."""

    table: Table


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
    paint: Paint | None = None
    listing: Listing | None = None
    sexagesimal: bool | None = None
    light: bool | None = None
    enlarged: Panel | None = None
    drawer: Drawer | None = None


AnyEvent = (
    Open
    | Focus
    | Example
    | Drawn
    | SetFilter
    | Brush
    | ClearFilters
    | Express
    | Invert
    | Keep
    | WithSubset
    | Against
    | Tabulate
    | OpenCluster
    | Clear
    | ClearExamples
    | ViewMap
    | ViewSky
    | Change
)


def reduce(state: State, event: AnyEvent) -> State:
    """The state after an event."""
    return _answerable(_apply(state, event))


def _answerable(state: State) -> State:
    """A state whose order can be shown: a selection without a galaxy to be similar to is met by a sample of it."""
    examples = state.focus is not None or state.wanted or state.unwanted
    if state.order in SIMILARITY and not examples and is_narrowed(state):
        return replace(state, order="random")
    if state.order == "typical" and not isinstance(state.selection, Cluster):
        return replace(state, order="random" if is_narrowed(state) else "most")
    if state.order == "random" and not is_narrowed(state):
        return replace(state, order="most")
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
        case Drawn(lasso, join):
            return replace(state, selection=joined(state.selection, lasso, join), within=True)
        case SetFilter(column, to):
            kept = [one for one in state.filters if one.column != column] + ([] if to is None else [to])
            return replace(state, filters=tuple(sorted(kept, key=lambda one: one.column)), within=True)
        case Brush(column):
            return state if column in state.brushed else replace(state, brushed=(*state.brushed, column))
        case ClearFilters():
            return replace(state, filters=(), expression="")
        case Express(text):
            return replace(state, expression=text, within=True)
        case Invert():
            return replace(state, selection=canonical_selection(Not(state.selection)), within=True)
        case Keep(name):
            return _keep(state, name)
        case WithSubset(at, do, name):
            return _with_subset(state, at, do, name) if at < len(state.subsets) else state
        case Against(axes):
            # The viewport was of the other plane.
            return state if axes == state.axes else replace(state, axes=axes, map=None)
        case Tabulate(table):
            return replace(state, table=table)
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


def joined(selection: Selection, other: Selection, join: Join) -> Selection:
    """A selection with another in its place, added to it, or taken from it."""
    everything = isinstance(selection, All)
    match join:
        case "add" if not everything:
            return canonical_selection(Or((selection, other)))
        case "subtract":
            return canonical_selection(Not(other) if everything else And((selection, Not(other))))
        case _:
            return other


def _keep(state: State, name: str) -> State:
    if len(state.subsets) >= MOST_SUBSETS:
        raise InputError(f"{MOST_SUBSETS} subsets can be kept: drop one first")
    if isinstance(active(state), All):
        raise InputError("nothing is selected: draw a lasso or set a filter, then keep it")
    taken = {one.color for one in state.subsets}
    color = next(i for i in range(MOST_SUBSETS) if i not in taken)
    kept = Subset(name, canonical_selection(active(state)), color)
    # Whoever keeps a subset wants to see it beside the others.
    shown = "subsets" if state.color == "density" else state.color
    return replace(state, subsets=(*state.subsets, kept), color=shown)


def _with_subset(state: State, at: int, do: str, name: str) -> State:
    one = state.subsets[at]

    def changed(*instead: Subset) -> State:
        return replace(state, subsets=(*state.subsets[:at], *instead, *state.subsets[at + 1 :]))

    match do:
        case "select":
            # What was kept holds its filters too: the present ones would narrow it.
            return replace(state, selection=one.selection, filters=(), expression="", within=True)
        case "intersect":
            both = one.selection if isinstance(state.selection, All) else And((state.selection, one.selection))
            return replace(state, selection=canonical_selection(both), within=True)
        case "unite":
            return replace(state, selection=joined(state.selection, one.selection, "add"), within=True)
        case "subtract":
            return replace(state, selection=joined(state.selection, one.selection, "subtract"), within=True)
        case "show":
            return changed(replace(one, shown=not one.shown))
        case "rename" if name.strip():
            return changed(replace(one, name=name.strip()))
        case "drop":
            left = changed()
            blank = not left.subsets and state.color == "subsets"
            return replace(left, color="density") if blank else left
    return state


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
        paint=blank.paint,
        listing=blank.listing,
        table=blank.table,
        brushed=blank.brushed,
    )


def parts(state: State) -> dict[str, State]:
    """What each view depends on: the state with all else at its default, so that equal parts need no new answer."""
    blank = State()
    which = {"selection": state.selection, "filters": state.filters, "expression": state.expression}
    looks = {
        "color": state.color,
        "paint": state.paint if state.color not in ("density", "subsets") else blank.paint,
        "subsets": state.subsets if state.color == "subsets" else (),
    }
    examples = {"wanted": state.wanted, "unwanted": state.unwanted, "focus": state.focus}
    asked = replace(question(state), axes=None, subsets=())
    return {
        "map": replace(blank, **which, **looks, axes=state.axes, map=state.map, light=state.light),
        "sky": replace(blank, **which, **looks, sky=state.sky, sexagesimal=state.sexagesimal),
        "gallery": replace(asked, sexagesimal=state.sexagesimal),
        "marks": replace(asked, axes=state.axes, sky=state.sky, light=state.light),
        "details": replace(blank, **examples, sexagesimal=state.sexagesimal),
        # Sorting is the grid's own: it asks for other rows, and needs no other grid.
        "table": replace(asked, table=Table(state.table.columns), listing="table")
        if state.listing == "table"
        else blank,
        "drawer": replace(blank, drawer=state.drawer, **(_drawer_needs(state))),
        "page": replace(blank, **which, **looks, **examples, axes=state.axes, light=state.light, order=state.order,
                        enlarged=state.enlarged, drawer=state.drawer, shown=state.shown, within=state.within,
                        listing=state.listing, table=Table(state.table.columns), sexagesimal=state.sexagesimal),
    }  # fmt: skip


def _drawer_needs(state: State) -> dict[str, object]:
    """What the open drawer depends on beside its name."""
    which = {"selection": state.selection, "filters": state.filters, "expression": state.expression}
    match state.drawer:
        case "filters":
            return {**which, "brushed": state.brushed}
        case "subsets":
            return {**which, "subsets": state.subsets}
    return {}
