"""How fast an atlas answers: `python -m benchmarks.views ATLAS`. Prints a table; `--json` keeps it.

Each line stands beside what a plain numpy pass over all rows takes in the same run, on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from atlas import Atlas, Query, Similar
from atlas.plane import Box
from atlas.selection import MapPolygon, Range

REPEATS = 60
BUDGET = 20_000


def measure(work: Callable[[int], Any], repeats: int = REPEATS) -> dict[str, float]:
    """Median and 99th percentile of the milliseconds that a call takes; the first is not counted."""
    work(0)
    taken = []
    for i in range(repeats):
        begun = time.perf_counter()
        work(i)
        taken.append((time.perf_counter() - begun) * 1e3)
    return {"p50_ms": round(float(np.median(taken)), 3), "p99_ms": round(float(np.quantile(taken, 0.99)), 3)}


def run(atlas: Atlas) -> list[dict[str, Any]]:
    """One line a kind of question."""
    space = atlas.space()
    plane = space.plane
    x, y = (np.asarray(space.columns.array(name)) for name in ("map_x", "map_y"))
    rng = np.random.default_rng(0)
    frame = plane.frame
    boxes = []
    for i in range(REPEATS):
        half = frame.width / 2 ** (1 + i % 6)
        row = rng.integers(atlas.n_rows)
        boxes.append(Box(float(x[row]) - half, float(x[row]) + half, float(y[row]) - half, float(y[row]) + half))
    cx, cy = float(np.median(x)), float(np.median(y))
    radius = float(np.quantile(np.hypot(x - cx, y - cy), 0.1))
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    lasso = MapPolygon("v1", tuple((cx + radius * np.cos(a), cy + radius * np.sin(a)) for a in angles))
    polygon = shapely.Polygon(lasso.vertices)
    number = next(c for c in atlas.columns() if c.dtype == "float32" and c.quantiles)
    filtered = Range(number.name, number.quantiles[3], number.quantiles[5])
    queries = [Query(space="v1", ranking=Similar((int(r),)), limit=100) for r in rng.integers(0, atlas.n_rows, REPEATS)]
    touched = max(plane.viewport(box, BUDGET).touched for box in boxes)

    def scan_box(i: int) -> Any:
        b = boxes[i]
        return np.flatnonzero((x >= b.x0) & (x <= b.x1) & (y >= b.y0) & (y <= b.y1))

    def scan_rows(i: int) -> Any:
        return np.asarray(space.embeddings[queries[i].ranking.wanted[0]], dtype=np.float32)  # type: ignore[union-attr]

    values = np.asarray(atlas.columns().array(number.name))
    few = 8
    return [
        {"what": "viewport, 20,000 points", **measure(lambda i: plane.viewport(boxes[i], BUDGET)),
         "numpy_p50_ms": measure(scan_box, few)["p50_ms"], "rows_touched": touched},
        {"what": "exact count in view", **measure(lambda i: plane.count(boxes[i])),
         "numpy_p50_ms": measure(lambda i: scan_box(i).size, few)["p50_ms"]},
        {"what": "density 480 × 480", **measure(lambda i: plane.density(boxes[i], 480, 480), few * 2),
         "numpy_p50_ms": measure(lambda i: np.histogram2d(x, y, 480), 2)["p50_ms"]},
        {"what": "lasso with 10 % of all rows", **measure(lambda i: atlas.mask(lasso), few),
         "numpy_p50_ms": measure(lambda i: shapely.contains_xy(polygon, x, y), 2)["p50_ms"]},
        {"what": f"filter on {number.name}", **measure(lambda i: atlas.mask(filtered), few),
         "numpy_p50_ms": measure(lambda i: (values >= filtered.low) & (values <= filtered.high), few)["p50_ms"]},
        {"what": "100 most similar", **measure(lambda i: atlas.run(queries[i])),
         "numpy_p50_ms": measure(lambda i: space.embeddings @ scan_rows(i), 2)["p50_ms"]},
    ]  # fmt: skip


def main() -> None:
    """Measure one atlas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    atlas = Atlas.open(args.atlas)
    lines = run(atlas)
    print(f"{atlas.n_rows:,} galaxies, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| what | p50 ms | p99 ms | numpy over all rows, ms | rows touched |\n| --- | --- | --- | --- | --- |")
    for line in lines:
        print(f"| {line['what']} | {line['p50_ms']} | {line['p99_ms']} | {line['numpy_p50_ms']} | "
              f"{line.get('rows_touched', '')} |")  # fmt: skip
    if args.json:
        about = {"galaxies": atlas.n_rows, "machine": platform.processor() or platform.machine(),
                 "cores": os.cpu_count(), "load": os.getloadavg(),
                 "date": datetime.now(UTC).isoformat(timespec="minutes"),
                 "versions": {p: metadata.version(p) for p in ("numpy", "scann", "shapely", "numkong")}}  # fmt: skip
        args.json.write_text(json.dumps({"about": about, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
