"""Senses of a column, little and much in words: bluer and redder, brighter and fainter, smaller and larger.

`source.json` may say them (`low`, `high`). Where it does not, the first rule that fits the unit, the UCD or the name
does; where none fits, the column is named by its description: "lower sersic index".
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from atlas.catalog.columns import QUANTILES, is_magnitude, is_redshift
from atlas.storage.manifest import Column

BANDS = (
    *("fuv", "nuv", "u", "blue", "b", "bp", "g", "green", "v", "r", "red", "i", "rp", "z", "y", "j", "h", "k", "ks"),
    *("w1", "w2", "w3", "w4"),
)
"""Bands by wavelength, the shortest first: a colour is the magnitude of one minus that of a later one."""

_BAND = "|".join(BANDS)
_LONGEST_NAME = 36
_FEWEST_STEPS = 5  # different quantiles: a flag of 0 and 1 stands nowhere
_UNCERTAIN = re.compile(r"(^|_)(e|err|error|std|sigma|ivar|flags?|n|num|psf|nobs)_|(err|error|std|ivar|flags?)$")
"""Names of errors, counts and flags, which are not what they belong to."""


class Sense(NamedTuple):
    """Comparatives: what a galaxy is that has less of a column than the rest, and one that has more."""

    low: str
    high: str


class _Rule(NamedTuple):
    """Names: parts between underscores, and what a name is as a whole, but for a band; the beginning of UCDs."""

    parts: str
    whole: str
    ucd: str
    sense: Sense


_RULES = (
    _Rule("axis_?ratio|b_over_a", "b_?a|q", "", Sense("more elongated", "rounder")),
    _Rule("ellip(ticity)?|ell|eccentricity", "e", "src.ellipticity", Sense("rounder", "more elongated")),
    _Rule(
        "radius|rad|r_?(eff|half|hl|50|80|90|kron|petro)|hlr|size|fwhm|semimajor",
        "r_?e|sma",
        "phys.angsize",
        Sense("smaller", "larger"),
    ),
    _Rule("s?sfr", "", "phys.sfr", Sense("forming fewer stars", "forming more stars")),
    _Rule("(log)?mass|(log)?m_?(star|stars|stellar)", "logm", "phys.mass", Sense("less massive", "more massive")),
    _Rule("age", "", "time.age", Sense("younger", "older")),
    _Rule("metallicity|feh", "m_?h|logz", "phys.abund", Sense("poorer in metals", "richer in metals")),
    _Rule("mu|surface_brightness", "sb", "phot.mag.sb", Sense("brighter in each spot", "dimmer in each spot")),
    _Rule("flux|lum|luminosity|loglum", "", "phys.luminosity", Sense("fainter", "brighter")),
    _Rule("dist|distance", "", "pos.distance", Sense("nearer", "farther")),
    _Rule("sersic|concentration", "n|n_sersic", "", Sense("less concentrated", "more concentrated")),
    _Rule("asymmetry", "", "", Sense("more symmetric", "more lopsided")),
    _Rule("gini", "", "", Sense("more evenly lit", "less evenly lit")),
    _Rule("m20", "", "", Sense("more central light", "less central light")),
)


def sense(column: Column) -> Sense:
    """Sense of a column: what little and much of it mean."""
    return named_sense(column) or Sense(f"lower {called(column)}", f"higher {called(column)}")


def named_sense(column: Column) -> Sense | None:
    """Sense of a column, what little and much of it mean; None where neither its source nor a rule has words for it."""
    if column.low and column.high:
        return Sense(column.low, column.high)
    if (color := _color(column)) is not None:
        return color
    if is_magnitude(column):
        return Sense("brighter", "fainter")
    if is_redshift(column):
        return Sense("lower redshift", "higher redshift")
    name, ucd = column.name.lower(), column.ucd.lower()
    if not _UNCERTAIN.search(name):
        bare = re.sub(rf"_({_BAND})$", "", name)
        for rule in _RULES:
            if (rule.ucd and ucd.startswith(rule.ucd)) or re.search(rf"(^|_)({rule.parts})(_|$)", name):
                return rule.sense
            if rule.whole and re.fullmatch(rule.whole, bare):
                return rule.sense
    return None


def called(column: Column) -> str:
    """A column's name for people: the beginning of its description where that is short, else its own name."""
    begin = re.split(r"[,;:]|\.$|\. | \(", column.description, maxsplit=1)[0].strip()
    if not begin or len(begin) > _LONGEST_NAME or any(sign.isdigit() for sign in begin):
        return column.name.replace("_", " ")
    return begin if begin[:2].isupper() else begin[0].lower() + begin[1:]


def subject(column: Column) -> str:
    """Subject of a sentence about a column: what it is called, and its own name where that is another."""
    name = called(column)
    return name if name == column.name else f"{name} ({column.name})"


def explanation(column: Column) -> str:
    """Explanation of a column: its description and unit, and what larger numbers mean."""
    about = column.description.rstrip(". ") or column.name.replace("_", " ")
    unit = f" Unit: {column.unit}." if column.unit else ""
    high = sense(column).high
    says = column.kind == "number" and not high.startswith(("higher ", "larger"))
    return f"{about}.{unit}" + (f" Larger numbers: {high}." if says else "")


def standing(column: Column, value: object) -> str:
    """Standing of a value among all galaxies: "redder than 83 % of the galaxies"; empty where that says nothing.

    Told by the manifest's quantiles, to a per cent.
    """
    quantiles = column.quantiles
    if not isinstance(value, int | float) or len(quantiles) != len(QUANTILES) or len(set(quantiles)) < _FEWEST_STEPS:
        return ""
    if column.ucd.startswith(("meta", "pos")):
        return ""
    share = float(np.interp(value, quantiles, QUANTILES))
    told = sense(column)
    word, share = (told.high, share) if share >= 0.5 else (told.low, 1 - share)
    return f"{word} than {min(99, round(100 * share))} % of the galaxies"


def amount(column: Column, value: float, spread: float) -> str:
    """A number of a column with its unit, in so many digits that a hundredth of a spread shows."""
    digits = 2 if value == 0 else max(2, math.ceil(math.log10(abs(value) / spread)) + 2)
    return f"{value:.{min(17, digits)}g} {column.unit}".strip()


def _color(column: Column) -> Sense | None:
    """The sense of a colour, by the order of its bands; None where the column is none."""
    name, told = column.name.lower(), column.ucd.startswith("phot.color")
    if not told and (column.ucd or column.unit not in ("", "mag") or _UNCERTAIN.search(name)):
        return None
    found = re.search(rf"(?:^|_)({_BAND})(?:_minus_|_)({_BAND})$", name)
    if found is None:
        return Sense("bluer", "redder") if told else None
    bluer, redder = (BANDS.index(band) for band in found.groups())
    return Sense("bluer", "redder") if bluer < redder else Sense("redder", "bluer")
