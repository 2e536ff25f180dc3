"""Places on the sky as people type them: positions of any frame, with a radius behind, and short names by position.

    53.1625 -27.7914         RA 53.16 Dec -27.79          (53.16, -27.79)         icrs 03:32:39 -27:47:29
    G 223.5 -54.4            l=223.5 b=-54.4              ecl 41.2 -45.1          lambda=41.2 beta=-45.1
    033238.5 -274700         J0332-2747                   … 30″, 0.5', 1 deg, r=30"

`position_text` reads the two halves of a position, astropy turns other frames into ICRS.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec
from astropy.coordinates import SkyCoord

from atlas.catalog.position_text import MAX_LENGTH, format_position, looks_like_position, parse_position, slip
from atlas.errors import CoordinateError, shorten

Frame = Literal["icrs", "galactic", "barycentricmeanecliptic"]
LARGEST_RADIUS_ARCSEC = 180 * 3600.0
_ROUND = (1, 2, 5, 10, 20, 30)

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_UNITS = {"arcsec": 1.0, "arcmin": 60.0, "deg": 3600.0}
_UNIT_SIGNS = {
    "arcsec": r"″|”|''|′′|\"|arcsec(?:onds?)?|asec",
    "arcmin": r"′|’|'|arcmin(?:utes?)?|amin",
    "deg": r"°|º|deg(?:rees?)?",
}


def size_pattern(name: str) -> str:
    """Pattern of a length on the sky with its unit, which `arcsec_of` reads by the name of its group."""
    units = "|".join(f"(?P<{name}_{unit}>{signs})" for unit, signs in _UNIT_SIGNS.items())
    return rf"(?P<{name}>{_NUMBER})\s*(?:{units})"


def arcsec_of(found: re.Match[str], name: str) -> float:
    """A length that `size_pattern` found, in arcseconds."""
    unit = next(unit for unit in _UNITS if found[f"{name}_{unit}"] is not None)
    return float(found[name]) * _UNITS[unit]


_RADIUS = re.compile(
    rf"(?P<place>.+?)(?:\s*[,;]\s*|\s+)(?:r(?:adius)?\s*[=:]?\s*|within\s+)?{size_pattern('radius')}",
    re.IGNORECASE | re.DOTALL,
)
_BARE_DEC = re.compile(rf".*[\s,;+\-−–]{_NUMBER}", re.DOTALL)

_SIGNED = rf"[+\-−–]?\s*{_NUMBER}\s*(?:°|º|d|deg)?"


def _labelled(first: str, second: str) -> re.Pattern[str]:
    """`l=… b=…`, by the names that the halves of a frame go by."""
    return re.compile(
        rf"(?:{first})\s*[=:]?\s*(\S.*?)[\s,;]*\b(?:{second})\s*[=:]?\s*(\S.*)", re.IGNORECASE | re.DOTALL
    )


_LABELLED: tuple[tuple[re.Pattern[str], Frame], ...] = (
    (_labelled("ra|α|alpha", "dec|de|δ|delta"), "icrs"),
    (_labelled("l|glon", "b|glat"), "galactic"),
    (_labelled("elon|λ|lambda", "elat|β|beta"), "barycentricmeanecliptic"),
)
_PREFIXED: tuple[tuple[re.Pattern[str], Frame], ...] = (
    (re.compile(r"(?:icrs|fk5|j2000|eq(?:uatorial)?)[\s:,]+(.*)", re.IGNORECASE | re.DOTALL), "icrs"),
    (
        re.compile(rf"(?:galactic|gal|g)[\s:,]*(?=[\s+\-−–:,0-9.])({_SIGNED}[\s,;]*{_SIGNED})", re.IGNORECASE),
        "galactic",
    ),
    (
        re.compile(rf"(?:ecliptic|ecl|e)[\s:,]+({_SIGNED}[\s,;]*{_SIGNED})", re.IGNORECASE),
        "barycentricmeanecliptic",
    ),
)
_WORDS = {"icrs": ("RA", "Dec"), "galactic": ("galactic l", "b"), "barycentricmeanecliptic": ("ecliptic λ", "β")}
_BRACKETS = re.compile(r"[(\[]\s*(.*?)\s*[)\]]", re.DOTALL)
_COMPACT = re.compile(r"(\d\d)(\d\d)(\d\d\.?\d*)\s+([+\-−–])\s*(\d\d)(\d\d)(\d\d\.?\d*)", re.ASCII)
_SHORT = re.compile(
    r"(?:[A-Za-z][\w-]*\s+)?J(?P<h>\d\d)(?P<m>\d\d(?:\.\d*)?)(?P<s>\d\d)?"
    r"(?P<sign>[+\-−–])(?P<dd>\d\d)(?P<dm>\d\d(?:\.\d*)?)(?P<ds>\d\d)?",
    re.ASCII,
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Place that a text names.

    Attributes
    ----------
    ra_deg, dec_deg : float
        ICRS.
    radius_arcsec : float or None
        All within this distance are meant; None where only the position was given.
    precision_arcsec : float
        How far from the position what is meant may lie; 0 where the text says it in full.
    read_as : str
        How it was understood, where that is not plain.
    """

    ra_deg: float
    dec_deg: float
    radius_arcsec: float | None = None
    precision_arcsec: float = 0.0
    read_as: str = ""


def read_place(text: str) -> Place | None:
    """The place that a text names; None where it has the form of none.

    Raises
    ------
    CoordinateError
        If it has the form of a place but cannot be one; says what is allowed.
    """
    text = text.strip()
    if not text or len(text) > MAX_LENGTH:
        return None
    with_radius = _RADIUS.fullmatch(text)
    if with_radius and _is_radius(text, with_radius["place"]):
        place = _read(with_radius["place"].rstrip(" ,;"))
        if place is not None:
            return msgspec.structs.replace(place, radius_arcsec=_radius(with_radius))
    return _read(text)


def looks_like_place(text: str) -> bool:
    """Whether a text is meant as a place rather than as a galaxy's id; `read_place` says what is wrong with it."""
    try:
        return read_place(text) is not None
    except CoordinateError:
        # Two whole numbers that cannot be degrees are an id.
        return looks_like_position(text) or not slip(text)


def _is_radius(text: str, place: str) -> bool:
    """Whether the last number is a radius: in `12h30m -5° 30′` it belongs to the declination."""
    return bool(_BARE_DEC.fullmatch(place.strip(" ,;"))) or not looks_like_position(text) or bool(slip(text))


def _radius(found: re.Match[str]) -> float:
    radius = arcsec_of(found, "radius")
    if not 0 < radius <= LARGEST_RADIUS_ARCSEC:
        raise CoordinateError(f"a radius is above 0 and at most 180°, not {size_words(radius)}")
    return radius


def size_words(arcsec: float, digits: int = 4) -> str:
    """A length on the sky in the unit that suits it: `30″`, `0.5°`."""
    size, sign = next((size, sign) for size, sign in ((3600.0, "°"), (60.0, "′"), (0.0, "″")) if arcsec >= size)
    return f"{arcsec / (size or 1):.{digits}g}{sign}"


def round_arcsec(most: float) -> float:
    """The largest round length that is no longer: 1, 2, 5, 10, 20 or 30 of a unit, or a decimal of an arcsecond."""
    for unit in (3600.0, 60.0, 1.0):
        if fitting := [n * unit for n in _ROUND if n * unit <= most]:
            return fitting[-1]
    decade = 10.0 ** math.floor(math.log10(most))
    return max(n * decade for n in (1, 2, 5) if n * decade <= most * (1 + 1e-9))


def _read(text: str) -> Place | None:
    """A place without a radius."""
    if bracketed := _BRACKETS.fullmatch(text):
        text = bracketed[1]
    for prefix, frame in _PREFIXED:
        if found := prefix.fullmatch(text):
            inner = _read(found[1]) if frame == "icrs" else _of(found[1], frame)
            if inner is not None:
                return inner
    for labels, frame in _LABELLED:
        if (found := labels.fullmatch(text)) and (inner := _of(f"{found[1].rstrip(' ,;')}, {found[2]}", frame)):
            return inner
    if found := _COMPACT.fullmatch(text):
        h, m, s, sign, dd, dm, ds = found.groups()
        return _of(f"{h}:{m}:{s}, {sign}{dd}:{dm}:{ds}", "icrs", told=True)
    if not looks_like_position(text) and (found := _SHORT.fullmatch(text)):
        return _patch(found)
    return _of(text, "icrs")


def _of(text: str, frame: Frame, *, told: bool = False) -> Place | None:
    """Two halves in a frame; None where they have no such form."""
    if not looks_like_position(text) and not slip(text):
        return None
    if frame == "icrs":
        ra, dec = parse_position(text)
        read_as = f"RA, Dec {format_position(ra, dec, 'sexagesimal')}" if told else ""
        return Place(ra_deg=ra, dec_deg=dec, read_as=read_as)
    names = _WORDS[frame]
    try:
        longitude, latitude = parse_position(text)
    except CoordinateError as wrong:
        raise CoordinateError(str(wrong).replace("RA", names[0]).replace("Dec", names[1])) from None
    there = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
    ra, dec = float(there.ra.deg) % 360 % 360, float(there.dec.deg)
    return Place(ra_deg=ra, dec_deg=dec, read_as=f"{names[0]} {longitude:.10g}°, {names[1]} {latitude:.10g}°")


def _patch(name: re.Match[str]) -> Place:
    """The middle of the patch that a name cut off after its minutes (or without seconds of Dec) stands for."""
    hours, hour_step = _cut(name["h"], name["m"], name["s"])
    degrees, degree_step = _cut(name["dd"], name["dm"], name["ds"])
    sign = -1 if name["sign"] != "+" else 1
    ra, dec = 15 * (hours + hour_step / 2), sign * (degrees + degree_step / 2)
    if hours >= 24 or degrees + degree_step > 90:
        raise CoordinateError(f"{shorten(name[0])!r} names no place: hours end at 24, declinations at ±90 degrees")
    across = 15 * hour_step * math.cos(math.radians(max(0.0, abs(dec) - degree_step)))
    reach = 3600 * math.hypot(across, degree_step) / 2
    middle = format_position(ra, dec, "sexagesimal", 0)
    read_as = f"somewhere within {reach / 60:.1f}′ of {middle}, as the name is short"
    return Place(ra_deg=ra, dec_deg=dec, precision_arcsec=reach, read_as=read_as)


def _cut(whole: str, minutes: str, seconds: str | None) -> tuple[float, float]:
    """A number of hours or degrees, and the step at which the text was cut off."""
    for what, part in (("minutes", minutes), ("seconds", seconds)):
        if part is not None and float(part) >= 60:
            raise CoordinateError(f"the {what} of a name by position must be below 60, not {part}")
    value = int(whole) + float(minutes) / 60 + (0.0 if seconds is None else float(seconds) / 3600)
    if seconds is not None:
        return value, 1 / 3600
    return value, 10.0 ** -len(minutes.partition(".")[2]) / 60
