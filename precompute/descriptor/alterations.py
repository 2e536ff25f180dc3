"""Similarity of galaxies to themselves, altered as it should not matter: what an encoder is blind to, measured.

Each alteration is done to all of some pictures, they are embedded again by the encoder of the source, and compared with
what they were. Beside them stands the similarity of one galaxy to another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .sky_level import ImageFloats, fill_blank

PICTURES = 200
"""Pictures that are altered: a second of the descriptor's time."""

SHIFT_PIXELS = 2
BLUR_PIXELS = 1.0
ANOTHER = "another"
SEED = 11


def alter(pictures: NDArray[Any]) -> dict[str, ImageFloats]:
    """Pictures of shape (n, h, h, b) turned, mirrored, shifted, blurred and noisier, by the word for what was done."""
    pictures = pictures.astype(np.float32)
    height, width = pictures.shape[1:3]
    down, right = (np.clip(np.arange(edge) - SHIFT_PIXELS, 0, None) for edge in (height, width))
    noise = fill_blank(pictures)[1].noise[:, None, None]
    fresh = np.random.default_rng(SEED).standard_normal(pictures.shape, dtype=np.float32)
    return {
        "turned": np.rot90(pictures, axes=(1, 2)),
        "mirrored": pictures[:, :, ::-1],
        "shifted": pictures[:, down][:, :, right],
        "blurred": gaussian_filter(pictures, (0, BLUR_PIXELS, BLUR_PIXELS, 0), mode="nearest"),
        "noisier": pictures + noise * fresh,
    }


def invariance(embed: Callable[[ImageFloats], ImageFloats], pictures: NDArray[Any]) -> dict[str, float]:
    """Median similarity of pictures to themselves altered, and, as `ANOTHER`, to the next of them.

    Parameters
    ----------
    embed : callable
        From pictures to unit rows.
    pictures : ndarray of shape (n, h, h, b), finite

    Returns
    -------
    dict of str to float
        Rounded to three digits; empty where there are fewer than two pictures.
    """
    if len(pictures) < 2:
        return {}
    rows = embed(pictures.astype(np.float32))
    altered = {name: embed(np.ascontiguousarray(some)) for name, some in alter(pictures).items()}
    altered[ANOTHER] = np.roll(rows, 1, axis=0)
    return {name: round(float(np.median((rows * some).sum(axis=1))), 3) for name, some in altered.items()}
