"""Rings around the galaxy in the details and around those of the gallery, on the map and on the sky."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import Dash, Input, Output, Patch, no_update

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..service.galaxies import positions, row_of
from ..service.gallery_query import question_of
from ..state.page_state import State
from ..state.viewports import home
from . import figure as fig
from .sky import place

PLANES = ("map", "sky", "second")


def rings(service: Service, state: State) -> dict[str, dict[int, dict[str, Any]]]:
    """Positions of the ringed galaxies.

    Returns
    -------
    dict
        By plane ("map", "sky", and "second" where it is shown) and trace, what to set of it: `x`, `y`, `customdata`.
    """
    atlas = service.atlas
    question = question_of(atlas, state)
    result = None if question.query is None else service.run(question.query, atlas)
    neighbors = [] if result is None else result.rows.tolist()
    focus = None if state.focus is None else row_of(atlas, state.focus)
    columns = atlas.columns(atlas.default_space)
    there = atlas.seen_in(state.second_space) if state.second_space else None
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in ("map", "sky", *(["second"] if there else []))}
    for trace, ringed in ((fig.NEIGHBORS, neighbors), (fig.FOCUS, [] if focus is None else [focus])):
        rows = np.asarray(ringed, dtype=np.uint32)
        on_map = positions(atlas, state.axes, rows)
        on_sky = place(state.sky or home(atlas, state.sky_look), columns.array("ra")[rows], columns.array("dec")[rows])
        on_second = [] if there is None else [("second", positions(there, None, rows))]
        for plane, (x, y) in (("map", on_map), ("sky", on_sky), *on_second):
            found[plane][trace] = {"x": fig.typed(x), "y": fig.typed(y), "customdata": fig.typed(rows)}
    return found


def register(app: Dash, service: Service) -> None:
    """Draw rings where those ringed have changed, a plane is another, or search has become ready."""

    @app.callback(
        output={name: Output(name, "figure", allow_duplicate=True) for name in PLANES},
        inputs=[
            Input("part-marks", "data"),
            Input("map-shown", "data"),
            Input("sky-shown", "data"),
            Input("second-shown", "data"),
            Input("search-again", "disabled"),
        ],
        prevent_initial_call=True,
    )
    def on_marks(part: Any, *_: Any) -> dict[str, Any]:
        patches: dict[str, Any] = dict.fromkeys(PLANES, no_update)
        for plane, traces in rings(service, read_state(service, part)).items():
            patches[plane] = Patch()
            for trace, values in traces.items():
                patches[plane]["data"][trace].update(values)
        return patches
