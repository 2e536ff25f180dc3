"""Views of `benchmarks.survey`: planes and columns, map and sky, at seeded places."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from atlas import Atlas, MapPolygon, Range, SkyPolygon
from atlas.planes.plane import Box
from atlas.queries.selection import Selection
from atlas.sky.projection import Projection
from atlas.storage import layout
from benchmarks.disk import draw_rows, forget_build
from benchmarks.planes import BUDGET, RASTER, boxes_about, lasso_of_a_tenth, timed
from dashboard.state.page_state import Viewport
from dashboard.state.viewports import follow, home

VIEWS = 200
FEW = 10
POSITION_OFF_ARCSEC = 1.0
NEAREST_WITHIN_ARCSEC = 10.0


@dataclass(frozen=True)
class Places:
    """Places where one looks: all of a plane first, then about seeded galaxies, closer and closer.

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
    views = [follow(atlas, first.projection, Viewport(*msgspec.structs.astuple(box))) for box in boxes]
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
    """Draw what is looked at."""
    atlas = Atlas.open(root)
    return draw_places(atlas), draw_selections(atlas)


def measure_views(root: Path, places: Places, selections: dict[str, Selection]) -> dict[str, Any]:
    """Measure what views ask of an atlas that nobody has looked at."""
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
        line(what, _evaluating(atlas, selection), FEW)
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


def _evaluating(atlas: Atlas, selection: Selection) -> Callable[[int], Any]:
    return lambda _: atlas.mask(selection)
