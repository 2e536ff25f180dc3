"""Filtered search on an atlas that is there: `python -m benchmarks.filtered ATLAS`. Prints a table.

Galaxies like one, among a random share of all: a line a share, the share of the true hundred best that is found, the
time of a search (the mask is there already), and by which way the planner went.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atlas import Atlas, Mask, Query, Similar
from atlas.queries import planner

SHARES = (0.001, 0.01, 0.1, 0.5)
K = 100


class Line(NamedTuple):
    """Measurement at a share of rows that pass."""

    share: float
    rows: int
    recall: float
    worst: float
    median_ms: float
    slowest_ms: float
    ways: str


def measure(atlas: Atlas, share: float, queries: int, seed: int = 0) -> Line:
    """Search for what is like some galaxies, drawn at random, among a random share of all."""
    rng = np.random.default_rng(seed)
    mask = Mask.from_dense(rng.random(atlas.n_rows) < share)
    found, took, ways = [], [], Counter[str]()
    for row in rng.choice(atlas.n_rows, queries, replace=False).tolist():
        query = Query(space=atlas.default_space, ranking=Similar((row,)), limit=K)
        began = time.perf_counter()
        result = planner.run(atlas, query, mask)
        took.append(1e3 * (time.perf_counter() - began))
        true = planner.run(atlas, Query(space=query.space, ranking=query.ranking, limit=K, exact=True), mask)
        found.append(np.isin(result.rows, true.rows).sum() / max(1, true.rows.size))
        ways[result.method] += 1
    told = ", ".join(f"{way} {n}" for way, n in ways.most_common())
    return Line(share, mask.count, float(np.mean(found)), min(found), float(np.median(took)), max(took), told)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--queries", type=int, default=100)
    arguments = parser.parse_args()
    atlas = Atlas.open(arguments.atlas)
    atlas.similar(rows=0, k=1)  # reads the index
    print("| pass | rows | recall@100 | worst | median ms | slowest ms | how |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for share in SHARES:
        one = measure(atlas, share, arguments.queries)
        print(f"| {100 * share:g} % | {one.rows:,} | {one.recall:.4f} | {one.worst:.2f} | {one.median_ms:.1f} | "
              f"{one.slowest_ms:.1f} | {one.ways} |")  # fmt: skip


if __name__ == "__main__":
    main()
