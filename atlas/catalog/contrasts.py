"""Contrasts of some galaxies with the others: the columns that differ most, by effect size, with both distributions.

Numbers are compared by Cohen's d, the difference of means in units of the common spread, words by his h, the difference
of shares on the scale 2 arcsin √p (Cohen 1988, Statistical Power Analysis, p. 20 and 181). Below 0.2, which he calls
small, nothing is said. A few absurd values do not count for more than the 1st and 99th percentile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import QUANTILES, Columns, from_zero
from atlas.catalog.senses import amount, sense, subject
from atlas.storage.manifest import Column

SMALL_EFFECT = 0.2
FEWEST = 20
"""Galaxies with a value, on either side, below which a column says nothing."""

BINS = 16


class Contrast(NamedTuple):
    """A column that differs.

    Attributes
    ----------
    column : Column
    effect : float
        Cohen's d or h; positive where these galaxies have more.
    text, why : str
        In words ("redder"), and with the figures behind them.
    inside, outside : tuple of float
        Shares of galaxies in each of some equal bins of a number, or with each word of a category.
    """

    column: Column
    effect: float
    text: str
    why: str
    inside: tuple[float, ...]
    outside: tuple[float, ...]


def contrasts(
    columns: Columns, used: Iterable[Column], inside: NDArray[np.int64], outside: NDArray[np.int64]
) -> list[Contrast]:
    """Columns in which rows differ from others, the largest effect first.

    Parameters
    ----------
    columns : Columns
    used : iterable of Column
        Numbers and categories to compare.
    inside, outside : ndarray of int64
        Rows: samples of both.
    """
    found = []
    for column in used:
        values = [columns.array(column.name)[rows] for rows in (inside, outside)]
        contrast = _of_words(column, *values) if column.kind == "category" else _of_numbers(column, *values)
        if contrast is not None and abs(contrast.effect) >= SMALL_EFFECT:
            found.append(contrast)
    return sorted(found, key=lambda c: -abs(c.effect))


def _of_numbers(column: Column, inside: NDArray[np.generic], outside: NDArray[np.generic]) -> Contrast | None:
    if len(column.quantiles) != len(QUANTILES) or not column.quantiles[1] < column.quantiles[-2]:
        return None
    zero = column.quantiles[QUANTILES.index(0.5)]
    low, high = (column.quantiles[at] - zero for at in (1, -2))
    here, rest = (np.clip(n[~np.isnan(n)], low, high) for n in (from_zero(v, zero) for v in (inside, outside)))
    if min(here.size, rest.size) < FEWEST:
        return None
    spread = float(np.sqrt((here.var() + rest.var()) / 2))
    if not spread > 0:
        return None
    effect = float(here.mean() - rest.mean()) / spread
    edges = np.linspace(low, high, BINS + 1)
    shares = [tuple((np.histogram(n, edges)[0] / n.size).tolist()) for n in (here, rest)]
    middle = [amount(column, zero + float(np.median(n)), spread) for n in (here, rest)]
    why = f"{subject(column)} is {middle[0]} here in the median, {middle[1]} elsewhere"
    return Contrast(column, effect, sense(column)[effect > 0], why, *shares)


def _of_words(column: Column, inside: NDArray[np.generic], outside: NDArray[np.generic]) -> Contrast | None:
    if min(inside.size, outside.size) < FEWEST or not column.vocabulary:
        return None
    here, rest = (
        np.bincount(np.asarray(v, dtype=np.int64), minlength=len(column.vocabulary))[: len(column.vocabulary)] / v.size
        for v in (inside, outside)
    )
    effects = 2 * (np.arcsin(np.sqrt(here)) - np.arcsin(np.sqrt(rest)))
    code = int(np.abs(effects).argmax())
    effect, word = float(effects[code]), column.vocabulary[code]
    why = f"{100 * here[code]:.0f} % are {word} here, {100 * rest[code]:.0f} % elsewhere ({column.name})"
    text = f"{'more' if effect > 0 else 'less'} often {word}"
    return Contrast(column, effect, text, why, tuple(here.tolist()), tuple(rest.tolist()))
