"""The second map: that of another space, in the place of the sky, with the same selection, galaxies and colours."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html, no_update
from dash import State as Held
from msgspec.structs import replace

from atlas import Atlas

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..state.page_state import State
from . import elements as el
from . import map as map_view

WHY = "The map of {} beside this one: the same galaxies, selection and colours, as that space sees them"
SKY_WHY = "The sky again, in the place of the second map"


def choices_beside(atlas: Atlas, state: State) -> list[Any]:
    """Buttons for what may stand beside the map: the maps of other spaces, and the sky; none where there is one space.

    What stands there already has none.
    """
    others = [name for name in atlas.space_names if name not in (atlas.default_space, state.second_space)]
    buttons = [
        el.button(f"map of {name}", kind="link", label=WHY.format(name), is_="second", space=name) for name in others
    ]
    return [el.button("sky", kind="link", label=SKY_WHY, is_="second"), *buttons] if state.second_space else buttons


def register(app: Dash, service: Service) -> None:
    """Draw the map where it is shown, and what it depends on has changed."""

    @app.callback(
        output={
            "figure": Output("second", "figure"),
            "title": Output("second-title", "children"),
            "words": Output("second-words", "children"),
            "shown": Output("second-shown", "data"),
        },
        inputs=[Input("part-second", "data"), Held("second-shown", "data")],
        prevent_initial_call=True,
    )
    def on_second(part: Any, shown_before: Any) -> dict[str, Any]:
        state = read_state(service, part)
        if not state.second_space:
            return dict.fromkeys(("figure", "title", "words", "shown"), no_update)
        there = service.atlas.seen_in(state.second_space)
        state = replace(state, axes=None, map=state.second)
        shown = map_view.picture(service, state, there)
        now = map_view.figure_name(shown, state)
        how = "all" if shown.drawn == shown.in_view else f"{shown.drawn:,} of"
        return {
            "figure": map_view.patch_map(there, shown, state, anew=now != shown_before),
            "title": f"Map of {there.default_space}",
            "words": [html.Span(f"{how} {shown.in_view:,} in view drawn")],
            "shown": now if now != shown_before else no_update,
        }
