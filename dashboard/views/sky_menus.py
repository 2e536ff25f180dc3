"""Menus over the sky: a region from elsewhere, and how the sky is seen."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from ..state.sky_look import SkyLook
from . import elements as el


def region_menu() -> html.Details:
    """A region of the sky from elsewhere: pasted, or in a file."""
    why = "A region from elsewhere: DS9, MOC, or as typed above"
    summary = html.Summary(
        [html.Span("⬡", className="gf-sign"), html.Span("Region", className="gf-beside")],
        **el.why(why),
        **{"aria-label": why},
    )
    paste = dcc.Textarea(
        id="region-text",
        placeholder='box 53.1 -27.8 2′ 1′\nfk5; circle(53.1,-27.8,30")\nmoc 5/8-10',
        maxLength=2_000_000,
        spellCheck=False,
    )
    inside = [
        html.Label([html.Span("Regions of DS9, or a MOC as text", className="gf-hidden"), paste]),
        html.Div(
            [
                el.button("Select", is_="local", do="region", of="text", join="new", kind="accent"),
                el.button("Add", is_="local", do="region", of="text", join="add"),
                el.button("Take away", is_="local", do="region", of="text", join="subtract"),
                el.button(
                    "File …",
                    label="Select what a region file of DS9 or a MOC (FITS, JSON, text) holds",
                    is_="local",
                    do="region",
                    of="file",
                ),
            ]
        ),
        html.Small(id="region-said", role="status"),
    ]
    return html.Details([summary, html.Div(inside)], className="gf-menu gf-region")  # fmt: skip


def sky_look_menu(look: SkyLook) -> html.Details:
    """Choice of frame, projection and lines."""
    why = "Frame, projection and lines of the sky"

    def one(word: str, label: str, *, on: bool, **event: Any) -> html.Button:
        return el.button(word, label=label, kind="on" if on else "", is_="seesky", **event)

    frames = (("icrs", "Equatorial", "ICRS: north up, east left"), ("galactic", "Galactic", "Galactic north up"))
    kinds = (
        ("tan", "Tangent", "A field: straight lines are great circles"),
        ("mol", "Mollweide", "All of the sky, parallels straight"),
        ("ait", "Hammer–Aitoff", "All of the sky"),
    )
    lines = (
        ("graticule", "Graticule", "Lines of equal longitude and latitude"),
        ("galaxy", "Milky Way", "The plane of the Milky Way, b = 0"),
        ("ecliptic", "Ecliptic", "The plane of the solar system"),
        ("footprint", "Footprint", "The cells of the sky that hold a galaxy of this survey"),
    )
    groups = (
        ("Frame", [one(word, told, on=look.frame == name, frame=name) for name, word, told in frames]),
        ("Projection", [one(word, told, on=False, projection=name) for name, word, told in kinds]),
        ("Lines", [one(word, told, on=name not in look.hidden, line=name) for name, word, told in lines]),
    )
    inside = [part for title, buttons in groups for part in (html.Small(title), html.Div(buttons))]
    summary = html.Summary(
        [html.Span("◍", className="gf-sign"), html.Span("View", className="gf-beside")],
        **el.why(why),
        **{"aria-label": why},
    )
    return html.Details([summary, html.Div(inside)], className="gf-menu gf-sky-look")  # fmt: skip
