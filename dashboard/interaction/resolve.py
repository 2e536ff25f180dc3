"""From what a browser sent to events that stand on their own: rows and words become galaxies with id and position."""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec.structs import replace

from atlas import Atlas
from atlas.catalog.numbers import parse_number
from atlas.catalog.reserved_names import DENSITY
from atlas.errors import InputError
from atlas.expressions import check as expression
from atlas.planes.column_plane import column_axes
from atlas.queries.column_lasso import column_lasso
from atlas.queries.selection import (
    Bits,
    Category,
    Collected,
    Contains,
    MapPolygon,
    Range,
    SkyPolygon,
    canonical,
    canonical_vertices,
)
from atlas.sky.projection import Projection

from ..service.atlas_service import Service
from ..service.galaxies import Found, find, galaxy, positions, random_row
from ..state import url as links
from ..state.coloring import column_of
from ..state.events import (
    AnyEvent,
    Brush,
    Change,
    Choose,
    Clear,
    ClearExamples,
    ClearFilters,
    Drawn,
    Example,
    Express,
    Focus,
    Group,
    Invert,
    Keep,
    LabelsSeen,
    Open,
    OpenCluster,
    SetAxes,
    SetFilter,
    SetTable,
    ViewMap,
    ViewSky,
    WithSubset,
)
from ..state.page_state import Axes, Filter, LassoRegion, State, Table, Viewport, active
from ..state.viewports import follow, frame, reveal, reveal_on_map
from . import browser_events as parse


def resolve(service: Service, state: State, raw: parse.AnyRaw) -> AnyEvent:
    """The event that a raw event stands for, in the atlas that is open.

    Raises
    ------
    InputError
        If it names a galaxy, cluster or column that the atlas does not have, or a position with nothing near.
    """
    atlas = service.atlas
    match raw:
        case parse.OpenToken(token):
            state = _known(atlas, links.from_link(token, service.kept))
            return Open(replace(state, labels_at=service.book.known().revision))
        case parse.Find(text):
            return _found(atlas, state, find(atlas, text, service.settings, service.names))
        case parse.Pick(row, build):
            return _focus(atlas, state, _row(atlas, row, build))
        case parse.PickId(id_):
            return _focus(atlas, state, atlas.identity.row(id_))
        case parse.RandomGalaxy():
            return _focus(atlas, state, random_row(atlas, service.mask(active(state))))
        case parse.Mark(id_, sign):
            known = {g.id: g for g in (*state.wanted, *state.unwanted)}
            if sign and id_ not in known and len(known) >= service.settings.max_examples:
                raise InputError(f"a search takes at most {service.settings.max_examples} examples")
            return Example(known.get(id_) or galaxy(atlas, atlas.identity.row(id_)), sign)
        case parse.Lasso():
            return Drawn(_lasso(atlas, state, raw), raw.join)
        case parse.FilterBy(column):
            return SetFilter(column, _filter(atlas, raw))
        case Brush(column):
            atlas.columns(atlas.default_space).describe(column)
            return raw
        case parse.Against(x, y):
            return SetAxes(_axes(atlas, x, y))
        case parse.Tabulate():
            return SetTable(_table(atlas, state.table, raw))
        case parse.OpenClusterLabel(label):
            return OpenCluster(atlas.default_space, atlas.space().cluster(label).label)
        case parse.View("map", box):
            return ViewMap(box)
        case parse.View("sky", None):
            return ViewSky(None)
        case parse.View("sky", Viewport() as box, Projection() as projection):
            return ViewSky(follow(atlas, projection, box))
        case Change(color=str(color)) if (name := column_of(color)) is not None:
            atlas.columns(atlas.default_space).describe(name)
            return raw
        case Express(text):
            if text.strip():
                expression.parse(text, atlas.columns(atlas.default_space))
            return Express(text.strip())
        case parse.LabelsChanged():
            return LabelsSeen(service.book.known(fresh=True).revision)
        case Choose(Collected(name, revision) as what, _):
            # A link names the revision that its maker saw.
            return replace(raw, what=replace(what, revision=service.labels.collection(name, revision).revision))
        case (
            Choose()
            | Clear()
            | ClearExamples()
            | ClearFilters()
            | Group()
            | Invert()
            | Keep()
            | WithSubset()
            | Change()
        ):
            return raw
    raise InputError("this event is incomplete")


def _known(atlas: Atlas, state: State) -> State:
    """A state from a link, without looks at columns that this atlas does not have; what it selects by is kept."""
    columns = atlas.columns(atlas.default_space)
    axes = state.axes
    if axes is not None and not _are_numbers(atlas, axes):
        axes = None
    color = column_of(state.color)
    return replace(
        state,
        axes=axes,
        map=state.map if axes == state.axes else None,
        color=state.color if color is None or color in columns else DENSITY,
        brushed=tuple(name for name in state.brushed if name in columns),
        table=replace(
            state.table,
            columns=tuple(name for name in state.table.columns if name in columns),
            sort=state.table.sort if state.table.sort in columns else "",
        ),
    )


def grounded(atlas: Atlas, state: State) -> State:
    """A state whose viewport of columns is counted as this atlas draws them, with the values in view that it had.

    A link tells what it was counted from; where only one of the two has logarithms, all of the plane is shown. Links
    of before that are taken as they stand.
    """
    if state.axes is None or state.map is None or not _are_numbers(atlas, state.axes):
        return replace(state, map_on=None)
    now = column_axes(atlas.columns(atlas.default_space), state.axes.x, state.axes.y)
    box = state.map
    if state.map_on is not None and state.map_on != now:
        try:
            with np.errstate(all="ignore"):  # a link may say anything: what no box can be is no view
                corners = state.map_on.moved(np.array([[box.x0, box.y0], [box.x1, box.y1]]), now)
            (x0, y0), (x1, y1) = [] if corners is None else corners.tolist()
            box = msgspec.convert({"x0": x0, "x1": x1, "y0": y0, "y1": y1}, Viewport)
        except (ValueError, OverflowError):
            return replace(state, map=None, map_on=None)
    return replace(state, map=box, map_on=now)


def _are_numbers(atlas: Atlas, axes: Axes) -> bool:
    columns = atlas.columns(atlas.default_space)
    return all(name in columns and columns.describe(name).kind == "number" for name in (axes.x, axes.y))


def _lasso(atlas: Atlas, state: State, raw: parse.Lasso) -> LassoRegion:
    """The region that a lasso stands for on the plane that it was drawn on."""
    one_unit = raw.plane == "sky" or state.axes is None
    vertices = canonical_vertices(raw.vertices, one_unit=one_unit)
    if raw.plane == "sky":
        assert raw.projection is not None  # `browser_events.event` saw to it
        return SkyPolygon(raw.projection, vertices)
    if state.axes is None:
        return MapPolygon(atlas.default_space, vertices)
    axes = column_axes(atlas.columns(atlas.default_space), state.axes.x, state.axes.y)
    return column_lasso(axes, state.axes.x, state.axes.y, vertices)


def _filter(atlas: Atlas, raw: parse.FilterBy) -> Filter | None:
    columns = atlas.columns(atlas.default_space)
    if columns.describe(raw.column).kind == "category":
        for word in raw.values:
            columns.code(raw.column, word)
        return Category(raw.column, tuple(sorted(set(raw.values)))) if raw.values else None
    if columns.describe(raw.column).kind == "flags":
        if not raw.on and not raw.off:
            return None
        expression.flags_condition(raw.column, raw.on, raw.off, columns)
        bits = canonical(Bits(raw.column, raw.on, raw.off))
        assert isinstance(bits, Bits)
        return bits
    if columns.describe(raw.column).kind == "text":
        return Contains(raw.column, raw.text) if raw.text else None
    columns.number(raw.column)
    if raw.low is None and raw.high is None:
        return None
    low, high = (parse_number(bound) if isinstance(bound, str) else bound for bound in (raw.low, raw.high))
    bounds = canonical(Range(raw.column, low, high))
    assert isinstance(bounds, Range)
    return bounds


def _axes(atlas: Atlas, x: str, y: str) -> Axes | None:
    if not x and not y:
        return None
    columns = atlas.columns(atlas.default_space)
    for name in (x, y):
        columns.number(name)
    return Axes(x, y)


def _table(atlas: Atlas, table: Table, raw: parse.Tabulate) -> Table:
    columns = atlas.columns(atlas.default_space)
    names = table.columns if raw.columns is None else raw.columns
    sort = table.sort if raw.sort is None else raw.sort
    for name in (*names, *([sort] if sort else [])):
        columns.describe(name)
    return Table(names, sort, table.descending if raw.descending is None else raw.descending)


def _row(atlas: Atlas, row: int, build: str) -> int:
    if build != atlas.build_id:
        raise InputError("the atlas was built anew since this page was loaded; reload the page")
    if row >= atlas.n_rows:
        raise InputError(f"row {row} does not exist: this atlas has {atlas.n_rows:,} rows")
    return row


def _focus(atlas: Atlas, state: State, row: int) -> Focus:
    one = galaxy(atlas, row)
    x, y = (float(v[0]) for v in positions(atlas, state.axes, np.array([row])))
    return Focus(one, reveal_on_map(state.map, x, y), reveal(atlas, state.sky, one, closer=False))


def _found(atlas: Atlas, state: State, found: Found) -> Focus:
    """What was typed: the sky moves to it, closer than to what was clicked."""
    chosen = _focus(atlas, state, found.row)
    view = reveal(atlas, state.sky, chosen.galaxy, closer=True) if found.around is None else frame(atlas, found.around)
    return replace(chosen, sky_view=view, around=found.around, words=found.words)
