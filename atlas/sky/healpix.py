"""Cells of the sky: nested HEALPix (Górski et al. 2005, ApJ 622, 759), so that no position is a special case."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from astropy.coordinates import angular_separation
from astropy_healpix import healpy
from numpy.typing import NDArray

BASE_CELLS = 12
SKY_DEG2 = 360.0**2 / np.pi


def cell_of(ra_deg: NDArray[Any], dec_deg: NDArray[Any], order: int) -> NDArray[np.int64]:
    """Nested cell of each position, at an order (12 · 4**order cells)."""
    cells: NDArray[np.int64] = healpy.ang2pix(2**order, ra_deg, dec_deg, nest=True, lonlat=True)
    return cells


def centers(order: int, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit vectors, shape (3, k), to the middles of cells."""
    return np.stack(healpy.pix2vec(2**order, cells, nest=True))


def cell_area_deg2(order: int) -> float:
    """Area of a cell; all cells of an order are equal."""
    return SKY_DEG2 / (BASE_CELLS * 4.0**order)


def cell_radius_deg(order: int) -> float:
    """No point of a cell lies farther from its middle than this.

    The largest cells span the latitude where the polar caps begin: from the middle, at z = 2/3, to the corner on the
    next ring towards the pole, at z = 1 − (1 − 1/nside)²/3, a quarter of a cell's turn away in longitude.
    """
    n_side = 2.0**order
    middle, corner = np.arcsin(2 / 3), np.arcsin(1 - (1 - 1 / n_side) ** 2 / 3)
    radius: float = angular_separation(0.0, middle, np.pi / 4 / n_side, corner)
    return math.degrees(radius)
