"""From what a browser sent to events that stand on their own: rows and words become galaxies with id and position."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.numbers import parse_number
from atlas.catalog.position_text import format_position, looks_like_position, parse_position, slip
from atlas.errors import InputError, UnknownGalaxyError
from atlas.expressions import check as expression
from atlas.mask import Mask
from atlas.planes.column_plane import column_axes
from atlas.queries.column_lasso import column_lasso
from atlas.queries.selection import (
    Bits,
    Category,
    Contains,
    MapPolygon,
    Range,
    SkyPolygon,
    canonical,
    canonical_vertices,
)
from atlas.sky.projection import Projection
from atlas.sky.sky_regions import separation_deg
from dashboard.interaction import browser_events as parse
from dashboard.service.atlas_service import Service
from dashboard.settings import Settings
from dashboard.state import url as links
from dashboard.state.coloring import DENSITY, column_of
from dashboard.state.events import (
    Against,
    AnyEvent,
    Brush,
    Change,
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
    Open,
    OpenCluster,
    SetFilter,
    Tabulate,
    ViewMap,
    ViewSky,
    WithSubset,
)
from dashboard.state.page_state import Axes, Box, Filter, Galaxy, Lasso, State, Table, active
from dashboard.state.viewports import follow, reveal

SAME_PLACE_ARCSEC = 1.0
ROUNDING_ARCSEC = 0.2
"""A position as this page writes one lies so near to its galaxy: names by position are cut off at 0.01 s and 0.1″."""


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
            return Open(_known(atlas, links.from_link(token, service.kept)))
        case parse.Find(text):
            return _focus(atlas, state, find(atlas, text, service.settings), typed=True)
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
            return Against(_axes(atlas, x, y))
        case parse.Tabulate():
            return Tabulate(_table(atlas, state.table, raw))
        case parse.OpenClusterLabel(label):
            return OpenCluster(atlas.default_space, atlas.space().cluster(label).label)
        case parse.View("map", box):
            return ViewMap(box)
        case parse.View("sky", None):
            return ViewSky(None)
        case parse.View("sky", Box() as box, Projection() as projection):
            return ViewSky(follow(atlas, projection, box))
        case Change(color=str(color)) if (name := column_of(color)) is not None:
            atlas.columns(atlas.default_space).describe(name)
            return raw
        case Express(text):
            if text.strip():
                expression.parse(text, atlas.columns(atlas.default_space))
            return Express(text.strip())
        case Clear() | ClearExamples() | ClearFilters() | Group() | Invert() | Keep() | WithSubset() | Change():
            return raw
    raise InputError("this event is incomplete")


def _known(atlas: Atlas, state: State) -> State:
    """A state from a link, without looks at columns that this atlas does not have; what it selects by is kept."""
    columns = atlas.columns(atlas.default_space)
    axes = state.axes
    if axes is not None and not all(
        name in columns and columns.describe(name).kind == "number" for name in (axes.x, axes.y)
    ):
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


def _lasso(atlas: Atlas, state: State, raw: parse.Lasso) -> Lasso:
    """The region that a lasso stands for on the plane that it was drawn on."""
    one_unit = raw.plane == "sky" or state.axes is None
    vertices = canonical_vertices(raw.vertices, one_unit=one_unit)
    if raw.plane == "sky":
        assert raw.projection is not None  # `parse.events` saw to it
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


def galaxy(atlas: Atlas, row: int) -> Galaxy:
    """A row as a galaxy that outlives the build."""
    ra_deg, dec_deg = atlas.position(row)
    return Galaxy(atlas.identity.name(row), ra_deg, dec_deg)


def row_of(atlas: Atlas, one: Galaxy) -> int | None:
    """Row of a galaxy in this build: by its id, else by its position to a second of arc; None if it is gone."""
    try:
        return atlas.identity.row(one.id)
    except UnknownGalaxyError:
        found = atlas.sky.nearest(one.ra_deg, one.dec_deg, SAME_PLACE_ARCSEC / 3600)
        return None if found is None else found[0]


def find(atlas: Atlas, text: str, settings: Settings) -> int:
    """Row that a person means who typed an id or a position.

    Raises
    ------
    InputError
        If it is neither, or nothing is near.
    """
    text = text.strip()
    if not text:
        raise InputError(f"type a position or a galaxy's id: {examples(atlas)}")
    try:
        return atlas.identity.row(text)
    except UnknownGalaxyError as unknown:
        if not looks_like_position(text):
            # Two whole numbers may be meant as either.
            wrong = slip(text)
            if wrong and not atlas.identity.has_form(text):
                raise InputError(wrong) from None
            also = f"as a position, {wrong}" if wrong else f"or type a position, such as {_written(atlas)[0]}"
            raise InputError(f"{unknown}; {also}") from None
    ra_deg, dec_deg = parse_position(text)
    return atlas.nearest(ra_deg, dec_deg, settings.nearest_radius_arcsec, settings.nearest_search_arcsec)[0]


def matched(text: str, found: Galaxy) -> str:
    """Which galaxy a typed position was taken for, and how far from it that lies; empty where it is the very place."""
    if text.strip() == found.id or not looks_like_position(text):
        return ""
    ra_deg, dec_deg = parse_position(text)
    away = 3600 * float(separation_deg(found.ra_deg, found.dec_deg, ra_deg, dec_deg))
    if away <= ROUNDING_ARCSEC:
        return ""
    return f"The galaxy nearest to {format_position(ra_deg, dec_deg)} is {found.id}, {away:.1f}″ away."


def examples(atlas: Atlas) -> str:
    """What can be typed, by a galaxy of this atlas: its position in degrees, its id, its sexagesimal position."""
    sexagesimal, degrees = _written(atlas)
    return "  ·  ".join([degrees, atlas.identity.name(_example(atlas)), sexagesimal])


def _example(atlas: Atlas) -> int:
    """A galaxy to show how one is named: the one that is most typical of the largest cluster, or else the first."""
    clusters = atlas.space().clusters
    return clusters[0].medoid if clusters else 0


def _written(atlas: Atlas) -> tuple[str, str]:
    """The example's position, sexagesimal and in degrees."""
    ra_deg, dec_deg = atlas.position(_example(atlas))
    return format_position(ra_deg, dec_deg, "sexagesimal"), format_position(ra_deg, dec_deg, digits=5)


def random_row(atlas: Atlas, mask: Mask | None) -> int:
    """Any row of a selection, each as likely as the others.

    Raises
    ------
    InputError
        If the selection is empty.
    """
    if mask is None:
        return secrets.randbelow(atlas.n_rows)
    if mask.count == 0:
        raise InputError("the selection is empty: there is no galaxy to pick")
    return int(mask.rows[secrets.randbelow(mask.count)])


def _row(atlas: Atlas, row: int, build: str) -> int:
    if build != atlas.build_id:
        raise InputError("the atlas was built anew since this page was loaded; reload the page")
    if row >= atlas.n_rows:
        raise InputError(f"row {row} does not exist: this atlas has {atlas.n_rows:,} rows")
    return row


def _focus(atlas: Atlas, state: State, row: int, *, typed: bool = False) -> Focus:
    one = galaxy(atlas, row)
    x, y = (float(v[0]) for v in positions(atlas, state.axes, np.array([row])))
    return Focus(one, _reveal_on_map(state.map, x, y), reveal(atlas, state.sky, one, closer=typed))


def positions(atlas: Atlas, axes: Axes | None, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where rows lie on the plane of the map's panel, float32; NaN where they have no place there."""
    columns = atlas.columns(atlas.default_space)
    if axes is None:
        x, y = (np.asarray(columns.array(name)[rows], dtype=np.float32) for name in ("map_x", "map_y"))
        return x, y
    drawn = column_axes(columns, axes.x, axes.y)
    x, y = columns.array(axes.x)[rows], columns.array(axes.y)[rows]
    return drawn.x.coordinates(x), drawn.y.coordinates(y)


def _reveal_on_map(box: Box | None, x: float, y: float) -> Box | None:
    """The viewport moved, not scaled, so that a point comes to its middle; None where it is in view already."""
    if box is None or not np.isfinite([x, y]).all() or (box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1):
        return None
    half_width, half_height = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    x, y = float(np.float32(x)), float(np.float32(y))
    return Box(x - half_width, x + half_width, y - half_height, y + half_height)
