"""Artefacts of images: streaks, bad columns, flat tops of saturated stars, blank parts.

What a camera adds mostly stands in one band, since bands are exposed one after the other, and what the sky holds in
all. So each band is compared with what the others predict of it, and lines are looked for in what is left:

    image ── sky, noise ── signal to noise, compressed ── residual of each band ── sums along lines ── contrast

The sums are those of a discrete Radon transform: at `ANGLES` angles, in bins of one pixel. With a single band there is
nothing to compare: what counts then is a line's fainter two thirds, which takes nearly all edge-on galaxies out, and
with them lines that do not cross the picture.

`MEASURES` says what is measured. `score` puts an image's artefacts on one scale from 0 to 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse

from .sky_level import ImageFloats, Sky

MEASURES = ("line", "bad_column", "flat_top", "blank_share", "edge_share", "sky_noise")
"""In this order: the strongest line and the strongest row or column of pixels, in sigma of all lines; the natural
logarithm of 1 + the pixels of a saturated core; the share of the image that is blank, and of its border; the noise of
the sky, mean of the bands, in the image's units."""

STRENGTHS = 4  # of `strengths`

ANGLES = 48
PARTS = 3  # of a line, where only its fainter ones count
LONG = 0.62  # of the image's edge: shorter lines, in its corners, are not looked at
NEIGHBOURHOOD = 15  # pixels across, to which a line is compared
SOFTENING = 3.0  # sigma: linear below, logarithmic above, so that a bright core does not decide
RIDGE = 1e-3  # square sigma a pixel: noise is hardly predicted from noise
SHARED = 3.0  # compressed sigma that all bands have, from where on colours differ by more than the noise
CLIP = 4.0  # sigma: a line is many pixels that stand out, not one that stands out much
COLUMNS = 32  # bands of images whose lines are summed at a time
FLOOR = 0.3  # added to the scatter of lines, which is about 1 where only noise is left
PEAK_SHARE = 0.9  # of a band's brightest pixel: what reaches it is the top
PEAK_SNR = 30.0  # of that pixel, below which a flat top is noise

# From nothing to certainly spoilt; galaxies hardly ever reach the first number, so that chance decides nothing. A bad
# column is a line as well: what it is beyond `COLUMN_LINE` counts against that.
LINE = (6.5, 8.0)
COLUMN = (5.5, 7.0)
COLUMN_LINE = 2.7
FLAT_TOP = (3.0, 5.0)
BLANK = (0.02, 0.2)


class _Lines(NamedTuple):
    """Lines of images of one shape.

    Attributes
    ----------
    sums : sparse matrix of shape (parts · lines, h · w)
        Sum along each part of each line.
    scale : ndarray of shape (parts, ANGLES, offsets), float32
        One over the root of the pixels of it; 0 where a line is too short.
    """

    sums: sparse.csr_array
    scale: ImageFloats


def measure_artefacts(images: ImageFloats, sky: Sky) -> ImageFloats:
    """Measure images whose blank parts were filled.

    Parameters
    ----------
    images : ndarray of shape (n, h, w, b), float32
        Any number of bands; both from `fill_blank`.
    sky : Sky

    Returns
    -------
    ndarray of shape (n, len(MEASURES)), float32
        Finite. An image's numbers do not depend on which others are beside it.
    """
    n, height, width, bands = images.shape
    signal = np.ascontiguousarray(images.reshape(n, -1, bands).swapaxes(1, 2)) - sky.level[..., None]
    # A sky without noise, as in a drawing, has about that of rounding to 8 bits.
    noise = np.maximum(sky.noise, signal.max(axis=2) / 1000)
    signal /= np.where(noise > 0, noise, 1)[..., None]
    line, column = _strongest_lines(_residuals(signal), height, width)
    border = np.concatenate([sky.blank[:, 0], sky.blank[:, -1], sky.blank[:, 1:-1, 0], sky.blank[:, 1:-1, -1]], axis=1)
    measured: ImageFloats = np.column_stack(
        [
            line,
            column,
            _flat_top(signal),
            sky.blank.mean(axis=(1, 2)),
            border.mean(axis=1),
            sky.noise.mean(axis=1),
        ]
    ).astype(np.float32)
    return measured


def strengths(measured: ImageFloats) -> ImageFloats:
    """Streak, bad column, saturation and blank parts of images, each from 0 (none) to 1 (plain), (n, STRENGTHS).

    Parameters
    ----------
    measured : ndarray of shape (n, len(MEASURES)), float32
        From `measure_artefacts`.
    """
    line, column, flat_top, blank = measured[:, :4].T
    streak = line - np.maximum(column - COLUMN_LINE, 0)
    ramps = ((streak, LINE), (column, COLUMN), (flat_top, FLAT_TOP), (blank, BLANK))
    return np.column_stack([np.clip((v - low) / (high - low), 0, 1) for v, (low, high) in ramps]).astype(np.float32)


def score(measured: ImageFloats) -> ImageFloats:
    """The strongest of `strengths`, (n,)."""
    strongest: ImageFloats = strengths(measured).max(axis=1)
    return strongest


def _residuals(signal: ImageFloats) -> ImageFloats:
    """Compressed signal (n, b, pixels) of each band less what the others predict, of the same shape, in about sigma.

    The prediction is linear, by least squares over all pixels with a slight ridge: of the inverse of their matrix of
    products, a row over its diagonal is one band's residual (Lauritzen 1996, Graphical Models, section 5.1.3).
    """
    scaled = signal / np.float32(SOFTENING)
    # arcsinh by the logarithm, which is four times as fast, in place.
    soft = scaled * scaled
    soft += 1
    np.sqrt(soft, out=soft)
    soft += np.abs(scaled)
    np.copysign(np.log(soft, out=soft), scaled, out=soft)
    soft *= np.float32(SOFTENING)
    if signal.shape[1] > 1:
        ridge = RIDGE * signal.shape[2] * np.eye(signal.shape[1])
        inverse = np.linalg.inv(soft @ soft.swapaxes(1, 2) + ridge)
        weights = inverse / np.diagonal(inverse, axis1=1, axis2=2)[:, :, None]
        shared = np.maximum(soft.min(axis=1, keepdims=True), 0)
        soft = weights.astype(np.float32) @ soft
        soft /= np.sqrt(1 + (shared / np.float32(SHARED)) ** 2)
    clipped: ImageFloats = np.clip(soft, -CLIP, CLIP)
    return clipped


def _strongest_lines(residuals: ImageFloats, height: int, width: int) -> tuple[ImageFloats, ImageFloats]:
    """Strongest line, and strongest row or column of pixels, of images (n, b, pixels), in sigma of all lines; (n,).

    A line is two bins wide, as a streak out of focus, and brighter than its neighbourhood; a row or column is one, and
    may be darker.
    """
    n, bands, _ = residuals.shape
    lines = _lines(height, width, PARTS if bands == 1 else 1)
    pixels = np.ascontiguousarray(residuals.reshape(n * bands, -1).T)
    # Few pictures at a time, whose pixels stay in the cache while every line takes its own.
    columns = [lines.sums @ pixels[:, first : first + COLUMNS] for first in range(0, n * bands, COLUMNS)]
    sums = np.concatenate(columns, axis=1).reshape(*lines.scale.shape, n * bands) * lines.scale[..., None]
    contrast = sums - ndimage.uniform_filter1d(sums, NEIGHBOURHOOD, axis=2)
    pairs = _lasting(contrast[:, :, 1:] + contrast[:, :, :-1]) / np.sqrt(np.float32(2))
    flat = np.ascontiguousarray(pairs.reshape(-1, n * bands).T)
    scatter = 1.4826 * _medians(np.abs(flat)) + FLOOR
    straight = contrast[:, [0, ANGLES // 2]]
    column = np.maximum(_lasting(straight), _lasting(-straight)).max(axis=(0, 1))
    line, column = ((v / scatter).reshape(n, bands).max(axis=1) for v in (flat.max(axis=1), column))
    return line, column


def _medians(values: ImageFloats) -> ImageFloats:
    """Median of each row; numpy's own looks for two places at once, which takes six times as long."""
    half = values.shape[1] // 2
    parted = np.partition(values, half, axis=1)
    upper = parted[:, half]
    medians: ImageFloats = upper if values.shape[1] % 2 else (parted[:, :half].max(axis=1) + upper) / 2
    return medians


def _lasting(contrast: ImageFloats) -> ImageFloats:
    """Contrast (parts, …) of whole lines, of which all parts but the strongest count."""
    kept: ImageFloats = contrast.sum(axis=0)
    if len(contrast) > 1:
        kept = (kept - contrast.max(axis=0)) / np.sqrt(np.float32(len(contrast) - 1))
    return kept


@lru_cache(maxsize=8)
def _lines(height: int, width: int, parts: int) -> _Lines:
    """Every line of an image, cut into equal parts."""
    y, x = np.indices((height, width)).reshape(2, -1) - np.array([[(height - 1) / 2], [(width - 1) / 2]])
    offsets = max(height, width)
    sums, lengths = [], []
    for angle in np.pi / ANGLES * np.arange(ANGLES):
        offset = np.floor(np.cos(angle) * x + np.sin(angle) * y + offsets / 2).astype(np.int64)
        along = np.cos(angle) * y - np.sin(angle) * x
        inside = np.flatnonzero((offset >= 0) & (offset < offsets))
        first, last = np.full(offsets, np.inf), np.full(offsets, -np.inf)
        np.minimum.at(first, offset[inside], along[inside])
        np.maximum.at(last, offset[inside], along[inside])
        place = (along[inside] - first[offset[inside]]) / np.maximum(last - first, 1)[offset[inside]]
        part = np.minimum((parts * place).astype(np.int64), parts - 1)
        line = part * offsets + offset[inside]
        ones = np.ones(inside.size, np.float32)
        sums.append(sparse.csr_array((ones, (line, inside)), shape=(parts * offsets, height * width)))
        lengths.append(np.bincount(line, minlength=parts * offsets).reshape(parts, offsets))
    length = np.stack(lengths, axis=1)  # (parts, ANGLES, offsets)
    long = length.sum(axis=0) >= LONG * min(height, width)
    scale = np.where(long, 1 / np.sqrt(np.maximum(length, 1)), 0).astype(np.float32)
    order = np.arange(ANGLES * parts * offsets).reshape(ANGLES, parts, offsets).swapaxes(0, 1).ravel()
    return _Lines(sparse.vstack(sums, format="csr")[order], scale)


def _flat_top(signal: ImageFloats) -> ImageFloats:
    """Logarithm of 1 + pixels near the brightest, (n,), of the band that has most of them; 0 where it is faint."""
    peak = signal.max(axis=2)
    top = (signal > np.float32(PEAK_SHARE) * peak[..., None]).sum(axis=2)
    is_plain = np.clip(np.log(np.maximum(peak, 1) / PEAK_SNR), 0, 1)
    flat: ImageFloats = (np.log1p(top) * is_plain).max(axis=1)
    return flat
