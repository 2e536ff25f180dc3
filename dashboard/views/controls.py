"""Controls in the heads of the panels: examples, menus and choices, each as the state has it."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..sky_services import read_sky_services
from ..state.page_state import State
from ..state.viewports import home
from . import choices, clusters, image_look, page, second_map, sky_menus, spaces, table
from .paint import coloring_column, has_mean


def register(app: Dash, service: Service) -> None:
    """Set all that the heads hold where any of it has changed, or a choice came to nothing."""

    @app.callback(
        output={
            "page": Output("page", "className"),
            "examples": Output("examples", "children"),
            "orders": Output("order", "options"),
            "order": Output("order", "value"),
            "shown": Output("shown", "value"),
            "colors": Output("color", "options"),
            "color": Output("color", "value"),
            "planes": Output("plane", "options"),
            "plane": Output("plane", "value"),
            "axes": Output("axes", "children"),
            "paint": Output("paint", "children"),
            "within": Output("within", "children"),
            "columns": Output("columns", "children"),
            "spaces": Output("spaces", "children"),
            "sky_or": Output("sky-or", "children"),
            "second_or": Output("second-or", "children"),
            "sky_look": Output("sky-look", "children"),
            "captions": Output("captions", "children"),
        },
        inputs=[Input("part-page", "data")],
        prevent_initial_call=True,
    )
    def on_page(part: Any) -> dict[str, Any]:
        state = read_state(service, part)
        atlas = service.atlas
        column = coloring_column(atlas, state)
        return {
            "page": page.page_class(state),
            "examples": page.head(atlas, state, _grouped(service, state)),
            "orders": choices.orders(state, atlas.columns(atlas.default_space)),
            "order": choices.order_shown(state, atlas.columns(atlas.default_space)),
            "shown": str(state.shown),
            "colors": choices.colors(atlas, state),
            "color": state.color,
            "planes": choices.planes(atlas, state.axes),
            "plane": "map" if state.axes is None else f"{state.axes.x} {state.axes.y}",
            "axes": choices.axis_choices(atlas, state),
            "paint": choices.paint(state, column is not None and has_mean(column)),
            "within": page.within(state, clusters.named_selections(service, atlas)),
            "columns": table.chooser(atlas, state),
            "spaces": spaces.space_choice(atlas),
            "sky_or": second_map.choices_beside(atlas, state),
            "second_or": second_map.choices_beside(atlas, state),
            "sky_look": _sky_look(service, state),
            "captions": image_look.captions_menu(atlas, state),
        }


def _sky_look(service: Service, state: State) -> html.Details:
    view = state.sky or home(service.atlas, state.sky_look)
    pictures = read_sky_services(service.settings.sky_images)
    return sky_menus.sky_look_menu(
        state.sky_look, view.projection.kind, pictures, aladin=bool(service.settings.aladin_lite)
    )


def _grouped(service: Service, state: State) -> int:
    mask = None if state.group is None else service.mask(state.group)
    return service.atlas.n_rows if mask is None else mask.count
