"""Projections of the sky to a plane: tangent for fields, Hammer-Aitoff for the whole sky.

Planes are in degrees, y to the north, x to the **west**, so that north is up and east is left when x grows to the
right. The formulas are those of FITS (TAN and AIT; Calabretta & Greisen 2002, A&A 395, 1077), computed by
`astropy.wcs`: 0.06 to 0.15 µs a position.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

# Lengths grow by up to this factor in Hammer-Aitoff: at the poles, half a turn from the centre.
_AIT_STRETCH = 2 * np.sqrt(2)
# Over a disc, growth exceeds that at its centre by less than a quarter (by 0.226 at most, computed on discs of up to
# 46 degrees all over the sky; larger ones are bounded by _AIT_STRETCH).
_AIT_VARIATION = 1.25
_TAN_LIMIT_DEG = 89.9


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

    def forward(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
        x, y = self._wcs().wcs_world2pix(ra_deg, dec_deg, 1)
        return x, y

    def inverse(self, x_deg: ArrayLike, y_deg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points of the plane to positions.

        Parameters
        ----------
        x_deg, y_deg : array-like
            Points of the plane in degrees.

        Returns
        -------
        ra_deg, dec_deg : ndarray of the same shape, float64
            RA in 0 … 360; NaN outside the ellipse of "ait".
        """
        ra, dec = self._wcs().wcs_pix2world(x_deg, y_deg, 1)
        return ra % 360.0, dec

    def disc(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], radius_deg: float) -> Discs:
        """Where discs of the sky come to lie, generously.

        Parameters
        ----------
        ra_deg, dec_deg : ndarray of shape (k,)
            Centres of the discs.
        radius_deg : float
            Their radius.
        """
        x, y = self.forward(ra_deg, dec_deg)
        if self.kind == "ait":
            lon = np.abs((ra_deg - self.ra_deg + 180) % 360 - 180)
            stretch = np.minimum(_AIT_VARIATION * _ait_growth(np.radians(lon), np.radians(dec_deg)), _AIT_STRETCH)
            return Discs(x, y, stretch * radius_deg, _seam_distance_deg(lon, dec_deg) <= radius_deg)
        from_center = np.degrees(np.arctan(np.radians(np.hypot(x, y))))
        edge = from_center + radius_deg
        with np.errstate(invalid="ignore"):
            reach = np.degrees(np.tan(np.radians(np.minimum(edge, _TAN_LIMIT_DEG)))) - np.hypot(x, y)
            reach[~(edge < _TAN_LIMIT_DEG)] = np.inf
        return Discs(x, y, reach, np.zeros(x.shape, dtype=np.bool_))

    def _wcs(self) -> WCS:
        """As FITS writes it. Made anew each time (30 µs): a WCS object must not be shared between threads."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = [f"RA---{self.kind.upper()}", f"DEC--{self.kind.upper()}"]
        wcs.wcs.crval = [self.ra_deg, self.dec_deg]
        wcs.wcs.crpix = [0.0, 0.0]
        wcs.wcs.cdelt = [-1.0, 1.0]
        return wcs


class Discs(msgspec.Struct, frozen=True):
    """Discs of the sky in a plane; arrays of shape (k,).

    Attributes
    ----------
    x, y : ndarray
        Their centres.
    reach : ndarray
        Distance in the plane within which all of the disc lies; infinite where there is no bound.
    torn : ndarray of bool
        Discs across the seam of an all-sky plane: the other part lies within `reach` of (−x, y).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    reach: NDArray[np.float64]
    torn: NDArray[np.bool_]


def _seam_distance_deg(lon_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the half circle opposite the centre, at 180° of longitude, where an all-sky plane is cut."""
    lon, dec = np.radians(lon_deg), np.radians(dec_deg)
    beside = np.arcsin(np.clip(np.cos(dec) * np.sin(lon), -1, 1))
    return np.degrees(np.where(lon_deg > 90, beside, np.pi / 2 - np.abs(dec)))


def _ait_growth(lon: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much a short line grows at most: the larger singular value of the Jacobian of x(lon, dec), y(lon, dec).

    The projection keeps areas, so the product of both singular values is 1, and the sum of their squares, which is
    the sum of the squared entries of the Jacobian, gives them.
    """
    sin_h, cos_h = np.sin(lon / 2), np.cos(lon / 2)
    sin_d, cos_d = np.sin(dec), np.cos(dec)
    u = 1 / (1 + cos_d * cos_h)
    x_lon = cos_h + cos_d * sin_h**2 * u / 2
    x_dec = sin_d * sin_h * (cos_d * cos_h * u - 2)
    y_lon = sin_d * sin_h * u / 4
    y_dec = cos_d + sin_d**2 * cos_h * u / 2
    squares: NDArray[np.float64] = 2 * u * (x_lon**2 + x_dec**2 + y_lon**2 + y_dec**2)
    larger: NDArray[np.float64] = np.sqrt((squares + np.sqrt(np.maximum(squares**2 - 4, 0))) / 2)
    return larger
