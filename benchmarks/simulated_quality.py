"""Quality of similarity and anomaly on galaxies whose truth is known, beside what raw pixels score.

    python -m benchmarks.simulated_quality [--seeds N] [--galaxies N] [--json PATH]

For every seed a survey is rendered and embedded three times: by the demo's descriptor, by the same without artefacts
(what the rings about a galaxy tell, as the descriptor was at first), and by a PCA of its pixels (the middle of each
image, stretched as for the eye) to as many dimensions. Measured by the cosine of the embeddings:

- precision at 10 and 100 by class: of the k rows most similar to a member, the share of its class; of fewer than k
  where the class has no more members. Chance is the share of the class.
- retrieval of lenses: average precision of all rows ranked by similarity to one lens. Chance is their share.
- detection of artefacts (trail, saturated, bad column) by the default anomaly score of a build and by bare distance:
  area under the ROC curve, for which chance is 0.5, and average precision, for which it is their share.

Printed are the mean over seeds and the lowest and highest seed. Only rendered galaxies are used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from atlas.catalog.anomalies import DEFAULT
from benchmarks.anomalies import detect, magnitude_of
from benchmarks.descriptor import fit_raw_pixels, fit_rings, without_artefacts
from benchmarks.simulated_sheet import to_rgb
from precompute.config import BuildConfig
from precompute.descriptor.features import DIMENSION, FEATURES, Descriptor
from precompute.parallel import run_chunks, thread_count
from precompute.simulation.image_survey import BLOCK, describe_survey
from precompute.simulation.rendering.camera import DEFAULT_PIXELS, render
from precompute.simulation.rendering.parameters import CLASS_NAMES, IS_ARTEFACT, LENS, draw_parameters

SEEDS = 10
GALAXIES = 4_000
RAW_PIXELS = 64  # of the middle: more would only add neighbours
QUERIES = 200  # members of a class that are asked for
AT = (10, 100)

METHODS = ("descriptor", "rings only", "raw pixels")

Scores = dict[str, float]


class Survey(NamedTuple):
    """A rendered survey: class codes (n,), magnitudes in r (n,) and embeddings (n, DIMENSION) by method."""

    true_class: NDArray[np.uint8]
    magnitude: NDArray[np.float32]
    embeddings: dict[str, NDArray[np.float32]]


def render_survey(seed: int, n: int) -> Survey:
    """Render, describe and embed n galaxies; only the middle of each image is kept, as RGB."""
    parameters = draw_parameters(seed, np.arange(n))
    features = np.empty((n, len(FEATURES)), np.float32)
    pixels = np.empty((n, RAW_PIXELS, RAW_PIXELS, 3), np.uint8)
    middle = slice((DEFAULT_PIXELS - RAW_PIXELS) // 2, (DEFAULT_PIXELS + RAW_PIXELS) // 2)

    def work(part: slice) -> None:
        images = render(seed, parameters[part])
        features[part] = describe_survey(images)
        pixels[part] = to_rgb(images)[:, middle, middle]

    with tqdm(total=n, unit=" galaxies", desc=f"seed {seed}", leave=False) as bar:
        for part in run_chunks(work, n, BLOCK, thread_count(0)):
            bar.update(part.stop - part.start)
    embeddings = (
        Descriptor.fit(features).embed(features),
        fit_rings(features).embed(without_artefacts(features)),
        fit_raw_pixels(pixels)(pixels),
    )
    return Survey(parameters["true_class"], magnitude_of(parameters), dict(zip(METHODS, embeddings, strict=True)))


def precision(embeddings: NDArray[np.float32], true_class: NDArray[np.uint8], seed: int) -> Scores:
    """Precision at `AT` of each class, by name and k."""
    rng = np.random.default_rng(seed)
    scores = {}
    for index, name in enumerate(CLASS_NAMES):
        members = np.flatnonzero(true_class == index)
        if len(members) < 2:
            continue
        queries = rng.permutation(members)[:QUERIES]
        similarity = embeddings[queries] @ embeddings.T
        similarity[np.arange(len(queries)), queries] = -np.inf
        order = np.argsort(-similarity, axis=1)[:, : min(max(AT), len(embeddings) - 1)]
        same = true_class[order] == index
        for k in AT:
            scores[f"{name} @{k}"] = float(same[:, :k].sum(axis=1).mean() / min(k, len(members) - 1))
    return scores


def lens_retrieval(embeddings: NDArray[np.float32], true_class: NDArray[np.uint8]) -> float:
    """Mean over lenses, two at least, of the average precision with which the others are found from that one."""
    is_lens = true_class == LENS
    found = []
    for row in np.flatnonzero(is_lens):
        others = np.arange(len(is_lens)) != row
        found.append(average_precision_score(is_lens[others], (embeddings @ embeddings[row])[others]))
    return float(np.mean(found))


def artefact_detection(
    embeddings: NDArray[np.float32], magnitude: NDArray[np.float32], true_class: NDArray[np.uint8]
) -> Scores:
    """Area under the ROC curve and average precision of artefacts, by the default of a build and by bare distance."""
    is_artefact = IS_ARTEFACT[true_class]
    found = detect(embeddings, magnitude, BuildConfig())
    scores = {}
    for name in (DEFAULT, "anomaly_knn"):
        scores[f"{name}, area under ROC"] = float(roc_auc_score(is_artefact, found[name]))
        scores[f"{name}, average precision"] = float(average_precision_score(is_artefact, found[name]))
    return scores


def measure(seeds: int, galaxies: int) -> dict[str, object]:
    """Every score of every seed, and the shares that chance would score."""
    start = time.perf_counter()
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in METHODS}
    counts = np.zeros(len(CLASS_NAMES), np.int64)
    for seed in range(1, seeds + 1):
        survey = render_survey(seed, galaxies)
        counts += np.bincount(survey.true_class, minlength=len(CLASS_NAMES))
        for method, embeddings in survey.embeddings.items():
            found = precision(embeddings, survey.true_class, seed)
            if np.count_nonzero(survey.true_class == LENS) > 1:
                found["lens retrieval, average precision"] = lens_retrieval(embeddings, survey.true_class)
            found |= artefact_detection(embeddings, survey.magnitude, survey.true_class)
            for name, value in found.items():
                scores[method].setdefault(name, []).append(round(value, 4))
    share = counts / counts.sum()
    return {
        "seeds": seeds,
        "galaxies": galaxies,
        "dimension": DIMENSION,
        "pixels": DEFAULT_PIXELS,
        "seconds": round(time.perf_counter() - start),
        "about": {
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            "versions": {name: metadata.version(name) for name in ("numpy", "numba", "scipy", "scikit-learn")},
        },
        "share": {name: round(float(s), 5) for name, s in zip(CLASS_NAMES, share, strict=True)},
        "artefact_share": round(float(share[IS_ARTEFACT].sum()), 5),
        "scores": scores,
    }


def as_text(result: dict[str, object]) -> str:
    """The scores as Markdown tables: mean over seeds (lowest to highest)."""
    scores: dict[str, dict[str, list[float]]] = result["scores"]  # type: ignore[assignment]
    share: dict[str, float] = result["share"]  # type: ignore[assignment]
    artefacts = result["artefact_share"]

    def told(name: str) -> str:
        found = [scores[method][name] for method in METHODS]
        return " | ".join(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" for values in found)

    lines = [
        f"{result['seeds']} seeds of {result['galaxies']:,} rendered galaxies, {result['dimension']} dimensions: "
        "mean over seeds (lowest to highest)",
        "",
        f"| precision among the k most similar | share of the class | k | {' | '.join(METHODS)} |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in CLASS_NAMES:
        for k in AT:
            if f"{name} @{k}" in scores[METHODS[0]]:
                label, part = (name, f"{share[name]:.4f}") if k == AT[0] else ("", "")
                lines.append(f"| {label} | {part} | {k} | {told(f'{name} @{k}')} |")
    lines += ["", f"| what is found | chance | {' | '.join(METHODS)} |", "| --- | --- | --- | --- | --- |"]
    for name in scores[METHODS[0]]:
        if "@" in name:
            continue
        chance = 0.5 if "ROC" in name else (share["lens"] if "lens" in name else artefacts)
        label = name if "lens" in name else f"artefacts by {name}"
        lines.append(f"| {label} | {chance:.4f} | {told(name)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated_quality", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    parser.add_argument("--json", type=Path, help="write the scores of every seed as JSON")
    arguments = parser.parse_args()
    result = measure(arguments.seeds, arguments.galaxies)
    print(as_text(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
