"""Does "Is it real?" warn where it should? `python -m benchmarks.clumping [--seeds N] [--galaxies N]`.

A survey is rendered, with the observing conditions of each galaxy; places are even on the sky. Printed: of 100 random
selections of 20 to 1,000 galaxies, how many warn (goal: at most 5), and of each class of artefacts (trail, saturated,
bad column), whether it does, and by what.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

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

SEEDS = 3
GALAXIES = 4_000
SELECTIONS = 100
SIZES = (20, 100, 1_000)


def measure(seed: int, galaxies: int, folder: Path) -> tuple[int, dict[str, str]]:
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
            first = found.differences[0]
            said[CLASS_NAMES[code]] = (
                f"{rows.size} galaxies, {'warns' if found.warns else 'does not warn'}: {first.what} {first.here:.2f} "
                f"against {first.drawn:.2f}"
            )
    return warned, said


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    arguments = parser.parse_args()
    for seed in range(1, arguments.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            warned, said = measure(seed, arguments.galaxies, Path(folder) / "build")
        print(f"seed {seed}: {warned} of {SELECTIONS} random selections warn")
        print("\n".join(f"    {name}: {told}" for name, told in said.items()))


if __name__ == "__main__":
    main()
