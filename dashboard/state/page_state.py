"""State of the page, as one value; `dashboard.events` says how it changes, `dashboard.state.url` how it stands
in a URL.

Views are functions of the part of the state that `parts` hands them, and of nothing that another view holds.

Which galaxies are in view is said in three places, joined by `active`: a selection that a hand drew, filters (one a
column) and an expression that somebody typed. Each can be taken back without the others.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec.structs import replace

from atlas.catalog.mixtures import MixedBy
from atlas.catalog.reserved_names import DENSITY, LABELS, SUBSETS
from atlas.icrs import DecDeg, RaDeg
from atlas.planes.column_plane import PlaneAxes
from atlas.queries.ranking import LabelMode
from atlas.queries.selection import (
    All,
    And,
    Bits,
    Category,
    Collected,
    ColumnPolygon,
    Contains,
    Expression,
    Labelled,
    MapPolygon,
    PartOf,
    Range,
    Selection,
    SkyPolygon,
    asks_labels,
)
from atlas.sky.projection import Projection
from atlas.storage.manifest import Name

from .coloring import LIKENESS, LONGEST, column_of
from .image_look import ImageLook
from .shading import Shading
from .sky_look import SkyLook
from .value import Finite, Value

Text = Annotated[str, msgspec.Meta(max_length=200)]
Detected = Literal[
    "anomaly", "anomaly_form", "anomaly_detail", "anomaly_neighbors", "anomaly_cluster", "anomaly_knn", "artefact",
    "anomaly_forest",
]  # fmt: skip
"""Orders by a detector (`atlas.catalog.anomalies`). The last is of older atlases, and stays for their links."""

DETECTED: tuple[str, ...] = get_args(Detected)
Mixable = Literal["anomaly", "anomaly_form", "anomaly_detail", "anomaly_neighbors", "anomaly_cluster"]
"""Detectors that tell percentiles (`atlas.catalog.mixtures`)."""

Order = Literal["most", "varied", "least", "typical", "random", "labels", "mixed"] | Detected
Panel = Literal["", "map", "sky", "gallery"]
Drawer = Literal["", "filters", "subsets", "clusters", "anomalies", "labels", "why", "scores", "compare", "about"]
ClusterOrder = Literal["size", "stability", "oddness", "distinctness"]
ClusterScale = Literal["", "coarse", "medium", "fine"]
Paint = Literal["points", "mean"]
Listing = Literal["gallery", "table"]
LassoRegion = MapPolygon | ColumnPolygon | SkyPolygon
Filter = Range | Category | Bits | Contains
SpaceChoice = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z][A-Za-z0-9_]{0,63})?$")]
"""A space of the atlas, or nothing for the first."""

SubsetName = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
ExpressionText = Annotated[str, msgspec.Meta(max_length=500)]
MOST_SUBSETS, MOST_FILTERS, MOST_PINNED, MOST_CAPTIONS = 12, 24, 24, 3
Arcsec = Annotated[float, msgspec.Meta(ge=0, le=3_600)]
NARROWEST = 1e-12
"""Least width of a viewport, relative to where it lies: float64 tells some thousand places apart in it."""

GALLERY_SIZES = (16, 24, 48, 100, 250, 500, 1000)
SIMILARITY: tuple[Order, ...] = ("most", "varied", "least")


class Galaxy(Value, frozen=True):
    """A galaxy by identity and position, so that a link outlives the build it was made on."""

    id: Text
    ra_deg: RaDeg
    dec_deg: DecDeg


class Viewport(Value, frozen=True):
    """A viewport in the coordinates of its plane."""

    x0: Finite
    x1: Finite
    y0: Finite
    y1: Finite

    def __post_init__(self) -> None:
        if not (has_width(self.x0, self.x1) and has_width(self.y0, self.y1)):
            raise ValueError("a viewport must have its left below its right and its bottom below its top")


def has_width(low: float, high: float) -> bool:
    """Whether two ends of an axis are far enough apart for a picture of what lies between."""
    return high - low >= max(abs(low), abs(high)) * NARROWEST and high - low >= 1e-200


class SkyView(Value, frozen=True):
    """A viewport of the sky: what is seen of which projection."""

    projection: Projection
    box: Viewport


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
    """State of the table: columns in order (none: the usual ones), and the column that sorts it (none: the order of
    the gallery)."""

    columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=60)] = ()
    sort: Annotated[str, msgspec.Meta(max_length=64)] = ""
    descending: bool = False


class DetectorMixture(Value, frozen=True):
    """Several detectors that order the gallery together, in the order of `Mixable`, and how: by the highest of their
    percentiles or by the mean."""

    detectors: Annotated[tuple[Mixable, ...], msgspec.Meta(min_length=2, max_length=len(get_args(Mixable)))]
    by: MixedBy = "highest"


class Teaching(Value, frozen=True):
    """Labels that order the gallery.

    Attributes
    ----------
    wanted : tuple of str
        Those that are looked for; all others say what is not.
    mode : str
        As of `ByLabels`.
    revision : int
        Of the labels: a link answers as it did.
    """

    wanted: Annotated[tuple[SubsetName, ...], msgspec.Meta(min_length=1, max_length=64)]
    mode: LabelMode = "like"
    revision: Annotated[int, msgspec.Meta(ge=1, lt=2**53)] = 1


class State(Value, frozen=True, kw_only=True):
    """Everything that the page is a function of.

    Attributes
    ----------
    space : str
        Embedding space that map, search, clusters and anomalies are of; empty for the first.
    focus : Galaxy or None
        The galaxy in the details; also the query where there are no examples.
    beside : Galaxy or None
        The galaxy that the one in the details is compared with.
    wanted, unwanted : tuple of Galaxy
        Examples that were collected.
    group : Selection or None
        Galaxies that count together, as one more wanted example.
    selection : Selection
        Which galaxies a hand has selected.
    filters : tuple of Range, Category, Bits or Contains
        At most one a column, in order of the columns' names.
    expression : str
        A typed condition; empty for none.
    subsets : tuple of Subset
        Selections that were kept.
    kept : State or None
        The question of an answer that was kept, to compare others with.
    known : Labelled, Collected or None
        Galaxies that a search should find, which judge it.
    brushed : tuple of str
        Columns whose histograms were asked for beside the usual ones.
    order : str
        How the gallery is ordered.
    teaching : Teaching or None
        Which labels order it, where these do.
    mixture : DetectorMixture or None
        Which detectors order it, where several do.
    within : bool
        Whether the gallery stays inside what is active.
    exact : bool
        Whether similarity is searched exactly.
    apart_arcsec : float
        Galaxies within so many arcseconds of a better one are hidden; 0 hides none.
    shown : int
        Images in the gallery.
    axes : Axes or None
        Columns that the map's panel shows; None shows the map of the embedding.
    map, sky : Viewport, SkyView or None
        Viewports; None shows everything. The map's is of the plane in view.
    second_space : str
        Space whose map is seen beside the page's own, in the place of the sky; empty for the sky.
    second : Viewport or None
        Viewport of that map.
    sky_look : SkyLook
        SkyFrame, projection of the whole sky, lines, and the picture behind.
    map_on : PlaneAxes or None
        What the map's viewport is counted from where columns are shown: another build may draw them from another zero.
    color : str
        What colours both planes: "density", "subsets" or a column (`dashboard.state.coloring`).
    paint : str
        How a column colours them: point by point, or as the mean of the galaxies in each spot.
    shading : Shading
        How its numbers become colours.
    listing : str
        Whether the galaxies are listed as a gallery or as a table.
    table : Table
        How the table stands.
    sexagesimal, light : bool
        How positions are written; the light theme.
    look : ImageLook
        How images are looked at.
    pinned : tuple of str
        Columns that stand first in the details; none: the usual ones.
    captions : tuple of str
        Columns whose values stand under the images of the gallery.
    enlarged, drawer
        Which panel fills the page, which drawer is open.
    cluster_order : str
        What the drawer of clusters is sorted by, the most first.
    split : PartOf or None
        The selection whose parts that drawer shows in their place.
    cluster_scale : str
        Which clusters it shows; empty for the scale of which one sees a handful at once.
    labels_at, names_at : int
        Revisions of the labels and of the clusters' names that the page shows; no part of a link.
    """

    space: SpaceChoice = ""
    focus: Galaxy | None = None
    beside: Galaxy | None = None
    wanted: Annotated[tuple[Galaxy, ...], msgspec.Meta(max_length=50)] = ()
    unwanted: Annotated[tuple[Galaxy, ...], msgspec.Meta(max_length=50)] = ()
    group: Selection | None = None
    selection: Selection = All()
    filters: Annotated[tuple[Filter, ...], msgspec.Meta(max_length=MOST_FILTERS)] = ()
    expression: ExpressionText = ""
    subsets: Annotated[tuple[Subset, ...], msgspec.Meta(max_length=MOST_SUBSETS)] = ()
    kept: State | None = None
    known: Labelled | Collected | None = None
    brushed: Annotated[tuple[Name, ...], msgspec.Meta(max_length=60)] = ()
    order: Order = "most"
    teaching: Teaching | None = None
    mixture: DetectorMixture | None = None
    within: bool = True
    exact: bool = False
    apart_arcsec: Arcsec = 0.0
    shown: Annotated[int, msgspec.Meta(ge=16, le=1000)] = 24
    axes: Axes | None = None
    map: Viewport | None = None
    map_on: PlaneAxes | None = None
    sky: SkyView | None = None
    second_space: SpaceChoice = ""
    second: Viewport | None = None
    sky_look: SkyLook = SkyLook()
    color: Annotated[str, msgspec.Meta(max_length=LONGEST)] = DENSITY
    paint: Paint = "points"
    shading: Shading = Shading()
    listing: Listing = "gallery"
    table: Table = Table()
    sexagesimal: bool = False
    light: bool = False
    look: ImageLook = ImageLook()
    pinned: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_PINNED)] = ()
    captions: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_CAPTIONS)] = ()
    enlarged: Panel = ""
    drawer: Drawer = ""
    cluster_order: ClusterOrder = "size"
    cluster_scale: ClusterScale = ""
    split: PartOf | None = None
    labels_at: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    names_at: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0


def active(state: State) -> Selection:
    """Selection that every view is about: inside what is selected, through all filters, and true to the expression."""
    typed: tuple[Selection, ...] = (Expression(state.expression),) if state.expression else ()
    parts = (state.selection, *state.filters, *typed)
    held = tuple(part for part in parts if not isinstance(part, All))
    return And(held) if len(held) > 1 else held[0] if held else All()


def is_narrowed(state: State) -> bool:
    """Whether some galaxies are left out."""
    return not isinstance(active(state), All)


def has_examples(state: State) -> bool:
    """Whether there is a galaxy to be similar to."""
    return state.focus is not None or state.group is not None or bool(state.wanted or state.unwanted)


def is_step(before: State, after: State) -> bool:
    """Whether a change deserves an entry of its own in the browser's history: a new question, not a new viewport."""
    return question(before) != question(after)


LOOKS = (
    "map", "map_on", "sky", "second_space", "second", "sky_look", "sexagesimal", "light", "look", "enlarged", "drawer",
    "cluster_order", "cluster_scale", "split", "color", "paint", "shading", "listing", "table", "brushed", "known",
    "kept", "beside", "labels_at", "names_at", "pinned", "captions",
)  # fmt: skip
"""Fields that only change how a question and its answer are looked at."""


def question(state: State) -> State:
    """The state without what only changes how it is looked at."""
    blank = State()
    return replace(state, **{name: getattr(blank, name) for name in LOOKS})


def parts(state: State) -> dict[str, State]:
    """Part of the state for each view: all else is at its default, so that equal parts need no new answer."""
    blank = State(space=state.space)
    which = {"selection": state.selection, "filters": state.filters, "expression": state.expression}
    examples = {"wanted": state.wanted, "unwanted": state.unwanted, "group": state.group, "focus": state.focus}
    likened = state.color == LIKENESS
    looks = {
        "color": state.color,
        "paint": state.paint if column_of(state.color) is not None else blank.paint,
        "shading": state.shading if column_of(state.color) is not None or likened else blank.shading,
        "subsets": state.subsets if state.color == SUBSETS else (),
        **(examples if likened else {}),
    }
    seen = state.labels_at if shows_labels(state) else 0
    asked = replace(question(state), axes=None, subsets=(), labels_at=seen, names_at=state.names_at)
    blank = replace(blank, labels_at=seen, names_at=state.names_at)
    return {
        "map": replace(blank, **which, **looks, axes=state.axes, map=state.map, light=state.light),
        "sky": replace(blank, **which, **looks, sky=state.sky, sky_look=state.sky_look,
                       sexagesimal=state.sexagesimal),
        "second": replace(blank, **which, **looks, second_space=state.second_space, second=state.second,
                          light=state.light)
        if state.second_space
        else blank,
        "gallery": replace(asked, sexagesimal=state.sexagesimal, captions=state.captions),
        "marks": replace(asked, axes=state.axes, sky=_projected(state.sky), sky_look=state.sky_look, light=state.light,
                         second_space=state.second_space),
        "details": replace(blank, **examples, beside=state.beside, sexagesimal=state.sexagesimal, color=state.color,
                           pinned=state.pinned, look=ImageLook(source=state.look.source, context=state.look.context)),
        # Sorting is the grid's own: it asks for other rows, and needs no other grid.
        "table": replace(asked, table=Table(state.table.columns), listing="table")
        if state.listing == "table"
        else blank,
        "drawer": replace(blank, **{"drawer": state.drawer, **_drawer_needs(state)}),
        "judging": replace(blank, order=state.order, teaching=state.teaching, labels_at=state.labels_at)
        if state.order == "labels"
        else blank,
        "page": replace(blank, **which, **(looks | examples), axes=state.axes, light=state.light, order=state.order,
                        mixture=state.mixture,
                        enlarged=state.enlarged, drawer=state.drawer, shown=state.shown, within=state.within,
                        listing=state.listing, table=state.table, sexagesimal=state.sexagesimal,
                        sky=_kind(state.sky), sky_look=state.sky_look, captions=state.captions,
                        second_space=state.second_space),
    }  # fmt: skip


def shows_labels(state: State) -> bool:
    """Whether what the page shows depends on labels, be it as selection, as examples or as colour."""
    group = () if state.group is None else (state.group,)
    kept = tuple(one.selection for one in state.subsets)
    return state.color == LABELS or any(asks_labels(one) for one in (active(state), *group, *kept))


def _projected(view: SkyView | None) -> SkyView | None:
    """A view of the sky as far as places depend on it: on the projection, not on what of it is seen."""
    return None if view is None else SkyView(view.projection, Viewport(-1.0, 1.0, -1.0, 1.0))


def _kind(view: SkyView | None) -> SkyView | None:
    """A view of the sky as far as its menu depends on it: on the kind of its projection."""
    if view is None:
        return None
    return SkyView(Projection(view.projection.kind, 0.0, 0.0), Viewport(-1.0, 1.0, -1.0, 1.0))


_SCORED = ("focus", "wanted", "unwanted", "group", "order", "mixture", "within", "known", "light")
"""What the drawer of scores depends on beside the selection."""


def _drawer_needs(state: State) -> dict[str, object]:
    """Fields that the open drawer depends on beside its name."""
    which = {"selection": state.selection, "filters": state.filters, "expression": state.expression}
    match state.drawer:
        case "labels":
            return {"labels_at": state.labels_at, **which}
        case "filters":
            return {**which, "brushed": state.brushed}
        case "subsets":
            return {**which, "subsets": state.subsets}
        case "clusters":
            return {"cluster_order": state.cluster_order, "cluster_scale": state.cluster_scale, "split": state.split}
        case "anomalies":
            return {**which, "order": state.order, "mixture": state.mixture}
        case "why":
            return {**which}
        case "compare":
            # All that the gallery's question depends on: it is asked again, in another space or beside another.
            asked = replace(question(state), axes=None, subsets=())
            return {name: getattr(asked, name) for name in State.__struct_fields__ if name != "space"} | {
                "drawer": state.drawer,
                "kept": state.kept,
                "light": state.light,
            }
        case "scores":
            return {name: getattr(state, name) for name in _SCORED} | {**which, "labels_at": state.labels_at}
    return {}
