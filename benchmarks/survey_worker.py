"""Server of `benchmarks.survey`: from the start of its command to visitors who look around."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from atlas import Atlas
from benchmarks.disk import draw_rows, forget_build
from benchmarks.processes import anonymous_bytes, children_of, watching
from benchmarks.serving import Server, serve
from benchmarks.survey_views import VIEWS, draw_places
from benchmarks.visitor import Visitor

THREADS = 8
VISITORS = 4
CALLBACKS = 200
LOOK_EVERY_S = 0.05
ASK_EVERY_S = 0.2
READY_WITHIN_S = 900
MIB = 2**20


def measure_worker(root: Path) -> dict[str, Any]:
    """Serve the atlas by one worker, and visit it before it can search and after."""
    atlas = Atlas.open(root)
    forget_build(root)
    settings: dict[str, Any] = {"workers": 1, "threads": THREADS, "patience_s": READY_WITHIN_S}
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
    """Do as a visitor does: choose a galaxy, looks at a place of the map, at one of the sky, and so on."""
    places = draw_places(atlas, seed)
    rows = draw_rows(atlas.n_rows, VIEWS, seed)
    for row, box, (projection, part) in zip(rows, places.map_boxes[1:], places.sky_views[1:], strict=False):
        yield {"is": "pick", "row": int(row), "build": atlas.build_id}
        yield {"is": "view", "plane": "map", "box": msgspec.to_builtins(box)}
        seen = {"box": msgspec.to_builtins(part), "projection": msgspec.to_builtins(projection)}
        yield {"is": "view", "plane": "sky", **seen}
