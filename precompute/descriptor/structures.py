"""Structures that few galaxies have and that azimuthal means hide: rings, and arcs bluer than what they surround.

Each is a bump where smooth galaxies have none, on one number's scale; `strengths_of_structures` says how far out of the
ordinary of its set it is, from 0 (no more than many) to 1 (plain).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ellipse import Ellipse, sample_rings, widen_ellipse
from .sky_level import ImageFloats, Sky, subtract_level

STRUCTURES = ("ring", "arc")
"""In this order; differences of arcsinh(signal to noise)."""

RADII = (np.arange(7, 33) * 0.1).astype(np.float32)  # of the ellipse of all that is seen
SPANS = (5, 6, 7, 8)  # of those radii, between a bump and either side
FAINT_SIDE = 9  # of the `ANGLES` samples of a ring, by brightness: arms and neighbours are not on all sides

ARC_RADII = np.arange(5.25, 15.1, 0.75, dtype=np.float32)  # pixels, beyond the core that the seeing blurs
ARC_SPAN = 5  # of those radii, from an arc to what lies beyond it
BRIGHT_SIDE = 36  # of the `ANGLES` samples: an arc with its counter-image covers a quarter of the circle
MIDDLE = 21  # pixels about the middle in which arcs are looked for
RIDGE = 0.02

# A structure begins to count that many spreads of the set beyond its median, and beyond this share of the set, since
# few are to have any; so many spreads farther it is plain.
BEGIN = np.array([2.5, 3.0], np.float32)
ORDINARY = 0.97
RISE = np.array([4.0, 6.0], np.float32)
LEAST_SPREAD = np.float32(0.05)


def measure_structures(images: ImageFloats, sky: Sky, ellipse: Ellipse) -> ImageFloats:
    """Measure images (n, h, h, 3), the reddest band first, (n, len(STRUCTURES)), float32; finite."""
    signal = subtract_level(images, sky.level)
    peak = signal.max(axis=1).max(axis=1)  # in this order: six times as fast as of both at once
    noise = np.maximum(sky.noise, peak / 1000)
    noise = np.where(noise > 0, noise, 1).astype(np.float32)
    return np.column_stack([_ring(signal, noise, ellipse), _arc(signal, noise, ellipse)]).astype(np.float32)


def fit_ramps(measured: ImageFloats) -> tuple[ImageFloats, ImageFloats]:
    """Values from which structures count in a set, and from which they are plain, each (len(STRUCTURES),)."""
    middle = np.median(measured, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(measured - middle), axis=0), LEAST_SPREAD)
    low = np.maximum(middle + BEGIN * spread, np.quantile(measured, ORDINARY, axis=0))
    return low.astype(np.float32), (low + RISE * spread).astype(np.float32)


def strengths_of_structures(measured: ImageFloats, low: ImageFloats, high: ImageFloats) -> ImageFloats:
    """Strengths from 0 to 1, (n, len(STRUCTURES)), by `fit_ramps` of a set."""
    strengths: ImageFloats = np.clip((measured - low) / (high - low), 0, 1)
    return strengths


def _ring(signal: ImageFloats, noise: ImageFloats, ellipse: Ellipse) -> ImageFloats:
    """Height of the logarithm of the profile above a chord of it.

    Sums of Sérsic profiles of index 1 and more are convex on that scale, however they are added up; a ring is not.
    """
    weight = (1 / (noise * np.sqrt(noise.shape[1], dtype=np.float32))).astype(np.float32)
    significance = sum(signal[..., band] * weight[:, band, None, None] for band in range(signal.shape[3]))
    rings = sample_rings(significance[..., None], widen_ellipse(significance, ellipse), RADII)[..., 0]
    profile = np.arcsinh(np.partition(rings, FAINT_SIDE, axis=2)[:, :, FAINT_SIDE])
    last = profile.shape[1]
    bumps = [
        profile[:, span : last - span] - (profile[:, : last - 2 * span] + profile[:, 2 * span :]) / 2 for span in SPANS
    ]
    highest: ImageFloats = np.concatenate(bumps, axis=1).max(axis=1)
    return highest


def _arc(signal: ImageFloats, noise: ImageFloats, ellipse: Ellipse) -> ImageFloats:
    """Height of light bluer than the galaxy above what lies beyond it, on part of a circle about the middle.

    The bluest band less the reddest, scaled to the galaxy and as much wider as the seeing is in the bluest (by the
    Laplacian): what a lens does not bend is gone (RingFinder: Gavazzi et al. 2014, ApJ 785, 144).
    """
    height = signal.shape[1]
    first = max(height // 2 - MIDDLE, 0)
    red, blue = (signal[:, first : height - first, first : height - first, band] for band in (0, -1))
    x, y = ellipse.x - first, ellipse.y - first
    rows, columns = np.indices(red.shape[1:], dtype=np.float32)
    distance = (columns - x[:, None, None]) ** 2 + (rows - y[:, None, None]) ** 2
    weight = np.exp(-0.5 * distance / ((ellipse.major + 1) ** 2)[:, None, None])
    curve = ndimage.gaussian_filter(ndimage.laplace(red, axes=(1, 2)), (0, 0.8, 0.8))

    def product(one: ImageFloats, other: ImageFloats) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = np.einsum("nij,nij->n", one, other).astype(np.float64)
        return summed

    weighted_red, weighted_curve = weight * red, weight * curve
    rr, rc, cc = product(weighted_red, red), product(weighted_red, curve), product(weighted_curve, curve)
    br, bc = product(weighted_red, blue), product(weighted_curve, blue)
    cc = (1 + RIDGE) * cc + 1e-6 * rr
    determinant = np.maximum(rr * cc - rc**2, 1e-9 * rr * cc + 1e-300)
    scale = ((br * cc - bc * rc) / determinant).astype(np.float32)
    wider = ((bc * rr - br * rc) / determinant).astype(np.float32)
    excess = blue - scale[:, None, None] * red - wider[:, None, None] * curve
    excess /= np.hypot(noise[:, -1], scale * noise[:, 0])[:, None, None]
    round_ = np.ones_like(x)
    circles = sample_rings(excess[..., None], Ellipse(x, y, round_, round_, 0 * round_), ARC_RADII)[..., 0]
    smooth = (circles + np.roll(circles, 1, axis=2) + np.roll(circles, -1, axis=2)) / 3
    profile = np.arcsinh(np.partition(smooth, BRIGHT_SIDE, axis=2)[:, :, BRIGHT_SIDE])
    highest: ImageFloats = (profile[:, :-ARC_SPAN] - np.maximum(profile[:, ARC_SPAN:], 0)).max(axis=1)
    return highest
