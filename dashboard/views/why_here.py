"""The drawer that says what tells the selected galaxies from all others."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas
from atlas.catalog.anomalies import ARTEFACT, DEFAULT
from atlas.catalog.cluster_labels import speaks_of_galaxies
from atlas.catalog.contrasts import FEWEST, Contrast, contrasts
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..service.atlas_service import Service
from ..service.judgement import reality_of
from ..state.page_state import State, active
from . import elements as el
from .reality import is_it_real

SAMPLE = 20_000
"""Galaxies of either side that are looked at: the effect sizes of more would differ in the second decimal."""

LIKE, SEEN = 8, 4
NOT_SELECTED = "Select galaxies first: draw a lasso on the map or the sky, open a cluster, or set a filter."
BARS = "Share of galaxies by value, low to high: the selected in colour, all others in grey"


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    atlas = service.atlas
    mask = service.mask(active(state), atlas)
    if mask is None:
        return [el.empty(NOT_SELECTED)]
    few = "selected" if mask.count <= mask.n_rows - mask.count else "left"
    if min(mask.count, mask.n_rows - mask.count) < FEWEST:
        return [el.empty(f"At least {FEWEST} galaxies on either side can be compared; fewer are {few}.")]
    others = ~mask
    found = contrasts(
        atlas.columns(atlas.default_space), compared(atlas), mask.sample(SAMPLE, 0), others.sample(SAMPLE, 0)
    )
    # Of several that say the same (three magnitudes), the one that differs most.
    like = list({c.text: c for c in reversed(found) if _is_of_galaxies(c.column)}.values())[::-1]
    seen = [c for c in found if not _is_of_galaxies(c.column)]
    sampled = ", by a sample of 20,000 of either" if max(mask.count, others.count) > SAMPLE else ""
    return [
        html.P(f"{mask.count:,} selected galaxies against the {others.count:,} others{sampled}.", className="gf-note"),
        *_section("What they are like", like[:LIKE]),
        *_section("How they were seen", seen[:SEEN]),
        *is_it_real(reality_of(service, state)),
        None if found else el.empty("No column of the catalogue tells them from the others."),
    ]


def compared(atlas: Atlas) -> list[Column]:
    """Columns that may tell galaxies apart: neither places, nor names, nor the truth of a simulation."""
    skip = {layout.RA, layout.DEC, *atlas.manifest.id_columns}
    own = [c for c in atlas.space().described.columns if c.name == DEFAULT]
    known = [c for c in atlas.columns() if c.kind in ("number", "category") and not c.truth and c.name not in skip]
    return [c for c in known if not c.ucd.startswith(("pos.eq", "pos.cartesian", "meta.id"))] + own


def _is_of_galaxies(column: Column) -> bool:
    return column.name == DEFAULT or (speaks_of_galaxies(column) and column.name != ARTEFACT)


def _section(title: str, found: list[Contrast]) -> list[Any]:
    return [html.H3(title), *(_contrast(c) for c in found)] if found else []


def _contrast(contrast: Contrast) -> html.Div:
    """A line in words, its effect, and both distributions."""
    most = max(*contrast.inside, *contrast.outside, 1e-9)
    kind = "h" if contrast.column.kind == "category" else "d"
    bars = [
        html.Span([html.I(style=_height(rest, most)), html.B(style=_height(here, most))])
        for here, rest in zip(contrast.inside, contrast.outside, strict=True)
    ]
    why = f"{contrast.why[:1].upper()}{contrast.why[1:]}. Effect size: Cohen's {kind}, 0.8 is large."
    return html.Div(
        [
            html.Header(
                [el.figure(contrast.text, why), html.Span(f"{kind} = {contrast.effect:+.1f}", className="gf-muted")]
            ),
            html.P(contrast.why, className="gf-note"),
            html.Div(bars, className="gf-bars", role="img", **{"aria-label": f"{BARS}: {contrast.column.name}"}),
        ],
        className="gf-contrast",
    )


def _height(share: float, most: float) -> dict[str, str]:
    return {"height": f"{100 * share / most:.0f}%"}
