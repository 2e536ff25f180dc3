"""Clusters beside the true classes of rendered galaxies: `python -m benchmarks.clusters [--seeds N] [--galaxies N]`.

For every seed a survey is rendered and embedded by the demo's descriptor, laid out by UMAP, and clustered as the stage
`clusters` does, at its three scales. Beside them stand k-means of as many clusters on the embedding and on the map, the
fine clusters joined by their mean embeddings instead of their places, HDBSCAN with what it calls noise left out, and,
if it is installed, EVōC (https://github.com/TutteInstitute/evoc) on the embedding: of its layers the one with the
nearest number of clusters, noise left out, and every galaxy in the cluster of the nearest that has one.

Adjusted mutual information with the true classes (Vinh, Epps & Bailey 2010, JMLR 11, 2837), purity (share of galaxies
whose class is the commonest of their cluster), completeness (Rosenberg & Hirschberg 2007), the largest share of a rare
class that one cluster holds, averaged over the rare classes, and stability: the mean Jaccard overlap of a cluster with
the most similar one of five subsamples of four fifths, each galaxy counting alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, completeness_score

from atlas.search.exact import top_k_exact_many
from precompute.config import BuildConfig
from precompute.descriptor.features import Descriptor
from precompute.simulation.rendering.parameters import IS_ARTEFACT
from precompute.stages.cluster_scales import in_scale, nested, overlap, without_noise
from precompute.stages.clusters import (
    SUBSAMPLE,
    SUBSAMPLES,
    cluster_anchors,
    order_by_size,
    smallest_cluster,
    stability,
)
from precompute.stages.umap import normalise_map, umap_layout

from .anomalies import RARE_GALAXIES, describe_galaxies

try:
    from evoc import EVoC
except ModuleNotFoundError:
    EVoC = None

SEEDS = 10
GALAXIES = 4_000
MEASURES = ("clusters", "AMI", "purity", "completeness", "rare class in one", "stability", "outside")
SCALES = ("fine", "medium", "coarse")

Labels = NDArray[np.int64]
Floats = NDArray[np.float32]


def lay_out(embeddings: Floats, config: BuildConfig) -> Floats:
    """Positions on the map, as the stage `umap` finds them where every galaxy is an anchor; (n, 2)."""
    nearest, similarity = top_k_exact_many(embeddings, embeddings, config.n_neighbors)
    neighbors = nearest.astype(np.int32), np.maximum(1 - similarity, 0)
    return normalise_map(
        umap_layout(
            embeddings,
            n_neighbors=config.n_neighbors,
            min_dist=config.min_dist,
            n_epochs=config.n_epochs,
            seed=config.seed,
            neighbors=neighbors,
        )
    )


def subsamples(n: int) -> list[Labels]:
    """Rows of the subsamples that tell stability."""
    rng = np.random.default_rng(0)
    return [np.sort(rng.choice(n, round(SUBSAMPLE * n), replace=False)) for _ in range(SUBSAMPLES)]


def steady(cluster: Callable[[Labels], Labels], labels: Labels) -> float:
    """Stability of labels against what `cluster` finds of some rows."""
    found = np.zeros(labels.max() + 1)
    for part in subsamples(labels.size):
        found += overlap(labels[part], cluster(part), found.size) / SUBSAMPLES
    return weighted(found, labels)


def weighted(of_clusters: NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean over the galaxies of what is known of their clusters."""
    return float(of_clusters[labels[labels >= 0]].mean())


def judge(labels: Labels, true_class: Labels, rare: Labels, stability_of: float) -> list[float]:
    """The measures of one clustering; galaxies outside all clusters are left out of all but the last."""
    inside = labels >= 0
    truth = true_class[inside]
    _, own = np.unique(labels[inside], return_inverse=True)
    table = np.zeros((own.max() + 1, int(true_class.max()) + 1))
    np.add.at(table, (own, truth), 1)
    of_class = np.bincount(true_class, minlength=table.shape[1])
    shares = table.max(axis=0) / np.maximum(of_class, 1)
    return [
        len(table),
        adjusted_mutual_info_score(truth, own),
        float(table.max(axis=1).sum() / truth.size),
        completeness_score(truth, own),
        float(shares[rare].mean()),
        stability_of,
        float(1 - inside.mean()),
    ]


def evoc_layers(embeddings: Floats, min_size: int, seed: int) -> list[Labels]:
    """Labels of every row in each layer that EVōC finds, −1 for noise; those without a cluster left out. None where it
    is not installed."""
    if EVoC is None:
        return []
    found = EVoC(base_min_cluster_size=min_size, random_state=seed).fit(embeddings)
    return [labels for layer in found.cluster_layers_ if (labels := np.asarray(layer, dtype=np.int64)).max() >= 0]


def of_count(layers: list[Labels], count: int) -> Labels:
    """The layer whose number of clusters is nearest, as a ratio."""
    return min(layers, key=lambda labels: abs(np.log((labels.max() + 1) / count)))


def with_nearest(embeddings: Floats, labels: Labels) -> Labels:
    """Labels in which noise has the cluster of the most similar row that has one."""
    inside = np.flatnonzero(labels >= 0)
    nearest, _ = top_k_exact_many(embeddings[inside], embeddings, 1)
    return np.where(labels >= 0, labels, labels[inside[nearest[:, 0]]])


def cluster(embeddings: Floats, positions: Floats, true_class: Labels, config: BuildConfig) -> dict[str, list[float]]:
    """Measures of every way to cluster a survey."""
    n = len(embeddings)
    present = np.unique(true_class)
    rare = present[np.isin(present, RARE_GALAXIES) | IS_ARTEFACT[present]].astype(np.int64)
    min_size = smallest_cluster(config.min_cluster_size, n, n, config.n_neighbors)
    found = cluster_anchors(positions, min_size)
    fine = order_by_size(without_noise(positions, found), np.ones(n, dtype=np.int64))
    size = np.bincount(fine)
    tree = nested(positions, fine, size)
    held = stability(positions, fine, tree, min_size, config.seed)
    told = {}
    middles = np.stack([embeddings[fine == label].mean(axis=0) for label in range(size.size)])
    merges = linkage(middles.astype(np.float64), "average")
    layers = evoc_layers(embeddings, min_size, config.seed)
    layers_of = {part.tobytes(): evoc_layers(embeddings[part], min_size, config.seed) for part in subsamples(n)}
    for name, scale in zip(SCALES, tree, strict=True):
        labels = in_scale(scale, fine).astype(np.int64)
        count = np.unique(labels).size
        told[f"**{name}**"] = judge(labels, true_class, rare, weighted(held, labels))
        if name != "fine":
            again = fcluster(merges, count, "maxclust")[fine].astype(np.int64) - 1
            told[f"{name}, joined by embeddings"] = judge(again, true_class, rare, float("nan"))
        for where, points in (("embedding", embeddings), ("map", positions)):

            def means(part: Labels, points: Floats = points, count: int = count) -> Labels:
                found: Labels = KMeans(count, n_init=2, random_state=config.seed).fit_predict(points[part])
                return found.astype(np.int64)

            labels = means(np.arange(n))
            told[f"{name}, k-means of the {where}"] = judge(labels, true_class, rare, steady(means, labels))
        if layers:

            def layer(part: Labels, count: int = count) -> Labels:
                return of_count(layers_of[part.tobytes()], count)

            def whole(part: Labels, count: int = count) -> Labels:
                return with_nearest(embeddings[part], of_count(layers_of[part.tobytes()], count))

            labels = of_count(layers, count)
            every = with_nearest(embeddings, labels)
            told[f"{name}, EVōC"] = judge(every, true_class, rare, steady(whole, every))
            told[f"{name}, EVōC, noise left out"] = judge(labels, true_class, rare, steady(layer, labels))
    told["HDBSCAN of the map, noise left out"] = judge(found.astype(np.int64), true_class, rare, float("nan"))
    return told


def measure(seeds: int, galaxies: int, first: int = 1) -> dict[str, list[list[float]]]:
    """For each way to cluster and each seed, from the first on, the measures."""
    found: dict[str, list[list[float]]] = {}
    config = BuildConfig()
    for seed in range(first, first + seeds):
        survey = describe_galaxies(seed, galaxies)
        embeddings = Descriptor.fit(survey.features).embed(survey.features).astype(np.float32)
        positions = lay_out(embeddings, config)
        for name, told in cluster(
            embeddings, positions, survey.parameters["true_class"].astype(np.int64), config
        ).items():
            found.setdefault(name, []).append(told)
    return found


def as_text(found: dict[str, list[list[float]]], galaxies: int) -> str:
    """The measures as a Markdown table."""
    seeds = len(next(iter(found.values())))
    lines = [
        f"{seeds} seeds of {galaxies:,} rendered galaxies: mean over seeds (lowest to highest)",
        "",
        f"| | {' | '.join(MEASURES)} |",
        f"| --- |{' --- |' * len(MEASURES)}",
    ]
    for name, rows in found.items():
        values = np.array(rows).T
        told = [f"{values[0].mean():.0f}", *(_with_spread(v) for v in values[1:])]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)


def _with_spread(values: NDArray[np.float64]) -> str:
    if np.isnan(values).any():
        return ""
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first (1)")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    parser.add_argument("--json", type=Path, help="write the measures of every seed as JSON")
    arguments = parser.parse_args()
    if EVoC is None:
        print("EVōC is left out, since it is not installed: pip install evoc\n")
    begun = time.perf_counter()
    found = measure(arguments.seeds, arguments.galaxies, arguments.first_seed)
    print(as_text(found, arguments.galaxies))
    print(f"\n{time.perf_counter() - begun:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
