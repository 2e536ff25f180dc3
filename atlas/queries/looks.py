"""Account of labelling: how many galaxies were looked at, how many were wanted, and what to expect next."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from atlas.build import OpenBuild
from atlas.catalog.anomalies import DEFAULT
from atlas.queries.ranking import ByLabels

LAST = 20
"""Looks that tell what to expect: earlier ones were of another list."""

NINETY_PER_CENT = 1.645
POINTS = 24


class Looks(NamedTuple):
    """Looks at galaxies, of which each gave a label.

    Attributes
    ----------
    looks, found : int
        Labelled galaxies, and those of them with a wanted label.
    curve : tuple of int
        Wanted ones among the first looks, at `POINTS` equal steps.
    without : tuple of int or None
        How many of the same galaxies the default detector has among as many of its first; None where there is none.
    low, high : float
        Between which the share of wanted galaxies among the next hundred is expected, 90 %.
    """

    looks: int
    found: int
    curve: tuple[int, ...]
    without: tuple[int, ...] | None
    low: float
    high: float


def looks_of(atlas: OpenBuild, ranking: ByLabels) -> Looks:
    """Account of the labels of a ranking, at its revision."""
    standing = atlas.labelled.at(ranking.revision)
    given = sorted(standing.of.values(), key=lambda labels: min(one.seq for one in labels))
    wanted = np.array([any(one.label in ranking.wanted for one in labels) for labels in given], dtype=bool)
    steps = np.ceil(np.linspace(0, wanted.size, POINTS + 1)[1:]).astype(np.int64)
    found = np.concatenate([[0], np.cumsum(wanted)])
    columns = atlas.columns(atlas.default_space)
    without = None
    if DEFAULT in columns:
        rows = atlas.labelled.rows_of([labels[0].galaxy for labels in given])
        # A percentile of all galaxies is a place among them: no order has to be made.
        odd = np.nan_to_num(columns.array(DEFAULT)[rows[wanted & (rows >= 0)]])
        place = np.sort((1 - odd.astype(np.float64) / 100) * atlas.n_rows)
        without = tuple(np.searchsorted(place, steps, side="right").tolist())
    low, high = share_expected(int(wanted[-LAST:].sum()), wanted[-LAST:].size)
    return Looks(wanted.size, int(wanted.sum()), tuple(found[steps].tolist()), without, low, high)


def share_expected(found: int, looks: int) -> tuple[float, float]:
    """Between which shares the next ones lie, of so many found in the last looks: Wilson's interval (1927, J. Am. Stat.
    Assoc. 22, 209), a third of its lower end, since a list gets poorer as one goes down."""
    if not looks:
        return 0.0, 1.0
    z = NINETY_PER_CENT
    middle = (found + z * z / 2) / (looks + z * z)
    half = z / (looks + z * z) * math.sqrt(found * (looks - found) / looks + z * z / 4)
    return max(0.0, middle - half) / 3, min(1.0, middle + half)
