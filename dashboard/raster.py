"""Density as a picture: counts to a small PNG with a palette, for the backs of the map and the sky."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from dashboard.views.palette import Theme

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
    return (np.clip(np.log1p(known / top * DEPTH) / np.log1p(DEPTH), 0.0, 1.0) * BRIGHTEST).astype(np.float32)


def to_png(counts: NDArray[np.float32], theme: Theme) -> bytes:
    """The picture, transparent where nothing is.

    Parameters
    ----------
    counts : ndarray of shape (h, w)
        First row at the bottom.
    """
    brightness = tone(counts)[::-1]
    picture = Image.fromarray(np.rint(brightness * (LEVELS - 1)).astype(np.uint8), mode="L").convert("P")
    stops = np.linspace(0, 1, len(theme.density))
    steps = np.linspace(0, 1, LEVELS)
    palette = np.stack([np.interp(steps, stops, [c[i] for c in theme.density]) for i in range(3)], axis=1)
    picture.putpalette(np.rint(palette).astype(np.uint8).tobytes())
    opaque = np.clip(steps / 0.08, 0, 1)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes(np.rint(opaque * 255).astype(np.uint8)))
    return buffer.getvalue()
