"""Filtered search on an atlas that is there: `python -m benchmarks.filtered ATLAS`. Prints a table.

Galaxies like one, among a random share of all, and among those of one side of the map, where what is asked for lies on
the other: a line each, the share of the true hundred best that is found beside the exact answer, the
time of a search (the mask is there already), and by which way the planner went.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas import Atlas, Mask, Query, Similar
from atlas.queries import planner

SHARES = (0.001, 0.01, 0.1, 0.5)
SIDES = (0.25, 0.5, 0.75)
K = 100


class Line(NamedTuple):
    """Measurement in one selection."""

    name: str
    rows: int
    recall: float
    worst: float
    median_ms: float
    slowest_ms: float
    ways: str


def random_share(atlas: Atlas, share: float, seed: int = 0) -> NDArray[np.bool_]:
    """Rows drawn at random."""
    return np.random.default_rng(seed).random(atlas.n_rows) < share


def side_of_the_map(atlas: Atlas, share: float) -> NDArray[np.bool_]:
    """The rows that lie left of the others on the map."""
    x = np.asarray(atlas.columns(atlas.default_space).array("map_x"))
    return np.asarray(x < np.nanquantile(x, share))


def measure(atlas: Atlas, name: str, selected: NDArray[np.bool_], among: NDArray[np.bool_], queries: int) -> Line:
    """Search among the selected for what is like some galaxies, drawn at random among others.

    Parameters
    ----------
    atlas : Atlas
    name : str
        Of the line.
    selected, among : ndarray of shape (n,), bool
        What may be found, and what is asked for.
    queries : int
    """
    mask = Mask.from_dense(selected)
    found, took, ways = [], [], Counter[str]()
    for row in np.random.default_rng(0).choice(np.flatnonzero(among), queries, replace=False).tolist():
        query = Query(space=atlas.default_space, ranking=Similar((row,)), limit=K)
        began = time.perf_counter()
        result = planner.run(atlas, query, mask)
        took.append(1e3 * (time.perf_counter() - began))
        true = planner.run(atlas, Query(space=query.space, ranking=query.ranking, limit=K, exact=True), mask)
        found.append(np.isin(result.rows, true.rows).sum() / max(1, true.rows.size))
        ways[result.method] += 1
    by_way = ", ".join(f"{way} {n}" for way, n in ways.most_common())
    median, slowest = float(np.median(took)), max(took)
    return Line(name, mask.count, float(np.mean(found)), min(found), median, slowest, by_way)


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
    everything = np.ones(atlas.n_rows, bool)
    random = [(f"{100 * share:g} %", random_share(atlas, share), everything) for share in SHARES]
    sides = [(f"{100 * share:g} %, beside", side, ~side) for share in SIDES for side in [side_of_the_map(atlas, share)]]
    for name, selected, among in [*random, *sides]:
        one = measure(atlas, name, selected, among, arguments.queries)
        print(f"| {name} | {one.rows:,} | {one.recall:.4f} | {one.worst:.2f} | {one.median_ms:.1f} | "
              f"{one.slowest_ms:.1f} | {one.ways} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
