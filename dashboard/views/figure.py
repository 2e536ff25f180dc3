"""Parts that the two graphs share: arrays as the browser reads them fastest, and the parts of a figure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import Patch
from numpy.typing import NDArray

from .palette import Coloring, Theme

# Traces of both graphs, by position: a patch names them so.
POINTS, OUTLIERS, NEIGHBORS, FOCUS = range(4)
GRATICULE = 4
FEW_KNOWN = 0.25
LARGER_PIXELS = 3
_TYPES = {"float32": "f4", "float64": "f8", "uint32": "u4", "int32": "i4", "uint8": "u1", "int8": "i1"}


@dataclass(frozen=True, kw_only=True)
class PlanePicture:
    """Picture of either plane.

    Attributes
    ----------
    points : dict
        The trace of the points.
    images, shapes, annotations : list of dict
        Of the layout.
    drawn, in_view : int
        Galaxies that are drawn, and those in view.
    """

    points: dict[str, Any]
    images: list[dict[str, Any]]
    shapes: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    drawn: int
    in_view: int


def typed(array: NDArray[Any]) -> dict[str, str]:
    """An array as plotly's typed-array specification: a third of JSON's bytes, and nothing to parse.

    Raises
    ------
    KeyError
        For a dtype that browsers have no array of.
    """
    array = np.ascontiguousarray(array)
    return {"dtype": _TYPES[array.dtype.name], "bdata": base64.b64encode(array.tobytes()).decode("ascii")}


def axis(extent: tuple[float, float], **more: Any) -> dict[str, Any]:
    """An axis without anything that the galaxies would have to share the panel with."""
    return {
        "range": list(extent),
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "visible": False,
        **more,
    }


def skeleton(name: str, x: tuple[float, float], y: tuple[float, float]) -> dict[str, Any]:
    """A figure with its traces empty; callbacks fill them in."""
    return {
        "data": [
            _scatter("points", {"size": 3, "opacity": 0.6}),
            _scatter("outliers", {"size": 7}),
            # Felt under the mouse here, and drawn as rings above the images by the browser.
            _scatter("neighbours", {"size": 13, "opacity": 0}),
            _scatter("focus", {"size": 22, "opacity": 0}),
            _lines("graticule", 0.5),
            *(_lines(line, 0.8) for line in (("galaxy", "ecliptic", "footprint") if name == "sky" else ())),
        ],
        "layout": {
            "xaxis": axis(x),
            "yaxis": axis(y, scaleanchor="x", scaleratio=1),
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "showlegend": False,
            "hovermode": "closest",
            "hoverdistance": 12,
            "clickanywhere": True,  # on an image, which is wider than its point
            "dragmode": "pan",
            "uirevision": name,
            "selectionrevision": 0,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "newselection": {"line": {"color": "#ffb454", "width": 1.5, "dash": "solid"}},
            "activeselection": {"fillcolor": "rgba(255,180,84,0.1)", "opacity": 1},
            "images": [],
            "shapes": [],
            "annotations": [],
            "meta": {},
        },
    }


def marker(count: int, theme: Theme, coloring: Coloring | None, *, selected: bool) -> dict[str, Any]:
    """Size and colour of the points: fewer points are drawn larger and clearer, many leave the density in sight."""
    size = float(np.clip(90.0 / np.sqrt(max(count, 1)), 2.0, 5.0))
    opacity = float(np.clip(25.0 / np.sqrt(max(count, 1)), 0.35 if selected else 0.15, 0.9))
    base: dict[str, Any] = {"size": size, "line": {"width": 0}, "symbol": "circle"}
    if coloring is None:
        return {**base, "opacity": opacity, "color": theme.selected if selected else theme.point}
    return {
        **base,
        "opacity": max(opacity, 0.75),
        "color": typed(coloring.values),
        "colorscale": [list(step) for step in coloring.scale],
        "cmin": coloring.low,
        "cmax": coloring.high,
        "showscale": False,
    }


def points(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    rows: NDArray[np.uint32],
    marker: dict[str, Any],
    coloring: Coloring | None,
) -> dict[str, Any]:
    """The trace of the points: those with a colour of their own last, on top of the grey ones, and larger where few.

    Parameters
    ----------
    x, y : ndarray of shape (m,), float32
    rows : ndarray of shape (m,), uint32
    marker : dict
        From `marker`, with the colours of `coloring`.
    coloring : Coloring or None
    """
    if coloring is not None and not coloring.known.all():
        order = np.argsort(coloring.known, kind="stable")
        x, y, rows = x[order], y[order], rows[order]
        marker = {**marker, "color": typed(coloring.values[order])}
        known = coloring.known[order]
        if known.mean() < FEW_KNOWN:
            small = round(marker["size"])
            marker["size"] = typed(np.where(known, small + LARGER_PIXELS, small).astype(np.uint8))
    return {"x": typed(x), "y": typed(y), "customdata": typed(rows), "marker": marker}


def polygon_shape(vertices: NDArray[np.float64], theme: Theme) -> dict[str, Any]:
    """A selected region's outline, shape (v, 2): closed and filled, or where NaN parts it, lines as they are."""
    whole = bool(np.isfinite(vertices).all())
    ends = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
    pieces = [piece[np.isfinite(piece).all(axis=1)] for piece in np.split(vertices, ends)]
    paths = [" L ".join(f"{x:.12g},{y:.12g}" for x, y in piece.tolist()) for piece in pieces if len(piece) > 1]
    return {
        "type": "path",
        "path": " ".join(f"M {path}" for path in paths) + (" Z" if whole else ""),
        "line": {"color": theme.accent, "width": 1.5},
        "fillcolor": "rgba(255,180,84,0.05)" if whole else "rgba(0,0,0,0)",
        # As selections count: the middle of a pentagram is inside.
        "fillrule": "nonzero",
        "layer": "above",
        "editable": False,
    }


def label(x: float, y: float, text: str, theme: Theme, **more: Any) -> dict[str, Any]:
    """A word on the graph."""
    return {
        "x": x,
        "y": y,
        "text": text,
        "showarrow": False,
        "font": {"color": theme.accent, "size": 12},
        "bgcolor": "rgba(8,11,17,0.6)" if theme.name == "dark" else "rgba(255,255,255,0.7)",
        "borderpad": 2,
        **more,
    }


def _lines(name: str, opacity: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [],
        "y": [],
        "hoverinfo": "skip",
        "line": {"width": 1},
        "opacity": opacity,
    }


def _scatter(name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scattergl",
        "mode": "markers",
        "name": name,
        "x": [],
        "y": [],
        "customdata": [],
        "hoverinfo": "none",
        "marker": marker,
    }


def patch_points(shown: PlanePicture, look: Theme) -> Patch:
    """Patch of a new view of any plane: points, pictures, outlines, and the colour of rings."""
    patch = Patch()
    patch["data"][POINTS].update(shown.points)
    patch["layout"]["images"] = shown.images
    patch["layout"]["shapes"] = shown.shapes
    patch["layout"]["annotations"] = shown.annotations
    # The outline of a lasso is the state's; the browser's own is taken back.
    patch["layout"]["selections"] = []
    for trace, width in ((NEIGHBORS, 1.4), (FOCUS, 2.2)):
        patch["data"][trace]["marker"].update({"color": look.accent, "line": {"width": width, "color": look.accent}})
    return patch


def picture_below(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    """Place of a picture below all points, in numbers of the axes; `source` and `opacity` are added to it."""
    return {
        "xref": "x", "yref": "y", "x": left, "y": top, "sizex": width, "sizey": height,
        "sizing": "stretch", "layer": "below",
    }  # fmt: skip
