"""Projections of the sky to a plane: tangent for fields, Hammer-Aitoff and Mollweide for the whole sky.

Planes are in degrees, y to the north, x to the **west**, so that north is up and east is left when x grows to the
right; north and east are those of the frame, equatorial (ICRS) or galactic. Positions go in and come out in ICRS
whatever the frame is: it turns the plane alone, and rows, cells and counts know nothing of it. They are the planes of
FITS (TAN, AIT and MOL; Calabretta & Greisen 2002, A&A 395, 1077; with LONPOLE = 180 at the
poles too, so that nothing turns over there), and the tests hold them against `astropy.wcs`. They are computed here
because a view asks about cells a dozen times and about 100,000 rows once: `astropy.wcs` costs 0.1 ms a call, twice
the time a row, and its objects must not be shared between threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec
import numpy as np
from astropy.coordinates import ICRS, CartesianRepresentation, Galactic
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Lengths grow by up to this factor in Hammer-Aitoff: at the poles, half a turn from the centre.
_AIT_STRETCH = 2 * np.sqrt(2)
# Over a disc that is not cut, growth exceeds that at its centre by less than a quarter: by 0.24 at most, computed on
# discs of up to 49 degrees (a base cell of HEALPix has 48) all over the sky.
_AIT_VARIATION = 1.25
_TAN_LIMIT_DEG = 89.9
_MOLLWEIDE = 2 * np.sqrt(2) / np.pi  # half a turn along the equator is as long as in Hammer-Aitoff
_NEWTON_STEPS = 7
_SERIES_BELOW = 0.1

SkyFrame = Literal["icrs", "galactic"]


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


class Projection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A projection of the sky to a plane.

    Attributes
    ----------
    kind : {"tan", "ait", "mol"}
        Gnomonic on the tangent plane (defined within 90° of its centre), Hammer-Aitoff or Mollweide (everywhere).
    ra_deg, dec_deg : float
        What lies at the plane's origin, in the frame: its longitude and latitude; `dec_deg` is 0 but for "tan".
    frame : {"icrs", "galactic"}
        Whose north is up.

    Raises
    ------
    ValueError
        If the centre is not a position, or not on the equator where it must be.
    """

    kind: Literal["tan", "ait", "mol"]
    ra_deg: float
    dec_deg: float
    frame: SkyFrame = "icrs"

    def __post_init__(self) -> None:
        if not (0 <= self.ra_deg < 360 and -90 <= self.dec_deg <= 90):
            raise ValueError(
                f"the centre of a projection needs 0 ≤ RA < 360 and −90 ≤ Dec ≤ 90, not {self.ra_deg} {self.dec_deg}"
            )
        if self.all_sky and self.dec_deg != 0:
            raise ValueError(f"an all-sky projection is centred on the equator, not at Dec {self.dec_deg}")

    @property
    def all_sky(self) -> bool:
        """Whether the whole sky has a place on the plane."""
        return self.kind != "tan"

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
        if self.all_sky:
            if self.frame == "icrs":
                turns = (np.asarray(ra_deg) - self.ra_deg) / 360
                dec = np.radians(dec_deg)
                half_lon, north, across = (turns - np.rint(turns)) * np.pi, np.sin(dec), np.cos(dec)
            else:
                ahead, east, north = self._turned(unit_vectors(ra_deg, dec_deg))
                half_lon, across = np.arctan2(east, ahead) / 2, np.hypot(ahead, east)
            x, y = (_hammer_aitoff if self.kind == "ait" else _mollweide)(half_lon, north, across)
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
            RA in 0 … 360 (360 excluded); NaN outside the ellipse of an all-sky plane.
        """
        x, y = np.radians(x_deg), np.radians(y_deg)
        if self.all_sky:
            lon, lat = (_from_hammer_aitoff if self.kind == "ait" else _from_mollweide)(x, y)
            if self.frame == "icrs":
                ra, dec = np.radians(self.ra_deg) + lon, lat
            else:
                vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
                ra, dec = _angles(np.tensordot(self.axes.T, vectors, axes=1))
        else:
            vectors = np.stack([np.ones_like(x), -x, y])
            ra, dec = _angles(np.tensordot(self.axes.T, vectors, axes=1))
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
        if self.kind == "mol":
            return _mollweide_discs(np.arctan2(east, ahead), np.arctan2(north, np.hypot(ahead, east)), radius_deg)
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

    @property
    def axes(self) -> Array:
        """Unit vectors (ICRS) ahead (to the centre), east and north of it, as rows."""
        ra, dec = np.radians(self.ra_deg), np.radians(self.dec_deg)
        own = np.array(
            [
                [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)],
                [-np.sin(ra), np.cos(ra), 0.0],
                [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)],
            ]
        )
        return own if self.frame == "icrs" else own @ _to_galactic()

    def _turned(self, vectors: Array) -> Array:
        """Components ahead, east and north of unit vectors of shape (3, …)."""
        return np.tensordot(self.axes, vectors, axes=1)


def tangent(ra_deg: float, dec_deg: float, frame: SkyFrame = "icrs") -> Projection:
    """The tangent plane at a position (ICRS), with a frame's north up."""
    if frame == "icrs":
        return Projection("tan", ra_deg % 360 % 360, dec_deg)
    lon, lat = (float(v) for v in _angles(_to_galactic() @ unit_vectors(ra_deg, dec_deg)))
    return Projection("tan", float(np.degrees(lon)) % 360 % 360, float(np.degrees(lat)), frame)


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


def _from_hammer_aitoff(x: Array, y: Array) -> tuple[Array, Array]:
    """Longitude and latitude in radians; NaN outside the ellipse."""
    square = 1 - (x / 4) ** 2 - (y / 2) ** 2
    z = np.sqrt(np.where(square >= 0.5, square, np.nan))
    return 2 * np.arctan2(-z * x / 2, 2 * z**2 - 1), np.arcsin(np.clip(y * z, -1, 1))


def _mollweide(half_lon: Array, sin_dec: Array, cos_dec: Array) -> tuple[Array, Array]:
    """As `_hammer_aitoff`, of Mollweide's plane."""
    size = np.abs(sin_dec)
    from_pole = _mollweide_angle(np.pi * cos_dec**2 / (1 + size))
    return -2 * _MOLLWEIDE * half_lon * np.sin(from_pole), np.copysign(np.sqrt(2) * np.cos(from_pole), sin_dec)


def _from_mollweide(x: Array, y: Array) -> tuple[Array, Array]:
    """As `_from_hammer_aitoff`, of Mollweide's plane."""
    height = np.abs(y) / np.sqrt(2)
    from_pole = np.arccos(np.where(height <= 1, height, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):  # at a pole all longitudes meet
        lon = np.where(x == 0, 0.0, -x / (_MOLLWEIDE * np.sin(from_pole)))
    lon = np.where(np.abs(lon) <= np.pi, lon, np.nan)
    # How much the sine of the latitude lacks to 1.
    lacks = _mollweide_area(from_pole) / np.pi
    lat = np.copysign(np.arctan2(1 - lacks, np.sqrt(lacks * (2 - lacks))), y)
    return lon, np.where(np.isnan(lon), np.nan, lat)


def _mollweide_area(from_pole: Array) -> Array:
    """2δ − sin 2δ, without losing digits near a pole."""
    square = from_pole**2
    series = from_pole**3 * (4 / 3 - square * (4 / 15 - square * (8 / 315 - square * 4 / 2835)))
    return np.where(from_pole < _SERIES_BELOW, series, 2 * from_pole - np.sin(2 * from_pole))


def _mollweide_angle(area: Array) -> Array:
    """The δ of which `_mollweide_area` is an area, 0 … π, by Newton's steps: they cannot miss on a convex curve."""
    angle: Array = np.cbrt(0.75 * area)
    for _ in range(_NEWTON_STEPS):
        slope = 4 * np.sin(angle) ** 2
        angle = np.minimum(angle - (_mollweide_area(angle) - area) / np.where(slope > 0, slope, np.inf), np.pi / 2)
    return angle


def _mollweide_discs(lon: Array, lat: Array, radius_deg: float) -> Discs:
    """Bounds of discs in Mollweide's plane, from the latitudes and longitudes that they span.

    Lengths have no bound at the poles there, but rows of equal latitude are straight and meridians cross each once.
    """
    radius = np.radians(radius_deg)
    polar = np.abs(lat) + radius >= np.pi / 2
    spread = np.where(polar, np.pi, np.arcsin(np.minimum(np.sin(radius) / np.cos(np.where(polar, 0, lat)), 1)))
    south, north = np.maximum(lat - radius, -np.pi / 2), np.minimum(lat + radius, np.pi / 2)
    (x, y), (_, bottom), (_, top) = (_mollweide(lon / 2, np.sin(v), np.cos(v)) for v in (lat, south, north))
    widths = [np.sqrt(np.maximum(2 - v**2, 0) / 2) for v in (bottom, top)]
    narrow, wide = np.minimum(*widths), np.where((south < 0) & (north > 0), 1.0, np.maximum(*widths))
    away = np.abs(lon)
    torn = ~polar & (away + spread > np.pi)
    near, far = away - spread, np.minimum(away + spread, np.pi)
    inner = np.where(near < 0, near * wide, near * narrow) * _MOLLWEIDE
    across = np.maximum(np.abs(x) - inner, far * wide * _MOLLWEIDE - np.abs(x))
    across = np.where(polar, np.abs(x) + np.pi * wide * _MOLLWEIDE, across)
    reach = np.hypot(across, np.maximum(top - y, y - bottom)) * (1 + 1e-9) + 1e-12
    return Discs(np.degrees(x), np.degrees(y), np.degrees(reach), np.zeros(x.size), torn)


@cache
def _to_galactic() -> Array:
    """The rotation from ICRS to galactic vectors."""
    turned: Array = ICRS(CartesianRepresentation(*np.eye(3))).transform_to(Galactic()).cartesian.xyz.value
    return turned


def _angles(vectors: Array) -> tuple[Array, Array]:
    """Longitude and latitude in radians."""
    a, b, c = vectors
    return np.arctan2(b, a), np.arctan2(c, np.hypot(a, b))


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
