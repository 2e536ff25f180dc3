"""The choice of an embedding space, where an atlas has several."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas

from . import elements as el

WHY = "Space: which embedding of the galaxies says what is alike. Map, search, clusters and anomalies are of one"


def space_choice(atlas: Atlas) -> list[Any]:
    """A button a space, the one in use pressed; nothing where there is but one."""
    names = atlas.space_names
    if len(names) < 2:
        return []
    return [html.Span("space", className="gf-muted", **el.why(WHY)), *(_button(atlas, name) for name in names)]


def _button(atlas: Atlas, name: str) -> html.Button:
    told = f"{WHY}. In {name} a galaxy is {atlas.space(name).dimension} numbers"
    in_use = name == atlas.default_space
    return html.Button(
        name, type="button", className=f"gf-button link{' on' if in_use else ''}", **el.why(told),
        **el.on_click(is_="see", space=name), **{"aria-pressed": "true" if in_use else "false"},
    )  # fmt: skip
