"""The details of one galaxy: its image large, its columns with their units, and where else to look."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote, urlencode

from dash import Dash, Input, Output, html

from atlas import Atlas, Result
from atlas.catalog.position_text import format_position, iau_name
from atlas.cluster_names import NO_NAMES, NamesHere
from atlas.exports.band_image import BandImages
from atlas.queries.ordinary import ordinary_like

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..service.galaxies import banded, row_of
from ..state.page_state import State
from . import elements as el
from .compare import compare_choice, differences, kept_row, portraits_of
from .facts import TOLD_ELSEWHERE, fact, facts, first_columns, words
from .portrait import portrait

ABOUT_ORDINARY = (
    "Of the galaxies of about its brightness that are less odd than half of all, the one most like this: "
    "what differs is what is odd"
)
PINNING = "A star keeps a column on top; a click on a value copies it."


def panel(
    atlas: Atlas,
    state: State,
    ordinary: Result | None = None,
    cutouts: tuple[str, ...] = (),
    clusters: NamesHere = NO_NAMES,
    bands: BandImages | None = None,
    aladin: bool = False,
) -> list[Any]:
    """The panel's content; `ordinary` holds the galaxy that an odd one is shown beside, `cutouts` the services that
    send images, `clusters` names of clusters, `bands` images in their own bands, if any, `aladin`
    whether Aladin Lite is here."""
    if state.focus is None:
        return [welcome(atlas)]
    row = row_of(atlas, state.focus)
    if row is None:
        return [
            html.H2(iau_name(state.focus.ra_deg, state.focus.dec_deg)),
            el.empty(f"Galaxy {state.focus.id} is not in this build of the atlas, and nothing lies at its position."),
        ]
    name = atlas.identity.name(row)
    ra_deg, dec_deg = atlas.position(row)
    sign = 1 if name in {g.id for g in state.wanted} else -1 if name in {g.id for g in state.unwanted} else 0
    style: Literal["sexagesimal", "deg"] = "sexagesimal" if state.sexagesimal else "deg"
    first = first_columns(atlas, state.color, state.pinned)
    told = TOLD_ELSEWHERE | {*atlas.manifest.id_columns, *(c.name for c in first)}
    rest = [c for c in atlas.columns(atlas.default_space) if c.name not in told]
    kept = kept_row(atlas, state)
    place = format_position(ra_deg, dec_deg, style)
    return [
        html.H2(el.figure(iau_name(ra_deg, dec_deg), "Name by position, as the IAU demands: hours, minutes and seconds "
                          "of right ascension, then degrees of declination")),
        *([portrait(atlas, row, name, state.look, cutouts)] if kept is None else portraits_of(atlas, row, kept)),
        *([] if kept is None else [differences(atlas, row, kept, first, words)]),
        *ordinary_galaxy(atlas, ordinary),
        html.Div(
            [
                el.button("+ wanted", kind=f"good{' on' if sign > 0 else ''}", label="More like this one (+)",
                          is_="mark", id=name, sign=0 if sign > 0 else 1),
                el.button("− unwanted", kind=f"bad{' on' if sign < 0 else ''}", label="Less like this one (−)",
                          is_="mark", id=name, sign=0 if sign < 0 else -1),
            ],
            className="gf-marks",
        ),
        html.Div(id="label-card", className="gf-label-card", role="group", **{"aria-label": "Label"}),
        html.Div([compare_choice(state), *fits_link(atlas, row, bands), *links(ra_deg, dec_deg),
                  *([el.aladin_link(ra_deg, dec_deg)] if aladin else [])],
                 className="gf-links"),
        html.Dl(
            [
                *fact("RA, Dec", place, "Right ascension and declination, ICRS", copied=place),
                *fact("id", name, f"The galaxy's name in the catalogue: {', '.join(atlas.manifest.id_columns)}",
                      copied=name),
                *([] if kept is not None else facts(atlas, row, first, first, clusters)),
            ]
        ),
        html.Details(
            [
                html.Summary(f"all columns ({len(first) + len(rest)})"),
                html.P([PINNING, *([] if not state.pinned else [" ", el.button("The usual ones", kind="link",
                       is_="change", pinned=[])])], className="gf-note"),
                html.Dl(facts(atlas, row, rest, first, clusters)) if kept is None
                else differences(atlas, row, kept, rest, words),
            ],
            className="gf-all-facts",
        ),
    ]  # fmt: skip


def ordinary_galaxy(atlas: Atlas, ordinary: Result | None) -> list[Any]:
    """The ordinary galaxy that is most like an odd one."""
    if ordinary is None or not ordinary.rows.size:
        return []
    row = int(ordinary.rows[0])
    return [
        html.Button(
            [
                el.image(atlas, row, f"galaxy {atlas.identity.name(row)}"),
                html.Span(["The nearest ordinary galaxy", html.Small(f"similarity {ordinary.scores[0]:.3f}")]),
            ],
            type="button", className="gf-beside-it", **el.pick(atlas, row), **el.why(ABOUT_ORDINARY),
        )
    ]  # fmt: skip


def fits_link(atlas: Atlas, row: int, bands: BandImages | None) -> list[Any]:
    """Link to the galaxy's image as FITS, or that there is none; nothing where the server has no folder of them."""
    if bands is None:
        return []
    if not bands.may_have(banded(atlas, row)):
        return [html.Span("no FITS image", className="gf-note")]
    why = "The image in its own bands, with its position and scale where they are known"
    return [html.A("FITS", href=f"/bands/{atlas.build_id}/{row}.fits", **el.why(why))]


def links(ra_deg: float, dec_deg: float) -> list[Any]:
    """Links to other places that show this galaxy."""
    here = f"{ra_deg:.6f} {dec_deg:+.6f}"
    viewer = urlencode({"ra": f"{ra_deg:.6f}", "dec": f"{dec_deg:.6f}", "layer": "ls-dr9", "zoom": 15})
    spaced, field = f"{ra_deg:.6f} {dec_deg:.6f}", 0.02
    ned = urlencode(
        {"search_type": "Near Position Search", "ra": f"{ra_deg:.6f}d", "dec": f"{dec_deg:+.6f}d", "sr": 0.1}
    )
    places = (
        ("Legacy Survey", f"https://www.legacysurvey.org/viewer?{viewer}"),
        ("SIMBAD", f"https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={quote(here)}&Radius=10&Radius.unit=arcsec"),
        ("NED", f"https://ned.ipac.caltech.edu/conesearch?{ned}"),
        ("VizieR", f"https://vizier.cds.unistra.fr/viz-bin/VizieR?{urlencode({'-c': here, '-c.rs': 10})}"),
        ("ESASky", f"https://sky.esa.int/esasky/?{urlencode({'target': spaced, 'fov': field, 'cooframe': 'J2000'})}"),
        ("Aladin", f"https://aladin.cds.unistra.fr/AladinLite/?{urlencode({'target': spaced, 'fov': field})}"),
    )
    return [html.A(name, href=url, target="_blank", rel="noopener noreferrer") for name, url in places]


def welcome(atlas: Atlas) -> html.Div:
    """Welcome before a galaxy is chosen: what one looks at, and how to begin."""
    p = atlas.manifest.provenance
    return html.Div(
        [
            html.H2(atlas.manifest.title),
            html.P(f"{atlas.n_rows:,} galaxies, each described by {atlas.space().dimension} numbers. "
                   "Those that look alike lie together on the map."),
            html.Ul(
                [
                    html.Li([html.B("Click"), " a galaxy anywhere to see what is like it."]),
                    html.Li([html.B("Lasso"), " a region of the map or the sky (", html.Kbd("L"), ") to select it."]),
                    html.Li([html.B("Type"), " a position or an id (", html.Kbd("/"), ")."]),
                    html.Li([html.Kbd("C"), " clusters, ", html.Kbd("A"), " anomalies, ", html.Kbd("N"), " labels."]),
                    html.Li([html.Kbd("F"), " filters, ", html.Kbd("U"), " subsets, ", html.Kbd("X"),
                             " columns against each other, ", html.Kbd("V"), " a table."]),
                    html.Li([html.Kbd("?"), " lists all keys."]),
                ]
            ),
            html.P(p.acknowledgement, className="gf-note"),
            html.P([el.method_link("How it works"), " ",
                    el.button("About this atlas", kind="link", is_="change", drawer="about")], className="gf-links"),
        ],
        className="gf-welcome",
    )  # fmt: skip


def register(app: Dash, service: Service) -> None:
    """Tell of another galaxy where one is chosen."""

    @app.callback(Output("details", "children"), Input("part-details", "data"), prevent_initial_call=True)
    def on_details(part: Any) -> Any:
        state = read_state(service, part)
        names = tuple(one.name for one in service.cutout_services)
        clusters = service.book.cluster_names(service.atlas)
        ordinary = _ordinary(service, state)
        return panel(
            service.atlas, state, ordinary, names, clusters, service.band_images, bool(service.settings.aladin_lite)
        )


def _ordinary(service: Service, state: State) -> Result | None:
    atlas = service.atlas
    row = None if state.focus is None else row_of(atlas, state.focus)
    query = None if row is None else ordinary_like(atlas, row)
    return None if query is None else service.run(query, atlas)
