"""Detectors of anomalies: columns of a space that say how odd a galaxy is, and in what sense.

    anomaly            the default: whichever of the next two finds it odder
    anomaly_form       distance from galaxies of its brightness in the components that vary most
    anomaly_detail     the same in all components, where an artefact counts as much as form
    anomaly_neighbors  distance to the ten nearest, among galaxies of its brightness
    anomaly_cluster    distance from the middle of its own cluster
    anomaly_knn        mean cosine distance to the ten nearest, as it is

All but the last are percentiles of the galaxies that the atlas was first built of, and `QUANTILES` of a build makes one
of the last. Which of them find rare classes is measured by `benchmarks.anomalies`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.storage.manifest import Column

DEFAULT, FORM = "anomaly", "anomaly_form"

ARTEFACT, SPOILT = "artefact", 0.5
"""Column of a catalogue that says how plainly an image is spoilt, 0 to 1, and the score up to which it is not."""

PERCENTILES = ("anomaly", "anomaly_form", "anomaly_detail", "anomaly_neighbors", "anomaly_cluster")

SCORED = (*PERCENTILES, "anomaly_knn")
"""Columns in the order of the rows of a build's table of quantiles."""

LEVELS: NDArray[np.float64] = np.append(1 - np.logspace(0, -7, 1_024), 1.0)
"""Shares of galaxies whose scores make a table: the closer, the nearer the top, since that is what is looked at."""


class Detector(NamedTuple):
    """A detector in words: for a menu, for a galaxy that it found ("odd for its brightness"), what it means, and as
    briefly as it can be said beside others."""

    title: str
    finding: str
    meaning: str
    brief: str


DETECTORS = {
    "anomaly": Detector(
        "odd for its brightness",
        "odd for its brightness",
        "Unlike others of its magnitude, in form or in any detail.",
        "odd",
    ),
    "anomaly_form": Detector(
        "odd form",
        "odd in form for its brightness",
        "In what varies most among its magnitude: mergers, rings and lenses first.",
        "odd form",
    ),
    "anomaly_detail": Detector(
        "odd detail",
        "odd in detail for its brightness",
        "In anything that the embedding tells: spoilt images first.",
        "odd detail",
    ),
    "anomaly_neighbors": Detector(
        "lonely for its brightness",
        "lonely for its brightness",
        "Farther from its ten nearest than others of its magnitude.",
        "lonely",
    ),
    "anomaly_cluster": Detector(
        "far from its cluster",
        "far from its cluster",
        "Far from the middle of the cluster that it is in.",
        "far from cluster",
    ),
    "anomaly_knn": Detector(
        "far from others",
        "far from others",
        "By plain distance: faint galaxies first, which noise sets apart.",
        "far from others",
    ),
    ARTEFACT: Detector(
        "spoilt images",
        "a spoilt image",
        "A streak, a bad column, a saturated star, a blank part.",
        "spoilt",
    ),
}
"""In the order of menus, the default first."""


def offered(columns: Columns) -> list[str]:
    """Detectors that an atlas has, the default first; one that knows nothing of any galaxy is none.

    Plain distance to the ten nearest is offered where there is nothing else: artefacts have each other for neighbours,
    so the larger a survey, the fewer it finds.
    """
    found = [name for name in DETECTORS if name in columns and _is_known(columns.describe(name))]
    return [name for name in found if name != "anomaly_knn" or DEFAULT not in found]


def detector_of(order: str, columns: Columns) -> str:
    """The detector that is meant: itself, or the first of an atlas that was built without it."""
    return order if order in columns else next(iter(offered(columns)), order)


def _is_known(column: Column) -> bool:
    if column.name == ARTEFACT and (not column.quantiles or not 0 <= column.quantiles[0] <= column.quantiles[-1] <= 1):
        return False
    return column.kind == "number" and bool(column.quantiles)


def quantiles_of(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores at `LEVELS`, by which `percentiles` are told; NaN where no galaxy has one.

    Parameters
    ----------
    scores : ndarray of shape (n,), float32
        NaN where unknown.

    Returns
    -------
    ndarray of shape (len(LEVELS),), float32
    """
    known = scores[~np.isnan(scores)]
    if not known.size:
        return np.full(LEVELS.size, np.nan, dtype=np.float32)
    quantiles: NDArray[np.float32] = np.quantile(known, LEVELS).astype(np.float32)
    return quantiles


def percentiles(scores: NDArray[np.float32], quantiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of galaxies with a lower score, in per cent; equal scores get that of their middle.

    Parameters
    ----------
    scores : ndarray of shape (m,), float32
    quantiles : ndarray of shape (len(LEVELS),), float32
        Of the galaxies to compare with, from `quantiles_of`.

    Returns
    -------
    ndarray of shape (m,), float32
        In [0, 100], ordered as the scores are; NaN where there is no score.
    """
    if np.isnan(quantiles[0]):
        return np.full(scores.shape, np.nan, dtype=np.float32)
    knots, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    middle = (LEVELS[first] + LEVELS[first + count - 1]) / 2
    found: NDArray[np.float32] = (100 * np.interp(scores, knots, middle)).astype(np.float32)
    return found
