"""Places on the map and on the sky for tests of what is seen there: crowded, sparse and at the awkward spots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.sky.projection import Projection


def clusters(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Groups of very different size and density, a uniform background, far outliers, and rows without a position."""
    rng = np.random.default_rng(seed)
    middle, spread = rng.normal(size=(2, 40)) * 5, 10 ** rng.uniform(-3, 0.3, 40)
    group = np.minimum(rng.geometric(0.1, n) - 1, 39)
    x, y = (middle[i][group] + spread[group] * rng.normal(size=n) for i in (0, 1))
    even = rng.random(n) < 0.05
    x[even], y[even] = rng.uniform(-12, 12, (2, np.count_nonzero(even)))
    x[rng.integers(n, size=3)] = [1e6, -4e5, 2e7]
    y[rng.integers(n, size=40)] = np.nan
    return x.astype(np.float32), y.astype(np.float32)


def survey(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Even over most of the sky, with groups at RA 0/360, at both poles and elsewhere."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    for k, (ra0, dec0, size) in enumerate([(0, 0, 0.5), (0, 89.9, 1), (0, -90, 1), (53.16, -27.79, 0.02)]):
        rows = slice(k * n // 10, (k + 1) * n // 10)
        east, north = rng.normal(size=(2, rows.stop - rows.start)) * size
        ra[rows], dec[rows] = Projection("tan", ra0, dec0).inverse(-east, north)
    return ra, dec
