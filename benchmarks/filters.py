"""Speed of filters and their histograms: `python -m benchmarks.filters`. Prints a table; `--json` keeps it.

Columns are drawn at random, as many rows as asked for (10,000,000), and written as an atlas keeps them; no atlas has to
be built. Each line stands beside what plain numpy takes for the same answer, in the same run, on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns, describe_numbers
from atlas.catalog.histogram import Histograms
from atlas.expressions.check import parse
from atlas.expressions.evaluate import expression_mask
from atlas.mask import Mask
from atlas.storage.manifest import Column
from benchmarks.planes import timed

REPEATS = 15
FLAGS = 14  # as many as the Legacy Surveys have
THREE_COLUMNS = "mag_g - mag_r > 0.8 & z_phot < 0.3"


def draw(folder: Path, n: int) -> Columns:
    """Magnitudes in two bands and a redshift that a tenth of the rows lack, as float32; fourteen flags."""
    rng = np.random.default_rng(0)
    described = []
    for name in ("mag_g", "mag_r", "z_phot"):
        values: NDArray[np.float32] = rng.normal(20, 1.5, n).astype(np.float32)
        if name == "z_phot":
            values = (np.abs(values - 20) / 3).astype(np.float32)
            values[rng.random(n) < 0.1] = np.nan
        np.save(folder / f"{name}.npy", values)
        missing, quantiles = describe_numbers(values)
        described.append(
            Column(name=name, file=f"{name}.npy", dtype="float32", kind="number", missing=missing, quantiles=quantiles)
        )
    flags = np.zeros(n, dtype=np.uint16)
    for bit in range(FLAGS):
        flags |= (rng.random(n, dtype=np.float32) < 0.02).astype(np.uint16) << np.uint16(bit)
    np.save(folder / "maskbits.npy", flags)
    described.append(Column(name="maskbits", file="maskbits.npy", dtype="uint16", kind="flags"))
    return Columns(folder, tuple(described), n)


def run(columns: Columns, n: int) -> list[dict[str, Any]]:
    """One line a kind of question; where an answer differs from numpy's, there is no table."""
    g, r, z, flags = (np.asarray(columns.array(name)) for name in ("mag_g", "mag_r", "z_phot", "maskbits"))
    condition = parse(THREE_COLUMNS, columns)
    mask = expression_mask(condition, columns, n)
    assert np.array_equal(mask.dense, (g - r > 0.8) & (z < 0.3))
    lines = [
        {
            "what": "filter on three columns",
            **timed(lambda _: expression_mask(condition, columns, n), REPEATS),
            "numpy_p50_ms": timed(lambda _: (g - r > 0.8) & (z < 0.3), 4)["p50_ms"],
        },
        {
            "what": "first histogram of a column",
            **timed(lambda _: Histograms(columns).get("mag_g"), REPEATS),
            "numpy_p50_ms": timed(lambda _: np.histogram(g, 40), 2)["p50_ms"],
        },
    ]
    histograms = Histograms(columns)
    rng = np.random.default_rng(1)
    for share in (0.001, 0.1, 0.9):
        chosen = Mask.from_dense(rng.random(n) < share)
        lines += _under_a_mask(histograms, g, flags, chosen, share)
    return lines


def _under_a_mask(
    histograms: Histograms, g: NDArray[np.float32], flags: NDArray[Any], chosen: Mask, share: float
) -> list[dict[str, Any]]:
    """A histogram and a count of bits of the rows of a mask, beside numpy's."""
    found = histograms.get("mag_g", chosen)
    assert np.array_equal(found.counts, np.histogram(g[chosen.dense].astype(np.float64), found.edges)[0])
    assert histograms.bits("maskbits", chosen).counts.tolist() == _bits_by_numpy(flags[chosen.dense])
    return [
        {
            "what": f"histogram under a mask of {share:.1%} of the rows",
            **timed(lambda _: histograms.get("mag_g", chosen), REPEATS),
            "numpy_p50_ms": timed(lambda _: np.histogram(g[chosen.dense], found.edges), 2)["p50_ms"],
        },
        {
            "what": f"{FLAGS} flags under a mask of {share:.1%} of the rows",
            **timed(lambda _: histograms.bits("maskbits", chosen), REPEATS),
            "numpy_p50_ms": timed(lambda _: _bits_by_numpy(flags[chosen.dense]), 2)["p50_ms"],
        },
    ]


def _bits_by_numpy(flags: NDArray[np.uint16]) -> list[int]:
    return [int(np.count_nonzero(flags & np.uint16(1 << bit))) for bit in range(FLAGS)]


def main() -> None:
    """Measure on columns of a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the temporary columns are written (14 bytes a row)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        lines = run(draw(Path(folder), args.rows), args.rows)
    print(f"{args.rows:,} rows, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| what | p50 ms | p99 ms | numpy, ms |\n| --- | --- | --- | --- |")
    for line in lines:
        print(f"| {line['what']} | {line['p50_ms']} | {line['p99_ms']} | {line['numpy_p50_ms']} |")
    if args.json:
        about = {
            "rows": args.rows,
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            "versions": {"numpy": np.__version__},
        }
        args.json.write_text(json.dumps({"about": about, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
