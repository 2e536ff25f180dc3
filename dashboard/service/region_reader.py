"""Regions of the sky that visitors bring, read in a process of its own: DS9's, and coverage maps (MOC).

    python -m dashboard.service.region_reader    a file in, JSON out

Regions are read by `regions`, coverage maps in FITS, JSON and text by `mocpy`. Shapes become the selections that they
are: circles cones, boxes and polygons polygons of great circles, annuli a cone without another; ellipses become
polygons of 96 corners, and it is said. Several shapes are joined; those that DS9 excludes are taken away.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections import Counter
from typing import Any

import msgspec
import numpy as np

from atlas.errors import InputError, shorten
from atlas.queries.region_text import LONGEST_REGION, area_words, polygon_of, read_region
from atlas.queries.selection import And, Cone, Not, Or, Selection, SkyMoc, canonical
from atlas.sky.coverage import MOST_CHARACTERS, coarser, order_of, read_coverage, share_of_sky, write_coverage
from atlas.sky.outlines import box_on_plane

from .apart import answer_apart, read_apart

FORMS = "regions as DS9 writes them (in icrs, fk5, galactic …), or a MOC as FITS, JSON or text"
MOST_SHAPES = 48
ELLIPSE_CORNERS = 96
_MOC = re.compile(r"\s*(?:moc\s*[:=]?\s*)?\d{1,2}/[\d\s,/-]*", re.IGNORECASE)


class Brought(msgspec.Struct, frozen=True):
    """Region of a file, and what is to be said of it."""

    selection: Selection
    words: str


def read_brought(data: bytes) -> Brought:
    """Read regions that came from outside.

    Raises
    ------
    InputError
        If there are none, or they cannot be read; says what is allowed.
    ResourceError
        If others are being read all the while.
    """
    if len(data) <= LONGEST_REGION and (typed := read_region(data.decode(errors="replace"))) is not None:
        return Brought(typed.selection, f"Read as {typed.read_as}.")  # nothing foreign reads it
    return msgspec.convert(read_apart(__spec__.name, data, what="region file", forms=FORMS), Brought)


def parse_regions(data: bytes) -> Brought:
    """Read regions, in the process that calls."""
    if not data.strip():
        raise InputError(f"the file is empty; what is read is {FORMS}")
    if data.startswith(b"SIMPLE  ="):
        return _coverage(data, "fits")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"this file is neither text nor FITS; what is read is {FORMS}") from error
    if text.lstrip().startswith("{"):
        return _coverage(text.encode(), "json")
    if _MOC.fullmatch(text):
        return _of_moc(re.sub(r"^\s*moc\s*[:=]?", "", text, flags=re.IGNORECASE))
    return _shapes(text)


def _coverage(data: bytes, form: str) -> Brought:
    from mocpy import MOC  # takes seconds: only whoever asks waits for it

    try:
        with tempfile.NamedTemporaryFile(suffix=f".{form}") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.write(data)
            file.flush()
            text = MOC.load(file.name, format=form).to_string("ascii")
    except BaseException as error:  # a panic of its library is no Exception
        raise InputError(f"this is no MOC of the sky ({shorten(error, 100)}); what is read is {FORMS}") from error
    return _of_moc(text)


def _of_moc(text: str) -> Brought:
    ranges = read_coverage(text)
    if not len(ranges):
        raise InputError("this MOC holds no cell")
    whole = share_of_sky(ranges)
    order = finest = order_of(ranges)
    while len(written := write_coverage(ranges)) > MOST_CHARACTERS:
        order -= 1
        ranges = coarser(ranges, order)
    words = f"A MOC of {area_words(whole)}, its cells of order {finest} at least."
    if order < finest:
        grown = share_of_sky(ranges) / whole - 1
        words += (
            f" It is too fine for a link and was taken at order {order}, which makes it {100 * grown:.2g} % larger."
        )
    return Brought(SkyMoc(written), words)


def _shapes(text: str) -> Brought:
    from regions import Regions

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(Regions.parse(text, format="ds9"))
    except Exception as error:  # parsers of foreign formats raise what they like
        raise InputError(f"these regions cannot be read ({shorten(error, 100)}); what is read is {FORMS}") from error
    left_out: Counter[str] = Counter()
    ellipses = 0
    wanted: list[Selection] = []
    excluded: list[Selection] = []
    for shape in found:
        kind = type(shape).__name__.removesuffix("Region")
        selection = _selection(shape, kind)
        if selection is None:
            left_out[_named(kind)] += 1
            continue
        ellipses += kind == "EllipseSky"
        (wanted if int(shape.meta.get("include", 1)) else excluded).append(selection)
    kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
    count = len(wanted) + len(excluded)
    if not count:
        only = f" (only {kinds})" if kinds else ""
        raise InputError(f"there is no region of the sky in this{only}; what is read is {FORMS}")
    if count > MOST_SHAPES:
        raise InputError(f"at most {MOST_SHAPES} regions are read, not {count}: make a MOC of them")
    parts: tuple[Selection, ...] = (*([Or(tuple(wanted))] if wanted else []), *(Not(one) for one in excluded))
    words = f"{count} region{'s' if count > 1 else ''}."
    words += f" Left out: {kinds}." if kinds else ""
    words += f" {ellipses} drawn as ellipses with {ELLIPSE_CORNERS} corners." if ellipses else ""
    return Brought(canonical(And(parts)), words)


def _selection(shape: Any, kind: str) -> Selection | None:
    """A shape as a selection; None where it is none of the sky, or has no area."""
    match kind:
        case "CircleSky":
            return _cone(shape.center, shape.radius)
        case "CircleAnnulusSky":
            return And((_cone(shape.center, shape.outer_radius), Not(_cone(shape.center, shape.inner_radius))))
        case "PolygonSky":
            corners = shape.vertices.icrs
            return polygon_of((corners.ra.deg % 360).tolist(), corners.dec.deg.tolist())
        case "RectangleSky" | "EllipseSky":
            # In its own frame, in which it is turned.
            own = shape.center.spherical
            sides = (own.lon.deg, own.lat.deg, shape.width.to_value("deg"), shape.height.to_value("deg"))
            projection, corners = box_on_plane(*sides, shape.angle.to_value("deg"))
            if kind == "EllipseSky":
                turns = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
                east, north = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
                corners = np.cos(turns) * east + np.sin(turns) * north
            lon, lat = projection.inverse(*corners.T)
            there = type(shape.center)(lon, lat, unit="deg", frame=shape.center.frame.replicate_without_data()).icrs
            return polygon_of((there.ra.deg % 360).tolist(), there.dec.deg.tolist())
    return None


def _cone(center: Any, radius: Any) -> Cone:
    there = center.icrs
    return Cone(float(there.ra.deg) % 360 % 360, float(there.dec.deg), float(radius.to_value("arcsec")))


def _named(kind: str) -> str:
    if kind.endswith("Pixel"):
        return f"{kind.removesuffix('Pixel').lower()} in pixels of an image"
    return kind.removesuffix("Sky").lower()


if __name__ == "__main__":
    answer_apart(lambda data: msgspec.to_builtins(parse_regions(data)))
