"""The menu of formats in which galaxies leave."""

from __future__ import annotations

from dash import html

from atlas.exports.formats import FORMATS

from . import elements as el

FORMATS_WHY = "Formats: Parquet, FITS, VOTable, DS9 regions, MOC …; to TOPCAT"


def downloads_menu() -> html.Details:
    """Formats in which galaxies leave: all that are active, or the table with its columns."""
    groups = []
    for what, title in (("selection", "All selected, every column"), ("table", "The table, its columns and order")):
        groups.append(html.Small(title))
        groups.append(
            html.Div(
                [
                    el.button(one.label, label=f"Download as {one.label}: {one.why}", is_="local", do="download",
                              format=kind, what=what)
                    for kind, one in FORMATS.items()
                ]
            )
        )  # fmt: skip
    groups.append(html.Small("To TOPCAT, Aladin, DS9 (SAMP)"))
    groups.append(
        html.Div(
            [
                el.button(what, label=why, is_="local", do="samp", what=what)
                for what, why in (
                    ("table", "Send the table to every program that takes tables"),
                    ("position", "Let them point at the galaxy of the details"),
                )
            ]
        )
    )
    summary = html.Summary("▾", **el.why(FORMATS_WHY), **{"aria-label": FORMATS_WHY})
    return html.Details([summary, html.Div(groups)], className="gf-menu gf-downloads")
