"""A picture of an embedding, for galaxies without an image: its numbers as a small pattern of cells.

Galaxies that the network finds alike have patterns that look alike. It is no picture of the galaxy, and the page says
so wherever it shows one.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CELL_PIXELS = 8
_COLD, _MIDDLE, _WARM = np.array([38, 98, 176]), np.array([14, 19, 28]), np.array([240, 150, 60])


def fingerprint(embedding: NDArray[np.float32]) -> bytes:
    """The pattern as WebP: one cell a number, blue below zero, orange above, in the order of the embedding.

    Parameters
    ----------
    embedding : ndarray of shape (d,)
    """
    columns = math.ceil(math.sqrt(embedding.size))
    cells = np.zeros(columns * math.ceil(embedding.size / columns), dtype=np.float32)
    # A component of a unit vector is about 1/sqrt(d): that is the scale of the colours, the same for all galaxies.
    cells[: embedding.size] = np.clip(embedding * math.sqrt(embedding.size) / 2.0, -1, 1)
    strength = np.abs(cells)[:, None] ** 0.8
    colors = _MIDDLE + strength * (np.where(cells[:, None] > 0, _WARM, _COLD) - _MIDDLE)
    picture = Image.fromarray(np.rint(colors).astype(np.uint8).reshape(-1, columns, 3))
    picture = picture.resize((picture.width * CELL_PIXELS, picture.height * CELL_PIXELS), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, method=0)
    return buffer.getvalue()
