"""From the image of a galaxy to its light on rings that follow its shape: ellipse, polar samples.

All functions work on many images at once, without a loop over them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .sky_level import TINY, ImageFloats

_Doubles = NDArray[np.float64]

ANGLES = 48
CORE_RADIUS = 1.5
CORE_ITERATIONS = 4
MAX_SHIFT = 2.5  # pixels; catalogues are better than that
BINNED_NOISE = 0.25  # of what is binned and smoothed, in sigma of a pixel
REACH = 5.5  # sigma of a Gaussian weight, beyond which pixels count less than they are rounded
WINDOWS = (0.25, 0.375, np.inf)  # of the image's edge: what is within is summed for sources that reach no farther
SEEN = 1.0  # sigma of a pixel: four of what is binned and smoothed


class Ellipse(NamedTuple):
    """Centre and Gaussian radii of the central source, each of shape (n,), in pixels; angle in radians."""

    x: ImageFloats
    y: ImageFloats
    major: ImageFloats
    minor: ImageFloats
    angle: ImageFloats


class _Window(NamedTuple):
    """Pixels of images within a distance from the middle: light (n, pixels), and its basis (6, pixels)."""

    reach: float
    light: ImageFloats
    basis: ImageFloats


def fit_ellipse(luminance: ImageFloats, noise: ImageFloats, *, iterations: int = 12) -> Ellipse:
    """Adaptive moments of the source in the middle.

    First the centre of its core, under a small round Gaussian; then, without the neighbours, centre and shape under a
    Gaussian of the source's own shape. For a Gaussian source the second moments under that weight are half its own,
    hence the factor two. The centre stays within `MAX_SHIFT` of the middle, the radii between one pixel and a seventh
    of the image, so that a bright neighbour cannot pull the ellipse away.
    """
    n, height, _ = luminance.shape
    half = (height - 1) / 2
    y, x = (np.indices((height, height), dtype=np.float32) - half).reshape(2, -1)
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])  # both the weight and its moments are in its span
    smooth = ndimage.gaussian_filter(luminance, (0.0, 1.0, 1.0))
    threshold = 0.3 * noise[:, None, None]

    light = np.maximum(smooth - threshold, 0).reshape(n, -1)
    distance = np.hypot(x, y)
    core = np.full(n, CORE_RADIUS)
    x0, y0 = np.zeros(n), np.zeros(n)
    middle = _window(light, basis, distance, REACH * CORE_RADIUS + MAX_SHIFT)
    for _ in range(CORE_ITERATIONS):
        x0, y0, *_ = _moments(middle.light, middle.basis, x0, y0, core, core, np.zeros(n))

    light = np.maximum(_without_neighbours(smooth, x0, y0, noise) - threshold, 0).reshape(n, -1)
    windows = [_window(light, basis, distance, share * height) for share in WINDOWS]
    major, minor, angle = core, core, np.zeros(n)
    for _ in range(iterations):
        x0, y0, mxx, mxy, myy = _moments_within(windows, x0, y0, major, minor, angle)
        mean, half_difference = mxx + myy, np.hypot(mxx - myy, 2 * mxy)  # of twice the moments
        angle = 0.5 * np.arctan2(2 * mxy, mxx - myy)
        major = np.clip(np.sqrt(np.maximum(mean + half_difference, 0)), 1.0, height / 7)
        minor = np.clip(np.sqrt(np.maximum(mean - half_difference, 0)), np.maximum(0.25 * major, 0.8), major)
    return Ellipse(*(v.astype(np.float32) for v in (x0 + half, y0 + half, major, minor, angle)))


def widen_ellipse(significance: ImageFloats, ellipse: Ellipse, *, iterations: int = 6) -> Ellipse:
    """The ellipse of all that is seen of a source, about the same centre: of the root of its light, binned by two.

    The bright core decides less than in `fit_ellipse`: a ring or a disc about a bulge gives its own shape.

    Parameters
    ----------
    significance : ndarray of shape (n, h, h)
        Light over the noise of a pixel.
    ellipse : Ellipse
        From `fit_ellipse`.
    """
    n, height, _ = significance.shape
    edge = height // 2
    even = significance[:, : 2 * edge : 2, : 2 * edge] + significance[:, 1 : 2 * edge : 2, : 2 * edge]
    binned = (even[:, :, ::2] + even[:, :, 1::2]) / 4
    smooth = ndimage.gaussian_filter(binned, (0.0, 0.7, 0.7))
    half = (edge - 1) / 2
    y, x = (np.indices((edge, edge), dtype=np.float32) - half).reshape(2, -1)
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    x0, y0 = ((v.astype(np.float64) - 0.5) / 2 - half for v in (ellipse.x, ellipse.y))
    alone = _without_neighbours(smooth, x0, y0, np.full(n, BINNED_NOISE, np.float32))
    light = np.sqrt(np.maximum(alone - SEEN, 0)).reshape(n, -1)
    major, minor, angle = (v.astype(np.float64) for v in (0.6 * ellipse.major, 0.6 * ellipse.minor, ellipse.angle))
    for _ in range(iterations):
        _, _, mxx, mxy, myy = _moments(light, basis, x0, y0, major, minor, angle)
        mean, half_difference = mxx + myy, np.hypot(mxx - myy, 2 * mxy)
        angle = 0.5 * np.arctan2(2 * mxy, mxx - myy)
        major = np.clip(np.sqrt(np.maximum(mean + half_difference, 0)), 0.5 * ellipse.major, edge / 5)
        minor = np.clip(np.sqrt(np.maximum(mean - half_difference, 0)), np.maximum(0.25 * major, 0.5), major)
    return Ellipse(ellipse.x, ellipse.y, *(v.astype(np.float32) for v in (2 * major, 2 * minor, angle)))


def _window(light: ImageFloats, basis: ImageFloats, distance: ImageFloats, reach: float) -> _Window:
    seen = np.flatnonzero(distance <= reach)
    return _Window(reach, light[:, seen], np.ascontiguousarray(basis[:, seen]))


def _moments_within(
    windows: list[_Window], x0: _Doubles, y0: _Doubles, major: _Doubles, minor: _Doubles, angle: _Doubles
) -> _Doubles:
    """`_moments` as (5, n), each image's from the smallest window that its weight does not leave."""
    chosen = np.searchsorted([window.reach for window in windows], REACH * major + MAX_SHIFT)
    found = np.empty((5, len(major)))
    for number, window in enumerate(windows):
        rows = np.flatnonzero(chosen == number)
        if rows.size:
            ellipse = (value[rows] for value in (x0, y0, major, minor, angle))
            found[:, rows] = _moments(window.light[rows], window.basis, *ellipse)
    return found


def _moments(
    light: ImageFloats,
    basis: ImageFloats,
    x0: _Doubles,
    y0: _Doubles,
    major: _Doubles,
    minor: _Doubles,
    angle: _Doubles,
) -> tuple[_Doubles, _Doubles, _Doubles, _Doubles, _Doubles]:
    """Centre from the middle, held within `MAX_SHIFT`, and central second moments, under an elliptical Gaussian."""
    cos, sin = np.cos(angle), np.sin(angle)
    pxx = cos**2 / major**2 + sin**2 / minor**2
    pyy = sin**2 / major**2 + cos**2 / minor**2
    pxy = cos * sin * (1 / major**2 - 1 / minor**2)
    constant = pxx * x0**2 + 2 * pxy * x0 * y0 + pyy * y0**2
    form = np.stack([constant, -2 * (pxx * x0 + pxy * y0), -2 * (pyy * y0 + pxy * x0), pxx, 2 * pxy, pyy], axis=1)
    weighted = np.exp(form.astype(np.float32) @ (-0.5 * basis)) * light
    m0, mx, my, mxx, mxy, myy = (weighted @ basis.T).astype(np.float64).T
    m0 = np.maximum(m0, TINY)
    mx, my = mx / m0, my / m0
    inward = np.minimum(1, MAX_SHIFT / np.maximum(np.hypot(mx, my), TINY))
    return mx * inward, my * inward, mxx / m0 - mx**2, mxy / m0 - mx * my, myy / m0 - my**2


def _without_neighbours(luminance: ImageFloats, x0: _Doubles, y0: _Doubles, noise: ImageFloats) -> ImageFloats:
    """The image with what is twice as bright as its counterpart across the centre taking the counterpart's value.

    Twice, because a centre that is not found yet makes every galaxy a little brighter on one side. Not within a
    sixteenth of the image from the middle: the counterpart is the nearest pixel, too coarse for the core.
    """
    n, height, _ = luminance.shape
    y, x = np.indices((height, height)) - (height - 1) / 2
    mirror = height - 1 - np.arange(height)
    rows = np.clip(mirror + np.rint(2 * y0).astype(np.int64)[:, None], 0, height - 1)
    columns = np.clip(mirror + np.rint(2 * x0).astype(np.int64)[:, None], 0, height - 1)
    opposite = luminance[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    excess = luminance - 2 * np.maximum(opposite, 0)
    neighbour = (excess > 2 * noise[:, None, None]) & (np.hypot(x, y) > height / 16)
    cleaned: ImageFloats = np.where(neighbour, opposite, luminance)
    return cleaned


def sample_rings(light: ImageFloats, ellipse: Ellipse, radius: ImageFloats) -> ImageFloats:
    """Bilinear samples on the ellipse's rings, (n, len(radius), ANGLES, 3); beyond the border its nearest pixel."""
    n, height, width, bands = light.shape
    phi = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    along = ellipse.major[:, None] * (radius[:, None] * np.cos(phi)).ravel().astype(np.float32)
    across = ellipse.minor[:, None] * (radius[:, None] * np.sin(phi)).ravel().astype(np.float32)
    cos, sin = np.cos(ellipse.angle)[:, None], np.sin(ellipse.angle)[:, None]
    x = np.clip(ellipse.x[:, None] + cos * along - sin * across, 0, width - 1.001)
    y = np.clip(ellipse.y[:, None] + sin * along + cos * across, 0, height - 1.001)
    column, row = x.astype(np.int64), y.astype(np.int64)
    fx, fy = (x - column)[..., None], (y - row)[..., None]
    pixels = light.reshape(-1, bands)
    first = np.arange(n)[:, None] * (height * width) + row * width + column
    above = pixels[first] * (1 - fx) + pixels[first + 1] * fx
    below = pixels[first + width] * (1 - fx) + pixels[first + width + 1] * fx
    samples: ImageFloats = above * (1 - fy) + below * fy
    return samples.reshape(n, len(radius), ANGLES, bands)
