"""What an atlas takes to be opened, searched and looked at: `python -m benchmarks.survey ATLAS`; JSON and tables.

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
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from atlas import Atlas, MapPolygon, Query, Range, Result, Similar, SkyPolygon
from atlas import format as layout
from atlas.neighbors import Embeddings, SearchSetting, read_description, search, top_k_exact_many
from atlas.plane import Box
from atlas.planner import WANTED_RECALL
from atlas.projection import Projection
from atlas.quality import choose_setting
from atlas.selection import Selection
from atlas.validate import open_current, total_bytes
from benchmarks.planes import BUDGET, RASTER, boxes_about, lasso_of_a_tenth, timed
from benchmarks.processes import anonymous_bytes, children_of, in_own_process, watched_in_own_process, watching
from benchmarks.survey_tables import PARTS, to_markdown
from benchmarks.visitor import Visitor
from dashboard.skyview import follow, home
from dashboard.state import Box as ViewBox
from precompute.context import release
from precompute.stages.measure import RECALL_AT, TIE
from tests.serving import Server, serve

K = 100
LADDER = ((30, 500), (60, 500), (90, 1_000), (120, 1_000), (180, 1_000), (240, 1_000), (120, 4_000))
"""Leaves and candidates."""

GALLERY = 24
"""Galaxies that the page shows at first."""

QUERIES = 200
COLD_QUERIES = 20
ROUNDS = 3
EXACT_QUERIES = 5
THREADS = 8
RATE_QUERIES = 1_000
VIEWS = 200
FEW = 10
VISITORS = 4
CALLBACKS = 200
POSITION_OFF_ARCSEC = 1.0
NEAREST_WITHIN_ARCSEC = 10.0
LOOK_EVERY_S = 0.05
ASK_EVERY_S = 0.2
READY_WITHIN_S = 900
ENGINE_MODULES = {"scann": "scann.scann_ops.py.scann_ops_pybind", "faiss": "faiss"}
MIB, GIB = 2**20, 2**30
RESULTS = Path(__file__).parent / "results"


def forget(*paths: Path) -> None:
    """Drop files from the page cache, but for pages that a process has mapped."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # pages that wait to be written are not dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def forget_build(root: Path) -> None:
    """Drop all files of the build in use."""
    build, _ = open_current(root)
    forget(*(path for path in build.rglob("*") if path.is_file()))


def embeddings_path(atlas: Atlas) -> Path:
    """The file that searches read from."""
    return layout.space_path(atlas.build, atlas.default_space) / layout.EMBEDDINGS


def read_from_disk() -> tuple[int, int]:
    """Bytes that this process has read from disks so far (Linux), and its major faults."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["read_bytes"]), resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def draw_rows(n: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Distinct rows."""
    return np.random.default_rng(seed).choice(n, min(n, count), replace=False).astype(np.int64)


# Opening


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
    engine = read_description(folder).engine
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


# Search


@dataclass(frozen=True)
class Truth:
    """How similar the neighbours of some rows truly are.

    Attributes
    ----------
    rows : ndarray of shape (q,), int64
        Distinct; each is left out of its own answer.
    at : tuple of int
        Numbers of neighbours that recall is told at.
    scores : ndarray of shape (q, len(at)), float32
        Exact score of the last of as many neighbours.
    """

    rows: NDArray[np.int64]
    at: tuple[int, ...]
    scores: NDArray[np.float32]

    def recall(self, k: int, found: Sequence[NDArray[np.float32]]) -> float:
        """Mean share of the k nearest among answers, given by their scores; equal scores are as good."""
        last = self.scores[:, self.at.index(k)]
        return float(np.mean([(scores[:k] >= one - TIE).sum() / k for scores, one in zip(found, last, strict=True)]))


def find_truth(embeddings: Embeddings, rows: NDArray[np.int64]) -> Truth:
    """Neighbours by one pass over all rows."""
    at = tuple(k for k in RECALL_AT if k < embeddings.shape[0])
    own = np.asarray(embeddings[rows], dtype=np.float32)
    nearest, scores = top_k_exact_many(embeddings, own, max(at, default=0) + 1)
    # In descending order, the row itself last.
    best = -np.sort(np.where(nearest == rows[:, None], np.inf, -scores), axis=1)
    return Truth(rows, at, best[:, np.array(at, dtype=np.int64) - 1])


def truth_of(root: Path, queries: int) -> Truth:
    """The truth about seeded rows of an atlas."""
    atlas = Atlas.open(root)
    return find_truth(atlas.space().embeddings, draw_rows(atlas.n_rows, queries))


def as_the_page(atlas: Atlas, row: int, limit: int, *, exact: bool = False) -> Result:
    """Galaxies like one, through the planner."""
    return atlas.run(Query(space=atlas.default_space, ranking=Similar((row,)), exact=exact, limit=limit))


class Searches:
    """Searches for the neighbours of some rows, the index in memory."""

    def __init__(self, root: Path, rows: NDArray[np.int64]) -> None:
        self.atlas, self.rows = Atlas.open(root), rows
        self.space = self.atlas.space()
        self.own = np.asarray(self.space.embeddings[rows], dtype=np.float32)
        self.k = min(K, self.atlas.n_rows - 1)
        self.index = self.space.index
        self.exact = self.index.name == "exact"

    def pages_setting(self) -> SearchSetting:
        """What the page takes for a hundred rows like one."""
        if self.exact:
            return SearchSetting(1, self.k)
        chosen = choose_setting(self.space.quality, "row", self.k, wanted=WANTED_RECALL)[0]
        return self._clipped(chosen.leaves, chosen.candidates)

    def settings(self) -> list[SearchSetting]:
        """From quick to thorough, each that differs for this index; an exact one has one."""
        if self.exact:
            return [self.pages_setting()]
        found = {self.pages_setting(), *(self._clipped(*step) for step in LADDER)}
        return sorted(found, key=lambda setting: (setting.leaves, setting.candidates))

    def _clipped(self, leaves: int, candidates: int) -> SearchSetting:
        return SearchSetting(min(leaves, self.index.leaves), min(candidates, self.index.n_rows))

    def told(self, setting: SearchSetting) -> dict[str, int]:
        """A setting for the record; an exact index has none."""
        return {} if self.exact else msgspec.structs.asdict(setting)

    def one(self, i: int, setting: SearchSetting, k: int) -> NDArray[np.float32]:
        """Scores of the nearest of one row."""
        at = i % len(self.rows)
        return search(self.index, self.space.embeddings, self.own[at], k, setting, skip=(int(self.rows[at]),))[1]

    def recall(self, setting: SearchSetting, truth: Truth) -> dict[str, float]:
        """Recall at every k that the setting has candidates for."""
        reached = [k for k in truth.at if self.exact or k <= setting.candidates]
        found = [self.one(i, setting, max(reached, default=0)) for i in range(len(self.rows))]
        return {str(k): round(truth.recall(k, found), 4) for k in reached}

    def cold(self, work: Callable[[int], Any]) -> dict[str, float]:
        """A call that has to read the embeddings from the disk, again and again: median and slowest."""
        path = embeddings_path(self.atlas)
        taken = []
        for i in range(min(COLD_QUERIES, len(self.rows))):
            release(self.space.embeddings)
            forget(path)
            before = read_from_disk()
            begun = time.perf_counter()
            work(i)
            seconds = time.perf_counter() - begun
            after = read_from_disk()
            taken.append((seconds * 1e3, (after[0] - before[0]) / 1024, after[1] - before[1]))
        ms, kib, faults = np.array(taken).T
        return {
            "cold_p50_ms": round(float(np.median(ms)), 2),
            "cold_worst_ms": round(float(ms.max()), 2),
            "cold_read_kib": round(float(np.median(kib))),
            "cold_major_faults": round(float(np.median(faults))),
        }


def measure_search(root: Path, truth: Truth) -> dict[str, Any]:
    """Every setting, and the page's own way, warm and cold."""
    searches = Searches(root, truth.rows)
    queries = len(truth.rows)
    lines: list[tuple[dict[str, Any], Callable[[int], Any]]] = []
    for setting in searches.settings():
        line: dict[str, Any] = {"what": "index", **searches.told(setting), "pages": setting == searches.pages_setting()}
        line["recall"] = searches.recall(setting, truth)
        lines.append((line, lambda i, setting=setting: searches.one(i, setting, searches.k)))
    chosen = as_the_page(searches.atlas, int(truth.rows[0]), GALLERY).recall
    line = {"what": "planner", "limit": GALLERY}
    line |= searches.told(searches.pages_setting() if chosen is None else chosen.setting)
    lines.append((line, lambda i: as_the_page(searches.atlas, int(truth.rows[i % queries]), GALLERY)))
    with threadpool_limits(limits=1, user_api="blas"):
        for line, work in lines:
            for i in range(queries):
                work(i)
            line |= min((timed(work, queries) for _ in range(ROUNDS)), key=lambda of: of["p50_ms"])
        for line, work in lines:
            line |= searches.cold(work)
    return {
        "engine": searches.index.name,
        "leaves": searches.index.leaves,
        "queries": queries,
        "cold_queries": min(COLD_QUERIES, queries),
        "k": searches.k,
        "lines": [line for line, _ in lines],
    }


def measure_exact(root: Path) -> dict[str, Any]:
    """Exact search over all rows: from the disk, then from the page cache as far as that holds them."""
    atlas = Atlas.open(root)
    forget(embeddings_path(atlas))
    taken = []
    for row in draw_rows(atlas.n_rows, 1 + EXACT_QUERIES):
        before = read_from_disk()[0]
        begun = time.perf_counter()
        result = as_the_page(atlas, int(row), K, exact=True)
        seconds = time.perf_counter() - begun
        if not result.exact:
            raise RuntimeError(f"the planner answered by {result.method}")
        taken.append((seconds, (read_from_disk()[0] - before) / GIB))
    (first_s, first_gib), rest = taken[0], np.array(taken[1:])
    return {
        "first_s": round(first_s, 4),
        "first_read_gib": round(first_gib, 3),
        "p50_s": round(float(np.median(rest[:, 0])), 4),
        "worst_s": round(float(rest[:, 0].max()), 4),
        "read_gib": round(float(np.median(rest[:, 1])), 3),
        "queries": len(rest),
    }


def measure_rate(root: Path) -> dict[str, Any]:
    """Many searches at once."""
    searches = Searches(root, draw_rows(open_current(root)[1].n_rows, RATE_QUERIES))
    setting = searches.pages_setting()
    rates = []
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(1 + ROUNDS):
            begun = time.perf_counter()
            list(pool.map(lambda i: searches.one(i, setting, searches.k), range(RATE_QUERIES)))
            rates.append(RATE_QUERIES / (time.perf_counter() - begun))
    # The first round reads the rows.
    return {"threads": THREADS, **searches.told(setting), "queries_a_second": round(max(rates[1:]))}


# Views


@dataclass(frozen=True)
class Places:
    """Where one looks: all of a plane first, then about seeded galaxies, closer and closer.

    Attributes
    ----------
    map_boxes : list of Box
    sky_views : list of (Projection, Box)
        As the page would show them: the whole sky in one projection, parts of it each in their own.
    positions : list of (float, float)
        RA and Dec in degrees, an arcsecond off a galaxy each.
    """

    map_boxes: list[Box]
    sky_views: list[tuple[Projection, Box]]
    positions: list[tuple[float, float]]


def draw_places(atlas: Atlas, seed: int = 0) -> Places:
    """Places of an atlas that are worth a look."""
    rows = draw_rows(atlas.n_rows, VIEWS, seed)
    columns = atlas.columns(atlas.default_space)
    x, y, ra, dec = (np.asarray(columns.array(name)[rows]) for name in ("map_x", "map_y", layout.RA, layout.DEC))
    first = home(atlas)
    boxes = boxes_about(Box(*msgspec.structs.astuple(first.box)), *first.projection.forward(ra, dec))
    views = [follow(atlas, first.projection, ViewBox(*msgspec.structs.astuple(box))) for box in boxes]
    return Places(
        boxes_about(atlas.space().plane.frame, x, y),
        [(view.projection, Box(*msgspec.structs.astuple(view.box))) for view in views],
        [(float(a), float(d) - np.sign(d) * POSITION_OFF_ARCSEC / 3600) for a, d in zip(ra, dec, strict=True)],
    )


def draw_selections(atlas: Atlas) -> dict[str, Selection]:
    """Lassos that hold a tenth of the rows, and ranges of the first three columns of numbers that stand together."""
    few = slice(None, None, max(1, atlas.n_rows // 1_000_000))
    columns = atlas.columns(atlas.default_space)
    x, y, ra, dec = (np.asarray(columns.array(name)[few]) for name in ("map_x", "map_y", layout.RA, layout.DEC))
    projection = home(atlas).projection
    found: dict[str, Selection] = {
        "map, lasso with a tenth of all rows": MapPolygon(atlas.default_space, lasso_of_a_tenth(x, y)),
        "sky, lasso with a tenth of all rows": SkyPolygon(projection, lasso_of_a_tenth(*projection.forward(ra, dec))),
    }
    place = {"map_x", "map_y", layout.RA, layout.DEC, *atlas.manifest.id_columns}
    numbers = [c for c in columns if c.kind == "number" and c.quantiles and c.name not in place and not c.truth][:3]
    ranges = [Range(c.name, c.quantiles[2], c.quantiles[5]) for c in numbers]
    if ranges:
        three: Selection = ranges[0]
        for one in ranges[1:]:
            three = three & one
        found[f"filter on {', '.join(c.name for c in numbers)}"] = three
    return found


def draw_all(root: Path) -> tuple[Places, dict[str, Selection]]:
    """What is looked at."""
    atlas = Atlas.open(root)
    return draw_places(atlas), draw_selections(atlas)


def measure_views(root: Path, places: Places, selections: dict[str, Selection]) -> dict[str, Any]:
    """What views ask of an atlas that nobody has looked at."""
    atlas = Atlas.open(root)
    plane, sky = atlas.space().plane, atlas.sky
    boxes, views, positions = places.map_boxes, places.sky_views, places.positions
    many = len(boxes)
    lines = []

    def line(what: str, work: Callable[[int], Any], repeats: int) -> None:
        begun = time.perf_counter()
        work(0)
        first = (time.perf_counter() - begun) * 1e3
        lines.append({"what": what, "first_ms": round(first, 2), **timed(work, repeats, warm=False)})

    forget_build(root)
    line("map, viewport of 20,000 points", lambda i: plane.viewport(boxes[i], BUDGET), many)
    line("map, exact count in view", lambda i: plane.count(boxes[i]), many)
    line("map, density 480 × 480", lambda i: plane.density(boxes[i], RASTER, RASTER), many)
    line("sky, viewport of 20,000 points", lambda i: sky.viewport(*views[i], BUDGET), many)
    line("sky, exact count in view", lambda i: sky.count(*views[i]), many)
    line("sky, density 480 × 480", lambda i: sky.density(*views[i], RASTER, RASTER), many)
    line("nearest to a position", lambda i: atlas.nearest(*positions[i], NEAREST_WITHIN_ARCSEC), many)
    held = {}
    for what, selection in selections.items():
        line(what, lambda _, selection=selection: atlas.mask(selection), FEW)
        held[what] = atlas.mask(selection)
    mask = next(iter(held.values()))
    line("map, viewport under that lasso", lambda i: plane.viewport(boxes[i], BUDGET, mask), many)
    line("sky, viewport under that lasso", lambda i: sky.viewport(*views[i], BUDGET, mask), many)
    return {
        "lines": lines,
        "selected": {what: mask.count for what, mask in held.items()},
        "rows_touched": {
            "map": max(plane.viewport(box, BUDGET).touched for box in boxes),
            "sky": max(sky.viewport(*view, BUDGET).touched for view in views),
        },
    }


# A worker


def measure_worker(root: Path) -> dict[str, Any]:
    """Serve the atlas by one worker, and visit it before it can search and after."""
    atlas = Atlas.open(root)
    forget_build(root)
    settings = {"workers": 1, "threads": THREADS, "patience_s": READY_WITHIN_S}
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.perf_counter()
        with serve(root.resolve(), Path(scratch), until_ready=False, **settings) as server:
            try:
                return {"threads": THREADS, **live_through(server, atlas, begun)}
            except Exception as error:
                raise RuntimeError(f"the worker did not live through it; it said\n{server.output()}") from error


def live_through(server: Server, atlas: Atlas, begun: float) -> dict[str, Any]:
    """Visit a server whose command began at a moment of `time.perf_counter`."""
    (worker,) = children_of(server.process.pid)
    with watching(worker, LOOK_EVERY_S) as watched, ThreadPoolExecutor(1) as waiting:
        visitor = Visitor(server.url, atlas.build_id)
        visitor.get("/")
        answered_s = time.perf_counter() - begun
        at_first = visitor.readiness()
        readiness = waiting.submit(until_ready, Visitor(server.url, atlas.build_id))
        visitor.send({"is": "open", "token": ""})
        visitor.send({"is": "pick", "row": 0, "build": atlas.build_id})
        drawn_s = time.perf_counter() - begun
        says = visitor.shows["status-engine.children"]
        ready_at, slowest_s = readiness.result()
        loaded, ready = time.time(), anonymous_bytes(worker)
        visitors = visit(server.url, atlas)
        visited = anonymous_bytes(worker)
    if children_of(server.process.pid) != [worker]:
        raise RuntimeError("another worker has taken its place")
    return {
        "first_answer_s": round(answered_s, 2),
        "readiness_at_first": {name: at_first[name] for name in ("status", "ready")},
        "page_drawn_s": round(drawn_s, 2),
        "search_says_then": says,
        "ready_s": round(ready_at - begun, 2),
        "slowest_answer_meanwhile_ms": round(slowest_s * 1e3, 1),
        "ready_mib": round(ready / MIB),
        "peak_until_ready_mib": round(max(watched.peak_bytes(0, loaded), ready) / MIB),
        "visitors": len(visitors),
        "callbacks": sum(one.callbacks for one in visitors),
        "pictures": sum(one.pictures for one in visitors),
        "visited_mib": round(visited / MIB),
        "peak_visited_mib": round(max(watched.peak_bytes(loaded, time.time()), visited) / MIB),
    }


def until_ready(visitor: Visitor) -> tuple[float, float]:
    """When search was ready, by `time.perf_counter`, and how long the slowest answer of `/` took meanwhile, seconds."""
    begun, slowest_s = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        visitor.get("/")
        slowest_s = max(slowest_s, time.perf_counter() - asked)
        ready = visitor.readiness()["ready"]
        now = time.perf_counter()
        if ready:
            return now, slowest_s
        if now - begun > READY_WITHIN_S:
            raise RuntimeError(f"search is not ready after {READY_WITHIN_S} s")
        time.sleep(ASK_EVERY_S)


def visit(url: str, atlas: Atlas) -> list[Visitor]:
    """Four visitors at once, who choose galaxies and look around until they have asked for 200 callbacks together."""

    def look(seed: int) -> Visitor:
        visitor = Visitor(url, atlas.build_id)
        visitor.send({"is": "open", "token": ""})
        for event in wander(atlas, seed):
            if visitor.callbacks >= CALLBACKS / VISITORS:
                break
            visitor.send(event)
        return visitor

    with ThreadPoolExecutor(VISITORS) as pool:
        return list(pool.map(look, range(VISITORS)))


def wander(atlas: Atlas, seed: int) -> Iterator[dict[str, Any]]:
    """What a visitor does: chooses a galaxy, looks at a place of the map, at one of the sky, and so on."""
    places = draw_places(atlas, seed)
    rows = draw_rows(atlas.n_rows, VIEWS, seed)
    for row, box, (projection, part) in zip(rows, places.map_boxes[1:], places.sky_views[1:], strict=False):
        yield {"is": "pick", "row": int(row), "build": atlas.build_id}
        yield {"is": "view", "plane": "map", "box": msgspec.to_builtins(box)}
        seen = {"box": msgspec.to_builtins(part), "projection": msgspec.to_builtins(projection)}
        yield {"is": "view", "plane": "sky", **seen}


# What is told


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
