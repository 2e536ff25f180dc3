"""Whether a rare class shows on the map: `python -m benchmarks.rare [--galaxies N] [--anchors N] [--seeds N]`.

Of a simulated survey one galaxy in ten thousand is a lens. Lenses are a class, not outliers: each is as near to its
neighbours as any galaxy is, and those are lenses. The anchors of the map are chosen twice, as the stage `subsample`
does and uniformly; UMAP lays them out, and other rows are placed among them as the stage `place` does. Neighbour
distances are drawn at random: nothing but its group may help a lens.

What is said of each map: how many anchors are lenses; and the share of lenses in the surroundings of a lens, by which
a disc about it is meant that reaches its ten nearest fellows. 1 is an island, 0.0001 is what shuffling gives. All
lenses are placed, and a sample of the others, each of which stands for many.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atlas.search.exact import top_k_exact_many
from benchmarks.placement import place_ours
from precompute.config import BuildConfig
from precompute.parallel import thread_count
from precompute.simulation.catalog_galaxies import BLOCK_ROWS, CLASS_NAMES, Survey
from precompute.stages.subsample import flattened_rows
from precompute.stages.umap import umap_layout

DIMENSION = 128
RARE = "lens"
FELLOWS = 10
PLACED_ROWS = 100_000
RESULTS = Path(__file__).parent / "results"


def draw(n: int, seed: int, dimension: int = DIMENSION) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """The first n embeddings of a simulated survey, and which of them are of the rare class."""
    survey = Survey.draw(seed, dimension)
    embeddings = np.empty((n, dimension), dtype=np.float16)
    is_rare = np.empty(n, dtype=np.bool_)
    for start in range(0, n, BLOCK_ROWS):
        columns, rows = survey.draw_block(start // BLOCK_ROWS)
        part = slice(start, min(n, start + BLOCK_ROWS))
        embeddings[part] = rows[: part.stop - start]
        is_rare[part] = columns["true_class"][: part.stop - start] == CLASS_NAMES.index(RARE)
    return embeddings, is_rare


def choose(method: str, embeddings: NDArray[np.float16], config: BuildConfig) -> NDArray[np.int64]:
    """Anchors, ascending: "ours" as the stage chooses them, or "uniform"."""
    rng = np.random.default_rng(config.seed)
    if method == "uniform":
        return np.sort(rng.choice(len(embeddings), config.subsample, replace=False))
    distance = rng.random(len(embeddings), dtype=np.float32)
    threads = thread_count(config.threads)
    return flattened_rows(embeddings, distance, config.subsample, config.n_neighbors + 1, rng, threads=threads)


def lay_out(
    embeddings: NDArray[np.float16], rows: NDArray[np.int64], placed: NDArray[np.int64], config: BuildConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions of the anchors `rows`, as UMAP lays them out, and of the rows `placed` among them."""
    anchors = embeddings[rows].astype(np.float32)
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    nearest, similarity = top_k_exact_many(anchors, anchors, config.n_neighbors)
    layout = umap_layout(
        anchors,
        n_neighbors=config.n_neighbors,
        min_dist=config.min_dist,
        n_epochs=config.n_epochs,
        seed=config.seed,
        neighbors=(nearest.astype(np.int32), np.maximum(1 - similarity, 0)),
    )
    result = place_ours(embeddings[rows], layout, embeddings[placed], config)
    return result.anchors, result.positions


def share_around(
    positions: NDArray[np.float32], is_rare: NDArray[np.bool_], weight: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Share of the rare class among the rows about each of its members, as far as its ten nearest fellows.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32
    is_rare : ndarray of shape (m,), bool
    weight : ndarray of shape (m,)
        Rows that each row stands for; 1 for members.

    Returns
    -------
    ndarray of shape (members,), float64
    """
    members, others = positions[is_rare], positions[~is_rare]
    fellows = min(FELLOWS, len(members) - 1)
    radius = cKDTree(members).query(members, k=[fellows + 1])[0][:, 0]
    near = cKDTree(others).query_ball_point(members, radius)
    weight_of_others = weight[~is_rare]
    return np.array([fellows / (fellows + weight_of_others[rows].sum()) for rows in near])


def measure(
    embeddings: NDArray[np.float16], is_rare: NDArray[np.bool_], config: BuildConfig, placed_rows: int = PLACED_ROWS
) -> list[dict[str, Any]]:
    """Measure what both ways to choose anchors make of the rare class."""
    results = []
    for method in ("ours", "uniform"):
        rows = choose(method, embeddings, config)
        others = np.ones(len(embeddings), dtype=np.bool_)
        others[rows] = False
        members = np.flatnonzero(others & is_rare)
        common = np.flatnonzero(others & ~is_rare)
        sample = np.random.default_rng(config.seed).choice(common, min(placed_rows, common.size), replace=False)
        placed = np.concatenate([members, sample])
        positions = np.concatenate(lay_out(embeddings, rows, placed, config))
        weight = np.ones(len(positions))
        weight[len(positions) - sample.size :] = common.size / sample.size
        share = share_around(positions, is_rare[np.concatenate([rows, placed])], weight)
        results.append(
            {
                "method": method,
                "members": int(is_rare.sum()),
                "anchors": int(is_rare[rows].sum()),
                "share": round(float(share.mean()), 4),
                "least_share": round(float(share.min()), 4),
            }
        )
    return results


def to_markdown(about: dict[str, Any], runs: list[list[dict[str, Any]]]) -> str:
    """The results for a person."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# A rare class on the map",
        "",
        f"`{about['command']}`, {about['date']}: {about['machine']}; {versions}.",
        f"{about['galaxies']:,} simulated galaxies, one in ten thousand a lens; {about['anchors']:,} anchors.",
        "",
        "| seed | lenses | anchors among them: ours | uniform | lenses about a lens: ours, mean (least) | uniform |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {seed} | {ours['members']} | {ours['anchors']} | {uniform['anchors']} "
        f"| {ours['share']:.3f} ({ours['least_share']:.3f}) | {uniform['share']:.3f} ({uniform['least_share']:.3f}) |"
        for seed, (ours, uniform) in enumerate(runs, start=1)
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--galaxies", type=int, default=1_000_000, help="rows of a survey")
    parser.add_argument("--anchors", type=int, default=BuildConfig().subsample, help="rows that UMAP lays out")
    parser.add_argument("--n-epochs", type=int, default=0, help="of UMAP; 0 leaves the choice to it")
    parser.add_argument("--seeds", type=int, default=5, help="surveys")
    parser.add_argument("--out", type=Path, default=RESULTS / "rare", help="the results, without .json and .md")
    args = parser.parse_args()
    runs = []
    for seed in range(1, args.seeds + 1):
        config = BuildConfig(seed=seed, subsample=args.anchors, n_epochs=args.n_epochs)
        runs.append(measure(*draw(args.galaxies, seed), config))
        print(f"seed {seed}: {runs[-1]}", flush=True)
    about = {
        "command": f"python -m benchmarks.rare --galaxies {args.galaxies} --anchors {args.anchors} "
        f"--n-epochs {args.n_epochs} --seeds {args.seeds}",
        "galaxies": args.galaxies,
        "anchors": args.anchors,
        "machine": f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {p: metadata.version(p) for p in ("numpy", "umap-learn", "scann")},
    }
    args.out.with_suffix(".json").write_text(json.dumps({"about": about, "runs": runs}, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(to_markdown(about, runs))
    print(to_markdown(about, runs))


if __name__ == "__main__":
    main()
