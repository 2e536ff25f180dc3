"""Neighbourhoods that a selection cuts through: the share of its galaxies' true neighbours that it leaves out.

A map in two dimensions has to tear neighbourhoods apart, and a lasso drawn on it may cut through more of them. The ten
nearest of every row in the space of the embeddings were found when the atlas was built (`atlas.storage.layout`:
`knn/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.mask import Mask
from atlas.space import OpenSpace

TRUST = "trust"
SAMPLE_ROWS = 20_000
_SEED = 0  # the same rows for the same mask, whoever asks
_STEP = 1 << 16


@dataclass(frozen=True)
class Outside:
    """Neighbours that a selection leaves out.

    Attributes
    ----------
    share : float
        Share of the rows' ten nearest neighbours that are not selected; 0 for an empty selection.
    trust : float or None
        Mean over the same rows of the column `trust`; None where no row has a value.
    rows : int
        Rows that were looked at.
    sampled : bool
        Whether those are a uniform sample of the selection, not all of it.
    """

    share: float
    trust: float | None
    rows: int
    sampled: bool


def neighbours_outside(space: OpenSpace, mask: Mask, sample: int = SAMPLE_ROWS) -> Outside:
    """Share of the selected rows' true neighbours that lie outside the selection.

    Parameters
    ----------
    space : OpenSpace
        Its embeddings say who is whose neighbour.
    mask : Mask
        The selection.
    sample : int
        So many rows are looked at, at most; the standard error of the share of 20,000 rows is below 0.004.
    """
    rows, places = _rows(space.known_rows, mask, sample)
    left_out = looked_at = 0
    for start in range(0, rows.size, _STEP):
        neighbours = space.neighbors[places[start : start + _STEP]]
        left_out += neighbours.size - int(np.count_nonzero(mask.holds(neighbours)))
        looked_at += neighbours.size
    trust = None
    if TRUST in space.columns:
        values = space.columns.number(TRUST)[rows].astype(np.float64)
        values = values[~np.isnan(values)]
        trust = float(values.mean()) if values.size else None
    return Outside(left_out / max(1, looked_at), trust, rows.size, rows.size < mask.count)


def _rows(
    known: NDArray[np.uint32] | None, mask: Mask, sample: int
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Some selected rows whose neighbours are known, and where those stand."""
    if known is None:
        rows = mask.sample(sample, _SEED)
        return rows, rows
    places = np.flatnonzero(mask.holds(np.asarray(known)))
    if places.size > sample:
        places = np.sort(np.random.default_rng(_SEED).choice(places, sample, replace=False))
    return known[places], places
