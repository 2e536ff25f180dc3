"""Projections of the sky to a plane: tangent for fields, Hammer-Aitoff for the whole sky.

Planes are in degrees, y to the north, x to the **west**, so that north is up and east is left when x grows to the
right. They are the planes of FITS (TAN and AIT; Calabretta & Greisen 2002, A&A 395, 1077; with LONPOLE = 180 at the
poles too, so that nothing turns over there), and the tests hold them against `astropy.wcs`. They are computed here
because a view asks about cells a dozen times and about 100,000 rows once: `astropy.wcs` costs 0.1 ms a call, twice
the time a row, and its objects must not be shared between threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Lengths grow by up to this factor in Hammer-Aitoff: at the poles, half a turn from the centre.
_AIT_STRETCH = 2 * np.sqrt(2)
# Over a disc that is not cut, growth exceeds that at its centre by less than a quarter: by 0.24 at most, computed on
# discs of up to 49 degrees (a base cell of HEALPix has 48) all over the sky.
_AIT_VARIATION = 1.25
_TAN_LIMIT_DEG = 89.9


@dataclass(frozen=True)
class Discs:
    """Bounds of discs of the sky in a plane, generously; arrays of shape (k,), in degrees.

    Attributes
    ----------
    x, y : ndarray
        Their centres.
    reach : ndarray
        Distance in the plane within which all of a disc lies; infinite where there is no bound.
    nearest : ndarray
        No point of a disc lies nearer to the plane's origin; infinite where nothing of it is on the plane.
    torn : ndarray of bool
        Discs across the seam of an all-sky plane: the other part lies within `reach` of (−x, y).
    """

    x: Array
    y: Array
    reach: Array
    nearest: Array
    torn: NDArray[np.bool_]


class Projection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A projection of the sky to a plane.

    Attributes
    ----------
    kind : {"tan", "ait"}
        Gnomonic on the tangent plane (defined within 90° of its centre), or Hammer-Aitoff (everywhere).
    ra_deg, dec_deg : float
        What lies at the plane's origin; `dec_deg` is 0 for "ait".

    Raises
    ------
    ValueError
        If the centre is not a position, or not on the equator where it must be.
    """

    kind: Literal["tan", "ait"]
    ra_deg: float
    dec_deg: float

    def __post_init__(self) -> None:
        if not (0 <= self.ra_deg < 360 and -90 <= self.dec_deg <= 90):
            raise ValueError(
                f"the centre of a projection needs 0 ≤ RA < 360 and −90 ≤ Dec ≤ 90, not {self.ra_deg} {self.dec_deg}"
            )
        if self.kind == "ait" and self.dec_deg != 0:
            raise ValueError(f"an all-sky projection is centred on the equator, not at Dec {self.dec_deg}")

    def forward(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[Array, Array]:
        """Positions to the plane.

        Parameters
        ----------
        ra_deg, dec_deg : array-like
            Positions in degrees (ICRS).

        Returns
        -------
        x_deg, y_deg : ndarray of the same shape, float64
            NaN for what lies 90° or more from a tangent plane's centre.
        """
        if self.kind == "ait":
            turns = (np.asarray(ra_deg) - self.ra_deg) / 360
            dec = np.radians(dec_deg)
            x, y = _hammer_aitoff((turns - np.rint(turns)) * np.pi, np.sin(dec), np.cos(dec))
        else:
            ahead, east, north = self._turned(unit_vectors(ra_deg, dec_deg))
            ahead = np.where(ahead > 0, ahead, np.nan)
            x, y = -east / ahead, north / ahead
        return np.degrees(x), np.degrees(y)

    def inverse(self, x_deg: ArrayLike, y_deg: ArrayLike) -> tuple[Array, Array]:
        """Points of the plane to positions.

        Parameters
        ----------
        x_deg, y_deg : array-like
            Points of the plane in degrees.

        Returns
        -------
        ra_deg, dec_deg : ndarray of the same shape, float64
            RA in 0 … 360 (360 excluded); NaN outside the ellipse of "ait".
        """
        x, y = np.radians(x_deg), np.radians(y_deg)
        if self.kind == "ait":
            square = 1 - (x / 4) ** 2 - (y / 2) ** 2
            z = np.sqrt(np.where(square >= 0.5, square, np.nan))
            lon = 2 * np.arctan2(-z * x / 2, 2 * z**2 - 1)
            ra, dec = np.radians(self.ra_deg) + lon, np.arcsin(np.clip(y * z, -1, 1))
        else:
            vectors = np.stack([np.ones_like(x), -x, y])
            a, b, c = np.tensordot(self._axes().T, vectors, axes=1)
            ra, dec = np.arctan2(b, a), np.arctan2(c, np.hypot(a, b))
        ra = np.degrees(ra) % 360
        return np.where(ra == 360, 0.0, ra), np.degrees(dec)  # the remainder of −1e-20 is 360

    def discs(self, centers: Array, radius_deg: float) -> Discs:
        """Bounds of discs of the sky.

        Parameters
        ----------
        centers : ndarray of shape (3, k)
            Unit vectors to their centres.
        radius_deg : float
            Their radius, at most 50.
        """
        ahead, east, north = self._turned(centers)
        if self.kind == "ait":
            half_lon, cos_dec = np.arctan2(east, ahead) / 2, np.hypot(ahead, east)
            x, y = _hammer_aitoff(half_lon, north, cos_dec)
            # From the half circle at 180° of longitude, where the plane is cut; its nearest point may be a pole.
            from_seam = np.arcsin(np.minimum(np.where(ahead < 0, np.abs(east), cos_dec), 1))
            torn = from_seam <= np.radians(radius_deg)
            growth = np.minimum(_AIT_VARIATION * _growth(half_lon, north, cos_dec), _AIT_STRETCH)
            reach = np.where(torn, _AIT_STRETCH, growth) * radius_deg
            return Discs(np.degrees(x), np.degrees(y), reach, np.zeros(x.size), torn)
        across = np.hypot(east, north)
        from_center = np.degrees(np.arctan2(across, ahead))
        bounded = from_center + radius_deg < _TAN_LIMIT_DEG
        depth = np.where(bounded, ahead, 1)
        # The image of a disc is an ellipse; its far end, straight outwards, is farthest from the image of its centre.
        far = np.degrees(np.tan(np.radians(np.where(bounded, from_center + radius_deg, 0))))
        reach = np.where(bounded, far - np.degrees(across / depth), np.inf)
        inner = np.maximum(from_center - radius_deg, 0)
        nearest = np.where(inner < 90, np.degrees(np.tan(np.radians(np.minimum(inner, _TAN_LIMIT_DEG)))), np.inf)
        torn = np.zeros(ahead.size, dtype=np.bool_)
        return Discs(np.degrees(-east / depth), np.degrees(north / depth), reach, nearest, torn)

    def _axes(self) -> Array:
        """Unit vectors ahead (to the centre), east and north of it, as rows."""
        ra, dec = np.radians(self.ra_deg), np.radians(self.dec_deg)
        return np.array(
            [
                [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)],
                [-np.sin(ra), np.cos(ra), 0.0],
                [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)],
            ]
        )

    def _turned(self, vectors: Array) -> Array:
        """Components ahead, east and north of unit vectors of shape (3, …)."""
        return np.tensordot(self._axes(), vectors, axes=1)


def unit_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> Array:
    """Unit vectors, shape (3, …), to positions in degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    vectors = np.empty((3, *np.broadcast_shapes(np.shape(ra), np.shape(dec))))
    cos_dec = np.cos(dec)
    vectors[0] = cos_dec * np.cos(ra)
    vectors[1] = cos_dec * np.sin(ra)
    vectors[2] = np.sin(dec)
    return vectors


def _hammer_aitoff(half_lon: Array, sin_dec: Array, cos_dec: Array) -> tuple[Array, Array]:
    """The all-sky plane, in radians, of positions given by half their longitude and by their declination."""
    root: Array = np.sqrt(2 / (1 + cos_dec * np.cos(half_lon)))
    return -2 * root * cos_dec * np.sin(half_lon), root * sin_dec


def _growth(half_lon: Array, sin_dec: Array, cos_dec: Array) -> Array:
    """By how much a short line grows at most in the all-sky plane.

    This is the larger singular value of the Jacobian of (x, y) by (lon cos dec, dec). The projection keeps areas, so
    the product of both singular values is 1; the sum of their squares is that of the Jacobian's entries.
    """
    sin_lon, cos_lon = np.sin(half_lon), np.cos(half_lon)
    u = 1 / (1 + cos_dec * cos_lon)
    x_lon = cos_lon + cos_dec * sin_lon**2 * u / 2
    x_dec = sin_dec * sin_lon * (cos_dec * cos_lon * u - 2)
    y_lon = sin_dec * sin_lon * u / 4
    y_dec = cos_dec + sin_dec**2 * cos_lon * u / 2
    squares = 2 * u * (x_lon**2 + x_dec**2 + y_lon**2 + y_dec**2)
    growth: Array = np.sqrt((squares + np.sqrt(np.maximum(squares**2 - 4, 0))) / 2)
    return growth
