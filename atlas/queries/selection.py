"""Selections of galaxies: an algebra of immutable values.

    All                            every row
    Rows(rows)                     these rows
    MapPolygon(space, vertices)    inside a lasso on the map of a space
    SkyPolygon(projection, …)      inside a lasso on the sky, in the projection it was drawn in
    ColumnPolygon(x, y, vertices)  inside a lasso on the plane of two columns
    Cone(ra_deg, dec_deg, radius_arcsec)
    SkyMoc(cells)                  in the cells of a coverage map, such as 5/8-10 42 (`atlas.sky.coverage`)
    Range(column, low, high)       low ≤ value ≤ high; missing values are outside
    Category(column, values)       one of these words
    Bits(column, on, off)          flags with all of some bits set and none of others
    Contains(column, text)         text with this in it, whatever the case
    Expression(text)               a condition on columns or labels: mag_g - mag_r > 0.8 (`atlas.expressions.check`)
    Labelled(labels, disputed)     galaxies that somebody gave one of these labels, at a revision of all labels
    Collected(name) Cluster(label) members of a collection, or of a cluster of the map
    Alike(wanted, unwanted, low)   as similar to examples as a bound, or more
    PartOf(space, of, count, number)  one of the parts that a selection falls into (`atlas.queries.splitting`)
    And(of) Or(of) Not(of)

A selection says nothing about an atlas: `Atlas.mask` evaluates it, exactly, over all rows. `canonical` brings equal
selections to one form, so that a cache holds each mask once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Real
from typing import Annotated

import msgspec
from msgspec.structs import replace

from atlas.catalog.numbers import exact_text, require_held
from atlas.errors import InputError, shorten
from atlas.expressions.given import asks_people
from atlas.expressions.parser import MAX_CHARACTERS, normalised
from atlas.icrs import DecDeg, RaDeg
from atlas.planes.axis import LARGEST_ZERO, Unit, Zero
from atlas.planes.polygon import canonical_polygon, simplify, validate_polygon
from atlas.queries.feedback import weighted_examples
from atlas.sky.coverage import MOST_CHARACTERS, read_coverage, write_coverage
from atlas.sky.projection import Projection
from atlas.storage.manifest import Name

Row = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Bit = Annotated[int, msgspec.Meta(ge=0, lt=64)]
Revision = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
ExampleId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Cosine = Annotated[float, msgspec.Meta(ge=-1.01, le=1.01)]
Vertices = Annotated[tuple[tuple[float, float], ...], msgspec.Meta(min_length=3, max_length=2000)]
MAX_DEPTH = 8
MOST_NAMED = 1_000
MAX_LEAVES = 64


class _Selection(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower, forbid_unknown_fields=True):
    """Base of all selections: `a & b`, `a | b`, `~a` build new ones."""

    def __and__(self, other: Selection | str) -> Selection:
        return canonical(And((self, as_selection(other))))  # type: ignore[arg-type]

    def __or__(self, other: Selection | str) -> Selection:
        return canonical(Or((self, as_selection(other))))  # type: ignore[arg-type]

    def __invert__(self) -> Selection:
        return canonical(Not(self))  # type: ignore[arg-type]


class All(_Selection, frozen=True):
    """Every row."""


class Rows(_Selection, frozen=True):
    """These rows of this build."""

    rows: tuple[Row, ...]


class Named(_Selection, frozen=True):
    """Galaxies by their ids, which outlive a build; those that an atlas does not have are left out."""

    ids: Annotated[tuple[ExampleId, ...], msgspec.Meta(max_length=MOST_NAMED)]


class MapPolygon(_Selection, frozen=True):
    """Inside a polygon on the map of a space, in the map's own coordinates."""

    space: Name
    vertices: Vertices


class SkyPolygon(_Selection, frozen=True):
    """Inside a polygon on the sky, in degrees on the plane of the projection that it was drawn in."""

    projection: Projection
    vertices: Vertices


class ColumnPolygon(_Selection, frozen=True):
    """Inside a polygon on the plane of two number columns.

    Its corners are values, log10 of them along a logarithmic axis, or (value − zero) / unit where the page drew it.
    Rows where either value is missing (or has no logarithm) are outside.
    """

    x: Name
    y: Name
    vertices: Vertices
    x_log: bool = False
    y_log: bool = False
    x_zero: Zero = 0.0
    y_zero: Zero = 0.0
    x_unit: Unit = 1.0
    y_unit: Unit = 1.0

    def __post_init__(self) -> None:
        if not max(abs(self.x_zero), abs(self.y_zero)) <= LARGEST_ZERO:
            raise ValueError("the zero of an axis is a number that float64 can hold")


class Cone(_Selection, frozen=True):
    """Within a radius of a position (ICRS)."""

    ra_deg: RaDeg
    dec_deg: DecDeg
    radius_arcsec: Annotated[float, msgspec.Meta(gt=0, le=180 * 3600)]


class SkyMoc(_Selection, frozen=True):
    """In the cells of a coverage map (MOC), written as `5/8-10 42 6/170`."""

    cells: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_CHARACTERS)]


class Range(_Selection, frozen=True):
    """Values of a number column between two bounds, both included; None leaves a side open."""

    column: Name
    low: int | float | None = None
    high: int | float | None = None


class Category(_Selection, frozen=True):
    """Rows whose category is one of these words."""

    column: Name
    values: tuple[str, ...]


class Bits(_Selection, frozen=True):
    """Rows whose flags have every bit of `on` set and none of `off`; bits are counted from 0."""

    column: Name
    on: Annotated[tuple[Bit, ...], msgspec.Meta(max_length=64)] = ()
    off: Annotated[tuple[Bit, ...], msgspec.Meta(max_length=64)] = ()


class Contains(_Selection, frozen=True):
    """Rows whose text holds some letters, whatever the case of a to z."""

    column: Name
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Expression(_Selection, frozen=True, omit_defaults=True):
    """Rows for which a condition on columns of the catalogue and of the default space holds, or on what people gave.

    Attributes
    ----------
    text : str
    revision : int
        Of the labels, where it asks for these; 0 stands for now (`pinned`).
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHARACTERS)]
    revision: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0


class Cluster(_Selection, frozen=True):
    """Members of a cluster of the map, of any scale; label −1 is everything between the clusters."""

    space: Name
    label: Annotated[int, msgspec.Meta(ge=-1, lt=2**15)]


class Labelled(_Selection, frozen=True):
    """Galaxies that somebody gave one of these labels; any label where none is named.

    Attributes
    ----------
    labels : tuple of str
    disputed : bool
        Whether only those count that people gave different labels.
    revision : int
        What holds at this revision of the labels; 0 stands for now (`pinned`).
    """

    labels: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=40)], ...], msgspec.Meta(max_length=64)] = ()
    disputed: bool = False
    revision: Revision = 0


class Collected(_Selection, frozen=True):
    """Members of a collection; revision 0 stands for its newest."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    revision: Revision = 0


class Alike(_Selection, frozen=True):
    """Galaxies whose similarity to examples lies between two bounds, both included; None leaves a side open.

    Examples are named by id, so that a link outlives the build it was made on.

    Attributes
    ----------
    wanted, unwanted : tuple of str
        Ids, each as often as it counts.
    group : Selection or None
        Galaxies that are one more wanted example together.
    low, high : float or None
        Cosine similarities to what stands for the examples (`atlas.queries.feedback`).
    """

    wanted: Annotated[tuple[ExampleId, ...], msgspec.Meta(max_length=50)] = ()
    unwanted: Annotated[tuple[ExampleId, ...], msgspec.Meta(max_length=50)] = ()
    group: Selection | None = None
    low: Cosine | None = None
    high: Cosine | None = None


class PartOf(_Selection, frozen=True):
    """One of the parts that a selection falls into in a space: galaxies that look alike; 0 is the largest."""

    space: Name
    of: Selection
    count: Annotated[int, msgspec.Meta(ge=2, le=24)]
    number: Annotated[int, msgspec.Meta(ge=0, lt=24)]


class And(_Selection, frozen=True):
    """Rows in every one of these."""

    of: Annotated[tuple[Selection, ...], msgspec.Meta(max_length=64)]


class Or(_Selection, frozen=True):
    """Rows in at least one of these."""

    of: Annotated[tuple[Selection, ...], msgspec.Meta(max_length=64)]


class Not(_Selection, frozen=True):
    """Rows that are not in this."""

    of: Selection


Selection = (
    All
    | Rows
    | Named
    | MapPolygon
    | SkyPolygon
    | ColumnPolygon
    | Cone
    | SkyMoc
    | Range
    | Category
    | Bits
    | Contains
    | Expression
    | Cluster
    | Labelled
    | Collected
    | Alike
    | PartOf
    | And
    | Or
    | Not
)

_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_selection(selection: Selection) -> bytes:
    """The selection as JSON; equal canonical selections give equal bytes."""
    return _ENCODER.encode(selection)


def as_selection(given: Selection | str) -> Selection:
    """A selection as it is given in a notebook: text is a condition.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(given, str):
        return Expression(given)
    if not isinstance(given, _Selection):
        raise InputError(
            'a selection is a condition such as "snr > 100", or Range, Cone, Cluster, Rows and their like, joined by '
            f"& and |; not {type(given).__name__} {shorten(given, 40)}"
        )
    return given


def canonical(selection: Selection | str, depth: int = 0) -> Selection:
    """The one form of all equal selections, as far as algebra and rounding see them.

    Nested And / Or are flattened, sorted and freed of repeats; double negations vanish; polygons are simplified to at
    most 100 vertices, rounded, and start at their smallest vertex; expressions are written in one way.

    Raises
    ------
    InputError
        If the selection is nested too deeply, a polygon has no area, bounds are reversed or not finite, a bit has to be
        both set and not, or a text is not an expression.
    """
    selection = as_selection(selection)
    if depth == 0 and (parts := sum(1 for _ in parts_of(selection))) > MAX_LEAVES:
        raise InputError(f"a selection may have {MAX_LEAVES} parts, this one has {parts}")
    if depth > MAX_DEPTH:
        raise InputError(f"a selection may be nested {MAX_DEPTH} deep, this one is deeper")
    match selection:
        case And(of):
            return _joined(And, of, All(), Not(All()), depth)
        case Or(of):
            return _joined(Or, of, Not(All()), All(), depth)
        case Not(of):
            inner = canonical(of, depth + 1)
            return inner.of if isinstance(inner, Not) else Not(inner)
        case MapPolygon(space, vertices):
            return MapPolygon(space, canonical_vertices(vertices))
        case SkyPolygon(projection, vertices):
            return SkyPolygon(projection, canonical_vertices(vertices))
        case ColumnPolygon(_, _, vertices, _, _, x_zero, y_zero):
            return replace(
                selection,
                vertices=canonical_vertices(vertices, one_unit=False),
                x_zero=require_held(x_zero),
                y_zero=require_held(y_zero),
            )
        case SkyMoc(cells):
            return SkyMoc(write_coverage(ranges)) if len(ranges := read_coverage(cells)) else Not(All())
        case Rows(rows):
            return Rows(tuple(sorted(set(rows))))
        case Named(ids):
            return Named(tuple(sorted(set(ids))))
        case Category(column, values):
            return Category(column, tuple(sorted(set(values))))
        case Labelled(labels):
            return replace(selection, labels=tuple(sorted(set(labels))))
        case Alike(wanted, unwanted, group, low, high):
            if not (wanted or unwanted or group):
                raise InputError("similarity needs at least one example galaxy")
            if low is not None and high is not None and low > high:
                raise InputError(f"the range of similarity is reversed: {low:g} is above {high:g}")
            names = weighted_examples(wanted, unwanted, alone=group is None)
            return Alike(*names, None if group is None else canonical(group, depth + 1), low, high)
        case PartOf(_, of):
            return replace(selection, of=canonical(of, depth + 1))
        case Bits(column, on, off):
            if both := sorted(set(on) & set(off)):
                raise InputError(f"bit {both[0]} of {column!r} cannot be both set and not set")
            return Bits(column, tuple(sorted(set(on))), tuple(sorted(set(off)))) if on or off else All()
        case Expression(text, revision):
            return Expression(normalised(text), revision)
        case Range(column, low, high):
            for bound in list[object]((low, high)):
                if bound is not None and not (isinstance(bound, Real) and bound == bound):
                    raise InputError(f"the bounds of {column!r} must be numbers, not {shorten(bound)}")
            low, high = (None if bound is None else require_held(bound) for bound in (low, high))
            if low is not None and high is not None and low > high:
                raise InputError(f"the range of {column!r} is reversed: {exact_text(low)} is above {exact_text(high)}")
            return Range(column, low, high)
        case _:
            return selection


def parts_of(selection: Selection) -> Iterator[Selection]:
    """Parts that a selection is joined from."""
    match selection:
        case And(of) | Or(of):
            for one in of:
                yield from parts_of(one)
        case Not(inner):
            yield from parts_of(inner)
        case Alike(group=inner) | PartOf(of=inner) if inner is not None:
            yield selection
            yield from parts_of(inner)
        case _:
            yield selection


def asks_labels(selection: Selection) -> bool:
    """Whether what a selection holds depends on labels or collections."""
    return any(_asks_labels(part) for part in parts_of(selection))


def _asks_labels(part: Selection) -> bool:
    return isinstance(part, Labelled | Collected) or (isinstance(part, Expression) and asks_people(part.text))


def pinned(selection: Selection, newest: Callable[[Labelled | Collected | Expression], int]) -> Selection:
    """The selection with each revision that stands for now written out, so that it means the same tomorrow."""
    match selection:
        case Labelled() | Collected() | Expression() if _asks_labels(selection):
            return selection if selection.revision else replace(selection, revision=newest(selection))
        case And(of) | Or(of):
            return type(selection)(tuple(pinned(one, newest) for one in of))
        case Not(inner):
            return Not(pinned(inner, newest))
        case Alike(group=group) if group is not None:
            return replace(selection, group=pinned(group, newest))
        case PartOf(_, of):
            return replace(selection, of=pinned(of, newest))
    return selection


def canonical_vertices(vertices: Vertices, *, one_unit: bool = True) -> Vertices:
    """A polygon that is valid, simple enough to evaluate, and written one way only.

    `one_unit` says whether x and y are lengths in one unit.
    """
    points = canonical_polygon(simplify(validate_polygon(vertices), one_unit=one_unit), one_unit=one_unit)
    return tuple((float(x), float(y)) for x, y in points)


def _joined(
    kind: type[And] | type[Or], of: tuple[Selection, ...], neutral: Selection, absorbing: Selection, depth: int
) -> Selection:
    parts: dict[bytes, Selection] = {}
    for one in of:
        one = canonical(one, depth + 1)
        for part in one.of if isinstance(one, kind) else (one,):
            parts[encode_selection(part)] = part
    parts.pop(encode_selection(neutral), None)
    if encode_selection(absorbing) in parts:
        return absorbing
    if not parts:
        return neutral
    if len(parts) == 1:
        return next(iter(parts.values()))
    return kind(tuple(parts[key] for key in sorted(parts)))
