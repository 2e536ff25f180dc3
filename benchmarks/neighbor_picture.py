"""Draw galaxies with their nearest neighbours, one row a galaxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from precompute.deep_field.cutouts import cutout, cutout_half_width

NEIGHBORS = 10
TILE = 84
GAP = 6
CAPTION = 18
MARGIN = 28
HEADER = 44
FOOTER = 40
QUERY_GAP = 26
BACKGROUND = (9, 12, 20)
TEXT = (148, 158, 178)
BRIGHT_TEXT = (222, 228, 240)
ACCENT = (255, 184, 92)
# Sky noise would fill the file and draw the eye: what is darker than this becomes black.
BLACK_LEVEL = 18


def draw_neighbors(
    path: Path,
    padded: NDArray[np.uint8],
    galaxies: NDArray[Any],
    embeddings: NDArray[np.float32],
    queries: NDArray[np.int64],
) -> None:
    """Write a PNG: each query, then its ten nearest with their similarity."""
    half_width = cutout_half_width(galaxies)
    source = Image.fromarray(padded)
    canvas_width = 2 * MARGIN + (NEIGHBORS + 1) * TILE + (NEIGHBORS - 1) * GAP + QUERY_GAP
    canvas_height = HEADER + len(queries) * (TILE + CAPTION + GAP) + FOOTER
    canvas = Image.new("RGB", (canvas_width, canvas_height), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    small, medium = ImageFont.load_default(11.5), ImageFont.load_default(14)
    first_left = MARGIN + TILE + QUERY_GAP
    pen.text((MARGIN, 16), "Galaxy", ACCENT, medium)
    pen.text((first_left, 16), "Its ten nearest neighbours in the field and their similarity", BRIGHT_TEXT, medium)

    for line, query in enumerate(queries):
        top = HEADER + line * (TILE + CAPTION + GAP)
        similarity = embeddings @ embeddings[query]
        similarity[query] = -np.inf
        nearest = np.argsort(-similarity, kind="stable")[:NEIGHBORS]
        for place, row in enumerate([query, *nearest]):
            left = MARGIN if place == 0 else first_left + (place - 1) * (TILE + GAP)
            tile = cutout(source, galaxies["x"][row], galaxies["y"][row], half_width[row], TILE)
            canvas.paste(tile.point(_darken), (left, top))
            if place:
                pen.text((left + TILE / 2, top + TILE + 3), f"{similarity[row]:.2f}", TEXT, small, anchor="ma")
        pen.rectangle((MARGIN - 2, top - 2, MARGIN + TILE + 1, top + TILE + 1), outline=ACCENT)

    credit = "Hubble eXtreme Deep Field: NASA, ESA, G. Illingworth, D. Magee, P. Oesch, R. Bouwens and the HUDF09 Team"
    pen.text((MARGIN, canvas_height - 26), credit, TEXT, small)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, optimize=True)


def _darken(value: int) -> int:
    light = max(value - BLACK_LEVEL, 0) * 255 / (255 - BLACK_LEVEL)
    return min(4 * round(light / 4), 255)  # 64 steps: the eye sees no difference, the file is a third smaller
