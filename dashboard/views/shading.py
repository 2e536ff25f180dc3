"""The menu of a colour scale: which colours, over which values, and whether of their logarithm."""

from __future__ import annotations

from typing import Any, get_args

import dash_bootstrap_components as dbc
import msgspec
from dash import html
from msgspec.structs import replace

from atlas.catalog.numbers import column_text, exact_text
from atlas.storage.manifest import Column

from ..state.shading import Shading, Span
from . import elements as el
from .palette import PALETTES, scale_of

WORDS: dict[Span, str] = {100: "all values", 98: "98 %", 90: "90 %", 50: "50 %"}


def shading_menu(column: Column, shading: Shading) -> html.Details:
    """Menu of a column's colours, as it stands."""
    scale = scale_of(column, shading)
    positive = scale.low > 0
    palettes = [
        _choice(
            [html.I(className="gf-sample", style={"background": f"linear-gradient(90deg, {', '.join(colors)})"}), name],
            replace(shading, palette=name), on=name == shading.palette,
        )
        for name, colors in PALETTES.items()
    ]  # fmt: skip
    low, high = shading.ends
    typed = low is not None or high is not None
    spans = [
        _choice(
            WORDS[span], replace(shading, span=span, low=None, high=None), on=span == shading.span and not typed,
            label="Colours over all values" if span == 100 else f"Colours over the middle {span} % of the values",
        )
        for span in get_args(Span)
    ]  # fmt: skip
    ends = [
        html.Label(
            [
                html.Span(words, className="gf-hidden"),
                dbc.Input(
                    type="text", value="" if end is None else exact_text(end), placeholder=column_text(column, shown),
                    size="sm", autocomplete="off", maxlength="40", id={"type": "shade", "end": side},
                ),
            ],
            **{"data-end": side},
        )
        for side, words, end, shown in (
            ("low", "Value of the first colour", low, scale.low),
            ("high", "Value of the last colour", high, scale.high),
        )
    ]  # fmt: skip
    why = "Colours follow the logarithm" if positive else "There is no logarithm: the lower end is not positive"
    how = [
        _choice("reversed", replace(shading, reversed=not shading.reversed), on=shading.reversed),
        _choice("log", replace(shading, log=not scale.log), on=scale.log, label=why, disabled=not positive),
        _choice("as at first", Shading(), on=None, disabled=shading == Shading()),
    ]
    return html.Details(
        [
            html.Summary("scale", **{"aria-label": "Choose the scale of the colours"}),
            html.Div([
                html.Div(palettes, className="gf-palettes"),
                html.Div(spans, className="gf-shades"),
                html.Div([ends[0], html.Span("to"), ends[1]], className="gf-shades gf-shade-ends"),
                html.Div(how, className="gf-shades"),
            ]),
        ],
        className="gf-menu gf-shading",
    )  # fmt: skip


def _choice(
    children: Any, shading: Shading, *, on: bool | None, label: str = "", disabled: bool = False
) -> html.Button:
    pressed = {} if on is None else {"aria-pressed": "true" if on else "false"}
    return html.Button(
        children, type="button", className=f"gf-button{' on' if on else ''}", disabled=disabled, **pressed,
        **el.why(label), **el.on_click(is_="change", shading=msgspec.to_builtins(shading)),
    )  # fmt: skip
