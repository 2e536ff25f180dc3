"""Does "Is it real?" warn where it should? `python -m benchmarks.clumping [--seeds N] [--galaxies N]`.

A survey is rendered, with the observing conditions of each galaxy; places are even on the sky. Printed: of 100 random
selections of 20 to 1,000 galaxies, how many warn (goal: at most 5), and of each class of artefacts (trail, saturated,
bad column) with ten galaxies or more, in how many surveys it does, and what share of its images is known as spoilt
beside the draws: mean over surveys, lowest to highest.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas import Mask
from atlas.catalog.anomalies import ARTEFACT
from atlas.queries.clumping import reality
from benchmarks.anomalies import describe_galaxies, magnitude_of
from benchmarks.bare_atlas import bare_atlas
from precompute.descriptor.artefact_columns import artefact_columns
from precompute.descriptor.features import GALAXY
from precompute.simulation.rendering.camera import DEFAULT_PIXELS
from precompute.simulation.rendering.parameters import CLASS_NAMES, IS_ARTEFACT

SEEDS = 10
GALAXIES = 4_000
SELECTIONS = 100
SIZES = (20, 100, 1_000)
SPOILT_IMAGES = "spoilt images"


class Said(NamedTuple):
    """What was said of a class: whether it warns, and the share of spoilt images in it and in the draws."""

    warns: bool
    spoilt: float
    drawn: float


def measure(seed: int, galaxies: int, folder: Path) -> tuple[int, dict[str, Said]]:
    """Measure how many random selections warn, and what is said of each class of artefacts."""
    survey, rng = describe_galaxies(seed, galaxies), np.random.default_rng(seed)
    parameters = survey.parameters
    spoilt = artefact_columns(survey.features[:, len(GALAXY) :], DEFAULT_PIXELS**2)[ARTEFACT]
    columns: dict[str, NDArray[Any]] = {
        "ra": rng.uniform(10, 20, galaxies),
        "dec": rng.uniform(-5, 5, galaxies),
        "mag_r": magnitude_of(parameters),
        ARTEFACT: spoilt.astype(np.float32),
        **{f"psfsize_{band}": parameters[f"seeing_{band}"].astype(np.float32) for band in "grz"},
        **{f"nobs_{band}": parameters[f"exposures_{band}"].astype(np.int16) for band in "grz"},
    }
    atlas = bare_atlas(folder, columns)
    draws = (rng.choice(galaxies, size, replace=False) for size in rng.choice(SIZES, SELECTIONS))
    warned = sum(reality(atlas, Mask.from_rows(rows, galaxies)).warns for rows in draws)
    said = {}
    for code in np.flatnonzero(IS_ARTEFACT).tolist():
        rows = np.flatnonzero(parameters["true_class"] == code)
        if rows.size >= 10:
            found = reality(atlas, Mask.from_rows(rows, galaxies))
            share = next(one for one in found.differences if one.what == SPOILT_IMAGES)
            said[CLASS_NAMES[code]] = Said(found.warns, share.here, share.drawn)
    return warned, said


def as_text(warned: list[int], said: list[dict[str, Said]], galaxies: int) -> str:
    """Both as Markdown."""
    lines = [
        f"{len(warned)} seeds of {galaxies:,} rendered galaxies: mean over seeds (lowest to highest)",
        "",
        f"of {SELECTIONS} random selections {spread([float(n) for n in warned], 1)} warn",
        "",
        "| class | surveys with ten or more | of these it warns in | spoilt images | of random galaxies |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in sorted({name for one in said for name in one}):
        of = [one[name] for one in said if name in one]
        shares = (spread([getattr(one, what) for one in of], 2) for what in ("spoilt", "drawn"))
        lines.append(f"| {name} | {len(of)} | {sum(one.warns for one in of)} | {' | '.join(shares)} |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """Mean of some values, lowest to highest."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first (1)")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    arguments = parser.parse_args()
    begun, warned, said = time.perf_counter(), [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(seed, arguments.galaxies, Path(folder) / "build")
        warned.append(found[0])
        said.append(found[1])
    print(as_text(warned, said, arguments.galaxies))
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
