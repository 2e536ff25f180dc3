"""Detectors of anomalies on rare galaxies of known truth: `python -m benchmarks.anomalies [--seeds N] [--galaxies N]`.

For every seed a survey is rendered and embedded by the demo's descriptor, and scored as the stage `anomalies` scores;
k-means of 20 stand for the clusters of the map. Three others, which are in no menu, stand beside the detectors: bare
distance to the ten nearest, isolation forest (Liu, Ting & Zhou 2008) on 16 components, and the local outlier factor
(Breunig et al. 2000) of ten neighbours; and the detectors mixed, all of them and the two that differ most.

Rare are lens, ring and merger (2.1 % of all), and the artefacts trail, saturated and bad column (1.2 %). Printed is how
many of the first 100 and 1,000 are rare, over what chance would find: mean over seeds, lowest to highest. Then the same
of lens, ring and merger alone, where images whose score of artefacts is above 0.5 are hidden.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from tqdm import tqdm

from atlas.catalog.anomalies import ARTEFACT, DETECTORS, PERCENTILES, SPOILT
from atlas.catalog.mixtures import MixedBy, mix_percentiles
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import artefact_columns
from precompute.descriptor.features import FEATURES, GALAXY, Descriptor
from precompute.parallel import run_chunks, thread_count
from precompute.simulation.image_survey import BLOCK, describe_survey
from precompute.simulation.rendering.camera import DEFAULT_PIXELS, render
from precompute.simulation.rendering.parameters import (
    IS_ARTEFACT,
    LENS,
    MERGER,
    RING,
    Parameters,
    draw_parameters,
    fluxes,
)
from precompute.stages import anomalies as stage
from precompute.stages.knn import mean_distance

SEEDS = 10
GALAXIES = 4_000
FIRST = (100, 1_000)
NEAREST = 10
CLUSTERS = 20
RARE_GALAXIES = (LENS, RING, MERGER)
R_BAND = 1
OTHERS = {
    "anomaly_knn": "distance to ten nearest (not offered)",
    "forest": "isolation forest (not offered)",
    "lof": "local outlier factor (not offered)",
}

MIXTURES = {
    "all_highest": "all five mixed by the highest",
    "all_mean": "all five mixed by the mean",
    "form_lonely_highest": "odd form and lonely, mixed by the highest",
    "form_lonely_mean": "odd form and lonely, mixed by the mean",
}
FORM_LONELY = ("anomaly_form", "anomaly_neighbors")

Floats = NDArray[np.float32]


class Described(NamedTuple):
    """A rendered survey: parameters (n,) and features (n, len(FEATURES))."""

    parameters: Parameters
    features: Floats


def describe_galaxies(seed: int, n: int) -> Described:
    """Render and describe n galaxies."""
    parameters = draw_parameters(seed, np.arange(n))
    features = np.empty((n, len(FEATURES)), np.float32)

    def work(part: slice) -> None:
        features[part] = describe_survey(render(seed, parameters[part]))

    with tqdm(total=n, unit=" galaxies", desc=f"seed {seed}", leave=False) as bar:
        for part in run_chunks(work, n, BLOCK, thread_count(0)):
            bar.update(part.stop - part.start)
    return Described(parameters, features)


def magnitude_of(parameters: Parameters) -> Floats:
    """Magnitude in r of some galaxies, (n,)."""
    magnitude: Floats = (22.5 - 2.5 * np.log10(np.maximum(fluxes(parameters)[:, R_BAND], 1e-3))).astype(np.float32)
    return magnitude


def nearest_similarity(embeddings: Floats) -> Floats:
    """Cosine similarity of each row to its ten nearest, (n, 10)."""
    nearest = np.empty((len(embeddings), NEAREST), np.float32)
    for start in range(0, len(embeddings), 1000):
        similarity = embeddings[start : start + 1000] @ embeddings.T
        similarity[np.arange(len(similarity)), start + np.arange(len(similarity))] = -np.inf
        nearest[start : start + 1000] = np.partition(similarity, -NEAREST, axis=1)[:, -NEAREST:]
    return nearest


def detect(embeddings: Floats, magnitude: Floats, config: BuildConfig) -> dict[str, Floats]:
    """Score of every row by each column that a build writes; higher is odder."""
    distance = mean_distance(nearest_similarity(embeddings))
    groups = MiniBatchKMeans(CLUSTERS, random_state=config.seed, n_init=3).fit(embeddings)
    centroids = groups.cluster_centers_ / np.linalg.norm(groups.cluster_centers_, axis=1, keepdims=True)
    rows = stage.AnomalyInputs(embeddings, distance, groups.labels_.astype(np.int16), magnitude)
    model = stage.fit_model(rows, len(embeddings), config)
    scores = stage.score_rows(model, centroids.astype(np.float32), rows)
    quantiles = stage.quantiles_of_all(scores, distance)
    return stage.as_percentiles(scores, quantiles) | {"anomaly_knn": distance}


def detect_otherwise(embeddings: Floats, seed: int) -> dict[str, Floats]:
    """Scores by what is in no menu."""
    reduced = PCA(min(16, *embeddings.shape), random_state=seed).fit_transform(embeddings)
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(reduced)
    factor = LocalOutlierFactor(NEAREST, metric="cosine").fit(embeddings)
    return {"forest": -forest.score_samples(reduced), "lof": -factor.negative_outlier_factor_}


def mixtures(scores: dict[str, Floats]) -> dict[str, Floats]:
    """The detectors mixed in the obvious ways, as the page mixes them."""
    sets = {"all": PERCENTILES, "form_lonely": FORM_LONELY}
    return {
        f"{name}_{by}": mix_percentiles([scores[one] for one in detectors], by)
        for name, detectors in sets.items()
        for by in get_args(MixedBy)
    }


def gains(score: Floats, is_rare: NDArray[np.bool_], shown: NDArray[np.bool_]) -> list[float]:
    """Share of the rare among the first that are shown, over their share of all that are, for `FIRST`."""
    order = np.argsort(-score, kind="stable")
    order = order[shown[order]]
    chance = is_rare[order].mean()
    return [round(float(is_rare[order[:count]].mean() / chance), 2) for count in FIRST]


def measure(seeds: int, galaxies: int) -> dict[str, list[list[float]]]:
    """For each detector and seed: gain in the first 100 and 1,000, then the same with artefacts hidden."""
    found: dict[str, list[list[float]]] = {}
    for seed in range(1, seeds + 1):
        survey = describe_galaxies(seed, galaxies)
        embeddings = Descriptor.fit(survey.features).embed(survey.features)
        artefact = artefact_columns(survey.features[:, len(GALAXY) :], DEFAULT_PIXELS**2)[ARTEFACT]
        scores = detect(embeddings, magnitude_of(survey.parameters), BuildConfig())
        scores |= {ARTEFACT: artefact} | mixtures(scores) | detect_otherwise(embeddings, seed)
        true_class = survey.parameters["true_class"]
        is_rare_galaxy = np.isin(true_class, RARE_GALAXIES)
        is_rare = is_rare_galaxy | IS_ARTEFACT[true_class]
        every, clean = np.ones(galaxies, bool), artefact <= SPOILT
        for name, score in scores.items():
            found.setdefault(name, []).append(gains(score, is_rare, every) + gains(score, is_rare_galaxy, clean))
    return found


def as_text(found: dict[str, list[list[float]]], galaxies: int) -> str:
    """The gains as a Markdown table."""
    seeds = len(next(iter(found.values())))
    heads = [f"{what}, first {count:,}" for what in ("all rare", "rare galaxies, artefacts hidden") for count in FIRST]
    lines = [
        f"{seeds} seeds of {galaxies:,} rendered galaxies: times chance, mean over seeds (lowest to highest)",
        "",
        f"| detector | {' | '.join(heads)} |",
        f"| --- |{' --- |' * len(heads)}",
    ]
    for name in [*(d for d in DETECTORS if d not in OTHERS), *MIXTURES, *OTHERS]:
        values = np.array(found[name])
        told = [f"{v.mean():.1f} ({v.min():.1f} to {v.max():.1f})" for v in values.T]
        title = (MIXTURES | OTHERS).get(name) or DETECTORS[name].title
        lines.append(f"| {title} | {' | '.join(told)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    parser.add_argument("--json", type=Path, help="write the gains of every seed as JSON")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    found = measure(arguments.seeds, arguments.galaxies)
    print(as_text(found, arguments.galaxies))
    print(f"\n{time.perf_counter() - begun:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
