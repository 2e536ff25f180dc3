"""The few colours of the page, for both themes, and the scales that colour points; safe for colour-blind readers."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray
from plotly.colors import sequential

from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.columns import QUANTILES, from_zero, is_skewed
from atlas.catalog.numbers import column_text
from atlas.storage.manifest import Column

from ..state.shading import Palette, Shading, Span

# Okabe & Ito (2008), extended by lighter and darker steps of the same hues.
CLUSTER_COLORS = (
    "#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#8fd3b6",
    "#b8860b", "#9b86d9", "#e8a6c9", "#7fa650",
)  # fmt: skip


def _mixed(color: str, other: int, share: float) -> str:
    """A colour with some black (0) or white (255) in it."""
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part * (1 - share) + other * share):02x}" for part in parts)


WORD_COLORS = (
    *CLUSTER_COLORS, *(_mixed(c, 255, 0.55) for c in CLUSTER_COLORS), *(_mixed(c, 0, 0.5) for c in CLUSTER_COLORS)
)  # fmt: skip
"""For columns of more words than there are hues: each again, lighter, then darker."""

PALETTES: dict[Palette, tuple[str, ...]] = {
    "viridis": tuple(sequential.Viridis),
    "cividis": tuple(sequential.Cividis),
    "magma": tuple(sequential.Magma),
    "inferno": tuple(sequential.Inferno),
    "plasma": tuple(sequential.Plasma),
}
"""Perceptual colour maps: equal steps of a value look equally far apart."""

SPANS: dict[Span, tuple[int, int]] = {
    span: (QUANTILES.index((100 - span) / 200), QUANTILES.index((100 + span) / 200)) for span in get_args(Span)
}
"""The quantiles at the ends of each span."""

USUAL = Shading()
MISSING_STEP = 0.02
LEGEND_DIGITS = 3


class Theme(msgspec.Struct, frozen=True):
    """Colours of one theme."""

    name: str
    background: str
    text: str
    muted: str
    line: str
    point: str
    accent: str
    selected: str
    missing: str
    density: tuple[tuple[int, int, int], ...]


DARK = Theme(
    "dark", "#080b11", "#dbe2ea", "#7d8897", "#1c2430", "#8fc7ff", "#ffb454", "#d6ebff", "#5b6470",
    ((8, 11, 17), (13, 34, 68), (20, 72, 128), (38, 122, 178), (88, 180, 214), (176, 228, 238), (244, 252, 255)),
)  # fmt: skip
LIGHT = Theme(
    "light", "#fbfcfe", "#1b2430", "#66717f", "#d5dce5", "#1f5f9e", "#c26a00", "#0a3a70", "#a4adb8",
    ((251, 252, 254), (214, 228, 243), (164, 199, 230), (104, 160, 210), (54, 115, 178), (24, 70, 130), (8, 32, 76)),
)  # fmt: skip


def theme(light: bool) -> Theme:
    """The theme of a state."""
    return LIGHT if light else DARK


class Coloring(msgspec.Struct, frozen=True):
    """Colours of points by a column.

    Attributes
    ----------
    values : ndarray of shape (m,), float32
        What the scale is applied to.
    scale : list of (position, colour)
        plotly's colour scale; its lowest step is for missing values.
    low, high : float
        Ends of the scale.
    legend : tuple of (label, colour)
        For categories; empty for a continuous scale.
    ends : tuple of str
        Words at the ends of a continuous scale.
    known : ndarray of shape (m,), bool
        Points with a colour of their own; the others are grey.
    without : str
        What is said of the grey ones.
    """

    values: NDArray[np.float32]
    scale: list[tuple[float, str]]
    low: float
    high: float
    legend: tuple[tuple[str, str], ...]
    ends: tuple[str, str]
    known: NDArray[np.bool_]
    without: str = "have none"

    @property
    def missing(self) -> int:
        """Points without a value."""
        return int(self.known.size - np.count_nonzero(self.known))


class Scale(msgspec.Struct, frozen=True):
    """From values to positions on a colour scale.

    Attributes
    ----------
    low, high : float
        Ends, in the column's own unit; int for whole numbers beyond 2⁵³.
    log : bool
    colors : tuple of str
        From the low end to the high one, as #rrggbb.
    """

    low: float
    high: float
    log: bool
    colors: tuple[str, ...] = PALETTES["viridis"]

    def positions(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Positions in 0 … 1, clipped; NaN where a value is missing."""
        low, high = self._ends
        with np.errstate(divide="ignore", invalid="ignore"):
            # In float64, and long whole numbers from the lower end: a month of Julian dates would be a hundred steps
            # in float32.
            shown = from_zero(values, self._zero)
            shown = np.log10(shown) if self.log else shown
            at: NDArray[np.float32] = np.clip((shown - low) / (high - low), 0, 1).astype(np.float32)
        return at

    def above(self, zero: int) -> Scale:
        """The same scale, not logarithmic, for values that are counted from a zero."""
        return msgspec.structs.replace(self, low=self.low - zero, high=self.high - zero)

    @property
    def _zero(self) -> int:
        return self.low if isinstance(self.low, int) and not self.log else 0

    @property
    def _ends(self) -> tuple[float, float]:
        if self.log:
            return float(np.log10(self.low)), float(np.log10(self.high))
        return self.low - self._zero, self.high - self._zero


def scale_of(column: Column, shading: Shading) -> Scale:
    """The colour scale of a number column: over the span of its values that was chosen, or between ends that were
    typed, logarithmic for positive, skewed columns unless somebody chose."""
    first, last = SPANS[shading.span]
    low, high = (column.quantiles[first], column.quantiles[last]) if column.quantiles else (0.0, 1.0)
    typed = shading.ends
    low = low if typed[0] is None else typed[0]
    high = high if typed[1] is None else typed[1]
    if not high > low:
        slack = max(1.0, abs(low) * 1e-6)
        # An end that was typed stays; else the values are all alike, and any width will do.
        low, high = (high - slack, high) if shading.high is not None else (low, low + slack)
    log = is_skewed(column) if shading.log is None else shading.log
    colors = PALETTES[shading.palette]
    return Scale(low, high, log and low > 0, colors[::-1] if shading.reversed else colors)


def color_by(
    column: Column,
    values: NDArray[Any],
    missing_color: str,
    *,
    order: NDArray[np.intp] | None = None,
    shading: Shading = USUAL,
) -> Coloring:
    """Colours of some points by a column: `scale_of` it for numbers, one colour a word for categories.

    Parameters
    ----------
    column : Column
        What the values are.
    values : ndarray of shape (m,)
        Stored values of the points.
    order : ndarray of shape (w,) or None
        Codes of a category's words, the first to have a colour of its own first; None for the vocabulary's order.
    shading : Shading
        How numbers become colours.
    """
    if column.kind == "category" or column.name in CLUSTERS:
        return _categories(column, values, missing_color, order)
    scale = scale_of(column, shading)
    at = scale.positions(values)
    missing = np.isnan(at)
    # A first step below the range is grey: that is where missing values are put.
    at = np.where(missing, -MISSING_STEP, at).astype(np.float32)
    first = MISSING_STEP / (1 + MISSING_STEP)
    edges = np.linspace(first, 1.0, len(scale.colors)).tolist()  # plotly drops a scale that does not end at 1 exactly
    steps = [(0.0, missing_color), (first / 2, missing_color), (first / 2, scale.colors[0])]
    steps += list(zip(edges, scale.colors, strict=True))
    return Coloring(at, steps, -MISSING_STEP, 1.0, (), ends_of(column, scale), ~missing)


def ends_of(column: Column, scale: Scale) -> tuple[str, str]:
    """Words at the ends of a scale."""
    low, high = (column_text(column, end, LEGEND_DIGITS) for end in (scale.low, scale.high))
    unit = f" {column.unit}" if column.unit else ""
    return f"≤ {low}", f"≥ {high}{unit}" + (", log" if scale.log else "")


def color_by_subset(
    subsets: list[tuple[str, int]],
    inside: list[NDArray[np.bool_]],
    n_points: int,
    other_color: str,
    without: str = "lie in none",
) -> Coloring:
    """Colours of some points by the first subset that holds them; grey outside all.

    Parameters
    ----------
    subsets : list of (name, number of its colour)
    inside : list of ndarray of shape (m,), bool
        Which points each holds.
    """
    positions = np.zeros(n_points, dtype=np.float32)
    for (_, color), held in zip(reversed(subsets), reversed(inside), strict=True):
        positions[held] = color + 1
    legend = tuple((name, CLUSTER_COLORS[color]) for name, color in subsets)
    n = len(CLUSTER_COLORS)
    steps = _steps(other_color, CLUSTER_COLORS)
    return Coloring(positions, steps, -0.5, n + 0.5, legend, ("", ""), positions > 0, without)


def _steps(first_color: str, others: tuple[str, ...]) -> list[tuple[float, str]]:
    """A scale of separate colours: a first one, then others."""
    n = len(others)
    colors = (first_color, *others)
    return [(edge, c) for i, c in enumerate(colors) for edge in (i / (n + 1), (i + 1) / (n + 1) if i < n else 1.0)]


def _categories(column: Column, values: NDArray[Any], missing_color: str, order: NDArray[np.intp] | None) -> Coloring:
    codes = np.asarray(values, dtype=np.int64)
    known = codes >= 0
    words = column.vocabulary if column.kind == "category" else ()
    colors = CLUSTER_COLORS if len(words) <= len(CLUSTER_COLORS) else WORD_COLORS
    n = len(colors)
    legend: tuple[tuple[str, str], ...] = ()
    if column.kind == "category":
        known &= codes < len(words)
        order = np.arange(len(words)) if order is None else order
        codes = np.append(np.argsort(order), -1)[np.where(known, codes, -1)]
        legend = tuple((words[code], colors[i % n]) for i, code in enumerate(order.tolist()))
    positions = np.where(known, codes % n + 1, 0).astype(np.float32)
    return Coloring(positions, _steps(missing_color, colors), -0.5, n + 0.5, legend, ("", ""), known)
