"""The galaxies of the deep field: found with `sep` (Barbary 2016, JOSS 1, 58; Bertin & Arnouts 1996), and measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sep
from numpy.typing import NDArray

from .picture import PIXEL_ARCSEC, Picture, picture_wcs, position_angle_deg

THRESHOLD_SIGMA = 1.5
MIN_DETECTION_PIXELS = 6
MIN_GALAXY_PIXELS = 25
FRAME_PIXELS = 10
# The two bright stars, known by their diffraction spikes, as x, y in pixels.
STARS = ((253.4, 166.1), (754.3, 577.9))
STAR_RADIUS_PIXELS = 12


class Detections(NamedTuple):
    """Detections of `sep`.

    Attributes
    ----------
    galaxies : structured ndarray of shape (n,)
        sep's own fields, brightest first.
    segment : ndarray of shape (n,), int32
        Number of each galaxy in `segmentation`.
    segmentation : ndarray of shape (h, w), int32
        0 is sky; every source has its number, also those that are not galaxies.
    light : ndarray of shape (h, w), float32
        Mean of the channels above the sky.
    noise : float
        One sigma of `light`.
    """

    galaxies: NDArray[Any]
    segment: NDArray[np.int32]
    segmentation: NDArray[np.int32]
    light: NDArray[np.float32]
    noise: float


def detect(picture: Picture) -> Detections:
    """Find galaxies on the mean of the channels.

    Dropped are sources of fewer than 25 pixels, the two stars with spikes, and what lies within ten pixels of the
    frame. Faint stars, a handful at this latitude, stay: the picture alone cannot tell them from compact galaxies.
    """
    luminance = np.ascontiguousarray(picture.mean(axis=2, dtype=np.float32))
    sky = sep.Background(luminance)
    light = luminance - sky.back()
    sources, segmentation = sep.extract(
        light, THRESHOLD_SIGMA, err=sky.globalrms, minarea=MIN_DETECTION_PIXELS, segmentation_map=True
    )
    height, width = light.shape
    x, y = sources["x"], sources["y"]
    keep = (sources["npix"] >= MIN_GALAXY_PIXELS) & (np.minimum(x, y) >= FRAME_PIXELS)
    keep &= (x <= width - 1 - FRAME_PIXELS) & (y <= height - 1 - FRAME_PIXELS)
    for star_x, star_y in STARS:
        keep &= np.hypot(x - star_x, y - star_y) > STAR_RADIUS_PIXELS
    kept = np.flatnonzero(keep)
    brightest_first = kept[np.argsort(-sources["flux"][kept], kind="stable")]
    segment = (brightest_first + 1).astype(np.int32)
    return Detections(sources[brightest_first], segment, segmentation, light, float(sky.globalrms))


def photometry(picture: Picture, found: Detections) -> dict[str, NDArray[Any]]:
    """Catalogue columns measured on the picture, each of shape (n,).

    Magnitudes are summed in one elliptical aperture for all channels, 2.5 Kron radii (Kron 1980, ApJS 43, 305) held
    between 3.5 and 10 times the isophotal axes, without the pixels of other sources.
    """
    g = found.galaxies
    shape = (g["x"], g["y"], g["a"], g["b"], g["theta"])
    others = {"seg_id": found.segment, "segmap": found.segmentation}
    kron, _ = sep.kron_radius(found.light, *shape, 6.0, **others)
    aperture = np.clip(2.5 * np.nan_to_num(kron), 3.5, 10.0)
    total, _, _ = sep.sum_ellipse(found.light, *shape, aperture, **others)
    half_light, _ = sep.flux_radius(found.light, g["x"], g["y"], aperture * g["a"], 0.5, normflux=total, **others)

    magnitude = {}
    for channel, color in enumerate(("red", "green", "blue")):
        plane = np.ascontiguousarray(picture[..., channel], dtype=np.float32)
        flux, _, _ = sep.sum_ellipse(plane - sep.Background(plane).back(), *shape, aperture, **others)
        magnitude[color] = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    ra_deg, dec_deg = picture_wcs().pixel_to_world_values(g["x"], g["y"])
    measured = {
        "inst_mag_red": magnitude["red"],
        "inst_mag_green": magnitude["green"],
        "inst_mag_blue": magnitude["blue"],
        "inst_blue_minus_green": magnitude["blue"] - magnitude["green"],
        "inst_green_minus_red": magnitude["green"] - magnitude["red"],
        "snr": g["flux"] / (found.noise * np.sqrt(g["npix"])),
        "half_light_radius": half_light * PIXEL_ARCSEC,
        "axis_ratio": g["b"] / g["a"],
        "position_angle": position_angle_deg(g["theta"]),
    }
    return {
        "objid": np.arange(1, len(g) + 1, dtype=np.int64),
        "ra": ra_deg,
        "dec": dec_deg,
        "x_pixel": g["x"].astype(np.float32),
        "y_pixel": g["y"].astype(np.float32),
        **{name: values.astype(np.float32) for name, values in measured.items()},
        "footprint_pixels": g["npix"].astype(np.int32),
        "blended": (g["flag"] & sep.OBJ_MERGED > 0).astype(np.uint8),
    }
