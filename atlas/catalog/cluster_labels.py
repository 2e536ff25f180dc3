"""Words for what sets a group of galaxies apart, where the difference is large enough to deserve one.

A number column speaks for a group whose mean lies far from that of all galaxies: Cohen's d, the difference in units of
the spread of all, must be 0.8 or more ("large": Cohen 1988, Statistical Power Analysis, p. 26). Where no difference is
large, those from 0.5 on ("medium") are told as "somewhat redder".
A category speaks where two fifths of the group or more share a word that far fewer of all have: Cohen's h, the
difference of shares on the scale 2 arcsin √p, must be as large (ibid., p. 184). From four fifths on it is "mostly".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import QUANTILES, Columns, from_zero
from atlas.catalog.senses import amount, called, sense, subject
from atlas.storage.manifest import Column

SAMPLE = 200_000
LARGE_EFFECT, MEDIUM_EFFECT = 0.8, 0.5
FEWEST = 20
WORDS = 2
MOSTLY_KNOWN = 0.5  # what is known of fewer may be known of a special kind
MOSTLY, OFTEN = 0.8, 0.4
COMMON = 0.4  # a share of all that says nothing of a few
# Fluxes say in a skewed way what magnitudes say.
TECHNICAL_UCDS = ("meta", "stat", "instr", "pos", "phot.flux", "phys.absorption", "phys.transmission")
IDENTIFIER = re.compile(r".*id|(healpix|hpx).*")


class Word(NamedTuple):
    """A word on a group of galaxies ("redder"), a sentence with the figures behind it, and whether they are large."""

    text: str
    why: str
    is_large: bool = True


def speaks_of_galaxies(column: Column) -> bool:
    """Whether a column says what a galaxy is like, rather than how it was observed or measured."""
    technical = column.ucd.startswith(TECHNICAL_UCDS)
    return column.kind in ("number", "category") and not (
        column.truth or technical or column.unit == "pix" or _names_an_object(column)
    )


def _names_an_object(column: Column) -> bool:
    """Whether a column of whole numbers is called as surveys call the names of objects, places and observations."""
    return np.dtype(column.dtype).kind in "iu" and bool(IDENTIFIER.fullmatch(column.name.lower()))


def group_words(
    columns: Columns,
    used: Iterable[Column],
    rows: NDArray[np.int64],
    groupings: Iterable[NDArray[np.int64]],
    n_groups: int,
    among: str = "all galaxies",
) -> dict[int, tuple[Word, ...]]:
    """A few words on each group that has something to be said of it.

    Parameters
    ----------
    columns : Columns
    used : iterable of Column
        Columns that may speak.
    rows : ndarray of shape (m,), int64
        A sample of all galaxies.
    groupings : iterable of ndarray of shape (m,), int64
        The group of each row, −1 for none; several where groups overlap, such as those of several scales.
    n_groups : int
    among : str
        Words for the galaxies of the sample.

    Returns
    -------
    dict
        By group, the most striking first, no two alike; groups of which nothing stands out, or with fewer than 20
        galaxies in the sample, are absent.
    """
    groupings = tuple(groupings)
    found: dict[int, list[tuple[float, Word]]] = {}
    for column in used:
        values = columns.array(column.name)[rows]
        tell = _category_effects if column.kind == "category" else _number_effects
        for labels in groupings:
            for label, size, word in tell(column, values, labels, n_groups, among):
                found.setdefault(label, []).append((size, word))
    return {label: _striking(told) for label, told in found.items()}


def _striking(told: list[tuple[float, Word]]) -> tuple[Word, ...]:
    """The words of the largest effects; of several that say the same (three magnitudes), the first alone."""
    large = [(size, word) for size, word in told if size >= LARGE_EFFECT]
    words: dict[str, Word] = {}
    for _, word in sorted(large or told, reverse=True):
        words.setdefault(word.text, word if large else word._replace(text=f"somewhat {word.text}", is_large=False))
    return tuple(words.values())[:WORDS]


def sample_rows(n_rows: int) -> NDArray[np.int64]:
    """Rows that effects are judged by: all, or a seeded sample of 200,000, ascending."""
    if n_rows <= SAMPLE:
        return np.arange(n_rows)
    return np.unique(np.random.default_rng(0).integers(n_rows, size=SAMPLE))


def _number_effects(
    column: Column, values: NDArray[np.generic], labels: NDArray[np.int64], n_clusters: int, among: str
) -> list[tuple[int, float, Word]]:
    if len(column.quantiles) != len(QUANTILES) or _are_identifiers(values):
        return []
    zero = column.quantiles[QUANTILES.index(0.5)]
    numbers = from_zero(values, zero)
    known = ~np.isnan(numbers)
    if known.mean() < MOSTLY_KNOWN:
        return []
    # A few absurd values must not widen the spread that all are measured by.
    numbers = np.clip(numbers, column.quantiles[1] - zero, column.quantiles[-2] - zero)
    spread = float(numbers[known].std()) if known.any() else 0.0
    if not spread > 0:
        return []
    inside = known & (labels >= 0)
    count = np.bincount(labels[inside], minlength=n_clusters)
    mean = np.bincount(labels[inside], weights=numbers[inside], minlength=n_clusters) / np.maximum(count, 1)
    of_all = float(numbers[known].mean())
    effect = (mean - of_all) / spread
    low, high = sense(column)
    return [
        (
            int(label),
            abs(float(effect[label])),
            Word(
                high if effect[label] > 0 else low,
                f"{subject(column)} is {amount(column, zero + float(mean[label]), spread)} here on "
                f"average, {amount(column, zero + of_all, spread)} among {among}",
            ),
        )
        for label in np.flatnonzero((count >= FEWEST) & (np.abs(effect) >= MEDIUM_EFFECT))
    ]


def _are_identifiers(values: NDArray[np.generic]) -> bool:
    """Whether whole numbers name their rows: of many galaxies, no two have the same."""
    return values.dtype.kind in "iu" and values.size >= FEWEST and np.unique(values).size == values.size


def _category_effects(
    column: Column, values: NDArray[np.generic], labels: NDArray[np.int64], n_clusters: int, among: str
) -> list[tuple[int, float, Word]]:
    codes = np.asarray(values, dtype=np.int64)
    told = []
    size = np.bincount(labels[labels >= 0], minlength=n_clusters)
    for code, word in enumerate(column.vocabulary):
        has = codes == code
        if has.mean() > COMMON:
            continue
        share = np.bincount(labels[has & (labels >= 0)], minlength=n_clusters) / np.maximum(size, 1)
        effect = 2 * (np.arcsin(np.sqrt(np.minimum(share, 1))) - np.arcsin(np.sqrt(has.mean())))
        told += [
            (
                int(label),
                float(effect[label]),
                Word(
                    f"{'mostly' if share[label] >= MOSTLY else 'often'} {word}",
                    f"{100 * share[label]:.0f} % are {word}, {100 * has.mean():.0f} % of {among} "
                    f"({column.name}: {called(column)})",
                ),
            )
            for label in np.flatnonzero((size >= FEWEST) & (share >= OFTEN) & (effect >= LARGE_EFFECT))
        ]
    return told
