"""Time of an order by labels over all rows of a survey: `python -m benchmarks.label_order [--rows 10000000]`.

Embeddings of 128 numbers and two columns of oddness are drawn at random and written as an atlas keeps them, no atlas
has to be built; labels stand on rows drawn at random, a quarter of them wanted. Prints for 20, 100 and 1,000 labels the
wall time and the processor's of the first thousand rows, of which the page shows some, median of some orders; beside
them the plain product of all rows with one embedding, in the same run, which no exact order goes below.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from atlas import Atlas, ByLabels
from atlas.catalog.anomalies import DEFAULT, FORM
from atlas.queries.by_labels import Taught, top_taught
from atlas.search.exact import top_k_exact
from atlas.storage import layout
from benchmarks.bare_atlas import bare_atlas

ROWS, DIMENSION, CHUNK = 10_000_000, 128, 1 << 18
LABELS = (20, 100, 1_000)
FIRST = 1_000
ROUNDS = 9


def draw(build: Path, n: int) -> Atlas:
    """An atlas of n rows of unit length, float16, and two percentiles."""
    rng = np.random.default_rng(0)
    columns = {name: rng.uniform(0, 100, n).astype(np.float32) for name in (DEFAULT, FORM)}
    atlas = bare_atlas(build, columns, dimension=DIMENSION)
    folder = layout.space_path(build, layout.DEFAULT_SPACE)
    folder.mkdir(parents=True, exist_ok=True)
    out = np.lib.format.open_memmap(folder / layout.EMBEDDINGS, "w+", np.float16, (n, DIMENSION))
    for start in tqdm(range(0, n, CHUNK), desc="Drawing embeddings", unit="chunk", leave=False):
        block = rng.standard_normal((min(CHUNK, n - start), DIMENSION), dtype=np.float32)
        out[start : start + CHUNK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    out.flush()
    return atlas


def median_s(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall and of the processor, each the median of some rounds after a first one."""
    taken = []
    for _ in range(1 + ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - wall, time.process_time() - processor))
    wall_s, processor_s = np.median(taken[1:], axis=0)
    return float(wall_s), float(processor_s)


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"galaxies ({ROWS:,}); 256 bytes of disk each")
    parser.add_argument("--work", type=Path, help="folder to draw them in (the system's for temporary files)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        atlas = draw(Path(folder) / "build", arguments.rows)
        space = atlas.space()
        rows = np.random.default_rng(1).permutation(arguments.rows)
        print(f"{arguments.rows:,} rows, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        query = np.asarray(space.embeddings[rows[-1]], dtype=np.float32)
        plain = median_s(lambda: top_k_exact(space.embeddings, query, FIRST))
        print(f"plain product: {plain[0]:.2f} s, {plain[1]:.2f} s of processor time")
        for n in LABELS:
            taught = Taught(rows[: n // 4], rows[n // 4 : n])
            ranking = ByLabels(wanted=("lens",), revision=0)
            one = median_s(lambda t=taught, r=ranking: top_taught(atlas, r, space, FIRST, None, t))  # type: ignore[misc]
            print(f"{n} labels: {one[0]:.2f} s, {one[1]:.2f} s of processor time")


if __name__ == "__main__":
    main()
