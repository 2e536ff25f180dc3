"""Speed of views as a survey grows: `python -m benchmarks.planes [--whole]`, JSON and Markdown in results/.

Planes and columns of 100,000, a million and ten million simulated galaxies (with `--whole` also of 42.3 million, the
size of the reference survey), asked the same questions in one run. Beside each answer stands what a plain numpy pass
over all rows takes, and duckdb. Every timing is of warm files; the first call is left out, or a line of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from atlas import Atlas, Cone, MapPolygon, Mask, Range
from atlas.catalog.sort_order import Orders
from atlas.planes.plane import Box
from atlas.queries.column_lasso import column_lasso
from atlas.sky.projection import Projection
from atlas.sky.sky_regions import separation_deg
from benchmarks.bare_atlas import bare_atlas
from precompute.simulation.catalog_galaxies import BLOCK_ROWS, Survey

SIZES = (100_000, 1_000_000, 10_000_000)
WHOLE = 42_272_646
PEERS_UP_TO = 10_000_000  # beyond, duckdb's own copy of the columns leaves too little room for the page cache
DRAWN_BLOCKS = 62
DIMENSION = 16
REPEATS = 200
FEW = 10
BUDGET = 20_000
RASTER = 480
NUMBERS = ("mag_g", "mag_r", "mag_z", "z_phot", "ebv")
RESULTS = Path(__file__).parent / "results"


def _duckdb_p50_ms(connection: Any, query: Callable[[int], str]) -> float:
    return float(timed(lambda i: connection.execute(query(i)).fetchnumpy(), 5)["p50_ms"])


def draw_columns(n: int) -> dict[str, NDArray[Any]]:
    """Columns of a simulated survey; rows beyond the first million are those again, each moved a little.

    The map is a projection of the embeddings along two directions.
    """
    survey = Survey.draw(1, DIMENSION)
    blocks = [survey.draw_block(i) for i in range(min(DRAWN_BLOCKS, -(-n // BLOCK_ROWS)))]
    columns = {name: np.concatenate([c[name] for c, _ in blocks]) for name in ("ra", "dec", *NUMBERS)}
    places = np.concatenate([e for _, e in blocks]).astype(np.float32)[:, :2] * 20
    columns |= {"map_x": places[:, 0], "map_y": places[:, 1]}
    drawn = places.shape[0]
    rng = np.random.default_rng(2)
    moves = {"ra": 0.2, "dec": 0.2, "map_x": 0.1, "map_y": 0.1}
    for name, values in columns.items():
        longer = np.resize(values, n)
        longer[drawn:] += (moves.get(name, 0.02) * rng.standard_normal(max(0, n - drawn), np.float32)).astype(
            values.dtype
        )
        columns[name] = longer
    columns["ra"] %= 360
    np.clip(columns["dec"], -90, 90, out=columns["dec"])
    return columns


@dataclass
class Line:
    """One question: how the atlas answers it, and how its peers do."""

    what: str
    ours: Callable[[int], Any]
    numpy: Callable[[int], Any] | None = None
    duckdb: Callable[[int], str] | None = None
    repeats: int = FEW
    target_ms: dict[int, float] | None = None


def timed(work: Callable[[int], Any], repeats: int, warm: bool = True) -> dict[str, float]:
    """Median and 99th percentile of the milliseconds that a call takes."""
    if warm:
        work(0)
    taken = []
    for i in range(repeats):
        begun = time.perf_counter()
        work(i)
        taken.append((time.perf_counter() - begun) * 1e3)
    return {"p50_ms": round(float(np.median(taken)), 3), "p99_ms": round(float(np.quantile(taken, 0.99)), 3)}


def peak_mb(work: Callable[[int], Any]) -> float:
    """Memory that one call takes at most, in megabytes; mapped files are not counted."""
    tracemalloc.start()
    try:
        work(0)
        return round(tracemalloc.get_traced_memory()[1] / 1e6, 1)
    finally:
        tracemalloc.stop()


def boxes_about(whole: Box, x: NDArray[Any], y: NDArray[Any]) -> list[Box]:
    """All of a plane, then views about points of it: half as wide, a quarter, down to one in 256, and again."""
    halves = whole.width / 2.0 ** (1 + np.arange(len(x)) % 8)
    boxes = [Box(float(a - h), float(a + h), float(b - h), float(b + h)) for a, b, h in zip(x, y, halves, strict=True)]
    return [whole, *boxes[1:]]


def lasso_of_a_tenth(x: NDArray[Any], y: NDArray[Any]) -> tuple[tuple[float, float], ...]:
    """Sixty corners about the median that hold a tenth of the points."""
    few = slice(None, None, max(1, len(x) // 1_000_000))
    (cx, cy), (sx, sy) = ((float(f(v[few])) for v in (x, y)) for f in (np.nanmedian, np.nanstd))
    radius = float(np.nanquantile(np.hypot((x[few] - cx) / sx, (y[few] - cy) / sy), 0.1))
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return tuple((cx + sx * radius * float(np.cos(a)), cy + sy * radius * float(np.sin(a))) for a in angles)


class Questions:
    """Questions that one survey is asked."""

    def __init__(self, atlas: Atlas, scratch: Path) -> None:
        self.atlas, self.n = atlas, atlas.n_rows
        self.plane, self.sky = atlas.space().plane, atlas.sky
        columns = atlas.columns("v1")
        self.column = {name: columns.array(name) for name in ("ra", "dec", "map_x", "map_y", *NUMBERS)}
        self.x, self.y = self.column["map_x"], self.column["map_y"]
        self.orders = Orders(atlas.columns(atlas.default_space), atlas.build_id, atlas.n_rows, scratch)
        self.scratch = scratch
        rng = np.random.default_rng(3)
        rows = rng.integers(self.n, size=REPEATS)
        self.boxes = boxes_about(self.plane.frame, self.x[rows], self.y[rows])
        self.centers = [(float(self.column["ra"][r]) % 360, float(self.column["dec"][r])) for r in rows]
        self.lasso = lasso_of_a_tenth(self.x, self.y)
        few = slice(None, None, max(1, self.n // 1_000_000))
        self.ranges = [
            Range(name, *(float(q) for q in np.quantile(self.column[name][few], (0.1, 0.8)))) for name in NUMBERS[:3]
        ]
        self.masks = [Mask.from_dense(rng.random(self.n) < 0.1) for _ in range(2)]
        axes = atlas.column_axes("mag_r", "z_phot")
        placed = axes.x.coordinates(self.column["mag_r"]), axes.y.coordinates(self.column["z_phot"])
        self.column_lasso = column_lasso(axes, "mag_r", "z_phot", lasso_of_a_tenth(*placed))

    def _in_box(self, i: int) -> NDArray[np.bool_]:
        b = self.boxes[i]
        return (self.x >= b.x0) & (self.x <= b.x1) & (self.y >= b.y0) & (self.y <= b.y1)

    def _histogram(self, i: int, weights: NDArray[Any] | None = None) -> NDArray[Any]:
        b = self.boxes[i]
        inside = self._in_box(i)
        column = ((self.x[inside] - b.x0) * (RASTER / b.width)).astype(np.intp).clip(0, RASTER - 1)
        row = ((self.y[inside] - b.y0) * (RASTER / b.height)).astype(np.intp).clip(0, RASTER - 1)
        return np.bincount(row * RASTER + column, None if weights is None else weights[inside], RASTER**2)

    def _scan_lasso(self) -> NDArray[np.bool_]:
        polygon = shapely.Polygon(self.lasso)
        shapely.prepare(polygon)
        x0, y0, x1, y1 = polygon.bounds
        inside: NDArray[np.bool_] = (self.x >= x0) & (self.x <= x1) & (self.y >= y0) & (self.y <= y1)
        near = np.flatnonzero(inside)
        inside[near] = shapely.contains_xy(polygon, self.x[near], self.y[near])
        return inside

    def _where(self, i: int) -> str:
        b = self.boxes[i]
        return f"map_x BETWEEN {b.x0} AND {b.x1} AND map_y BETWEEN {b.y0} AND {b.y1}"

    def _pixel(self, i: int) -> str:
        b = self.boxes[i]
        return (
            f"floor((map_y - {b.y0}) * {RASTER / b.height})::INT * {RASTER} + "
            f"floor((map_x - {b.x0}) * {RASTER / b.width})::INT"
        )

    def lines(self) -> list[Line]:
        """All questions, those that others build on first."""
        n, atlas, plane, sky, column = self.n, self.atlas, self.plane, self.sky, self.column
        wide = Projection("ait", 180.0, 0.0), Box(-180.0, 180.0, -90.0, 90.0), 2 * RASTER, RASTER
        three = self.ranges[0] & self.ranges[1] & self.ranges[2]
        between = " AND ".join(f"{r.column} BETWEEN {r.low} AND {r.high}" for r in self.ranges)
        everything: list[Line] = [
            Line(
                "viewport, 20,000 points",
                lambda i: plane.viewport(self.boxes[i], BUDGET),
                lambda i: np.flatnonzero(self._in_box(i))[:BUDGET],
                lambda i: f"SELECT row, map_x, map_y FROM t WHERE {self._where(i)} ORDER BY shuffled LIMIT {BUDGET}",
                REPEATS,
                dict.fromkeys((*SIZES, WHOLE), 10.0),
            ),
            Line(
                "exact count in view",
                lambda i: plane.count(self.boxes[i]),
                lambda i: np.count_nonzero(self._in_box(i)),
                lambda i: f"SELECT count(*) FROM t WHERE {self._where(i)}",
                REPEATS,
            ),
            Line(
                "viewport, a tenth selected",
                lambda i: plane.viewport(self.boxes[i], BUDGET, self.masks[0]),
                lambda i: np.flatnonzero(self._in_box(i) & self.masks[0].dense)[:BUDGET],
                None,
                REPEATS,
            ),
            Line(
                "density 480 × 480",
                lambda i: plane.density(self.boxes[i], RASTER, RASTER),
                self._histogram,
                lambda i: f"SELECT {self._pixel(i)} p, count(*) FROM t WHERE {self._where(i)} GROUP BY p",
                REPEATS,
            ),
            Line(
                "mean of a column 480 × 480",
                lambda i: plane.mean(self.boxes[i], RASTER, RASTER, column["mag_r"]),
                lambda i: self._histogram(i, column["mag_r"]),
                lambda i: f"SELECT {self._pixel(i)} p, avg(mag_r) FROM t WHERE {self._where(i)} GROUP BY p",
                REPEATS,
            ),
            Line("mean of a column, whole sky", lambda i: sky.mean(*wide, column["mag_r"])),
            Line(
                "lasso with a tenth of all rows",
                lambda i: atlas.mask(MapPolygon("v1", self.lasso)),
                lambda i: self._scan_lasso(),
                None,
                FEW,
                {10_000_000: 150.0, WHOLE: 500.0},
            ),
            Line("lasso on two columns, no plane", lambda i: atlas.mask(self.column_lasso)),
            Line(
                "filter on three columns",
                lambda i: atlas.mask(three),
                lambda i: np.logical_and.reduce(
                    [(column[r.column] >= r.low) & (column[r.column] <= r.high) for r in self.ranges]
                ),
                lambda i: f"SELECT row FROM t WHERE {between}",
                FEW,
                {10_000_000: 300.0},
            ),
            Line(
                "cone of 1°",
                lambda i: atlas.mask(Cone(*self.centers[i], 3600.0)),
                lambda i: separation_deg(column["ra"], column["dec"], *self.centers[i]) <= 1.0,
                lambda i: (
                    "SELECT row FROM t WHERE 2 * asin(sqrt(sin(radians(dec - {1}) / 2) ** 2 + cos(radians(dec)) * "
                    "cos(radians({1})) * sin(radians(ra - {0}) / 2) ** 2)) <= radians(1)".format(*self.centers[i])
                ),
            ),
            Line(
                "page of a table, anywhere",
                lambda i: self.orders.page("mag_r", True, None, (i + 1) * n // (REPEATS + 2), 100),
                lambda i: np.argsort(-column["mag_r"], kind="stable")[(i + 1) * n // (REPEATS + 2) :][:100],
                lambda i: f"SELECT row FROM t ORDER BY mag_r DESC, row LIMIT 100 OFFSET {(i + 1) * n // (REPEATS + 2)}",
                FEW,
                dict.fromkeys((*SIZES, WHOLE), 5.0),
            ),
        ]
        return everything

    def first_times(self) -> dict[str, dict[str, float]]:
        """Seconds and memory of what is made once and then kept, before anything else was asked."""
        frame, other, mask = self.plane.frame, self.column["mag_g"], self.masks[1]
        once: dict[str, Callable[[], Any]] = {
            "a mask's rows in the order of the plane": lambda: self.plane.viewport(frame, BUDGET, mask),
            "a mask's density": lambda: self.plane.density(frame, RASTER, RASTER, mask),
            "sums of a column": lambda: self.plane.mean(frame, RASTER, RASTER, other),
            "sums of a column over the sky": lambda: self.sky.mean(
                Projection("ait", 180.0, 0.0), Box(-180.0, 180.0, -90.0, 90.0), 2 * RASTER, RASTER, other
            ),
            "order of a column": lambda: self.orders.page("mag_g", True, None, 0, 100),
            "order within a mask": lambda: self.orders.page("mag_g", True, mask, 0, 100),
            "plane of two columns": lambda: self.atlas.column_plane("mag_g", "mag_r", self.scratch),
        }
        taken: dict[str, dict[str, float]] = {}
        for what, work in once.items():
            tracemalloc.start()
            begun = time.perf_counter()
            work()
            seconds = round(time.perf_counter() - begun, 3)
            taken[what] = {"seconds": seconds, "peak_mb": round(tracemalloc.get_traced_memory()[1] / 1e6, 1)}
            tracemalloc.stop()
        return taken


def duckdb_of(columns: dict[str, NDArray[Any]]) -> duckdb.DuckDBPyConnection:
    """A database in memory with a table `t` of the columns, if any, the row, and a random number of each."""
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    if columns:
        galaxies = pd.DataFrame(columns)
        galaxies["row"] = np.arange(len(galaxies), dtype=np.uint32)
        galaxies["shuffled"] = np.random.default_rng(0).random(len(galaxies))
        connection.execute("CREATE TABLE t AS SELECT * FROM galaxies")
    return connection


def measure(n: int, folder: Path, peers: bool = True) -> dict[str, Any]:
    """All questions to a survey of n galaxies; to numpy and duckdb too, where asked for."""
    begun = time.perf_counter()
    columns = draw_columns(n)
    drawn = time.perf_counter()
    atlas = bare_atlas(folder / "build", columns)
    written = time.perf_counter()
    print(f"{n:,}: drawn in {drawn - begun:.1f} s, written in {written - drawn:.1f} s", flush=True)
    connection = duckdb_of(columns if peers else {})
    del columns
    questions = Questions(atlas, folder / "scratch")
    lines = []
    first = questions.first_times()
    for line in questions.lines():
        result: dict[str, Any] = {"what": line.what, **timed(line.ours, line.repeats), "peak_mb": peak_mb(line.ours)}
        if line.target_ms and n in line.target_ms:
            result["target_ms"] = line.target_ms[n]
        if peers and line.numpy is not None:
            result["numpy_p50_ms"] = timed(line.numpy, 5)["p50_ms"]
        if peers and (query := line.duckdb) is not None:
            result["duckdb_p50_ms"] = _duckdb_p50_ms(connection, query)
        print(result, flush=True)
        lines.append(result)
    touched = max(questions.plane.viewport(box, BUDGET).touched for box in questions.boxes)
    return {"rows": n, "lines": lines, "first": first, "rows_touched": touched, "load": os.getloadavg()[0]}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table in Markdown."""
    return ["", *(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)), ""]


def to_markdown(about: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """The tables for a person."""
    sizes = [f"{run['rows']:,}" for run in runs]
    loads = ", ".join(f"{run['load']:.1f}" for run in runs)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    text = [
        "# Views as a survey grows",
        "",
        f"`{about['command']}`, {about['date']}: {about['cores']} cores ({about['machine']}), load of the",
        f"machine at the end of each size {loads}; {versions}.",
        "",
        "Milliseconds, median / 99th percentile, by number of rows:",
    ]
    rows = []
    for i, line in enumerate(runs[0]["lines"]):
        here = [run["lines"][i] for run in runs]
        targets = sorted({f"≤ {one['target_ms']:g}" for one in here if "target_ms" in one})
        rows.append([line["what"], *(f"{one['p50_ms']:g} / {one['p99_ms']:g}" for one in here), ", ".join(targets)])
    rows.append(
        ["most rows touched by a viewport", *(f"{run['rows_touched']:,}" for run in runs), f"≤ {20 * BUDGET:,} rows"]
    )
    text += table(["what", *sizes, "target"], rows)
    text += ["Seconds (and memory, MB), once, for what is then kept:"]
    firsts = [
        [what, *(f"{run['first'][what]['seconds']:g} ({run['first'][what]['peak_mb']:g})" for run in runs)]
        for what in runs[0]["first"]
    ]
    text += table(["what", *sizes], firsts)
    for run in runs:
        if "numpy_p50_ms" not in run["lines"][0]:
            continue
        text += [f"Beside a pass of numpy over all {run['rows']:,} rows and duckdb, median ms; and memory of one call:"]
        keys = ("p50_ms", "numpy_p50_ms", "duckdb_p50_ms", "peak_mb")
        rows = [[line["what"], *(f"{line[key]:g}" if key in line else "" for key in keys)] for line in run["lines"]]
        text += table(["what", "atlas", "numpy", "duckdb", "MB"], rows)
    return "\n".join(text).rstrip() + "\n"


def main() -> None:
    """Measure all sizes and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="store_true", help="also 42.3 million rows: 8 GB of disk, 6 GB of memory")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows of the surveys")
    parser.add_argument("--peers-up-to", type=int, default=PEERS_UP_TO, help="rows that numpy and duckdb are asked too")
    parser.add_argument("--folder", type=Path, help="where the surveys are written (a temporary folder)")
    parser.add_argument("--out", type=Path, default=RESULTS / "planes", help="the results, without .json and .md")
    args = parser.parse_args()
    runs = []
    for n in (*args.sizes, *([WHOLE] if args.whole else [])):
        folder = Path(tempfile.mkdtemp(prefix="planes-", dir=args.folder))
        try:
            runs.append(measure(n, folder, n <= args.peers_up_to))
        finally:
            shutil.rmtree(folder)
    about = {
        "command": "python -m benchmarks.planes"
        + (" --whole" if args.whole else "")
        + (f" --peers-up-to {args.peers_up_to}" if args.peers_up_to != PEERS_UP_TO else ""),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {p: metadata.version(p) for p in ("numpy", "shapely", "duckdb")},
    }
    args.out.with_suffix(".json").write_text(json.dumps({"about": about, "runs": runs}, indent=1) + "\n")
    text = to_markdown(about, runs)
    args.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
