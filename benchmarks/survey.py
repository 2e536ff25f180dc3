"""Cost of opening, searching and looking at an atlas: `python -m benchmarks.survey ATLAS`; JSON and tables.

Made for the whole survey, 42,272,646 galaxies of 128 numbers, and right for any atlas. Each part is measured in a
process of its own, which has loaded nothing before:

open      `Atlas.open`: seconds, and the memory that it keeps.
index     The index brought into memory, from the disk and once more from the page cache: seconds, what the process then
          holds beyond what it held before, and its peak meanwhile, watched from outside.
search    The hundred nearest of seeded rows, one query a time on one thread, at settings from quick to thorough, among
          them the one that the page takes for a hundred; and the page's first 24 through the planner. Recall is against
          exact search, where a score that equals the last true one is as good. Warm: after a pass over the same
          queries, the best of three passes. Cold: before each of 20 queries the embeddings are unmapped and dropped
          from the page cache; what the process then reads from the disk, and its major faults, stand beside the time
          and tell whether it was cold.
exact     Exact search over all rows through the planner: once from the disk, then five times more.
rate      Searches of a thousand rows as in `search`, at the page's setting, from eight threads; the best of three
          passes after the first.
views     Planes and columns, map and sky: a first call of each, in this order, so that later ones find what earlier
          ones have read; then many.
worker    `python -m dashboard` with one worker: seconds from the start of the command until `/` is answered and until
          `/readyz` says that search is ready. From the first answer on, a visitor opens the page and chooses a galaxy
          (and notes what the status line says of search), while another asks for `/` five times a second until search
          is ready: the slowest answer is told. Memory of the worker when search is ready, and after some 200 callbacks
          that four visitors ask for at once: galaxies chosen at random, views of map and sky, and their pictures.

"From the disk" is after the files were dropped from the page cache, by `posix_fadvise` with POSIX_FADV_DONTNEED; so are
all files before `open`, `worker` and `views`. That spares pages which another process has mapped: let nobody else have
the atlas open. Memory is anonymous memory, which no file backs. Parts that are not measured again stay, as long as they
are of the same build.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from atlas import Atlas
from atlas.search.index import read_index_description
from atlas.storage import layout
from atlas.storage.validate import open_current, total_bytes
from benchmarks.disk import forget, forget_build
from benchmarks.processes import anonymous_bytes, in_own_process, watched_in_own_process
from benchmarks.survey_search import measure_exact, measure_rate, measure_search, truth_of
from benchmarks.survey_tables import PARTS, to_markdown
from benchmarks.survey_views import draw_all, measure_views
from benchmarks.survey_worker import measure_worker

QUERIES = 200
LOOK_EVERY_S = 0.05
ENGINE_MODULES = {"scann": "scann.scann_ops.py.scann_ops_pybind", "faiss": "faiss"}
MIB = 2**20
RESULTS = Path(__file__).parent / "results"


def measure_open(root: Path) -> dict[str, Any]:
    """Open an atlas that nobody has looked at."""
    forget_build(root)
    before = anonymous_bytes(os.getpid())
    begun = time.perf_counter()
    atlas = Atlas.open(root)
    seconds = time.perf_counter() - begun
    held = anonymous_bytes(os.getpid()) - before
    return {"seconds": round(seconds, 3), "heap_mib": round(held / MIB, 1), "columns": len(list(atlas.columns()))}


def load_index(root: Path, drop: bool) -> dict[str, float]:
    """Bring the index into memory, in a process that is watched."""
    atlas = Atlas.open(root)
    space = atlas.space()
    folder = layout.space_path(atlas.build, space.name) / layout.INDEX
    engine = read_index_description(folder).engine
    if engine in ENGINE_MODULES:
        import_module(ENGINE_MODULES[engine])  # what the engine itself holds is not the index's
    if drop:
        forget(*(path for path in folder.iterdir() if path.is_file()))
    before, at = anonymous_bytes(os.getpid()), time.time()
    begun = time.perf_counter()
    index = space.index
    seconds = time.perf_counter() - begun
    held = anonymous_bytes(os.getpid())
    return {"rows": index.n_rows, "seconds": seconds, "begun": at, "before": before, "held": held}


def measure_index(root: Path) -> dict[str, Any]:
    """Load the index from the disk, and from the page cache."""
    told: dict[str, Any] = {}
    for how, drop in (("from_disk", True), ("from_cache", False)):
        found, watched = watched_in_own_process(load_index, root, drop, interval_s=LOOK_EVERY_S)
        held = found["held"] - found["before"]
        peak = max(held, watched.peak_bytes(found["begun"], found["begun"] + found["seconds"]) - found["before"])
        told[how] = {
            "seconds": round(found["seconds"], 2),
            "heap_mib": round(held / MIB),
            "heap_bytes_a_row": round(held / found["rows"], 1),
            "peak_mib": round(peak / MIB),
            "peak_bytes_a_row": round(peak / found["rows"], 1),
        }
    return told


def describe(root: Path) -> dict[str, Any]:
    """Of which atlas the figures are."""
    _, manifest = open_current(root)
    space = manifest.spaces[0]
    return {
        "build": manifest.build_id,
        "rows": manifest.n_rows,
        "numbers": space.dimension,
        "dtype": space.dtype,
        "disk_mib": round(total_bytes(root) / MIB),
    }


def measured_parts(root: Path, wanted: Sequence[str], queries: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part as soon as it is measured."""
    works: dict[str, Callable[[], dict[str, Any]]] = {
        "open": lambda: in_own_process(measure_open, root),
        "index": lambda: measure_index(root),
        "search": lambda: in_own_process(measure_search, root, in_own_process(truth_of, root, queries)),
        "exact": lambda: in_own_process(measure_exact, root),
        "rate": lambda: in_own_process(measure_rate, root),
        "views": lambda: in_own_process(measure_views, root, *in_own_process(draw_all, root)),
        "worker": lambda: in_own_process(measure_worker, root),
    }
    for part in PARTS:
        if part in wanted:
            load = os.getloadavg()[0]
            found = works[part]()
            when = datetime.now(UTC).isoformat(timespec="minutes")
            yield part, {**found, "load_before": round(load, 1), "date": when}


def main() -> None:
    """Measure the parts that were asked for and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART",
                        help="some of " + ", ".join(PARTS))  # fmt: skip
    parser.add_argument("--queries", type=int, default=QUERIES, help="rows whose neighbours are looked for")
    parser.add_argument("--out", type=Path, default=RESULTS / "survey", help="results, without ending")
    args = parser.parse_args()
    kept = args.out.with_suffix(".json")
    of = describe(args.atlas)
    before = json.loads(kept.read_text()) if kept.exists() else {}
    parts = before["parts"] if before.get("atlas", {}).get("build") == of["build"] else {}
    for part, found in measured_parts(args.atlas, args.parts, args.queries):
        parts[part] = found
        about = {
            "machine": f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
            "versions": {p: metadata.version(p) for p in ("numpy", "scann", "numkong", "dash", "gunicorn")},
        }
        ordered = {name: parts[name] for name in PARTS if name in parts}
        kept.write_text(json.dumps({"about": about, "atlas": of, "parts": ordered}, indent=1) + "\n")
        text = to_markdown(about, of, ordered)
        args.out.with_suffix(".md").write_text(text)
        print(f"{part}: {json.dumps(found)}", flush=True)
    print(args.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
