"""The map's panel: density behind, a fair sample of points, outliers as a layer, images that stand for many.

It shows the map of the embedding, or any column against any other: both are planes, with the same levels, counts,
lassos and colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import Dash, Input, Output, Patch, ctx, no_update
from dash import State as Held
from dash.exceptions import PreventUpdate
from numpy.typing import NDArray

from atlas import Atlas, Mask
from atlas.catalog.cluster_tree import ClusterInfo
from atlas.catalog.columns import is_magnitude
from atlas.catalog.numbers import exact_text
from atlas.catalog.reserved_names import DENSITY
from atlas.cluster_names import NamesHere
from atlas.errors import shorten
from atlas.planes.axis import Axis
from atlas.planes.column_plane import column_axes
from atlas.planes.plane import Box
from atlas.planes.representatives import representatives
from atlas.planes.sampling import Sample
from atlas.queries.column_lasso import vertices_on
from atlas.queries.selection import ColumnPolygon, MapPolygon
from atlas.storage.manifest import Column

from ..interaction.held_state import read_state
from ..jobs.job import UnderWayError
from ..service.atlas_service import Service
from ..service.galaxies import positions
from ..state.page_state import Axes, State, Viewport, active, is_narrowed
from ..state.viewports import home_box
from . import figure as fig
from . import status
from .clusters import named_at_scale
from .jobs import concerns, job_card
from .legend import legend, mean_legend
from .outlines import outlines
from .paint import color_points, coloring_column, likeness_column, mean_of, mean_pixels, mean_query
from .palette import Coloring, Theme, theme

OUTLIERS_IN_VIEW = 120
REPRESENTATIVES = 30
REPRESENTATIVE_HEIGHT = 0.064
IMAGE_DISTANCE = 1.35  # between middles, in images
LABEL_DISTANCE = 2.6
CLUSTER_LABELS = 12
LONGEST_LABEL = 24
FEW_LABELS = 8  # of fewer in view, those of the next finer scale are shown
EDGE = 0.18  # of the panel's width: there a label runs inwards
RASTER_PIXELS = 480
# The raster reaches beyond the view, so that a pan shows something before the server answers.
RASTER_OVERSCAN = 0.3
FADED = 0.35
MAP_KEY = "map"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True)
class MapPicture(fig.PlanePicture):
    """Picture of the map's panel.

    Attributes
    ----------
    outliers : dict
        The trace of the outliers.
    coloring : Coloring or None
    mean : Column or None
        Whose mean is painted.
    key : str
        Names the plane.
    view : Viewport
    outliers_in_view : int
    trust : float or None
        Mean of the column over what is drawn; None where it is not known.
    """

    outliers: dict[str, Any]
    coloring: Coloring | None
    mean: Column | None
    key: str
    view: Viewport
    outliers_in_view: int
    trust: float | None


def picture(service: Service, state: State, there: Atlas | None = None) -> MapPicture:
    """Picture of the map for a state.

    `there` is the atlas as seen in the space whose map it is, where that is not the page's: where galaxies lie is
    then of that space, and which are selected and how they are coloured of the page's.

    Raises
    ------
    UnderWayError
        While its plane is still being made.
    """
    atlas = service.atlas
    there = there or atlas
    plane = service.plane(state.axes, there)
    look = theme(state.light)
    mask = service.mask(active(state), atlas)
    box = state.map or home_box(plane)
    view = Box(box.x0, box.x1, box.y0, box.y1)
    sample = plane.viewport(view, service.settings.points_per_view, mask)
    coloring = color_points(service, state, sample.rows, look)
    drawn = int(sample.rows.size)
    mean = mean_of(atlas, state, sample.in_view)
    marker = fig.marker(drawn, look, coloring, selected=mask is not None)
    if mean is not None:
        # The picture says it; points are still felt under the mouse.
        marker["opacity"] = 0.0
    outliers = _outliers(atlas, there, state.axes, view, mask)
    images, labels = _images(there, state, sample, box, look, service.book.cluster_names(there))
    shapes, annotations = outlines(
        active(state), lambda one: _vertices(there, one, state.axes), look, None if mask is None else mask.count
    )
    outlier_marker = {
        "size": 6,
        "color": look.accent,
        "opacity": 0.95,
        "line": {"width": 1, "color": look.background},
    }
    return MapPicture(
        points=fig.points(sample.x, sample.y, sample.rows, marker, coloring),
        outliers={
            "x": fig.typed(outliers[1]),
            "y": fig.typed(outliers[2]),
            "customdata": fig.typed(outliers[0]),
            "marker": outlier_marker,
        },
        images=[*_rasters(service, there, state, box, mean, sample.in_view), *images],
        shapes=shapes,
        annotations=labels + annotations,
        coloring=coloring,
        mean=mean,
        key=plane_key(there, state.axes),
        view=box,
        drawn=drawn,
        in_view=sample.in_view,
        outliers_in_view=int(outliers[0].size),
        trust=_trust(there, sample.rows),
    )


def plane_key(atlas: Atlas, axes: Axes | None) -> str:
    """Names a plane, so that the browser's and the server's can be compared; spaces have maps of their own."""
    if axes is not None:
        return f"{axes.x}--{axes.y}"
    _, *others = atlas.space_names
    return f"{MAP_KEY} of {atlas.default_space}" if atlas.default_space in others else MAP_KEY


def axes_layout(atlas: Atlas, axes: Axes | None, view: Viewport, look: Theme) -> dict[str, dict[str, Any]]:
    """The axes of a plane's figure: none for the map, which has no units; titles and ticks for columns.

    Returns
    -------
    dict
        `xaxis`, `yaxis`, `margin`, and `meta` with the plane's key, which axes run backwards, and of the map what it
        has to hold in view in a panel of any proportions.
    """
    if axes is None:
        bare = {"visible": False, "title": {"text": ""}}
        return {
            "xaxis": {**bare, "range": [view.x0, view.x1]},
            "yaxis": {**bare, "range": [view.y0, view.y1], "scaleanchor": "x"},
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "meta": {
                "key": plane_key(atlas, axes),
                "flip": [False, False],
                "holds": [view.x0, view.x1, view.y0, view.y1],
            },
        }
    columns = atlas.columns(atlas.default_space)
    x, y = columns.describe(axes.x), columns.describe(axes.y)
    flip = [is_magnitude(x), is_magnitude(y)]
    shown = {
        "visible": True, "showticklabels": True, "ticks": "outside", "ticklen": 4, "nticks": 8,
        "color": look.muted, "tickfont": {"size": 10}, "showline": True, "linecolor": look.line,
        "exponentformat": "power", "minexponent": 6,
    }  # fmt: skip
    drawn = column_axes(columns, axes.x, axes.y)
    return {
        "xaxis": {**shown, "range": _directed((view.x0, view.x1), flip[0]), "title": _title(x, drawn.x, look)},
        "yaxis": {
            **shown,
            "range": _directed((view.y0, view.y1), flip[1]),
            "title": _title(y, drawn.y, look),
            "scaleanchor": False,
        },
        "margin": {"l": 52, "r": 8, "t": 36, "b": 40},
        "meta": {"key": plane_key(atlas, axes), "flip": flip},
    }


def _directed(extent: tuple[float, float], backwards: bool) -> list[float]:
    return [extent[1], extent[0]] if backwards else list(extent)


def _title(column: Column, axis: Axis, look: Theme) -> dict[str, Any]:
    unit = f" [{column.unit}]" if column.unit else ""
    return {"text": f"{axis_words(column.name, axis)}{unit}", "font": {"size": 11, "color": look.text}, "standoff": 4}


def axis_words(name: str, axis: Axis) -> str:
    """Title of an axis: "log₁₀ flux", "jd − 2459000", "lum / 10⁴³"."""
    if axis.log:
        return f"log₁₀ {name}"
    sign = "−" if axis.zero > 0 else "+"
    shifted = f"{name} {sign} {exact_text(abs(axis.zero))}" if axis.zero else name
    if axis.unit == 1:
        return shifted
    power = str(round(math.log10(axis.unit))).translate(RAISED)
    return f"{f'({shifted})' if axis.zero else shifted} / 10{power}"


def _vertices(atlas: Atlas, one: object, axes: Axes | None) -> NDArray[np.float64] | None:
    """Corners of a lasso that was drawn on the plane in view."""
    match one:
        case MapPolygon(space, vertices) if axes is None and space == atlas.default_space:
            return np.asarray(vertices)
        case ColumnPolygon(x, y) if axes is not None and (x, y) == (axes.x, axes.y):
            return vertices_on(atlas.column_axes(x, y), one)
    return None


def _trust(atlas: Atlas, rows: NDArray[np.uint32]) -> float | None:
    """Mean share of true neighbours that the map keeps near, over some rows."""
    columns = atlas.columns(atlas.default_space)
    if "trust" not in columns or not rows.size:
        return None
    known = columns.array("trust")[rows]
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else None


def _outliers(
    atlas: Atlas, there: Atlas, axes: Axes | None, view: Box, mask: Mask | None
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.float32]]:
    """The most anomalous rows in view: a layer of their own, so that rare galaxies never drown in a sample."""
    rows = atlas.space().outliers
    x, y = positions(there, axes, rows)
    keep = view.contains(x, y)
    if mask is not None:
        keep &= mask.holds(rows)
    chosen = np.flatnonzero(keep)[:OUTLIERS_IN_VIEW]
    return rows[chosen], x[chosen], y[chosen]


def _rasters(
    service: Service, there: Atlas, state: State, box: Viewport, mean: Column | None, in_view: int
) -> list[dict[str, Any]]:
    """Pictures behind the points: the density of all, that of what is active over it, or the mean of a column."""
    atlas = service.atlas
    width, height = box.x1 - box.x0, box.y1 - box.y0
    grow = 0.5 + RASTER_OVERSCAN
    if state.axes is None:
        # One square raster serves whatever shape the panel has: it covers the longer side, and beyond.
        half_x = half_y = max(width, height) * grow
    else:
        half_x, half_y = width * grow, height * grow
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    edges = (x - half_x, x + half_x, y - half_y, y + half_y)
    flip = (False, False)
    query: dict[str, Any] = {k: f"{v:.12g}" for k, v in zip(("x0", "x1", "y0", "y1"), edges, strict=True)}
    query |= {"w": RASTER_PIXELS, "h": RASTER_PIXELS, "light": int(state.light)}
    query |= {} if there.default_space == atlas.default_space else {"of": there.default_space}
    if state.axes is not None:
        columns = atlas.columns(atlas.default_space)
        flip = is_magnitude(columns.describe(state.axes.x)), is_magnitude(columns.describe(state.axes.y))
        query |= {"x": state.axes.x, "y": state.axes.y, "flip": int(flip[0]) + 2 * int(flip[1])}
    corner = edges[1] if flip[0] else edges[0], edges[2] if flip[1] else edges[3]
    place = fig.picture_below(*corner, 2 * half_x, 2 * half_y)

    def raster(opacity: float, **more: str) -> dict[str, Any]:
        address = f"/raster/{atlas.build_id}/map.png?{urlencode({**query, **more})}"
        return {**place, "source": address, "opacity": opacity}

    selection = active(state)
    within = {} if not is_narrowed(state) else {"in": service.remember(selection, atlas)}
    if mean is not None:
        edge = str(round(mean_pixels(in_view) * 2 * half_x / width))
        return [raster(1.0, **mean_query(mean, state), w=edge, h=edge, **within)]
    if within:
        return [raster(FADED), raster(0.8 if state.color == DENSITY else FADED, **within)]
    return [raster(1.0 if state.color == DENSITY else 0.45)]


def _images(
    atlas: Atlas, state: State, sample: Sample, box: Viewport, look: Theme, names: NamesHere
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Images of galaxies that stand for their surroundings, those of whole clusters first, with the clusters' sizes."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    size = (height if state.axes is None else width) * REPRESENTATIVE_HEIGHT, height * REPRESENTATIVE_HEIGHT
    distance = size[0] * IMAGE_DISTANCE, size[1] * IMAGE_DISTANCE
    taken: list[tuple[float, float]] = []
    images, labels = [], []
    for cluster in _clusters_in_view(atlas, box, names) if state.axes is None and not is_narrowed(state) else ():
        at = cluster.map_x, cluster.map_y
        near = LABEL_DISTANCE * size[0], LABEL_DISTANCE * size[1]
        if any(abs(at[0] - x) < near[0] and abs(at[1] - y) < near[1] for x, y in taken):
            continue
        if _has_image(atlas, cluster.medoid):
            images.append(_image(atlas, cluster.medoid, at, size))
        taken.append(at)
        labels.append(_label(atlas, cluster, look, box, size[1], names.name(cluster.label)))
        if len(labels) == CLUSTER_LABELS:
            break
    if atlas.thumbnails is not None and sample.rows.size:
        usable = atlas.thumbnails.which(sample.rows)
        for i in representatives(
            atlas.space().embeddings, sample.rows, sample.x, sample.y, distance, REPRESENTATIVES,
            usable=usable, taken=taken,
        ):  # fmt: skip
            images.append(_image(atlas, int(sample.rows[i]), (float(sample.x[i]), float(sample.y[i])), size))
    return images, labels


def _has_image(atlas: Atlas, row: int) -> bool:
    return atlas.thumbnails is not None and atlas.thumbnails.has(row)


def _clusters_in_view(atlas: Atlas, box: Viewport, names: NamesHere) -> list[ClusterInfo]:
    """Clusters whose medoid is in view, the largest first: those that have names, then those of the coarsest scale that
    has some of them there."""
    tree = atlas.space().cluster_tree
    named = [tree.cluster(label) for label in sorted(names.of) if names.name(label)]
    found: list[ClusterInfo] = []
    for scale in reversed(tree.scales):
        found = [c for c in tree.of(scale) if _is_in_view(c, box)]
        if len(found) >= FEW_LABELS:
            break
    return [*(c for c in named if _is_in_view(c, box)), *(c for c in found if not names.name(c.label))]


def _is_in_view(cluster: ClusterInfo, box: Viewport) -> bool:
    return box.x0 < cluster.map_x < box.x1 and box.y0 < cluster.map_y < box.y1


def _label(atlas: Atlas, cluster: ClusterInfo, look: Theme, box: Viewport, size_y: float, name: str) -> dict[str, Any]:
    """A cluster's name, or the first of the words that it deserves, and how many galaxies it has, kept inside the
    panel."""
    found = atlas.space().cluster_words.get(cluster.label, ())
    words = [name] if name else [word.text for word in found[:1] if word.is_large]
    text = "".join(f"{escape(shorten(one, LONGEST_LABEL), quote=False)}<br>" for one in words)
    why = [
        *([name] if name else []),
        f"Cluster {cluster.label}: {cluster.size:,} of {atlas.n_rows:,} galaxies that look alike",
        *(f"{word.text.capitalize()}: {word.why}" for word in found),
    ]
    share = (cluster.map_x - box.x0) / (box.x1 - box.x0)
    anchor = "left" if share < EDGE else "right" if share > 1 - EDGE else "center"
    return fig.label(
        cluster.map_x, cluster.map_y - size_y * 0.5, f"{text}{cluster.size:,} galaxies", look,
        font={"color": look.text, "size": 10}, xanchor=anchor, align=anchor, yanchor="top", yshift=-1,
        xshift={"left": -20, "center": 0, "right": 20}[anchor], borderpad=1, opacity=0.85, captureevents=False,
        name=str(cluster.label), hovertext="; ".join(why),
    )  # fmt: skip


def _image(atlas: Atlas, row: int, at: tuple[float, float], size: tuple[float, float]) -> dict[str, Any]:
    return {
        "source": f"/cutout/{atlas.build_id}/{row}.webp?framed=1",
        "xref": "x",
        "yref": "y",
        "x": at[0],
        "y": at[1],
        "sizex": size[0],
        "sizey": size[1],
        "xanchor": "center",
        "yanchor": "middle",
        "layer": "above",
    }


def figure_name(shown: MapPicture, state: State) -> str:
    """Name of what a figure has to be drawn anew for: another plane, or another theme."""
    return f"{shown.key} {theme(state.light).name}"


def patch_map(atlas: Atlas, shown: MapPicture, state: State, *, anew: bool) -> Patch:
    """Patch of a figure; `atlas` is seen in the space whose map it is, `anew` says whether its axes are others."""
    look = theme(state.light)
    patch = fig.patch_points(shown, look)
    patch["data"][fig.OUTLIERS].update(shown.outliers)
    if anew:
        for name, value in axes_layout(atlas, state.axes, shown.view, look).items():
            patch["layout"][name].update(value)
        patch["layout"]["uirevision"] = shown.key
    return patch


def register(app: Dash, service: Service) -> None:
    """Draw the map where what it depends on has changed, or its plane has been made."""

    @app.callback(
        output={
            "figure": Output("map", "figure"),
            "shown": Output("map-shown", "data"),
            "legend": Output("legend", "children"),
            "trust": Output("trust", "children"),
            "selected": Output("status-selected", "children"),
            "drawn": Output("status-drawn", "children"),
        },
        inputs=[Input("part-map", "data"), Input("job-ended", "data"), Held("map-shown", "data")],
        prevent_initial_call=True,
    )
    def on_map(part: Any, ended: Any, shown_before: Any) -> dict[str, Any]:
        if ctx.triggered_id == "job-ended" and not concerns(service, ended, "plane"):
            raise PreventUpdate
        state = read_state(service, part)
        atlas = service.atlas
        mask = service.mask(active(state), atlas)
        selected = status.selected(atlas, None if mask is None else mask.count)
        try:
            shown = picture(service, state)
        except UnderWayError as error:
            # An event that changes the axes waits for their plane: this one was made for another machine, or removed.
            kept = dict.fromkeys(("figure", "shown"), no_update)
            return {**kept, "legend": job_card(error.job), "trust": [], "selected": selected, "drawn": []}
        shown_now = figure_name(shown, state)
        patch = patch_map(atlas, shown, state, anew=shown_now != shown_before)
        return {
            "figure": patch,
            # Told where it changes alone: rings are put onto another plane, and stay on this one.
            "shown": shown_now if shown_now != shown_before else no_update,
            "legend": legend(
                shown.coloring,
                coloring_column(atlas, state) or likeness_column(service, state),
                state,
                named_at_scale(service, atlas, state.color),
            )
            if shown.mean is None
            else mean_legend(shown.mean, state.shading),
            "trust": status.trust(shown.trust, service.outside(active(state), atlas)),
            "selected": selected,
            "drawn": status.drawn(shown.drawn, shown.in_view, shown.outliers_in_view),
        }
