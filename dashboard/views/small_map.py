"""A second map, small: where galaxies lie on the map of another space than the one that the page is in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import html
from numpy.typing import NDArray

from atlas import Atlas

from ..service.atlas_service import Service
from ..state.page_state import State, active, is_narrowed
from ..state.viewports import home_box
from . import elements as el

PIXELS = 640
FADED = 0.4


def small_map(service: Service, atlas: Atlas, state: State, ringed: dict[str, NDArray[Any]]) -> html.Div:
    """The whole map of a space: its density, that of what is active over it, and rings that choose their galaxies.

    Parameters
    ----------
    service : Service
    atlas : Atlas
        Seen in the space.
    state : State
    ringed : dict of str to ndarray of rows
        By class of the ring; the last lie on top.
    """
    box = home_box(atlas.space().plane)
    half = max(box.x1 - box.x0, box.y1 - box.y0) / 2
    left, top = (box.x0 + box.x1) / 2 - half, (box.y0 + box.y1) / 2 + half
    edges = {"x0": left, "x1": left + 2 * half, "y0": top - 2 * half, "y1": top}
    query = {name: f"{value:.12g}" for name, value in edges.items()} | {
        "w": str(PIXELS), "h": str(PIXELS), "light": str(int(state.light)),
    }  # fmt: skip
    address = f"/raster/{atlas.build_id}/map.png?"
    narrowed = is_narrowed(state)
    pictures = [html.Img(src=address + urlencode(query), alt="", style={"opacity": FADED if narrowed else 1})]
    if narrowed:
        within = {"in": service.remember(active(state), atlas)}
        pictures.append(html.Img(src=address + urlencode(query | within), alt=""))
    columns = atlas.columns(atlas.default_space)
    rings = []
    for kind, rows in ringed.items():
        x, y = (np.asarray(columns.array(name)[rows], dtype=np.float64) for name in ("map_x", "map_y"))
        places = ((x - left) / (2 * half), (top - y) / (2 * half))
        for row, across, down in zip(rows.tolist(), *places, strict=True):
            name = atlas.identity.name(row)
            rings.append(
                html.Button(
                    type="button", className=f"gf-spot {kind}", style={"left": f"{across:.2%}", "top": f"{down:.2%}"},
                    **el.pick(atlas, row), **{"data-row": str(row), "aria-label": f"galaxy {name}"},
                )
            )  # fmt: skip
    return html.Div([*pictures, *rings], className="gf-small-map", role="group",
                    **{"aria-label": f"Map of {atlas.default_space}"})  # fmt: skip
