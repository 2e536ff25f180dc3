"""Lines over the sky: graticule, Milky Way, ecliptic, the footprint, a scale bar, arrows to the north and the east."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.places import round_arcsec, size_words
from atlas.planes.region import Box
from atlas.queries.sky_extent import on_plane
from atlas.sky.graticule import graticule
from atlas.sky.healpix import cell_area_deg2
from atlas.sky.outlines import Circle, SkyPath, edges

from ..state.page_state import SkyView
from ..state.sky_look import SkyLine
from . import figure as fig
from .palette import Theme

TORN_DEG = 180.0
GREAT_CIRCLE_POINTS = 361
FARTHEST_DEG = 75.0  # on a tangent plane: what lies beyond is out of any view
FOOTPRINT_PIECES = 1_500
BAR_SHARE = 0.22
ARROW_PIXELS = 26
COLORS = {"galaxy": "#c39bff", "ecliptic": "#e8c547", "footprint": "#4fc48d"}
NAMES = {"galaxy": "Milky Way", "ecliptic": "ecliptic", "footprint": "survey outline"}


def graticule_lines(view: SkyView, sexagesimal: bool, look: Theme) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The trace of the graticule, and its labels."""
    drawn = graticule(view.projection, _box(view), "sexagesimal" if sexagesimal else "deg")
    small = {"font": {"size": 10, "color": look.muted}, "bgcolor": "rgba(0,0,0,0)"}
    labels = [fig.label(float(x), float(y), text, look, **small) for x, y, text, _ in drawn.labels]
    gap = np.array([np.nan], dtype=np.float32)
    points = [np.concatenate([part for line in drawn.lines for part in (line[i], gap)] or [gap]) for i in (0, 1)]
    return _trace(points[0], points[1], {"width": 1, "color": look.muted}), labels


def nothing() -> dict[str, Any]:
    """The trace of a line that is not drawn."""
    return _trace(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32), {"width": 1})


def reference_line(
    atlas: Atlas, name: SkyLine, view: SkyView, seen: Circle | None, look: Theme
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The trace of the Milky Way's plane, the ecliptic or the footprint, and its name where it is in view."""
    line = edges(atlas.sky.coverage, FOOTPRINT_PIECES, seen) if name == "footprint" else _great_circle(name)
    points = on_plane(line, view.projection, TORN_DEG)
    if not view.projection.all_sky:
        points[~(np.hypot(*points.T) < _plane_deg(FARTHEST_DEG))] = np.nan
    dash = {"galaxy": "dot", "ecliptic": "dash", "footprint": "solid"}[name]
    style = {"width": 1.3, "color": COLORS[name], "dash": dash}
    x, y = points.astype(np.float32).T
    return _trace(x, y, style), _named(name, points, view, look, _outline_words(atlas) if name == "footprint" else "")


def scale_bar(view: SkyView, look: Theme) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A bar of a round length at the lower right, true at the middle of the view; none on all-sky planes."""
    if view.projection.all_sky:
        return [], []
    box = _box(view)
    middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    # A short step to the side, as long on the plane as it is on the sky.
    step = box.width * 1e-3
    ra, dec = view.projection.inverse([middle[0], middle[0] + step], [middle[1], middle[1]])
    here, there = (SkyCoord(a, d, unit="deg") for a, d in zip(ra, dec, strict=True))
    stretch = step / float(here.separation(there).deg)
    arcsec = round_arcsec(box.width * BAR_SHARE / stretch * 3600)
    length = arcsec / 3600 * stretch
    right = box.x1 - 0.04 * box.width
    shape = {"type": "line", "xref": "x", "yref": "paper", "x0": right - length, "x1": right, "y0": 0.1, "y1": 0.1,
             "line": {"color": look.text, "width": 2}}  # fmt: skip
    word = fig.label(right - length / 2, 0.1, size_words(arcsec), look, yref="paper", yanchor="bottom", yshift=1)
    word["font"] = {"size": 11, "color": look.text}
    return [shape], [{**word, "bgcolor": "rgba(0,0,0,0)"}]


def compass(view: SkyView, look: Theme) -> list[dict[str, Any]]:
    """Arrows to the north and the east (ICRS) at the middle of the view, at the upper right; none on all-sky planes."""
    if view.projection.all_sky:
        return []
    found = []
    for word, (x, y) in zip("NE", directions(view), strict=True):
        found.append({
            "x": 0.93, "y": 0.7, "xref": "paper", "yref": "paper", "text": word, "showarrow": True, "arrowhead": 0,
            "arrowside": "none", "arrowwidth": 1.5, "arrowcolor": look.text, "ax": ARROW_PIXELS * x,
            "ay": -ARROW_PIXELS * y, "font": {"size": 11, "color": look.text}, "xanchor": "center", "standoff": 0,
        })  # fmt: skip
    return found


def directions(view: SkyView) -> tuple[tuple[float, float], tuple[float, float]]:
    """Unit vectors on the plane to the north and the east (ICRS) of the middle of a view."""
    box = _box(view)
    ra, dec = (float(v) for v in view.projection.inverse((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    middle = SkyCoord(ra, dec, unit="deg")
    step = box.width / 1e3
    found = []
    for turn in (0.0, 90.0):
        there = middle.directional_offset_by(turn * u.deg, step * u.deg)
        here, away = (
            np.array(view.projection.forward(one.ra.deg % 360, one.dec.deg), dtype=float) for one in (middle, there)
        )
        x, y = (away - here) / np.hypot(*(away - here))
        found.append((float(x), float(y)))
    return found[0], found[1]


def _outline_words(atlas: Atlas) -> str:
    order, _ = atlas.sky.occupied
    width = size_words(3600 * math.sqrt(cell_area_deg2(order)), digits=2)
    return f"Outline of the survey: the cells of HEALPix order {order}, {width} wide, that hold a galaxy"


def _named(name: SkyLine, points: NDArray[np.float64], view: SkyView, look: Theme, why: str) -> list[dict[str, Any]]:
    """The name of a line, beside the point of it that is nearest to a third of the view's width; `why` explains it."""
    box = _box(view)
    pad_x, pad_y = 0.1 * box.width, 0.15 * box.height
    inner = Box(box.x0 + pad_x, box.x1 - pad_x, box.y0 + pad_y, box.y1 - pad_y)
    inside = np.flatnonzero(inner.contains(*points.T))
    if not inside.size:
        return []
    at = inside[np.argmin(np.abs(points[inside, 0] - (box.x0 + box.width / 3)))]
    word = fig.label(float(points[at, 0]), float(points[at, 1]), NAMES[name], look, yanchor="bottom")
    told = {"hovertext": why, "captureevents": False} if why else {}
    return [{**word, "font": {"size": 10, "color": COLORS[name]}, "bgcolor": "rgba(0,0,0,0)", **told}]


@cache
def _great_circle(name: str) -> SkyPath:
    frame = {"galaxy": "galactic", "ecliptic": "barycentricmeanecliptic"}[name]
    there = SkyCoord(np.linspace(0, 360, GREAT_CIRCLE_POINTS), 0.0, unit="deg", frame=frame).icrs
    return there.ra.deg % 360, there.dec.deg


def _plane_deg(away_deg: float) -> float:
    return math.degrees(math.tan(math.radians(away_deg)))


def _box(view: SkyView) -> Box:
    return Box(view.box.x0, view.box.x1, view.box.y0, view.box.y1)


def _trace(x: NDArray[np.float32], y: NDArray[np.float32], line: dict[str, Any]) -> dict[str, Any]:
    return {"x": fig.typed(x), "y": fig.typed(y), "line": line}
