"""Density as a picture: counts to a small PNG with a palette, for the backs of the map and the sky."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from ..views.palette import Scale, Theme

# Below this mean count a pixel, counts are grains rather than a surface and are smoothed.
GRAINY = 4.0
NEIGHBORS_A_BLOB = 1.2
WIDEST = 0.011
DEPTH = 5.0
# The brightest pixel is not white: images and points lie on top.
BRIGHTEST = 0.74
LEVELS = 96


def tone(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness in 0…1 of counts: logarithmic, smoothed where they are sparse, scaled to the 99.7th percentile.

    Parameters
    ----------
    counts : ndarray of shape (h, w)
        NaN lies outside the plane.
    """
    known = np.nan_to_num(counts, nan=0.0).astype(np.float32)
    filled = known > 0
    if not filled.any():
        return np.zeros_like(known)
    # The sparser the points, the wider each is spread, so a blob stays a blob at any n.
    crowd = float(known.sum() / known.size)
    if crowd < GRAINY:
        sigma = float(np.clip(np.sqrt(NEIGHBORS_A_BLOB / (2 * np.pi * crowd)), 0.7, WIDEST * max(known.shape)))
        known = gaussian_filter(known, sigma, mode="constant")
    top = float(np.quantile(known[known > known.max() * 1e-3], 0.998))
    shade = np.clip(np.log1p(known / top * DEPTH) / np.log1p(DEPTH), 0.0, 1.0) * BRIGHTEST
    return np.asarray(shade, dtype=np.float32)


def to_png(counts: NDArray[np.float32], theme: Theme, flip: tuple[bool, bool] = (False, False)) -> bytes:
    """The picture, transparent where nothing is.

    Parameters
    ----------
    counts : ndarray of shape (h, w)
        First row at the bottom.
    theme : Theme
    flip : tuple of bool
        Whether x grows to the left, and y downwards.
    """
    brightness = _turned(tone(counts), flip)
    picture = Image.fromarray(np.rint(brightness * (LEVELS - 1)).astype(np.uint8), mode="L").convert("P")
    stops = np.linspace(0, 1, len(theme.density))
    steps = np.linspace(0, 1, LEVELS)
    palette = np.stack([np.interp(steps, stops, [c[i] for c in theme.density]) for i in range(3)], axis=1)
    picture.putpalette(np.rint(palette).astype(np.uint8).tobytes())
    opaque = np.clip(steps / 0.08, 0, 1)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes(np.rint(opaque * 255).astype(np.uint8)))
    return buffer.getvalue()


def mean_to_png(means: NDArray[np.float64], scale: Scale, flip: tuple[bool, bool] = (False, False)) -> bytes:
    """Means of a column as colours of its scale, transparent where there is none.

    Parameters
    ----------
    means : ndarray of shape (h, w)
        First row at the bottom; NaN where nothing is known.
    scale : Scale
    flip : tuple of bool
        Whether x grows to the left, and y downwards.
    """
    at = _turned(scale.positions(means), flip)
    known = ~np.isnan(at)
    codes = np.where(known, np.rint(np.nan_to_num(at) * (LEVELS - 1)) + 1, 0).astype(np.uint8)
    picture = Image.fromarray(codes, mode="L").convert("P")
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in scale.colors])
    steps, at_stop = np.linspace(0, 1, LEVELS), np.linspace(0, 1, len(scale.colors))
    palette = np.stack([np.interp(steps, at_stop, stops[:, i]) for i in range(3)], axis=1)
    picture.putpalette(np.rint(np.vstack([[0, 0, 0], palette])).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


def _turned(values: NDArray[np.float32], flip: tuple[bool, bool]) -> NDArray[np.float32]:
    """Rows from the top, as pictures have them, and axes that run backwards turned round."""
    rows = slice(None) if flip[1] else slice(None, None, -1)
    columns = slice(None, None, -1) if flip[0] else slice(None)
    return values[rows, columns]
