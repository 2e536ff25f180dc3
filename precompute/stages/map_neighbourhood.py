"""Neighbourhood on the map: the surroundings of a position hold one in a hundred of the points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

TRUST_SHARE = 0.01
TRUST_ROWS = 50
"""A galaxy's surroundings on the map hold 1 % of all rows, and at least fifty."""


def trust_share(n_rows: int) -> float:
    """Share of all rows that a galaxy's surroundings on the map hold."""
    return min(1.0, max(TRUST_SHARE, TRUST_ROWS / n_rows))


def surroundings_radius(tree: cKDTree, positions: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Radius about each position that holds the given share of the tree's points."""
    radius, _ = tree.query(positions, k=[min(tree.n, max(1, round(share * tree.n)))])
    radii: NDArray[np.float32] = radius[:, 0].astype(np.float32)
    return radii
