"""The sky: sample and selection at their positions, a graticule, and a picture of the sky where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import Dash, Input, Output, no_update
from dash import State as Held

from atlas import Atlas
from atlas.catalog.reserved_names import DENSITY
from atlas.planes.plane import Box as PlaneBox
from atlas.queries.selection import Selection, SkyPolygon
from atlas.queries.sky_extent import on_plane, outline_of
from atlas.sky.outlines import Circle
from atlas.sky.projection import Projection
from atlas.sky.sky_regions import separation_deg
from atlas.storage.manifest import Column

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..state.page_state import SkyView, State, active, is_narrowed
from ..state.sky_look import SKY_LINES, SkyLine
from ..state.viewports import home
from . import figure as fig
from .outlines import outlines
from .paint import color_points, mean_of, mean_pixels, mean_query
from .palette import DARK
from .sky_behind import Behind, behind
from .sky_lines import TORN_DEG, compass, graticule_lines, nothing, reference_line, scale_bar

FADED = 0.35
VEIL = 0.55  # of densities over a picture of the sky
FEW = 2_000  # points that leave the sky behind them in sight
RASTER_WIDTH, RASTER_HEIGHT = 640, 320


@dataclass(frozen=True, kw_only=True)
class SkyPicture(fig.PlanePicture):
    """Picture of the sky's panel.

    Attributes
    ----------
    lines : dict
        Traces of the lines, by name.
    view : SkyView
        What it was made for.
    behind : Behind or None
        The picture of another server behind the points.
    """

    lines: dict[SkyLine, dict[str, Any]]
    view: SkyView
    behind: Behind | None


def picture(service: Service, state: State) -> SkyPicture:
    """Picture of the sky for a state."""
    atlas = service.atlas
    look = DARK  # the sky is dark in both themes, as it is in pictures of it
    view = state.sky or home(atlas, state.sky_look)
    mask = service.mask(active(state), atlas)
    box = PlaneBox(view.box.x0, view.box.x1, view.box.y0, view.box.y1)
    sample = atlas.sky.viewport(view.projection, box, service.settings.points_per_view, mask)
    coloring = color_points(service, state, sample.rows, look)
    mean = mean_of(atlas, state, sample.in_view)
    drawn = int(sample.rows.size)
    marker = fig.marker(drawn, look, coloring, selected=mask is not None)
    background = _background(atlas, view)
    elsewhere = behind(service, state.sky_look.behind, view, projection_key(view.projection))
    if coloring is None and (background is not None or (elsewhere is not None and drawn <= FEW)):
        # The picture shows the galaxies themselves: points are felt under the mouse, and seen once they are selected.
        strong = mask is not None or background is None
        marker |= {"symbol": "circle-open", "size": 10, "opacity": 0.9 if strong else 0.0, "line": {"width": 1.2}}
    if mean is not None:
        marker["opacity"] = 0.0
    seen = _seen(view)
    lines: dict[SkyLine, dict[str, Any]] = {}
    labels: list[dict[str, Any]] = []
    for name in SKY_LINES:
        words: list[dict[str, Any]] = []
        lines[name] = nothing()
        if name not in state.sky_look.hidden:
            lines[name], words = (
                graticule_lines(view, state.sexagesimal, look)
                if name == "graticule"
                else reference_line(atlas, name, view, seen, look)
            )
        labels += words
    shapes, count = outlines(active(state), lambda one: _corners(one, view), look, None if mask is None else mask.count)
    bar, length = scale_bar(view, look)
    images = [elsewhere.image] if elsewhere is not None and elsewhere.shown else []
    if background is not None and mean is None:
        images.append(background)
    elif elsewhere is None or drawn > FEW or mean is not None:
        rasters = _rasters(service, view, state, mean, sample.in_view)
        images += rasters if elsewhere is None else [one | {"opacity": VEIL * one["opacity"]} for one in rasters]
    return SkyPicture(
        points=fig.points(sample.x.astype(np.float32), sample.y.astype(np.float32), sample.rows, marker, coloring),
        lines=lines,
        images=images,
        shapes=shapes + bar,
        annotations=labels + count + length + compass(view, look),
        view=view,
        behind=elsewhere,
        drawn=drawn,
        in_view=sample.in_view,
    )


def _corners(one: Selection, view: SkyView) -> Any:
    """Outline of a region of the sky on the view's plane; None where it is none, or hidden."""
    if isinstance(one, SkyPolygon) and one.projection == view.projection:
        return np.array(one.vertices, dtype=np.float64)
    line = outline_of(one, _seen(view))
    if line is None:
        return None
    points = on_plane(line, view.projection, TORN_DEG)
    return points if np.isfinite(points).any() else None


def _seen(view: SkyView) -> Circle | None:
    """A circle that holds what is in view; None for all-sky planes."""
    if view.projection.all_sky:
        return None
    box = view.box
    x, y = np.meshgrid([box.x0, box.x1], [box.y0, box.y1])
    ra, dec = view.projection.inverse(x.ravel(), y.ravel())
    middle = view.projection.inverse((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    ra0, dec0 = (float(v) for v in middle)
    return ra0, dec0, float(separation_deg(ra, dec, ra0, dec0).max())


def describe_view(view: SkyView, drawn: int, in_view: int) -> str:
    """Words for the panel's head: how much of the sky, in which projection, how drawn."""
    how = f"all {drawn:,} drawn" if drawn == in_view else f"{drawn:,} of {in_view:,} drawn"
    width = view.box.x1 - view.box.x0
    frame = "ICRS" if view.projection.frame == "icrs" else "galactic"
    if view.projection.all_sky:
        name = "Hammer–Aitoff" if view.projection.kind == "ait" else "Mollweide"
        return f"all sky · {name} · {frame}, E left · {how}"
    size = f"{width:.1f}°" if width >= 1 else f"{width * 60:.1f}′" if width * 60 >= 1 else f"{width * 3600:.1f}″"
    return f"{size} wide · tangent · {frame}, N up, E left · {how}"


def place(view: SkyView, ra_deg: Any, dec_deg: Any) -> tuple[Any, Any]:
    """Positions on the view's plane, float32; NaN where the projection has none."""
    x, y = view.projection.forward(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)


def _background(atlas: Atlas, view: SkyView) -> dict[str, Any] | None:
    """The atlas's own picture of the sky, where the view's plane is the one that it was drawn on (nearly): a picture
    cannot be turned, so that in another frame points and density stand for it."""
    b = atlas.manifest.sky_background
    if b is None or view.projection.all_sky or view.projection.frame != "icrs":
        return None
    x, y = view.projection.forward(b.ra_deg, b.dec_deg)
    if not np.hypot(float(x), float(y)) < 1.0:
        return None
    left, top = float(x) - b.width_deg / 2, float(y) + b.height_deg / 2
    return {"source": f"/background/{atlas.build_id}.png", **fig.picture_below(left, top, b.width_deg, b.height_deg)}


def _rasters(service: Service, view: SkyView, state: State, mean: Column | None, in_view: int) -> list[dict[str, Any]]:
    """Pictures behind the points: the density of all, that of what is active over it, or the mean of a column."""
    atlas, box = service.atlas, view.box
    query = {
        "kind": view.projection.kind,
        "ra": f"{view.projection.ra_deg:.8g}",
        "dec": f"{view.projection.dec_deg:.8g}",
        **{k: f"{v:.8g}" for k, v in zip(("x0", "x1", "y0", "y1"), (box.x0, box.x1, box.y0, box.y1), strict=True)},
        "w": str(RASTER_WIDTH),
        "h": str(RASTER_HEIGHT),
        "light": "0",
        **({} if view.projection.frame == "icrs" else {"frame": view.projection.frame}),
    }
    place = fig.picture_below(box.x0, box.y1, box.x1 - box.x0, box.y1 - box.y0)

    def raster(opacity: float, **more: str) -> dict[str, Any]:
        address = f"/raster/{atlas.build_id}/sky.png?{urlencode({**query, **more})}"
        return {**place, "source": address, "opacity": opacity}

    within = {"in": service.remember(active(state), atlas)} if is_narrowed(state) else {}
    if mean is not None:
        edge = mean_pixels(in_view)
        return [raster(1.0, **mean_query(mean, state), w=str(2 * edge), h=str(edge), **within)]
    if within:
        return [raster(FADED), raster(0.8 if state.color == DENSITY else FADED, **within)]
    return [raster(1.0 if state.color == DENSITY else 0.45)]


def projection_key(projection: Projection) -> str:
    """Names a projection, so that the browser's and the server's can be compared."""
    return f"{projection.kind}:{projection.frame}:{projection.ra_deg:.6f}:{projection.dec_deg:.6f}"


def register(app: Dash, service: Service) -> None:
    """Draw the sky where what it depends on has changed."""

    @app.callback(
        output={
            "figure": Output("sky", "figure"),
            "words": Output("sky-words", "children"),
            "shown": Output("sky-shown", "data"),
        },
        inputs=[Input("part-sky", "data"), Held("sky-shown", "data")],
        prevent_initial_call=True,
    )
    def on_sky(part: Any, shown_before: Any) -> dict[str, Any]:
        shown = picture(service, read_state(service, part))
        view = shown.view
        patch = fig.patch_points(shown, DARK)
        for at, name in enumerate(SKY_LINES):
            patch["data"][fig.GRATICULE + at].update(shown.lines[name])
        shown_now = projection_key(view.projection)
        if shown_now != shown_before:
            # Another plane: what was in view there means nothing here.
            patch["layout"]["xaxis"]["range"] = [view.box.x0, view.box.x1]
            patch["layout"]["yaxis"]["range"] = [view.box.y0, view.box.y1]
            patch["layout"]["uirevision"] = shown_now
        seen_in = {name: getattr(view.projection, name) for name in ("kind", "ra_deg", "dec_deg", "frame")}
        told = None if shown.behind is None else shown.behind.told
        patch["layout"]["meta"] = {
            "key": shown_now,
            "flip": [False, False],
            "projection": seen_in,
            "behind": told,
            "holds": [view.box.x0, view.box.x1, view.box.y0, view.box.y1],
        }
        return {
            "figure": patch,
            "words": describe_view(view, shown.drawn, shown.in_view),
            "shown": shown_now if shown_now != shown_before else no_update,
        }
