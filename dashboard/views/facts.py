"""Facts of a galaxy: columns with their units, explained; a click copies a value, a star pins a column."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import html
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.intervals import interval_text, redshift_intervals
from atlas.catalog.key_columns import key_columns
from atlas.catalog.numbers import column_text
from atlas.catalog.senses import explanation, standing
from atlas.cluster_names import NO_NAMES, NamesHere
from atlas.storage.manifest import Column

from ..state.coloring import column_of
from ..state.page_state import MOST_PINNED
from . import elements as el

TOLD_ELSEWHERE = {"ra", "dec", "map_x", "map_y"}


def first_columns(atlas: Atlas, color: str, pinned: tuple[str, ...] = ()) -> list[Column]:
    """The columns that are told first: those that are pinned, else what says most of a galaxy and its cluster; and what
    the page is coloured by."""
    columns = atlas.columns(atlas.default_space)
    usual = (*(c.name for c in key_columns(atlas.manifest)), "cluster")
    names = dict.fromkeys([*(pinned or usual), column_of(color) or ""])
    return [columns.describe(name) for name in names if name in columns and name not in TOLD_ELSEWHERE]


def facts(atlas: Atlas, row: int, shown: list[Column], first: list[Column], names: NamesHere = NO_NAMES) -> list[Any]:
    """Columns of a row with their units, explained, and where each value stands among all galaxies.

    A star pins a column to those that stand `first`, or takes it away from them; `names` are those of clusters.
    """
    columns = atlas.columns(atlas.default_space)
    pinned = [column.name for column in first]
    found = []
    for column in shown:
        value = columns.values(column.name, [row])[0]
        stands = standing(column, value)
        why = meaning_of(atlas, column) + (f" This one: {stands}." if stands else "")
        (text,) = value_texts(atlas, column, [row], names)
        found += fact(column.name, text, why, copied=_exact(column, value), star=_star(column.name, pinned))
    return found


def fact(name: str, text: str, why: str, *, copied: str = "", star: Any = None) -> list[Any]:
    """A term and what it is; a click copies it where there is something to copy."""
    shown: Any = text
    if copied:
        copy = el.on_click(is_="local", do="copy", text=copied)
        shown = html.Button(text, type="button", className="gf-copy", **copy)
    return [html.Dt([el.figure(el.broken(name), why), star]), html.Dd(shown, **el.why(why))]


def meaning_of(atlas: Atlas, column: Column) -> str:
    """Explanation of a column, and of the interval that its values are told with."""
    interval = redshift_intervals(atlas.manifest.columns).get(column.name)
    if interval is None:
        return explanation(column)
    if interval.ends is None:
        return f"{explanation(column)} In brackets: one standard deviation ({interval.deviation}) to both sides, 68 %."
    return f"{explanation(column)} In brackets: its 68 % interval, {' to '.join(interval.ends)}."


def value_texts(atlas: Atlas, column: Column, rows: NDArray[Any] | list[int], names: NamesHere = NO_NAMES) -> list[str]:
    """Values of some rows in words, redshifts with their 68 % interval, clusters with the names that people gave."""
    columns = atlas.columns(atlas.default_space)
    values = columns.values(column.name, rows)
    plain = [words(column, value) for value in values]
    if column.name in CLUSTERS:
        called = ((text, names.name(value)) for text, value in zip(plain, values, strict=True))
        return [f"{text} · {name}" if name else text for text, name in called]
    interval = redshift_intervals(atlas.manifest.columns).get(column.name)
    if interval is None:
        return plain
    bounds = zip(*(columns.values(name, rows) for name in interval.columns), strict=True)
    ends = (interval.around(value, told) for value, told in zip(values, bounds, strict=True))
    return [
        text if found is None else interval_text(value, *found)
        for text, value, found in zip(plain, values, ends, strict=True)
    ]


def words(column: Column, value: Any) -> str:
    """A value with its unit, in as many digits as the range of its column deserves."""
    if value is None:
        return "–"
    if column.name in CLUSTERS:
        return f"{value}, outside all" if value < 0 else str(value)
    return f"{column_text(column, value)} {column.unit}".strip()


def _exact(column: Column, value: Any) -> str:
    """A value as it is copied: every digit that the column holds, without unit."""
    if value is None:
        return ""
    return str(np.dtype(column.dtype).type(value)) if isinstance(value, float) else str(value)


def _star(name: str, pinned: list[str]) -> Any:
    on = name in pinned
    after = [one for one in pinned if one != name] if on else [*pinned, name][-MOST_PINNED:]
    return el.button(
        "★" if on else "☆", kind=f"pin{' on' if on else ''}", is_="change", pinned=after,
        label=f"No longer keep {name} on top" if on else f"Keep {name} on top",
    )  # fmt: skip
