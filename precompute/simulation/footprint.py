"""Footprint of simulated galaxies: an area with holes that crosses RA 0/360 and holds the north celestial pole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Pole of the Galaxy in ICRS (ESA 1997, The Hipparcos and Tycho Catalogues, vol. 1, sect. 1.5.3).
GALACTIC_POLE_RA_DEG = 192.85948
GALACTIC_POLE_DEC_DEG = 27.12825

MIN_DEC_DEG = -30.0
MIN_GALACTIC_LATITUDE_DEG = 20.0
N_HOLES = 200
HOLE_RADIUS_DEG = (0.3, 2.5)
N_CLUSTERS = 3000
CLUSTER_SIGMA_DEG = (0.05, 0.4)
CLUSTERED_SHARE = 0.25

BRICK_DEG = 0.25


@dataclass(frozen=True, eq=False)
class Footprint:
    """Two caps away from the Galaxy's plane, north of a declination, minus round holes; and groups of galaxies in it.

    Attributes
    ----------
    hole_xyz : ndarray of shape (h, 3), float64
        Centres of the holes (bright stars), unit vectors.
    hole_radius_deg : ndarray of shape (h,), float64
        Their radii.
    cluster_xyz : ndarray of shape (c, 3), float64
        Centres of galaxy groups, unit vectors.
    cluster_sigma : ndarray of shape (c,), float64
        Their one-dimensional sizes, radians.
    """

    hole_xyz: NDArray[np.float64]
    hole_radius_deg: NDArray[np.float64]
    cluster_xyz: NDArray[np.float64]
    cluster_sigma: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Footprint:
        """Holes and galaxy groups of one survey."""
        return cls(
            hole_xyz=_uniform_xyz(rng, N_HOLES),
            hole_radius_deg=rng.uniform(*HOLE_RADIUS_DEG, N_HOLES),
            cluster_xyz=_uniform_xyz(rng, N_CLUSTERS),
            cluster_sigma=np.radians(rng.uniform(*CLUSTER_SIGMA_DEG, N_CLUSTERS)),
        )

    def contains(self, xyz: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Mask of the unit vectors, shape (m, 3), in the footprint; shape (m,)."""
        inside: NDArray[np.bool_] = xyz[:, 2] > np.sin(np.radians(MIN_DEC_DEG))
        inside &= np.abs(sin_galactic_latitude(xyz)) > np.sin(np.radians(MIN_GALACTIC_LATITUDE_DEG))
        in_hole = xyz @ self.hole_xyz.T > np.cos(np.radians(self.hole_radius_deg))
        inside &= ~in_hole.any(axis=1)
        return inside

    def sample(self, rng: np.random.Generator, m: int) -> NDArray[np.float64]:
        """Positions of `m` galaxies, mildly clustered: unit vectors of shape (m, 3)."""
        accepted = np.empty((0, 3))
        while len(accepted) < m:
            xyz = self._candidates(rng, m)
            accepted = np.concatenate([accepted, xyz[self.contains(xyz)]])
        return accepted[:m]

    def _candidates(self, rng: np.random.Generator, m: int) -> NDArray[np.float64]:
        xyz = _uniform_xyz(rng, m)
        n_clustered = round(CLUSTERED_SHARE * m)
        cluster = rng.integers(len(self.cluster_xyz), size=n_clustered)
        offset = rng.standard_normal((n_clustered, 3)) * self.cluster_sigma[cluster, None]
        xyz[:n_clustered] = self.cluster_xyz[cluster] + offset
        xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
        # Shuffled, so that what `sample` cuts off is a fair share of both kinds.
        return xyz[rng.permutation(m)]


def sin_galactic_latitude(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine of the galactic latitude of unit vectors (ICRS) of shape (m, 3)."""
    ra, dec = np.radians([GALACTIC_POLE_RA_DEG, GALACTIC_POLE_DEC_DEG])
    pole = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    result: NDArray[np.float64] = xyz @ pole
    return result


def to_ra_dec_deg(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension in [0, 360) and declination, degrees, of unit vectors of shape (m, 3)."""
    ra_deg = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360.0
    # The remainder of a tiny negative angle rounds to 360 itself.
    ra_deg[ra_deg >= 360.0] = 0.0
    return ra_deg, np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))


def brick_id(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int32]:
    """Number of the brick that holds each position: tiles of 0.25°, counted from 1 at the south pole along RA.

    In the manner of the Legacy Surveys (Dey et al. 2019, AJ 157, 168), not with their numbers.
    """
    n_strips = round(180 / BRICK_DEG)
    middle_deg = -90 + BRICK_DEG * (np.arange(n_strips) + 0.5)
    bricks_in_strip = np.maximum(1, np.round(360 / BRICK_DEG * np.cos(np.radians(middle_deg)))).astype(np.int64)
    first_brick = 1 + np.concatenate([[0], np.cumsum(bricks_in_strip)[:-1]])
    strip = np.minimum(((dec_deg + 90) / BRICK_DEG).astype(np.int64), n_strips - 1)
    along = (ra_deg / 360 * bricks_in_strip[strip]).astype(np.int64)
    brick: NDArray[np.int32] = (first_brick[strip] + along).astype(np.int32)
    return brick


def _uniform_xyz(rng: np.random.Generator, m: int) -> NDArray[np.float64]:
    """Unit vectors, uniform on the sphere north of the footprint's southern edge, shape (m, 3)."""
    z = rng.uniform(np.sin(np.radians(MIN_DEC_DEG)), 1.0, m)
    ra = rng.uniform(0.0, 2 * np.pi, m)
    return np.column_stack([np.sqrt(1 - z * z) * np.cos(ra), np.sqrt(1 - z * z) * np.sin(ra), z])
