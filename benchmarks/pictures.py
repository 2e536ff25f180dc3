"""Time of `embed` over a folder of pictures: `python -m benchmarks.pictures [--pictures 50000] [--model FILE]`.

A few thousand galaxies are rendered and written as JPEGs of 96 pixels, each several times: turned, mirrored and with
noise of its own, so that no two files are the same. Then the command that a user would type is run and watched from
outside: wall time, processor time, and the most memory that no file backs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.processes import watch
from benchmarks.simulated_sheet import to_rgb
from precompute.simulation.rendering.camera import render
from precompute.simulation.rendering.parameters import draw_parameters

PICTURES, GALAXIES, PIXELS = 50_000, 2_500, 96
SEED, BLOCK = 901, 100
NOISE = 2.0
"""Standard deviation of what is added to each version, of 255."""

QUALITY = 90


def write_pictures(folder: Path, n: int) -> None:
    """JPEGs of n versions of rendered galaxies."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    galaxies = min(n, GALAXIES)
    with tqdm(total=n, desc="Writing pictures", unit="picture", leave=False) as bar:
        for start in range(0, galaxies, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, galaxies))
            shown = to_rgb(render(SEED, draw_parameters(SEED, numbers), PIXELS)).astype(np.float32)
            for at, picture in zip(numbers.tolist(), shown, strict=True):
                for version in range(at, n, galaxies):
                    turned = np.rot90(picture[:, :: 1 if version // galaxies % 2 else -1], version // galaxies)
                    seen = turned + rng.normal(0, NOISE, turned.shape)
                    image = Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
                    image.save(folder / f"{version:07d}.jpg", quality=QUALITY)
                    bar.update()


def main() -> None:
    """Write the pictures, embed them and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=PICTURES, help=f"how many ({PICTURES:,})")
    parser.add_argument("--model", type=Path, help="an encoder, as `embed` takes it (the descriptor)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        write_pictures(pictures, args.pictures)
        model = ["--model", str(args.model)] if args.model else []
        command = [sys.executable, "-m", "precompute", "embed", str(pictures), "--out", f"{folder}/source", *model]
        found = watch(command)
    memory = found.peak_bytes(found.begun, float("inf"))
    print(
        f"{args.pictures:,} pictures of {PIXELS} pixels: {found.seconds:.0f} s, {found.cpu_seconds:.0f} s of the "
        f"processor ({1000 * found.cpu_seconds / args.pictures:.1f} ms a picture), at most {memory / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
