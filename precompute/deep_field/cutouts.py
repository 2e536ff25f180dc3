"""Images of the deep field's galaxies: cut-outs for the eye, stamps of one scale for the descriptor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .picture import Picture

STAMP_PIXELS = 96
CUTOUT_PIXELS = 128
# Half the width of a cut-out in pixels of the picture: half as far again as the galaxy reaches, within limits.
CUTOUT_REACH = 1.5
CUTOUT_MARGIN = 3.0
CUTOUT_HALF_WIDTH = (11.0, 48.0)
PAD_PIXELS = 80
PAD_SEED = 2012


def pad_with_sky(picture: Picture, is_sky: NDArray[np.bool_]) -> Picture:
    """The picture with a border of `PAD_PIXELS` on each side, filled with sky pixels drawn at random (seeded).

    Black instead would be the strongest feature of every galaxy near the frame.
    """
    rng = np.random.default_rng(PAD_SEED)
    sky = picture[is_sky]
    height, width = picture.shape[:2]
    padded = sky[rng.integers(len(sky), size=(height + 2 * PAD_PIXELS, width + 2 * PAD_PIXELS))]
    padded[PAD_PIXELS:-PAD_PIXELS, PAD_PIXELS:-PAD_PIXELS] = picture
    return padded


def stamp_corner(galaxies: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and row of each stamp's first pixel in the padded picture, each of shape (n,)."""
    half = STAMP_PIXELS // 2
    # Pixel k covers k - 0.5 to k + 0.5, so an even stamp has its middle on an edge between pixels.
    column = np.floor(galaxies["x"] + 0.5).astype(np.int64) - half + PAD_PIXELS
    row = np.floor(galaxies["y"] + 0.5).astype(np.int64) - half + PAD_PIXELS
    return column, row


def stamps(padded: Picture, galaxies: NDArray[Any]) -> Picture:
    """Images of one scale for the descriptor, (n, 96, 96, 3), uint8: the picture's own pixels, neighbours and all."""
    column, row = stamp_corner(galaxies)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (STAMP_PIXELS, STAMP_PIXELS), axis=(0, 1))
    return np.ascontiguousarray(windows[row, column].transpose(0, 2, 3, 1))


def cutout_half_width(galaxies: NDArray[Any]) -> NDArray[np.float64]:
    """Half the width of each cut-out, in pixels of the picture, (n,): wide enough for the galaxy and its surroundings.

    One scale for all would be simpler to read off, but leaves most galaxies of a deep field as dots. The catalogue
    says how wide each cut-out is.
    """
    x, y = galaxies["x"], galaxies["y"]
    reach = np.max([x - galaxies["xmin"], galaxies["xmax"] - x, y - galaxies["ymin"], galaxies["ymax"] - y], axis=0)
    half_width: NDArray[np.float64] = np.clip(CUTOUT_REACH * reach + CUTOUT_MARGIN, *CUTOUT_HALF_WIDTH)
    return half_width


def cutout(padded: Picture | Image.Image, x: float, y: float, half_width: float, pixels: int) -> Image.Image:
    """One galaxy's image, (pixels, pixels), resampled with Lanczos's kernel; x, y in pixels of the picture."""
    image = padded if isinstance(padded, Image.Image) else Image.fromarray(padded)
    left, upper = x + 0.5 + PAD_PIXELS - half_width, y + 0.5 + PAD_PIXELS - half_width
    box = (left, upper, left + 2 * half_width, upper + 2 * half_width)
    return image.resize((pixels, pixels), Image.Resampling.LANCZOS, box=box)


def write_cutouts(folder: Path, padded: Picture, galaxies: NDArray[Any], half_width: NDArray[np.float64]) -> None:
    """Write one PNG a galaxy, named by its row."""
    image = Image.fromarray(padded)
    for row, (x, y, half) in enumerate(zip(galaxies["x"], galaxies["y"], half_width, strict=True)):
        cutout(image, x, y, half, CUTOUT_PIXELS).save(folder / f"{row:09d}.png")
