"""The strip above a gallery that labels order: what is wanted, what is looked for, and what it has come to."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from atlas.queries.looks import LAST, Looks, looks_of
from atlas.queries.ranking import LabelMode

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..service.gallery_query import by_labels_of
from ..state.page_state import State, Teaching
from . import elements as el

MODES: dict[LabelMode, tuple[str, str]] = {
    "like": ("more like these", "Like what you want, unlike what you labelled otherwise, and odd for its brightness"),
    "uncertain": ("most uncertain", "Half-way between what you want and what not: where your label teaches most"),
    "unlike": ("unlike all", "Odd, and unlike the middle of all that was labelled: what nobody has looked at yet"),
}
ABOUT_CURVE = (
    "Wanted galaxies found, look by look: in colour with your labels, grey how many of the same the order by oddness "
    "alone has among as many of its first"
)


def strip(service: Service, state: State) -> list[Any]:
    """Content of the strip; nothing where labels order nothing."""
    teaching = state.teaching
    if state.order != "labels" or teaching is None:
        return []
    atlas = service.atlas
    now = atlas.labelled.now()
    looks = looks_of(atlas, by_labels_of(teaching))
    fresh = sum(1 for given in now.of.values() if max(one.seq for one in given) > teaching.revision)
    again = el.button(
        f"rank again · {fresh} new" if fresh else "rank again", kind="accent" if fresh else "link",
        label="Order by the labels that are there now", is_="teach",
    )  # fmt: skip
    return [
        html.Div(
            [html.Span("Wanted", className="gf-muted"),
             *(_wanted(name, count, teaching) for name, count in sorted(now.counts().items()))],
            className="gf-sorts",
        ),
        html.Div([*(_mode(mode, teaching.mode) for mode in MODES), again], className="gf-sorts"),
        html.Div([*_told(looks), _curve(looks)], className="gf-looks"),
    ]  # fmt: skip


def _wanted(name: str, count: int, teaching: Teaching) -> html.Button:
    pressed = name in teaching.wanted
    others = [one for one in teaching.wanted if one != name]
    asked = (others or [name]) if pressed else [*others, name]
    return html.Button(
        f"{name} {count:,}", type="button", className="gf-button link",
        **{"aria-pressed": "true" if pressed else "false"},
        **el.why("Galaxies with this label are " + ("wanted" if pressed else "not wanted: click to want them")),
        **el.on_click(is_="teach", wanted=asked),
    )  # fmt: skip


def _mode(mode: LabelMode, now: LabelMode) -> html.Button:
    name, why = MODES[mode]
    return html.Button(
        name, type="button", className="gf-button link", **{"aria-pressed": "true" if mode == now else "false"},
        **el.why(why), **el.on_click(is_="teach", mode=mode),
    )  # fmt: skip


def _told(looks: Looks) -> list[Any]:
    without = "" if looks.without is None else f" ({looks.without[-1]} by oddness alone)"
    shares = f"{100 * looks.low:.0f} to {100 * looks.high:.0f}"
    return [
        el.figure([html.B(f"{looks.found:,}"), f" found in {looks.looks:,} looks{without}"], ABOUT_CURVE),
        el.figure(
            f"next 100: {shares}",
            f"How many of the next hundred are likely to be wanted (90 %), judged by your last {LAST} labels; a list "
            "gets poorer as one goes down",
        ),
    ]


def _curve(looks: Looks) -> html.Div:
    most = max(*looks.curve, *(looks.without or (0,)), 1)
    bars = [
        html.Span([html.I(style=_height(other, most)), html.B(style=_height(here, most))])
        for here, other in zip(looks.curve, looks.without or (0,) * len(looks.curve), strict=True)
    ]
    return html.Div(bars, className="gf-bars", role="img", **{"aria-label": ABOUT_CURVE})


def _height(count: int, most: int) -> dict[str, str]:
    return {"height": f"{100 * count / most:.0f}%"}


def register(app: Dash, service: Service) -> None:
    """Tell anew what labelling has come to where labels, or what is wanted of them, have changed."""

    @app.callback(Output("judging", "children"), Input("part-judging", "data"), prevent_initial_call=True)
    def on_judging(part: Any) -> Any:
        return strip(service, read_state(service, part))
