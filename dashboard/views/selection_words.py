"""Words for what narrows the galaxies."""

from __future__ import annotations

from collections.abc import Mapping

from atlas.catalog.places import size_words
from atlas.queries.selection import (
    Alike,
    All,
    Cluster,
    Collected,
    ColumnPolygon,
    Cone,
    Labelled,
    MapPolygon,
    Named,
    PartOf,
    Selection,
    SkyMoc,
    SkyPolygon,
)

from ..state.page_state import State

Names = Mapping[Selection, str]
"""Names that people gave to what is selected, as to clusters."""


def selection_words(selection: Selection, names: Names) -> str:
    """A selection in two words, or by its name."""
    if selection in names:
        return names[selection]
    match selection:
        case All():
            return ""
        case MapPolygon() | ColumnPolygon():
            return "region on map"
        case SkyPolygon():
            return "region on sky"
        case Cone(_, _, radius_arcsec):
            return f"{size_words(radius_arcsec)} on sky"
        case Named(ids):
            return f"{len(ids)} named"
        case SkyMoc():
            return "MOC on sky"
        case Labelled(labels):
            return " or ".join(labels) if labels else "disputed" if selection.disputed else "labelled"
        case Collected(name):
            return name
        case Alike(_, _, _, low, high):
            return f"similarity {range_words(low, high)}"
        case Cluster(_, label):
            return f"cluster {label}" if label >= 0 else "between the clusters"
        case PartOf(_, of, count, number):
            return f"part {number} of {count} of {selection_words(of, names) or 'all'}"
    return "selection"


def range_words(low: float | None, high: float | None) -> str:
    """A range, one side of which may be open."""
    if low is None or high is None:
        return f"≥ {low:g}" if low is not None else f"≤ {high:g}"
    return f"{low:g} – {high:g}"


def active_words(state: State, names: Names) -> str:
    """Words for what narrows the galaxies."""
    conditions = len(state.filters) + bool(state.expression)
    words = [selection_words(state.selection, names)] if not isinstance(state.selection, All) else []
    if conditions:
        words.append(f"{conditions} filter{'s' if conditions > 1 else ''}")
    return ", ".join(words)
