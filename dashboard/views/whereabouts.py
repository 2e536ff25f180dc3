"""Places of some galaxies, small: dots on the whole map and on the survey's sky."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
from dash import html
from numpy.typing import NDArray

from atlas import Atlas

from ..state.page_state import Viewport
from ..state.viewports import home_box, whole_survey
from .palette import DARK, Theme, theme

PIXELS = 128
"""Of the longer side: twice as many as are shown, for fine displays. All cards share both pictures."""

DOT_PIXELS = 1.5


def whereabouts(atlas: Atlas, rows: Sequence[int], *, light: bool) -> list[html.Span]:
    """Two pictures, each of all galaxies, on which some are dots."""
    columns = atlas.columns(atlas.default_space)
    map_x, map_y, ra, dec = (
        np.asarray(columns.array(name)[list(rows)], dtype=np.float64) for name in ("map_x", "map_y", "ra", "dec")
    )
    view = whole_survey(atlas)
    sky_x, sky_y = view.projection.forward(ra, dec)
    about = {
        "kind": view.projection.kind,
        "ra": f"{view.projection.ra_deg:.8g}",
        "dec": f"{view.projection.dec_deg:.8g}",
    }
    return [
        _picture(f"/raster/{atlas.build_id}/map.png", {"light": str(int(light))}, home_box(atlas.space().plane),
                 map_x, map_y, theme(light), "Some of them on the map"),
        _picture(f"/raster/{atlas.build_id}/sky.png", {"light": "0", **about}, view.box,
                 sky_x, sky_y, DARK, "Some of them on the survey's sky"),
    ]  # fmt: skip


def _picture(
    address: str,
    query: dict[str, str],
    box: Viewport,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    look: Theme,
    what: str,
) -> html.Span:
    width, height = box.x1 - box.x0, box.y1 - box.y0
    longer = max(width, height)
    query |= {name: f"{getattr(box, name):.8g}" for name in ("x0", "x1", "y0", "y1")}
    query |= {"w": str(round(PIXELS * width / longer)), "h": str(round(PIXELS * height / longer))}
    placed = np.isfinite(x) & np.isfinite(y)
    places = zip((x[placed] - box.x0) / width, (box.y1 - y[placed]) / height, strict=True)
    dot = f"{look.accent} {DOT_PIXELS}px, transparent {DOT_PIXELS + 0.5}px"
    dots = [f"radial-gradient(circle at {across:.1%} {down:.1%}, {dot})" for across, down in places]
    style = {
        "backgroundImage": ", ".join([*dots, f'url("{address}?{urlencode(query)}")']),
        "backgroundColor": look.background,
        "aspectRatio": f"{width:.4g} / {height:.4g}",
    }
    return html.Span(style=style, className="gf-whereabouts", role="img", **{"aria-label": what})
