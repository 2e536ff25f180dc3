"""Regions of the sky as people type them, read as selections.

    box 53.1 -27.8 2′ 1′              box G 223.5 -54.4 1° 30′ 20     (turned by 20° from north to east)
    polygon 53.1 -27.8 53.2 -27.8 53.2 -27.7        circle 3:32:39 -27:47:29 30″
    moc 5/8-10 42 6/170               fk5; polygon(…) and the like, as DS9 writes them

Sides of boxes and polygons are great circles. Positions are those of `atlas.catalog.places`; corners of polygons are
pairs of numbers.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from atlas.catalog.places import Place, arcsec_of, read_place, size_pattern, size_words
from atlas.catalog.position_text import format_position, parse_position
from atlas.errors import CoordinateError, InputError
from atlas.queries.selection import Cone, Selection, SkyMoc, SkyPolygon, canonical
from atlas.sky.coverage import read_coverage, share_of_sky
from atlas.sky.healpix import SKY_DEG2
from atlas.sky.outlines import box_on_plane, polygon_on_plane

FORMS = "box 53.1 -27.8 2′ 1′, circle 53.1 -27.8 30″, polygon RA Dec RA Dec RA Dec …, or moc 5/8-10 42"
MOST_CORNERS = 100
LONGEST_REGION = 4_000
"""Characters of a region that is typed: a hundred corners, or some hundred cells."""

_REGION = re.compile(
    r"(?:(?:icrs|fk5|j2000)\s*;\s*)?(box|circle|polygon|moc)(?:\s*\(([^()]*)\)|[\s:=]+(.*))", re.IGNORECASE | re.DOTALL
)
_BOX = re.compile(
    rf"(?P<place>.+?)[\s,;]+{size_pattern('w')}[\s,;x×]+{size_pattern('h')}"
    r"(?:[\s,;]+(?P<angle>[+-]?[0-9]+(?:\.[0-9]*)?)\s*°?)?",
    re.IGNORECASE | re.DOTALL,
)
_SQUARE = re.compile(rf"(?P<place>.+?)[\s,;]+{size_pattern('w')}", re.IGNORECASE | re.DOTALL)


class TypedRegion(NamedTuple):
    """Region that a text describes, and how it was understood."""

    selection: Selection
    read_as: str


def names_region(text: str) -> bool:
    """Whether a text begins as a region does."""
    return _REGION.fullmatch(text.strip()) is not None


def read_region(text: str) -> TypedRegion | None:
    """The region that a text describes; None where it begins as none does.

    Raises
    ------
    InputError
        If it begins as a region but cannot be read; says what is allowed.
    """
    found = _REGION.fullmatch(text.strip())
    if found is None:
        return None
    kind, rest = found[1].lower(), (found[2] or found[3] or "").strip()
    try:
        region = {"box": _box, "circle": _circle, "polygon": _polygon, "moc": _moc}[kind](rest)
    except CoordinateError as wrong:
        raise InputError(f"this {kind} cannot be read: {wrong}") from None
    return TypedRegion(canonical(region.selection), region.read_as)


def polygon_of(ra_deg: list[float], dec_deg: list[float]) -> SkyPolygon:
    """A polygon whose sides are great circles.

    Raises
    ------
    InputError
        If it has too few or too many corners, or does not lie within 80° of its middle.
    """
    if len(ra_deg) > MOST_CORNERS:
        raise InputError(f"a polygon has at most {MOST_CORNERS} corners here, not {len(ra_deg)}")
    projection, vertices = polygon_on_plane(ra_deg, dec_deg)
    return SkyPolygon(projection, tuple((x, y) for x, y in vertices.tolist()))


def box_of(ra_deg: float, dec_deg: float, width_deg: float, height_deg: float, angle_deg: float = 0.0) -> SkyPolygon:
    """A box about a position; see `atlas.sky.outlines.box_on_plane`."""
    projection, vertices = box_on_plane(ra_deg, dec_deg, width_deg, height_deg, angle_deg)
    return SkyPolygon(projection, tuple((x, y) for x, y in vertices.tolist()))


def _box(text: str) -> TypedRegion:
    found = _BOX.fullmatch(text) or _SQUARE.fullmatch(text)
    place = None if found is None else read_place(found["place"])
    if found is None or place is None:
        raise CoordinateError(
            "it needs a position and the lengths of its sides with ″, ′ or °, as box 53.1 -27.8 2′ 1′"
        )
    is_box = found.re is _BOX
    width, height = arcsec_of(found, "w"), arcsec_of(found, "h" if is_box else "w")
    angle = float(found["angle"] or 0) if is_box else 0.0
    region = box_of(place.ra_deg, place.dec_deg, width / 3600, height / 3600, angle)
    turned = f", turned by {angle:g}° from north to east" if angle else ""
    return TypedRegion(region, f"a box {size_words(width)} × {size_words(height)} about {_where(place)}{turned}")


def _circle(text: str) -> TypedRegion:
    place = read_place(text)
    if place is None or place.radius_arcsec is None:
        raise CoordinateError("it needs a position and a radius with ″, ′ or °, as circle 53.1 -27.8 30″")
    cone = Cone(place.ra_deg, place.dec_deg, place.radius_arcsec)
    return TypedRegion(cone, f"a circle of {size_words(cone.radius_arcsec)} about {_where(place)}")


def _polygon(text: str) -> TypedRegion:
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if len(words) % 2 or len(words) < 6:
        raise CoordinateError(f"it needs at least three corners, each with RA and Dec, not {len(words)} numbers")
    corners = [parse_position(f"{ra}, {dec}") for ra, dec in zip(words[::2], words[1::2], strict=True)]
    region = polygon_of([ra for ra, _ in corners], [dec for _, dec in corners])
    return TypedRegion(region, f"a polygon of {len(corners)} corners, its sides great circles")


def _moc(text: str) -> TypedRegion:
    ranges = read_coverage(text)
    if not len(ranges):
        raise CoordinateError("it holds no cell")
    return TypedRegion(SkyMoc(text), f"a MOC of {area_words(share_of_sky(ranges))}")


def area_words(share: float) -> str:
    """A part of the sky as an area."""
    deg2 = share * SKY_DEG2
    units = ((1.0, "deg²"), (3600.0, "arcmin²"), (3600.0**2, "arcsec²"))
    size, unit = next((one for one in units if deg2 * one[0] >= 1), units[-1])
    return f"{deg2 * size:,.4g} {unit}"


def _where(place: Place) -> str:
    return place.read_as or f"RA, Dec {format_position(place.ra_deg, place.dec_deg, digits=5)}"
