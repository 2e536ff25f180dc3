"""The menu of how images are looked at; what it does happens in the browser (assets/4-look.js)."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas
from atlas.catalog.senses import explanation

from ..service.result_list import columns_offered
from ..state.page_state import MOST_CAPTIONS, State
from . import elements as el

WHY = "How images are shown: channel, faint parts, contrast, inverted"
ABOUT = (
    "Your browser does this to the pictures as the atlas keeps them, 8 bits a channel, in gallery and details alike; "
    "links keep it."
)
CHANNELS = {"all": "colour", "red": "red", "green": "green", "blue": "blue"}


def look_menu() -> html.Details:
    """Buttons that change how all images look, each step at once."""
    channels = [_button(word, f"Show {word}", name="channel", value=name) for name, word in CHANNELS.items()]
    return html.Details(
        [
            html.Summary(
                [html.Span("◐", className="gf-sign"), html.Span("Images", className="gf-beside")],
                **el.why(WHY), **{"aria-label": WHY},
            ),
            html.Div(
                [
                    html.Div(channels, className="gf-look-line"),
                    _steps("faint parts", "faint"),
                    _steps("contrast", "contrast"),
                    html.Div(
                        [
                            _button("invert", "Light as dark, as on a photographic plate", name="invert", value=True),
                            el.button("as kept", label="Show images as the atlas keeps them", is_="local", do="look",
                                      name=""),
                        ],
                        className="gf-look-line",
                    ),
                    html.Small(ABOUT, className="gf-note"),
                    html.Div(id="captions"),
                ]
            ),
        ],
        className="gf-menu gf-look",
    )  # fmt: skip


def captions_menu(atlas: Atlas, state: State) -> html.Details:
    """The choice of columns whose values stand under the images of the gallery."""
    chosen = state.captions
    full = len(chosen) == MOST_CAPTIONS
    buttons = [
        html.Span(
            el.button(
                column.name,
                kind=f"column{' on' if column.name in chosen else ''}",
                disabled=full and column.name not in chosen,
                is_="change",
                captions=[one for one in chosen if one != column.name] if column.name in chosen
                else [*chosen, column.name],
            ),
            **el.why(explanation(column)),
        )
        for column in columns_offered(atlas)
    ]  # fmt: skip
    told = f"captions: {', '.join(chosen)}" if chosen else f"captions: up to {MOST_CAPTIONS} columns"
    return html.Details([html.Summary(told), html.Div(buttons, className="gf-captions")], className="gf-all-facts")


def _steps(word: str, name: str) -> html.Div:
    return html.Div(
        [
            html.Span(word),
            el.button("−", label=f"Less {word}", is_="local", do="look", name=name, by=-1),
            html.B("0", **{"data-look-step": name}),
            el.button("+", label=f"More {word}", is_="local", do="look", name=name, by=1),
        ],
        className="gf-look-line",
    )


def _button(word: str, label: str, *, name: str, value: Any) -> html.Button:
    return html.Button(
        word, type="button", className="gf-button", **el.why(label),
        **{"aria-label": label, "aria-pressed": "false", "data-look": name, "data-look-value": str(value).lower()},
        **el.on_click(is_="local", do="look", name=name, value=value),
    )  # fmt: skip
