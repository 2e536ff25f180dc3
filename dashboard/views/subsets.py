"""The drawer of subsets: selections that were kept, each with a name, a colour and its exact count."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from ..service.atlas_service import Service
from ..state.page_state import MOST_SUBSETS, State, Subset, active, is_narrowed
from . import elements as el
from .palette import CLUSTER_COLORS

DEEDS = (
    ("intersect", "∩", "Select what is in the selection and in"),
    ("unite", "∪", "Add to the selection"),
    ("subtract", "∖", "Take from the selection"),
)


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    return [
        html.P(
            "Shift adds a lasso to the selection, Alt takes it away. What you keep here has a colour on map and "
            "sky, and can be joined with the selection.",
            className="gf-note",
        ),
        _now(service, state),
        *(_subset(service, at, one) for at, one in enumerate(state.subsets)),
    ]


def _now(service: Service, state: State) -> html.Section:
    count = service.atlas.n_rows
    mask = service.mask(active(state))
    if mask is not None:
        count = mask.count
    narrowed = is_narrowed(state)
    full = len(state.subsets) >= MOST_SUBSETS
    return html.Section(
        [
            html.Header([html.B("Selection now"), html.Span(f"{count:,}" if narrowed else f"all {count:,}")]),
            html.Div(
                [
                    dbc.Input(id="subset-name", type="text", size="sm", maxlength="40", autocomplete="off",
                              placeholder=f"subset {len(state.subsets) + 1}", disabled=not narrowed or full),
                    el.button("Keep", kind="accent", label="Keep the selection as a subset", is_="local", do="keep",
                              disabled=not narrowed or full),
                    el.button("Invert", label="Select all that is not in the selection", is_="invert"),
                ],
                className="gf-keep",
            ),
        ],
        className="gf-filter",
    )  # fmt: skip


def _subset(service: Service, at: int, one: Subset) -> html.Section:
    mask = service.mask(one.selection)
    count = service.atlas.n_rows if mask is None else mask.count
    dot = html.Button(
        type="button", className=f"gf-dot{'' if one.shown else ' off'}", **el.why("Show or hide its colour"),
        style={"background": CLUSTER_COLORS[one.color]}, **{"aria-label": f"Show or hide {one.name}"},
        **el.on_click(is_="withsubset", at=at, do="show"),
    )  # fmt: skip
    name = dbc.Input(
        type="text", value=one.name, size="sm", maxlength="40", autocomplete="off",
        id={"type": "subset", "at": at}, class_name="gf-subset-name",
    )  # fmt: skip
    deeds = [
        el.button(sign, kind="icon", label=f"{words} {one.name}", is_="withsubset", at=at, do=do)
        for do, sign, words in DEEDS
    ]
    return html.Section(
        [
            html.Header([dot, name, html.Span(f"{count:,}")]),
            html.Div(
                [
                    el.button("select", kind="link", label=f"Select {one.name}", is_="withsubset", at=at, do="select"),
                    *deeds,
                    el.button("drop", kind="link", label=f"Drop {one.name}", is_="withsubset", at=at, do="drop"),
                ],
                className="gf-deeds",
            ),
        ],
        className="gf-filter gf-subset",
        **{"data-at": str(at)},
    )  # fmt: skip
