"""Menus over the sky: a region from elsewhere, and how the sky is seen."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from ..sky_services import SkyService
from ..state.sky_look import SkyLine, SkyLook
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


def sky_look_menu(look: SkyLook, kind: str, pictures: tuple[SkyService, ...], aladin: bool = False) -> html.Details:
    """Choice of frame, projection, lines, and picture behind the points where any may be asked for.

    `kind` is the projection in use, `aladin` whether Aladin Lite is here.
    """
    why = "Frame, projection and lines of the sky"

    def line(name: SkyLine, word: str, told: str) -> html.Button:
        on = name not in look.hidden
        attributes: dict[str, str] = {"aria-pressed": str(on).lower()}
        return html.Button(word, type="button", className=f"gf-button{' on' if on else ''}", **attributes,
                           **el.says(told), **el.on_click(is_="seesky", line=name))  # fmt: skip

    def choice(title: str, of: str, offered: tuple[tuple[str, str, str], ...], chosen: str) -> list[Any]:
        """One of several, of which one holds."""
        buttons = [
            html.Button(
                word, type="button", role="radio", className=f"gf-button{' on' if name == chosen else ''}",
                **{"aria-checked": str(name == chosen).lower()}, **el.says(told),
                **el.on_click(is_="seesky", **{of: name}),
            )
            for name, word, told in offered
        ]  # fmt: skip
        return [html.Small(title), html.Div(buttons, role="radiogroup", **{"aria-label": title})]

    frames = (("icrs", "Equatorial", "ICRS: north up, east left"), ("galactic", "Galactic", "Galactic north up"))
    kinds = (
        ("tan", "Tangent", "A field: straight lines are great circles"),
        ("mol", "Mollweide", "All of the sky, parallels straight"),
        ("ait", "Hammer–Aitoff", "All of the sky"),
    )
    behind = (
        ("", "Nothing", "Density, or the picture of this atlas"),
        *((one.name, one.name, f"Sent by the server that the settings list. {one.credit}") for one in pictures),
    )
    lines: tuple[tuple[SkyLine, str, str], ...] = (
        ("graticule", "Graticule", "Lines of equal longitude and latitude"),
        ("galaxy", "Milky Way", "The plane of the Milky Way, b = 0"),
        ("ecliptic", "Ecliptic", "The plane of the solar system"),
        ("footprint", "Footprint", "The cells of the sky that hold a galaxy of this survey"),
    )
    inside = [
        *choice("Frame", "frame", frames, look.frame),
        *choice("Projection", "projection", kinds, kind),
        html.Small("Lines"),
        html.Div([line(*one) for one in lines]),
        *(choice("Picture behind", "behind", behind, look.behind) if pictures else []),
        *([html.Div(el.aladin_link(), className="gf-links")] if aladin else []),
    ]
    summary = html.Summary(
        [html.Span("◍", className="gf-sign"), html.Span("View", className="gf-beside")],
        **el.why(why),
        **{"aria-label": why},
    )
    return html.Details([summary, html.Div(inside)], className="gf-menu gf-sky-look")  # fmt: skip
