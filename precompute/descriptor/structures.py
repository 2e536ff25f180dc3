"""Structures that few galaxies have and that azimuthal means hide: rings, arcs bluer than what they surround, and pairs
of such arcs, one on either side, as a lens makes them.

Each is a bump where smooth galaxies have none, on one number's scale; `strengths_of_structures` says how far out of the
ordinary of its set it is, from 0 (no more than many) to 1 (plain).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ellipse import ANGLES, Ellipse, sample_rings, widen_ellipse
from .sky_level import ImageFloats, Sky, subtract_level

STRUCTURES = ("ring", "arc", "arc_pair")
"""In this order; differences of arcsinh(signal to noise)."""
RING, ARC, PAIR = range(len(STRUCTURES))
AXES = 2
"""Numbers of an embedding that structures have."""

RADII = (np.arange(7, 33) * 0.1).astype(np.float32)  # of the ellipse of all that is seen
SPANS = (5, 6, 7, 8)  # of those radii, between a bump and either side
FAINT_SIDE = 9  # of the `ANGLES` samples of a ring, by brightness: arms and neighbours are not on all sides

ARC_RADII = np.arange(2.25, 15.1, 0.75, dtype=np.float32)  # pixels
WITHIN = 4  # of those radii, from an arc to what lies within it; those before are of the core that the seeing blurs
BEYOND = 5  # and to what lies beyond it
BRIGHT_SIDE = 36  # of the `ANGLES` samples: an arc with its counter-image covers a quarter of the circle
BRIGHT_PAIR = 40  # where both sides have to be bright
ASKEW = 4  # samples by which a counter-image may lie aside of the opposite
WITHIN_WEIGHT = 0.5  # arms of a spiral go on inwards, images of a lens do not
OF_THE_LIGHT = 0.08  # by which colours vary within a galaxy: as noise to what stands out of it
RING_FOR_PAIR = 0.5  # by which a plain ring is no pair of arcs
MIDDLE = 21  # pixels about the middle in which arcs are looked for
RIDGE = 0.02

# A structure begins to count that many spreads of the set beyond its median, and beyond this share of the set, since
# few are to have any; so many spreads farther it is plain.
BEGIN = np.array([2.5, 3.0, 3.0], np.float32)
ORDINARY = np.array([0.97, 0.97, 0.985])
RISE = np.array([4.0, 6.0, 4.0], np.float32)
RING_LENGTH, ARC_LENGTH, PAIR_LENGTH = (
    4.0,
    3.0,
    5.0,
)  # of a plain one in an embedding; a galaxy's components are about 3
LEAST_SPREAD = np.float32(0.05)


def measure_structures(images: ImageFloats, sky: Sky, ellipse: Ellipse) -> ImageFloats:
    """Measure images (n, h, h, 3), the reddest band first, (n, len(STRUCTURES)), float32; finite."""
    signal = subtract_level(images, sky.level)
    peak = signal.max(axis=1).max(axis=1)  # in this order: six times as fast as of both at once
    noise = np.maximum(sky.noise, peak / 1000)
    noise = np.where(noise > 0, noise, 1).astype(np.float32)
    return np.column_stack([_ring(signal, noise, ellipse), *_arcs(signal, noise, ellipse)]).astype(np.float32)


def fit_ramps(measured: ImageFloats) -> tuple[ImageFloats, ImageFloats]:
    """Values from which structures count in a set, and from which they are plain, each (len(STRUCTURES),)."""
    middle = np.median(measured, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(measured - middle), axis=0), LEAST_SPREAD)
    ordinary = [np.quantile(values, share) for values, share in zip(measured.T, ORDINARY, strict=True)]
    low = np.maximum(middle + BEGIN * spread, ordinary)
    return low.astype(np.float32), (low + RISE * spread).astype(np.float32)


def strengths_of_structures(measured: ImageFloats, low: ImageFloats, high: ImageFloats) -> ImageFloats:
    """Strengths from 0 to 1, (n, len(STRUCTURES)), by `fit_ramps` of a set."""
    strengths: ImageFloats = np.clip((measured - low) / (high - low), 0, 1)
    strengths[:, PAIR] *= 1 - RING_FOR_PAIR * strengths[:, RING]
    return strengths


def axes_of_structures(strengths: ImageFloats) -> ImageFloats:
    """Numbers of an embedding, (n, AXES), of strengths: arcs on one side and on both are opposites of one axis."""
    ring, arc, pair = strengths.T
    return np.column_stack([RING_LENGTH * ring, ARC_LENGTH * arc * (1 - pair) - PAIR_LENGTH * pair]).astype(np.float32)


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


def _arcs(signal: ImageFloats, noise: ImageFloats, ellipse: Ellipse) -> tuple[ImageFloats, ImageFloats]:
    """Height of light bluer than the galaxy on circles about the middle: on part of one, and on both sides of one.

    The first is above what lies beyond it, the second above what lies within as well.
    """
    excess, x, y = _blue_excess(signal, noise, ellipse)
    round_ = np.ones_like(x)
    circles = sample_rings(excess, Ellipse(x, y, round_, round_, 0 * round_), ARC_RADII)
    summed = circles + np.roll(circles, 1, axis=2) + np.roll(circles, -1, axis=2)
    smooth, sober = np.moveaxis(summed / 3, 3, 0)
    near = np.maximum(np.maximum(np.roll(sober, ASKEW, axis=2), np.roll(sober, -ASKEW, axis=2)), sober)
    both = np.minimum(sober, np.roll(near, ANGLES // 2, axis=2))
    part, pair = (
        np.arcsinh(np.partition(values, place, axis=2)[:, :, place])
        for values, place in ((smooth, BRIGHT_SIDE), (both, BRIGHT_PAIR))
    )
    here = slice(WITHIN, -BEYOND)
    arc = part[:, here] - np.maximum(part[:, WITHIN + BEYOND :], 0)
    beside = np.maximum(pair[:, WITHIN + BEYOND :], 0) + WITHIN_WEIGHT * np.maximum(pair[:, : -WITHIN - BEYOND], 0)
    return arc.max(axis=1), (pair[:, here] - beside).max(axis=1)


def _blue_excess(
    signal: ImageFloats, noise: ImageFloats, ellipse: Ellipse
) -> tuple[ImageFloats, ImageFloats, ImageFloats]:
    """Light bluer than the galaxy near the middle, (n, k, k, 2), and where its centre is in that part of the image.

    Over its noise, and over that and what colours vary by within a galaxy: spirals have blue arms on both sides.

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
    varies = np.maximum(red, 0) * (OF_THE_LIGHT / noise[:, 0])[:, None, None]
    return np.stack([excess, excess / np.sqrt(1 + varies**2)], axis=3), x, y
