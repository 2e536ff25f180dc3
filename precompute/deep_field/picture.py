"""The Hubble eXtreme Deep Field as a picture of the sky: its pixels, its astrometry, its look north up.

The picture is the colour composite of HubbleSite release 2012-37 as the scikit-image wheel carries it: 872 × 1000
pixels of 8 bits, stretched for the eye. Its astrometry was solved against the GOODS-S catalogue: 331 matches with a
median residual of 0.07 arcsec.
"""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

from ..source_description import BackgroundDescription

Picture = NDArray[np.uint8]

PIXEL_ARCSEC = 0.1430
TANGENT_RA_DEG = 53.1625
TANGENT_DEC_DEG = -27.7914
# Offsets on the tangent plane in arcsec, east and north, from p = x - 500 and q = 436 - y (y runs down).
REFERENCE_PIXEL = (500.0, 436.0)
EAST_NORTH_PER_PQ = np.array([[-0.08962002, -0.11146555], [-0.11133022, 0.08968164]])
EAST_NORTH_AT_REFERENCE = np.array([-6.25139744, 28.25846633])
UP_DEG = float(np.degrees(np.arctan2(*EAST_NORTH_PER_PQ[:, 1])))
"""Position angle of the picture's upper edge, degrees from north to east."""


def load_picture() -> Picture:
    """The picture, (872, 1000, 3), uint8; row 0 is its upper edge."""
    picture: Picture = data.hubble_deep_field()
    return picture


def picture_wcs() -> WCS:
    """Astrometry of the picture: gnomonic, for 0-based pixels x to the right and y down."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [TANGENT_RA_DEG, TANGENT_DEC_DEG]
    wcs.wcs.cd = EAST_NORTH_PER_PQ @ np.diag([1.0, -1.0]) / 3600
    # FITS counts pixels from one, and wants the pixel at which both offsets vanish.
    p, q = np.linalg.solve(EAST_NORTH_PER_PQ, -EAST_NORTH_AT_REFERENCE)
    wcs.wcs.crpix = [REFERENCE_PIXEL[0] + p + 1, REFERENCE_PIXEL[1] - q + 1]
    wcs.wcs.set()
    return wcs


def position_angle_deg(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position angles, degrees east of north in [0, 180), of directions in the picture.

    Parameters
    ----------
    theta : ndarray of shape (n,), float64
        Radians from x towards y, which runs down.
    """
    east, north = EAST_NORTH_PER_PQ @ np.stack([np.cos(theta), -np.sin(theta)])
    angle: NDArray[np.float64] = np.degrees(np.arctan2(east, north)) % 180
    return angle


def north_up(
    picture: Picture, black: NDArray[np.float64], *, file: str
) -> tuple[NDArray[np.uint8], BackgroundDescription]:
    """The picture resampled with north up and east to the left, gnomonic about its own centre.

    Parameters
    ----------
    picture : ndarray of shape (h, w, 3), uint8
    black : ndarray of shape (3,), float64
        What becomes black in each channel: set above the sky's noise, so that points drawn over it stand out.
    file : str
        Name under which the description lists it.

    Returns
    -------
    ndarray of shape (rows, columns, 4), uint8
        RGBA, transparent outside the picture.
    SkyBackground
        Where it lies on the sky.
    """
    height, width = picture.shape[:2]
    source = picture_wcs()
    ra_deg, dec_deg = source.pixel_to_world_values((width - 1) / 2, (height - 1) / 2)
    corners = source.pixel_to_world_values(
        [-0.5, width - 0.5, -0.5, width - 0.5], [-0.5, -0.5, height - 0.5, height - 0.5]
    )
    target = _north_up_wcs(float(ra_deg), float(dec_deg))
    x, y = target.world_to_pixel_values(*corners)
    columns, rows = 2 * int(np.ceil(np.abs(x).max())) + 1, 2 * int(np.ceil(np.abs(y).max())) + 1
    target.wcs.crpix = [(columns + 1) / 2, (rows + 1) / 2]

    row, column = np.indices((rows, columns))
    from_x, from_y = source.world_to_pixel_values(*target.pixel_to_world_values(column, rows - 1 - row))
    inside = (np.abs(from_x - (width - 1) / 2) <= width / 2) & (np.abs(from_y - (height - 1) / 2) <= height / 2)
    turned = np.zeros((rows, columns, 4), dtype=np.uint8)
    for channel in range(3):
        light = ndimage.map_coordinates(
            picture[..., channel], [from_y[inside], from_x[inside]], output=np.float32, mode="nearest"
        )
        stretched = (light - black[channel]) * (255 / (255 - black[channel]))
        turned[inside, channel] = np.rint(np.clip(stretched, 0, 255))
    turned[inside, 3] = 255
    degrees = PIXEL_ARCSEC / 3600
    return turned, BackgroundDescription(
        file=file,
        ra_deg=float(ra_deg),
        dec_deg=float(dec_deg),
        width_deg=columns * degrees,
        height_deg=rows * degrees,
        credit="NASA, ESA, XDF team",
    )


def _north_up_wcs(ra_deg: float, dec_deg: float) -> WCS:
    """Gnomonic, north up (FITS rows run upwards), east to the left, the reference at pixel zero."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.cdelt = [-PIXEL_ARCSEC / 3600, PIXEL_ARCSEC / 3600]
    wcs.wcs.crpix = [1.0, 1.0]
    return wcs
