"""Sky of images: what is blank, the level and the noise of the rest.

All functions work on many images at once; an image's numbers do not depend on which others are beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ImageFloats = NDArray[np.float32]
Bools = NDArray[np.bool_]

TINY = np.float32(1e-9)  # against division by zero; light is scaled to a peak of one
ONE_SIGMA = 0.1587  # share of a Gaussian below minus one sigma
BLANK_BLOCK = 5  # pixels: edge of the smallest square of one value that noise does not make by chance
FEWEST_PIXELS = 16
CUT_SIGMA = 3.0  # a darkest value this near to the sky is where a picture's black cuts off the noise
SUSPECT_SHARE = 0.1  # of neighbours that are equal; fewer hold no blank part worth a look


class Sky(NamedTuple):
    """Sky of n images of b bands.

    Attributes
    ----------
    level, noise : ndarray of shape (n, b), float32
        Of each band, in the image's units; noise is one sigma. Both 0 where an image is blank.
    blank : ndarray of shape (n, h, w), bool
        Pixels without data.
    """

    level: ImageFloats
    noise: ImageFloats
    blank: Bools


def fill_blank(images: NDArray[Any]) -> tuple[ImageFloats, Sky]:
    """Images with their blank parts at the level of the sky, and that sky.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, b)
        Blank are pixels that are not finite in some band, and squares of five pixels or more of one value, as surveys
        fill what they did not see.

    Returns
    -------
    filled : ndarray of shape (n, h, w, b), float32
    sky : Sky
    """
    images = images.astype(np.float32)
    finite = np.isfinite(images)
    blank = np.zeros(images.shape[:3], bool)
    if not finite.all():
        blank = ~finite.all(axis=3)
        images[blank] = 0
    for k in _with_equal_neighbours(images):
        blank[k] |= _filled_parts(images[k], blank[k])
    level, noise = _measure(images, blank)
    for k in np.flatnonzero(blank.any(axis=(1, 2))):
        images[k][blank[k]] = level[k]
    return images, Sky(level, noise, blank)


def subtract_level(images: ImageFloats, level: ImageFloats) -> ImageFloats:
    """Images (n, h, w, b) less a level of each band, (n, b)."""
    n, height, width, bands = images.shape
    # Row by row: numpy is slow where what it repeats is as short as the bands.
    above: ImageFloats = images.reshape(n, height, width * bands) - np.tile(level, width)[:, None]
    return above.reshape(images.shape)


def mean_of_bands(values: ImageFloats) -> ImageFloats:
    """Mean over the last axis; numpy's own is slow where that is short."""
    total = values[..., 0]
    for band in range(1, values.shape[-1]):
        total = total + values[..., band]
    mean: ImageFloats = total / np.float32(values.shape[-1])
    return mean


def subtract_sky(images: ImageFloats, sky: Sky) -> tuple[ImageFloats, ImageFloats]:
    """Images above their sky, scaled to a peak of one, and the noise.

    Returns
    -------
    light : ndarray of shape (n, h, w, b), float32
    noise : ndarray of shape (n,), float32
        One sigma, mean of the bands.
    """
    light = subtract_level(images, sky.level)
    peak = np.abs(light).max(axis=(1, 2, 3))
    peak[peak == 0] = 1
    return light / peak[:, None, None, None], sky.noise.mean(axis=1) / peak


def distance_from_middle(height: int, width: int) -> NDArray[np.float64]:
    """Of every pixel, (height, width), in pixels."""
    y, x = np.indices((height, width))
    distance: NDArray[np.float64] = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    return distance


def outskirts(height: int, width: int) -> Bools:
    """Pixels outside the central disc, (height, width): most of them sky."""
    far: Bools = distance_from_middle(height, width) > min(height, width) / 3
    return far


def _measure(images: ImageFloats, blank: Bools) -> tuple[ImageFloats, ImageFloats]:
    """Level and noise of each band, (n, b).

    The level is the midmean (the mean of the middle half, finer than the median of whole numbers) of the pixels in the
    outskirts, after those that stand out brighter are clipped twice. The noise is measured downwards from the median,
    where no galaxy adds to it.
    """
    n, height, width, bands = images.shape
    far = np.flatnonzero(outskirts(height, width))
    sky = np.ascontiguousarray(images.reshape(n, -1, bands)[:, far].transpose(0, 2, 1))  # (n, b, pixels)
    missing = blank.reshape(n, -1)[:, far]
    missing[(~missing).sum(axis=1) < FEWEST_PIXELS] = False  # what little is left tells nothing of the sky
    count = np.repeat(sky.shape[2] - missing.sum(axis=1), sky.shape[1]).reshape(*sky.shape[:2], 1)
    if missing.any():
        sky = np.where(missing[:, None], np.float32(np.inf), sky)
    sky.sort(axis=2)
    for _ in range(2):
        median = np.take_along_axis(sky, count // 2, axis=2)
        sigma = median - np.take_along_axis(sky, (count * ONE_SIGMA).astype(np.int64), axis=2)
        count = np.maximum(np.count_nonzero(sky <= median + 2.5 * sigma, axis=2, keepdims=True), 4)
    rank = np.arange(sky.shape[2])
    middle = (rank >= count // 4) & (rank < count - count // 4)
    level = np.where(middle, sky, 0).sum(axis=2) / (count - 2 * (count // 4))[..., 0]
    return level.astype(np.float32), sigma[..., 0]


def _with_equal_neighbours(images: ImageFloats) -> NDArray[np.int64]:
    """Images worth a look for blank parts: many pixels equal the one to their right, some of them one below the other.

    In three rows, since no more of a square of `BLANK_BLOCK` need lie within the image.
    """
    equal = images[:, :, 1:, 0] == images[:, :, :-1, 0]
    suspects = np.flatnonzero(np.count_nonzero(equal, axis=(1, 2)) > SUSPECT_SHARE * equal[0].size)
    across = (images[suspects, :, 1:] == images[suspects, :, :-1]).all(axis=3)
    across = across[:, :, 1:] & across[:, :, :-1]
    square = across[:, 2:] & across[:, 1:-1] & across[:, :-2]
    found: NDArray[np.int64] = suspects[square.any(axis=(1, 2))]
    return found


def _filled_parts(image: ImageFloats, missing: Bools) -> Bools:
    """Pixels (h, w) in squares of one value, where that value stands for "nothing was seen here".

    It does not in a saturated core, which is brighter than the sky, nor in the sky of a picture whose black cuts off
    the noise: there the darkest value goes over into the others without a gap.
    """
    size = (BLANK_BLOCK, BLANK_BLOCK)
    alike = ndimage.maximum_filter(image, (*size, 1)) == ndimage.minimum_filter(image, (*size, 1))
    flat: Bools = alike.all(axis=2)
    if not flat.any():
        return flat
    constant: Bools = ndimage.binary_dilation(flat, np.ones(size, bool))
    luminance = image.mean(axis=2)
    fill = np.median(luminance[constant])
    rest = luminance[outskirts(*image.shape[:2]) & ~constant & ~missing]
    if rest.size < FEWEST_PIXELS:
        constant[:] = constant.all()
        return constant
    below, level = np.quantile(rest, [ONE_SIGMA, 0.5])
    is_cut = fill <= rest.min() and level - fill < CUT_SIGMA * (level - below)
    is_bright = fill > level + CUT_SIGMA * (level - below)
    if is_cut or is_bright:
        constant[:] = False
    return constant
