"""Redshifts with the interval that holds the true one in 68 % of all cases, where a catalogue has the columns for it.

Told once, by the names of the columns of an atlas: `z_phot_mean` has its ends in `z_phot_l68` and `z_phot_u68`, `zphot`
in `zphot_lower` and `zphot_upper`; where only a standard deviation is told (`z_phot_std`, `zphot_err`, `e_zphot`), the
interval is one to both sides, as of a normal distribution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from atlas.catalog.columns import is_redshift
from atlas.storage.manifest import Column

_BEST = re.compile(r"_?(mean|median|med|mode|peak|best|ml|map|50|p50)$")
"""What the name of a best value adds to the stem that it shares with its bounds."""

_BOUNDS = (
    *(("l68", "u68"), ("low68", "high68"), ("lo68", "hi68"), ("min68", "max68"), ("16", "84"), ("p16", "p84")),
    *(("lower", "upper"), ("low", "upp"), ("low", "high"), ("lo", "hi"), ("l", "u")),
)
_DEVIATIONS = ("std", "err", "error", "sigma", "sig", "unc", "e")
_SPECTROSCOPIC = re.compile(r"spec")


class Interval(NamedTuple):
    """Columns that tell the 68 % interval of a redshift: both its ends, or a standard deviation."""

    ends: tuple[str, str] | None
    deviation: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.ends or (self.deviation,)

    def around(self, value: Any, told: Iterable[Any]) -> tuple[float, float] | None:
        """The interval of one galaxy, of what its `columns` hold; None where something is missing or odd."""
        held = [value, *told]
        if any(not isinstance(one, int | float) or not math.isfinite(one) for one in held):
            return None
        low, high = held[1:] if self.ends else (value - held[1], value + held[1])
        return (low, high) if low < high and low <= value <= high else None


@lru_cache(maxsize=8)
def redshift_intervals(columns: tuple[Column, ...]) -> dict[str, Interval]:
    """Interval of each redshift of an atlas that has one, by the redshift's name."""
    numbers = {c.name.lower(): c for c in columns if c.kind == "number"}
    found = {}
    for name, column in numbers.items():
        if is_redshift(column) and not _SPECTROSCOPIC.search(name) and not column.truth:
            interval = _interval(name, numbers)
            if interval is not None:
                found[column.name] = interval
    return found


def _interval(name: str, numbers: Mapping[str, Column]) -> Interval | None:
    for stem in dict.fromkeys((name, _BEST.sub("", name))):
        for low, high in _BOUNDS:
            for joint in ("_", ""):
                ends = f"{stem}{joint}{low}", f"{stem}{joint}{high}"
                if all(end in numbers for end in ends):
                    return Interval((numbers[ends[0]].name, numbers[ends[1]].name))
        for word in _DEVIATIONS:
            for written in (f"{stem}_{word}", f"{stem}{word}", f"{word}_{stem}"):
                if written in numbers:
                    return Interval(None, numbers[written].name)
    return None


def interval_text(value: float, low: float, high: float) -> str:
    """A value with its interval, to the digit that half the interval moves: 0.42 (0.38–0.47)."""
    digits = min(5, max(2, -math.floor(math.log10((high - low) / 2))))
    return f"{value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
