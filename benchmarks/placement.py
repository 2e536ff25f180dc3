"""Placing rows that UMAP did not see: `python -m benchmarks.placement [--anchors N] [--held-out N]`.

UMAP lays out the anchors, uniform rows of a simulated survey of 128 numbers a galaxy. Other rows of it are then placed
twice: by `umap.transform`, and as `precompute.stages.place` does, at the weighted geometric median of their nearest
anchors. Both start from the same layout and may use all cores. What is said of each:

- seconds a row, warm; and what comes before the first row: compiling, or indexing the anchors;
- trustworthiness (Venna & Kaski 2001, ICANN) of the placed rows among themselves;
- neighbours kept: the share of a row's 15 nearest anchors that are its 15 nearest on the map too;
- strays: rows with fewer than half of those anchors nearby, as the stage `place` counts nearby.

The measures favour placing among neighbours: read them as "not worse".
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atlas.search.exact import top_k_exact_many
from atlas.search.open_index import open_index
from precompute.config import BuildConfig
from precompute.parallel import run_chunks, thread_count
from precompute.simulation.catalog_galaxies import BLOCK_ROWS, Survey
from precompute.stages.index.stage import build_index, choose_engine
from precompute.stages.map_neighbourhood import surroundings_radius
from precompute.stages.measure import map_trustworthiness
from precompute.stages.place import (
    CHUNK_ROWS,
    NEARBY_SHARE,
    anchor_weights,
    geometric_median,
    is_stray,
    nearest_anchors,
)
from precompute.stages.umap import normalise_map

DIMENSION = 128
NEIGHBORS = 15
WARMING_ROWS = 100
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Placed:
    """Places that a method gave the rows, and what that took.

    Attributes
    ----------
    method : str
    anchors : ndarray of shape (m, 2), float32
        The layout, in the units of this method.
    positions : ndarray of shape (q, 2), float32
    before_s : float
        Before the first row.
    seconds : float
        Of all rows.
    """

    method: str
    anchors: NDArray[np.float32]
    positions: NDArray[np.float32]
    before_s: float
    seconds: float


def draw(n: int) -> NDArray[np.float16]:
    """The first n embeddings of a simulated survey; its rows are in no order."""
    survey = Survey.draw(1, DIMENSION)
    return np.concatenate([survey.draw_block(block)[1] for block in range(-(-n // BLOCK_ROWS))])[:n]


def place_ours(
    anchors: NDArray[np.float16], layout: NDArray[np.float32], rows: NDArray[np.float16], config: BuildConfig
) -> Placed:
    """As the stage `place` does, without its files.

    Parameters
    ----------
    anchors : ndarray of shape (m, d), float16
    layout : ndarray of shape (m, 2), float32
        UMAP's, in its own units.
    rows : ndarray of shape (q, d), float16
    config : BuildConfig
    """
    begun = time.perf_counter()
    positions = normalise_map(layout)
    with tempfile.TemporaryDirectory() as folder:
        build_index(anchors, Path(folder), engine=choose_engine(config.engine, len(anchors)), config=config)
        index = open_index(Path(folder), anchors)
    indexed = time.perf_counter()
    placed = np.empty((len(rows), 2), dtype=np.float32)

    def work(part: slice) -> None:
        found, similarity = nearest_anchors(index, anchors, rows[part], min(config.place_neighbors, len(anchors)))
        placed[part] = geometric_median(positions[found], anchor_weights(similarity))

    for _ in run_chunks(work, len(rows), CHUNK_ROWS, thread_count(config.threads)):
        pass
    return Placed("ours", positions, placed, indexed - begun, time.perf_counter() - indexed)


def place_by_umap(reducer: Any, rows: NDArray[np.float16]) -> Placed:
    """By the transform of a fitted `umap.UMAP`."""
    wide = rows.astype(np.float32)
    begun = time.perf_counter()
    reducer.transform(wide[:WARMING_ROWS])
    compiled = time.perf_counter()
    placed = np.asarray(reducer.transform(wide), dtype=np.float32)
    return Placed("umap.transform", reducer.embedding_, placed, compiled - begun, time.perf_counter() - compiled)


def fit_umap(anchors: NDArray[np.float16], config: BuildConfig) -> Any:
    """UMAP's layout of the anchors, able to transform others: it finds its own neighbours, and is not seeded.

    A seed would keep it to one thread.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        import umap

    return umap.UMAP(n_neighbors=config.n_neighbors, min_dist=config.min_dist, metric="cosine", init="pca").fit(
        anchors.astype(np.float32)
    )


def judge(anchors: NDArray[np.float16], rows: NDArray[np.float16], placed: Placed) -> dict[str, Any]:
    """Judge what a method achieved, in numbers that do not depend on the units of its map."""
    wide = rows.astype(np.float32)
    k = min(NEIGHBORS, len(anchors))
    nearest, _ = top_k_exact_many(anchors, wide, k)
    tree = cKDTree(placed.anchors)
    on_map = tree.query(placed.positions, k=np.arange(1, k + 1))[1]
    radius = surroundings_radius(tree, placed.anchors[nearest[:, 0]], NEARBY_SHARE)
    stray = is_stray(placed.anchors[nearest], np.ones(nearest.shape, dtype=np.float32), placed.positions, radius)
    return {
        "method": placed.method,
        "before_s": round(placed.before_s, 2),
        "seconds_a_row": float(f"{placed.seconds / len(rows):.3g}"),
        "trustworthiness": round(map_trustworthiness(wide, placed.positions, NEIGHBORS), 4),
        "neighbors_kept": round(kept_share(nearest, on_map), 4),
        "strays": round(float(stray.mean()), 5),
    }


def kept_share(nearest: NDArray[np.integer[Any]], on_map: NDArray[np.integer[Any]]) -> float:
    """Mean share of each line of the first (q, k) that the same line of the second holds."""
    return float((nearest[:, :, None] == on_map[:, None, :]).any(axis=2).mean())


def measure(n_anchors: int, n_held_out: int) -> dict[str, Any]:
    """Lay out anchors, place other rows by both methods, judge them."""
    config = BuildConfig()
    embeddings = draw(n_anchors + n_held_out)
    anchors, rows = embeddings[:n_anchors], embeddings[n_anchors:]
    begun = time.perf_counter()
    reducer = fit_umap(anchors, config)
    fitted_s = time.perf_counter() - begun
    methods = (place_ours(anchors, reducer.embedding_, rows, config), place_by_umap(reducer, rows))
    return {
        "anchors": n_anchors,
        "held_out": n_held_out,
        "umap_fit_s": round(fitted_s, 1),
        "methods": [judge(anchors, rows, placed) for placed in methods],
        "machine_load": round(os.getloadavg()[0], 1),
    }


def to_markdown(about: dict[str, Any], run: dict[str, Any]) -> str:
    """The results for a person."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# Placing rows that UMAP did not see",
        "",
        f"`{about['command']}`, {about['date']}: {about['machine']}, load of the machine {run['machine_load']};",
        f"{versions}. {run['held_out']:,} rows placed among {run['anchors']:,} anchors, which UMAP laid out in "
        f"{run['umap_fit_s']:g} s.",
        "",
        "| method | before the first row, s | a row, µs | trustworthiness | 15 neighbours kept | strays |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {m['method']} | {m['before_s']:.1f} | {m['seconds_a_row'] * 1e6:.0f} | {m['trustworthiness']:.3f} "
        f"| {m['neighbors_kept']:.3f} | {m['strays']:.2%} |"
        for m in run["methods"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anchors", type=int, default=50_000, help="rows that UMAP lays out")
    parser.add_argument("--held-out", type=int, default=5_000, help="rows that are placed")
    parser.add_argument("--out", type=Path, default=RESULTS / "placement", help="the results, without .json and .md")
    args = parser.parse_args()
    run = measure(args.anchors, args.held_out)
    about = {
        "command": f"python -m benchmarks.placement --anchors {args.anchors} --held-out {args.held_out}",
        "machine": f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {p: metadata.version(p) for p in ("numpy", "umap-learn", "scann", "scikit-learn")},
    }
    args.out.with_suffix(".json").write_text(json.dumps({"about": about, "run": run}, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(to_markdown(about, run))
    print(to_markdown(about, run))


if __name__ == "__main__":
    main()
