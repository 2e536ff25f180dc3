"""Cost of an order by several detectors: `python -m benchmarks.mixtures [ROWS]`, CPU time of the first hundred.

Columns of percentiles at random, on disk as an atlas has them: the pass over them is measured, not what they say.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np

from atlas.catalog.anomalies import PERCENTILES
from atlas.catalog.columns import QUANTILES, Columns
from atlas.catalog.mixtures import MixedBy, MixedColumn
from atlas.catalog.sort_order import Orders
from atlas.mask import Mask
from atlas.queries.by_value import top_of_mixture
from atlas.storage.manifest import Column

ROWS = 10_000_000
REPEATS = 5
FIRST = 100


def written(folder: Path, n_rows: int) -> Columns:
    """Columns of percentiles, of which one row in a hundred knows nothing."""
    rng = np.random.default_rng(1)
    for name in PERCENTILES:
        values = rng.uniform(0, 100, n_rows).astype(np.float32)
        values[::100] = np.nan
        np.save(folder / f"{name}.npy", values)
    spread = tuple(100 * float(q) for q in QUANTILES)
    described = (
        Column(name=name, file=f"{name}.npy", dtype="float32", kind="number", quantiles=spread) for name in PERCENTILES
    )
    return Columns(folder, tuple(described), n_rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        columns = written(Path(folder), n_rows)
        half = Mask.from_dense(np.random.default_rng(2).random(n_rows) < 0.5)
        print(f"{n_rows:,} rows: CPU (and wall) seconds, the least of {REPEATS}\n")
        print("| mixture | all rows | half of them selected |\n| --- | --- | --- |")
        for detectors in (PERCENTILES[1:3], PERCENTILES):
            for by in get_args(MixedBy):
                mixed = MixedColumn(columns, detectors, by)
                told = [_least(mixed, mask) for mask in (None, half)]
                print(f"| {len(detectors)} by the {by} | {' | '.join(told)} |")
        cpu, wall = time.process_time(), time.perf_counter()
        Orders(columns, "a" * 12, n_rows, Path(folder) / "scratch").page(mixed, True, None, 0, FIRST)
        print(f"\na table sorted by the last, once: {time.process_time() - cpu:.2f} ({time.perf_counter() - wall:.2f})")


def _least(mixed: MixedColumn, mask: Mask | None) -> str:
    found = []
    for _ in range(REPEATS):
        cpu, wall = time.process_time(), time.perf_counter()
        top_of_mixture(mixed, FIRST, mask)
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return f"{min(cpu for cpu, _ in found):.2f} ({min(wall for _, wall in found):.2f})"


if __name__ == "__main__":
    main()
