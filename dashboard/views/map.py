"""The map of embedding space: density behind, a fair sample of points, the outliers as a layer of their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from atlas import Atlas, Mask
from atlas.plane import Box as PlaneBox
from atlas.selection import And, MapPolygon, Selection
from dashboard.service import Service
from dashboard.state import Box, State
from dashboard.views import figure as fig
from dashboard.views.palette import Coloring, Theme, color_by, theme

OUTLIERS_IN_VIEW = 120
REPRESENTATIVES = 30
REPRESENTATIVE_HEIGHT = 0.064
RASTER_PIXELS = 480
HOME_MARGIN = 0.03
# The raster reaches beyond the view, so that a pan shows something before the server answers.
RASTER_OVERSCAN = 0.3


def home_box(atlas: Atlas) -> Box:
    """The viewport to begin with: the whole map, but for outliers so far off that the rest would be a dot."""
    e = atlas.space().plane.frame
    pad_x, pad_y = (e.x1 - e.x0) * HOME_MARGIN, (e.y1 - e.y0) * HOME_MARGIN
    return Box(e.x0 - pad_x, e.x1 + pad_x, e.y0 - pad_y, e.y1 + pad_y)


def picture(service: Service, state: State) -> dict[str, Any]:
    """All that the map's graph shows for a state.

    Returns
    -------
    dict
        `points`, `outliers`: traces; `images`, `shapes`, `annotations`: of the layout; `coloring`: Coloring or None;
        `drawn`, `in_view`, `outliers_in_view`: counts.
    """
    atlas = service.atlas
    look = theme(state.light)
    mask = service.mask(state.selection, atlas)
    box = state.map or home_box(atlas)
    plane = atlas.space().plane
    view = PlaneBox(box.x0, box.x1, box.y0, box.y1)
    sample = plane.viewport(view, service.settings.points_per_view, mask)
    coloring = color_points(atlas, state.color, sample.rows, look)
    drawn = int(sample.rows.size)
    points = {
        "x": fig.typed(sample.x),
        "y": fig.typed(sample.y),
        "customdata": fig.typed(sample.rows),
        "marker": fig.marker(drawn, look, coloring, selected=mask is not None),
    }
    outliers = _outliers(atlas, view, mask)
    images = [_raster(atlas, box, state)]
    if atlas.thumbnails is not None and drawn:
        images += _representatives(atlas, sample.rows, sample.x, sample.y, box)
    shapes, annotations = outline(state.selection, look, None if mask is None else mask.count)
    return {
        "points": points,
        "outliers": {
            "x": fig.typed(outliers[1]),
            "y": fig.typed(outliers[2]),
            "customdata": fig.typed(outliers[0]),
            "marker": {
                "size": 6,
                "color": look.accent,
                "opacity": 0.95,
                "line": {"width": 1, "color": look.background},
            },
        },
        "images": images,
        "shapes": shapes,
        "annotations": annotations,
        "coloring": coloring,
        "drawn": drawn,
        "in_view": sample.in_view,
        "outliers_in_view": int(outliers[0].size),
    }


def color_points(atlas: Atlas, color: str, rows: NDArray[Any], look: Theme) -> Coloring | None:
    """Colours of some rows by the state's choice; None for one colour."""
    columns = atlas.columns(atlas.default_space)
    if color == "density" or color not in columns:
        return None
    column = columns.describe(color)
    if column.kind == "text":
        return None
    return color_by(column, columns.array(color)[rows], look.missing)


def outline(selection: Selection, look: Theme, count: int | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lassos of a selection that were drawn on the map, and the exact count beside the first."""
    lassos = [one for one in _parts(selection) if isinstance(one, MapPolygon)]
    shapes = [fig.polygon_shape(one.vertices, look) for one in lassos]
    if not lassos or count is None:
        return shapes, []
    xs, ys = zip(*lassos[0].vertices, strict=True)
    text = f"{count:,} galaxies selected"
    return shapes, [fig.label((min(xs) + max(xs)) / 2, min(ys), text, look, yanchor="top", yshift=-4)]


def _parts(selection: Selection) -> tuple[Selection, ...]:
    return selection.of if isinstance(selection, And) else (selection,)


def _outliers(
    atlas: Atlas, view: PlaneBox, mask: Mask | None
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.float32]]:
    """The most anomalous rows in view: a layer of their own, so that rare galaxies never drown in a sample."""
    space = atlas.space()
    rows = space.outliers
    x, y = (np.asarray(space.columns.array(name)[rows], dtype=np.float32) for name in ("map_x", "map_y"))
    keep = (x >= view.x0) & (x <= view.x1) & (y >= view.y0) & (y <= view.y1)
    if mask is not None:
        keep &= (mask.packed[rows >> 3] >> (rows & 7).astype(np.uint8) & 1).astype(np.bool_)
    chosen = np.flatnonzero(keep)[:OUTLIERS_IN_VIEW]
    return rows[chosen], x[chosen], y[chosen]


def _raster(atlas: Atlas, box: Box, state: State) -> dict[str, Any]:
    width, height = box.x1 - box.x0, box.y1 - box.y0
    # One square raster serves whatever shape the panel has: it covers the longer side, and beyond.
    half = max(width, height) * (0.5 + RASTER_OVERSCAN)
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    query = urlencode(
        {
            **{
                k: f"{v:.7g}"
                for k, v in zip(("x0", "x1", "y0", "y1"), (x - half, x + half, y - half, y + half), strict=True)
            },
            "w": RASTER_PIXELS,
            "h": RASTER_PIXELS,
            "light": int(state.light),
        }
    )
    faded = not _is_all(state) or state.color != "density"
    return {
        "source": f"/raster/{atlas.build_id}/map.png?{query}",
        "xref": "x",
        "yref": "y",
        "x": x - half,
        "y": y + half,
        "sizex": 2 * half,
        "sizey": 2 * half,
        "sizing": "stretch",
        "layer": "below",
        "opacity": 0.45 if faded else 1.0,
    }


def _is_all(state: State) -> bool:
    return state.selection == State().selection


def _representatives(
    atlas: Atlas, rows: NDArray[np.uint32], x: NDArray[np.float32], y: NDArray[np.float32], box: Box
) -> list[dict[str, Any]]:
    """Images of galaxies that stand for their surroundings: in each cell of a grid, the one nearest to its middle."""
    size = (box.y1 - box.y0) * REPRESENTATIVE_HEIGHT
    chosen = spread(x, y, size * 1.35, REPRESENTATIVES)
    return [
        {
            "source": f"/cutout/{atlas.build_id}/{int(rows[i])}.webp?rounded=1",
            "xref": "x",
            "yref": "y",
            "x": float(x[i]),
            "y": float(y[i]),
            "sizex": size,
            "sizey": size,
            "xanchor": "center",
            "yanchor": "middle",
            # Below the points: rings and outliers must not vanish behind an image.
            "layer": "below",
            "opacity": 0.96,
        }
        for i in chosen
        if atlas.thumbnails is not None and atlas.thumbnails.has(int(rows[i]))
    ]


def spread(x: NDArray[Any], y: NDArray[Any], distance: float, limit: int) -> list[int]:
    """Points that stand for their surroundings and keep their distance.

    The plane is cut into cells; the fullest cells come first, each with the point nearest to its points' mean.

    Returns
    -------
    list of int
        Positions in `x` and `y`, at most `limit`, no two nearer than `distance` along both axes.
    """
    if x.size == 0:
        return []
    cell = distance * 1.5
    i = np.floor((x - x.min()) / cell).astype(np.int64)
    j = np.floor((y - y.min()) / cell).astype(np.int64)
    _, inverse, counts = np.unique(i * (int(j.max()) + 1) + j, return_inverse=True, return_counts=True)
    mean_x = np.bincount(inverse, weights=x) / counts
    mean_y = np.bincount(inverse, weights=y) / counts
    away = np.hypot(x - mean_x[inverse], y - mean_y[inverse])
    # First of each cell after sorting by cell, then by distance from the cell's mean.
    order = np.lexsort((away, inverse))
    middles = order[np.searchsorted(inverse[order], np.arange(counts.size))]
    chosen: list[int] = []
    for candidate in middles[np.argsort(-counts, kind="stable")]:
        near = (np.abs(x[chosen] - x[candidate]) < distance) & (np.abs(y[chosen] - y[candidate]) < distance)
        if not near.any():
            chosen.append(int(candidate))
            if len(chosen) == limit:
                break
    return chosen
