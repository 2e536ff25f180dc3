"""What can happen to the page, and what becomes of its state.

`reduce(state, event) -> state` is pure: it needs no atlas, since events carry what they are about (a galaxy with its id
and position, not a row that the next build gives to another).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from atlas.catalog.reserved_names import DENSITY, SUBSETS
from atlas.errors import InputError
from atlas.queries.selection import All, And, Cluster, Collected, Cone, Labelled, Not, Or, Selection, canonical
from atlas.storage.manifest import Name

from .coloring import LONGEST
from .page_state import (
    MOST_SUBSETS,
    SIMILARITY,
    Axes,
    ClusterOrder,
    Drawer,
    ExpressionText,
    Filter,
    Galaxy,
    LassoRegion,
    Listing,
    Order,
    Paint,
    Panel,
    Shading,
    SkyView,
    State,
    Subset,
    SubsetName,
    Table,
    Viewport,
    active,
    has_examples,
    is_narrowed,
)

Join = Literal["new", "add", "subtract"]


class Event(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower, forbid_unknown_fields=True):
    """Base of all events."""


class Open(Event, frozen=True):
    """The page was opened, or the browser went back or forth, with this state."""

    state: State


class Focus(Event, frozen=True):
    """A galaxy was chosen. `map_box` and `sky_view` are new viewports where it lies outside the old ones.

    `around` is a part of the sky that was asked for with it; `words` say how what was typed was understood.
    """

    galaxy: Galaxy
    map_box: Viewport | None = None
    sky_view: SkyView | None = None
    around: Cone | None = None
    words: str = ""


class Example(Event, frozen=True):
    """A galaxy became a wanted (+1) or unwanted (−1) example, or stopped being one (0)."""

    galaxy: Galaxy
    sign: Literal[-1, 0, 1]


class Group(Event, frozen=True):
    """All that is active became one wanted example, in place of what narrows the galaxies; or it stopped being one."""

    take: bool


class Drawn(Event, frozen=True, tag="lasso"):
    """A lasso or box was drawn on a plane: in place of the selection, added to it or taken from it."""

    lasso: LassoRegion
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


class SetAxes(Event, frozen=True):
    """The map's panel shows two columns against each other, or the map again (None)."""

    axes: Axes | None


class SetTable(Event, frozen=True):
    """The table was sorted, or its columns were chosen."""

    table: Table


class OpenCluster(Event, frozen=True):
    """A cluster was opened: its members, most typical first."""

    space: str
    label: int


class Choose(Event, frozen=True):
    """Galaxies with a label, or of a collection, were selected, joined with the selection, or asked to be like."""

    what: Labelled | Collected
    do: Literal["select", "intersect", "unite", "subtract", "like"]


class LabelsSeen(Event, frozen=True, tag="labels"):
    """Labels were changed: the page shows those of a revision."""

    revision: int


class Clear(Event, frozen=True):
    """The selection was cleared; where there is none, what else narrows the galaxies: filters and the expression."""


class ClearExamples(Event, frozen=True):
    """All examples were dropped."""


class ViewMap(Event, frozen=True):
    """The map was panned or zoomed; None shows all."""

    box: Viewport | None


class ViewSky(Event, frozen=True):
    """The sky was panned or zoomed; None shows all."""

    view: SkyView | None


class Change(Event, frozen=True):
    """One of the plain settings was changed."""

    order: Order | None = None
    within: bool | None = None
    exact: bool | None = None
    shown: Annotated[int, msgspec.Meta(ge=16, le=100)] | None = None
    color: Annotated[str, msgspec.Meta(max_length=LONGEST)] | None = None
    paint: Paint | None = None
    shading: Shading | None = None
    listing: Listing | None = None
    sexagesimal: bool | None = None
    light: bool | None = None
    enlarged: Panel | None = None
    drawer: Drawer | None = None
    cluster_order: ClusterOrder | None = None


AnyEvent = (
    Open
    | Focus
    | Example
    | Group
    | Drawn
    | SetFilter
    | Brush
    | ClearFilters
    | Express
    | Invert
    | Keep
    | WithSubset
    | SetAxes
    | SetTable
    | OpenCluster
    | Choose
    | LabelsSeen
    | Clear
    | ClearExamples
    | ViewMap
    | ViewSky
    | Change
)


def reduce(state: State, event: AnyEvent) -> State:
    """The state after an event."""
    after = _apply(state, event)
    # What was opened is not what the page held with something taken away.
    return _answerable(after if isinstance(event, Open) else state, after)


def _answerable(before: State, state: State) -> State:
    """A state whose order can be shown: a selection without a galaxy to be similar to is met by a sample of it, and
    that sample goes with the selection."""
    examples = has_examples(state)
    if state.order in SIMILARITY and not examples and is_narrowed(state):
        return replace(state, order="random")
    if state.order == "typical" and not isinstance(state.selection, Cluster):
        return replace(state, order="random" if is_narrowed(state) else "most")
    if state.order == "random" and not examples and is_narrowed(before) and not is_narrowed(state):
        return replace(state, order="most")
    return state


def _apply(state: State, event: AnyEvent) -> State:
    match event:
        case Open(new):
            return new
        case Focus(galaxy, map_box, sky_view, around):
            # From a list ordered otherwise, choosing a galaxy asks for what is like it.
            order = state.order if state.order in SIMILARITY else "most"
            selected = {} if around is None else {"selection": around, "within": True}
            return replace(
                state, focus=galaxy, order=order, map=map_box or state.map, sky=sky_view or state.sky, drawer="",
                **selected,
            )  # fmt: skip
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
            return replace(state, selection=canonical(Not(state.selection)), within=True)
        case Keep(name):
            return _keep(state, name)
        case WithSubset(at, do, name):
            return _with_subset(state, at, do, name) if at < len(state.subsets) else state
        case SetAxes(axes):
            # The viewport was of the other plane.
            return state if axes == state.axes else replace(state, axes=axes, map=None)
        case SetTable(table):
            return replace(state, table=table)
        case OpenCluster(space, label):
            # The galaxy before is none of the question now; the drawer stays for the next cluster.
            return replace(state, focus=None, selection=Cluster(space, label), order="typical", within=True)
        case Choose(what, "like"):
            return replace(state, group=what, order="most")
        case Choose(what, do):
            return replace(state, selection=_taken(state.selection, what, do), within=True)
        case LabelsSeen(revision):
            return replace(state, labels_at=revision)
        case Clear():
            # Orders that a selection brought along go with it; a sample that was asked for beside a galaxy stays.
            brought = state.order == "typical" or (state.order == "random" and not has_examples(state))
            order = "most" if brought else state.order
            if isinstance(state.selection, All):
                return replace(state, filters=(), expression="", order=order, within=True)
            return replace(state, selection=All(), order=order, within=True)
        case ClearExamples():
            return replace(state, wanted=(), unwanted=(), group=None)
        case Group(take):
            return _group(state) if take else replace(state, group=None)
        case ViewMap(box):
            return replace(state, map=box)
        case ViewSky(view):
            return replace(state, sky=view)
        case Change():
            changed = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
            # There is one order: whoever chooses one takes back what a table was sorted by.
            unsorted = {} if event.order is None else {"table": Table(state.table.columns)}
            after = replace(state, **changed, **unsorted)
            if after.color != state.color:
                # Ends are of one column; a palette is of taste.
                shading = replace(after.shading, low=None, high=None, log=None)
                return replace(after, shading=shading)
            return after


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


def _taken(selection: Selection, other: Selection, do: str) -> Selection:
    """A selection after something was done to it with another."""
    match do:
        case "unite":
            return joined(selection, other, "add")
        case "subtract":
            return joined(selection, other, "subtract")
        case "intersect" if not isinstance(selection, All):
            return canonical(And((selection, other)))
    return other


def _group(state: State) -> State:
    if not is_narrowed(state):
        raise InputError("nothing is selected: draw a lasso or set a filter, then ask for what is like it")
    # What they are like is looked for elsewhere: whatever holds them would leave nothing to find.
    return replace(
        state, group=canonical(active(state)), selection=All(), filters=(), expression="", within=True, order="most"
    )


def _keep(state: State, name: str) -> State:
    if len(state.subsets) >= MOST_SUBSETS:
        raise InputError(f"{MOST_SUBSETS} subsets can be kept: drop one first")
    if isinstance(active(state), All):
        raise InputError("nothing is selected: draw a lasso or set a filter, then keep it")
    taken = {one.color for one in state.subsets}
    color = next(i for i in range(MOST_SUBSETS) if i not in taken)
    kept = Subset(name, canonical(active(state)), color)
    # Whoever keeps a subset wants to see it beside the others.
    shown = SUBSETS if state.color == DENSITY else state.color
    return replace(state, subsets=(*state.subsets, kept), color=shown)


def _with_subset(state: State, at: int, do: str, name: str) -> State:
    one = state.subsets[at]

    def changed(*instead: Subset) -> State:
        return replace(state, subsets=(*state.subsets[:at], *instead, *state.subsets[at + 1 :]))

    match do:
        case "select":
            # What was kept holds its filters too: the present ones would narrow it.
            return replace(state, selection=one.selection, filters=(), expression="", within=True)
        case "intersect" | "unite" | "subtract":
            return replace(state, selection=_taken(state.selection, one.selection, do), within=True)
        case "show":
            return changed(replace(one, shown=not one.shown))
        case "rename" if name.strip():
            return changed(replace(one, name=name.strip()))
        case "drop":
            left = changed()
            blank = not left.subsets and state.color == SUBSETS
            return replace(left, color=DENSITY) if blank else left
    return state
