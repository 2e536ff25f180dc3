"""Draw a contact sheet of the rendered survey: every class, from bright to faint.

    python -m benchmarks.simulated_sheet [PATH]

Chosen by class and magnitude alone: of the first galaxies of a seed, the one of the class nearest to each magnitude.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from precompute.simulation.rendering.camera import render
from precompute.simulation.rendering.parameters import CLASS_NAMES, draw_parameters
from precompute.sources.asinh_rgb import asinh_rgb

SEED = 1
CANDIDATES = 60_000
MAGNITUDES = (15.5, 16.0, 16.5, 17.0, 17.5, 18.0, 18.5, 19.0, 19.5, 20.0)
MAX_DIFFERENCE = 0.25
TILE = 76
GAP = 3
LEFT = 92
TOP = 24
COLORS = 112
BACKGROUND = (9, 12, 20)
TEXT = (222, 228, 240)


def to_rgb(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Images of shape (n, 3, h, w) in g, r, z nanomaggies as RGB of shape (n, h, w, 3): z red, north up."""
    return np.stack([asinh_rgb(image)[::-1] for image in images])


def draw_sheet(path: Path, *, seed: int = SEED, tile: int = TILE) -> None:
    """Write the sheet as a PNG with a small palette."""
    parameters = draw_parameters(seed, np.arange(CANDIDATES))
    font = ImageFont.load_default(13)
    width = LEFT + len(MAGNITUDES) * (tile + GAP)
    canvas = Image.new("RGB", (width, TOP + len(CLASS_NAMES) * (tile + GAP)), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    pen.text((6, 5), "z magnitude", TEXT, font)
    for column, magnitude in enumerate(MAGNITUDES):
        pen.text((LEFT + column * (tile + GAP) + tile / 2, 5), f"{magnitude:.1f}", TEXT, font, anchor="ma")
    for line, name in enumerate(CLASS_NAMES):
        top = TOP + line * (tile + GAP)
        pen.text((6, top + tile / 2), name, TEXT, font, anchor="lm")
        members = parameters[parameters["true_class"] == line]
        for column, magnitude in enumerate(MAGNITUDES):
            nearest = np.argmin(np.abs(members["mag_z"] - magnitude))
            # A class that has none so bright leaves the place empty.
            if abs(members["mag_z"][nearest] - magnitude) < MAX_DIFFERENCE:
                image = to_rgb(render(seed, members[nearest : nearest + 1], tile))[0]
                canvas.paste(Image.fromarray(image), (LEFT + column * (tile + GAP), top))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated_sheet", description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", default=Path("docs/simulated.png"), help="(docs/simulated.png)")
    draw_sheet(parser.parse_args().path)


if __name__ == "__main__":
    main()
