"""Mixtures of detectors: several percentiles of oddness as one, for each row the highest or the mean of them.

A galaxy of which a detector knows nothing is judged by the others; where none knows it, it has no value.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import DETECTORS, PERCENTILES, offered
from atlas.catalog.columns import Columns
from atlas.errors import InputError, shorten
from atlas.storage.manifest import Column

MixedBy = Literal["highest", "mean"]
MOST_NAMED = 3
"""Detectors that a mixture's name names."""


def mixable(columns: Columns) -> list[str]:
    """Detectors of an atlas that tell percentiles, so that one can be set against the other; in the order of menus."""
    return [name for name in offered(columns) if name in PERCENTILES]


def mix_percentiles(percentiles: Iterable[NDArray[np.float32]], by: MixedBy) -> NDArray[np.float32]:
    """The highest or the mean of some percentiles, row by row; NaN where none is known.

    Parameters
    ----------
    percentiles : iterable of ndarray of shape (m,), float32
        One or more; read once, one after the other.
    by : str
    """
    if by == "highest":
        return reduce(np.fmax, percentiles)
    several = list(percentiles)
    total: NDArray[np.float32] = reduce(np.add, several)
    if not np.isnan(total).any():
        return total / np.float32(len(several))
    # Added up in the same order, so that a value does not depend on what else was asked for.
    total = reduce(np.add, (np.nan_to_num(one) for one in several))
    known = np.count_nonzero([one == one for one in several], axis=0).astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known)


def mixture_name(detectors: Iterable[str], by: MixedBy) -> str:
    """A mixture in a few words: "odd form or lonely" by the highest, "odd form and lonely" by the mean."""
    several = [DETECTORS[name].brief for name in PERCENTILES if name in detectors]
    joint = "or" if by == "highest" else "and"
    if len(several) > MOST_NAMED:
        return f"{len(several)} detectors, {'any' if by == 'highest' else 'together'}"
    return f"{', '.join(several[:-1])} {joint} {several[-1]}" if len(several) > 1 else several[0]


def mixture_meaning(detectors: Iterable[str], by: MixedBy) -> str:
    """A sentence on what a mixture's value is, for files."""
    told = [f"{DETECTORS[name].brief} ({name})" for name in PERCENTILES if name in detectors]
    how = "The highest" if by == "highest" else "The mean"
    return f"{how} of the percentiles of {', '.join(told[:-1])} and {told[-1]}: per cent of galaxies that are less so"


class MixedColumn:
    """A mixture as a column that is nowhere stored: what is asked of it is computed from its detectors' columns.

    Parameters
    ----------
    columns : Columns
    detectors : sequence of str
        Each once.
    by : str

    Raises
    ------
    InputError
        If one of them is no detector of this atlas that can be mixed.
    """

    def __init__(self, columns: Columns, detectors: Iterable[str], by: MixedBy) -> None:
        known = mixable(columns)
        self.detectors = tuple(detectors)
        for name in self.detectors:
            if name not in known:
                allowed = f"allowed are {', '.join(known)}" if known else "this atlas has none"
                raise InputError(f"{shorten(name)!r} is no detector that can be mixed: {allowed}")
        self.by: MixedBy = by
        self._arrays = [columns.array(name) for name in self.detectors]
        self.size: int = self._arrays[0].size

    @property
    def described(self) -> Column:
        """Description of a column that has these values; its name is that of files."""
        name = f"{'+'.join(self.detectors)}.{self.by}"
        return Column(name=name, file="", dtype="float32", kind="number")

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[np.float32]:
        """Values of some rows."""
        return mix_percentiles((np.asarray(array[rows]) for array in self._arrays), self.by)

    def each(self, rows: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Percentile of some rows by each detector."""
        return {name: np.asarray(array[rows]) for name, array in zip(self.detectors, self._arrays, strict=True)}
