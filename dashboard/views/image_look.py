"""The menu of how images are looked at; what it does happens in the browser (assets/4-look.js)."""

from __future__ import annotations

from typing import Any, get_args

from dash import html

from atlas import Atlas
from atlas.catalog.senses import explanation

from ..service.result_list import columns_offered
from ..state.image_look import Context
from ..state.page_state import MOST_CAPTIONS, State
from . import elements as el

WHY = "How images are shown: channel, faint parts, contrast, inverted"
ABOUT = (
    "Your browser does this to the pictures as the atlas keeps them, 8 bits a channel, in gallery and details alike; "
    "links keep it."
)
CHANNELS = {"all": "colour", "red": "red", "green": "green", "blue": "blue"}


def bare(atlas: Atlas) -> bool:
    """Whether an atlas lacks the image of a galaxy."""
    images = atlas.manifest.thumbnails
    return images is None or images.present < atlas.n_rows


def look_menu(cutouts: tuple[str, ...], *, seen: bool) -> html.Details:
    """Buttons that change how all images look, each step at once; and from which service they come, where any may be
    asked. `seen` says whether it is known what the encoder saw of each galaxy."""
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
                    *(_cutouts(cutouts, seen=seen) if cutouts else []),
                    html.Div(id="captions"),
                ]
            ),
        ],
        className="gf-menu gf-look",
    )  # fmt: skip


def _cutouts(names: tuple[str, ...], *, seen: bool) -> list[Any]:
    """The choice of a service, and of how much around a galaxy it shows."""
    own = _button("atlas", "Images of this atlas, and cut-outs of the first service where it has none", name="source",
                  value="")  # fmt: skip
    of = [_button(name, f"Cut-outs of {name}, which this server asks for", name="source", value=name) for name in names]
    saw = ", of which the search saw the middle 96" if seen else ""
    widths = [_button(str(n), f"{n} pixels{saw}", name="context", value=n)
              for n in get_args(Context)]  # fmt: skip
    return [
        html.Div([html.Span("from"), own, *of], className="gf-look-line"),
        html.Div([html.Span("pixels around"), *widths], className="gf-look-line"),
    ]


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
    told = "true" if value is True else str(value)
    return html.Button(
        word, type="button", className="gf-button", **el.why(label),
        **{"aria-label": label, "aria-pressed": "false", "data-look": name, "data-look-value": told},
        **el.on_click(is_="local", do="look", name=name, value=value),
    )  # fmt: skip
