"""Many people at once: `python -m benchmarks.visitors ATLAS --people 50 --minutes 10`. Prints a table.

A real server; each person chooses galaxies, looks around on map and sky, filters, lassos and clears, and thinks for
some seconds in between. Told are the times of answers, errors, the memory of the server over the time, and the load of
the machine before it began: on a busy one the times say little.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import msgspec
import numpy as np

from atlas import Atlas
from benchmarks.disk import draw_rows
from benchmarks.processes import anonymous_bytes
from benchmarks.serving import serve
from benchmarks.survey_views import VIEWS, draw_places
from benchmarks.visitor import Visitor

THINKS_S = 4.0
"""Between two acts, on average: an impatient person."""

MIB = 2**20
LOOK_EVERY_S = 1.0


class Outcome(NamedTuple):
    """What came of it.

    Attributes
    ----------
    seconds : dict of str to ndarray
        Of each answer, by "callback" and "picture".
    acts : int
    failures : Counter of str
        Answers that were errors, or did not come.
    memory : ndarray of shape (t,)
        Bytes that no file backs, of the server's processes, each second.
    """

    seconds: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    acts: int
    failures: Counter[str]
    memory: np.ndarray[Any, np.dtype[np.float64]]


def acts_of(atlas: Atlas, seed: int) -> Iterator[dict[str, Any]]:
    """Acts of one person, without end."""
    rng = np.random.default_rng(seed)
    magnitude = next((c for c in atlas.columns() if c.kind == "number" and c.name not in ("ra", "dec")), None)
    while True:
        drawn = int(rng.integers(2**31))
        places, rows = draw_places(atlas, drawn), draw_rows(atlas.n_rows, VIEWS, drawn)
        for row, box, (projection, part) in zip(rows, places.map_boxes[1:], places.sky_views[1:], strict=False):
            yield {"is": "pick", "row": int(row), "build": atlas.build_id}
            yield {"is": "view", "plane": "map", "box": msgspec.to_builtins(box)}
            seen = {"box": msgspec.to_builtins(part), "projection": msgspec.to_builtins(projection)}
            yield {"is": "view", "plane": "sky", **seen}
            corners = [[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]]
            yield {"is": "lasso", "plane": "map", "vertices": corners, "join": "new"}
            if magnitude is not None:
                low = float(rng.choice(magnitude.quantiles)) if magnitude.quantiles else None
                yield {"is": "filter", "column": magnitude.name, "low": low, "high": None}
            yield {"is": "clear"}


def visit(url: str, atlas: Atlas, people: int, seconds: float, server_pid: int) -> Outcome:
    """Let people visit a server at once."""
    visitors: list[Visitor] = []
    failures: Counter[str] = Counter()
    acts = 0
    lock, ends = threading.Lock(), time.monotonic() + seconds

    def person(seed: int) -> None:
        nonlocal acts
        rng = np.random.default_rng(seed)
        time.sleep(float(rng.uniform(0, min(THINKS_S, seconds / 2))))
        visitor = Visitor(url, atlas.build_id)
        with lock:
            visitors.append(visitor)
        visitor.send({"is": "open", "token": ""})
        for act in acts_of(atlas, seed):
            if time.monotonic() > ends:
                break
            try:
                visitor.send(act)
            except (URLError, OSError, ValueError) as error:
                with lock:
                    failures[f"{type(error).__name__} {getattr(error, 'code', '')} at {act['is']}".strip()] += 1
            with lock:
                acts += 1
            time.sleep(float(rng.exponential(THINKS_S)))

    threads = [threading.Thread(target=person, args=(seed,)) for seed in range(people)]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < ends:
        memory.append(anonymous_bytes(server_pid))
        time.sleep(LOOK_EVERY_S)
    for thread in threads:
        thread.join()
    took = {kind: np.array([s for one in visitors for s in one.seconds[kind]]) for kind in ("callback", "picture")}
    return Outcome(took, acts, failures, np.array(memory, dtype=np.float64))


def told(outcome: Outcome) -> str:
    """The table."""
    lines = [f"{outcome.acts} acts, {sum(outcome.failures.values())} failed {dict(outcome.failures) or ''}".rstrip()]
    for kind, seconds in outcome.seconds.items():
        p50, p95, p99 = (np.quantile(seconds, q) * 1e3 for q in (0.5, 0.95, 0.99))
        lines.append(f"{kind:<9} {seconds.size:>6} answers, p50 {p50:.0f} ms, p95 {p95:.0f}, p99 {p99:.0f}")
    quarter = max(1, outcome.memory.size // 4)
    parts = [outcome.memory[i * quarter : (i + 1) * quarter].mean() / MIB for i in range(4)]
    lines.append("memory    " + " → ".join(f"{part:.0f}" for part in parts) + " MiB, means of the quarters")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path, help="folder of an atlas")
    parser.add_argument("--people", type=int, default=50, help="people at once (50)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server (1)")
    args = parser.parse_args()
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    atlas = Atlas.open(args.atlas)
    with (
        tempfile.TemporaryDirectory() as scratch,
        serve(args.atlas.resolve(), Path(scratch), workers=args.workers, patience_s=600) as server,
    ):
        outcome = visit(server.url, atlas, args.people, 60 * args.minutes, server.process.pid)
        server.require_running()
    print(f"{atlas.n_rows:,} galaxies, {args.people} people, {args.minutes:g} minutes, {args.workers} worker(s)")
    print(f"load {load:.1f} on {cores} cores before it began")
    print(told(outcome))


if __name__ == "__main__":
    main()
