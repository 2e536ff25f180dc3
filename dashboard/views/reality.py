"""Is it real? One sentence, what speaks against it, and where on the sky."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import html

from atlas.catalog.numbers import percent_text, short_text
from atlas.queries.clumping import DRAWS, Difference, Reality

from ..jobs.job import Job
from . import elements as el
from .jobs import job_card

TOLD = 4
WORTH_TELLING = 3.0
"""Deviation from which a single comparison is told: of 24 by chance, one in fifteen."""

SLIGHT = 0.2
"""Difference of means, in units of the scatter, that is small (Cohen 1988); many galaxies tell less from chance."""

NOTHING = (
    "Nothing speaks against it: these galaxies lie on the sky, and were observed, as random ones of their brightness."
)
ABOUT_MAP = (
    "The sky, north up and east left: in colour where more are selected than of random galaxies, grey where fewer; the "
    "stronger, the more so"
)


def is_it_real(found: Reality | Job | None) -> list[Any]:
    """The section of a selection; nothing where too few galaxies are selected to say."""
    if found is None:
        return []
    head = html.H3("Is it real?")
    if isinstance(found, Job):
        return [head, job_card(found)]
    told = [one for one in found.differences if abs(one.deviation) >= WORTH_TELLING]
    sentence = f"Look again, this may come from observing: {said(found.differences[0])}." if found.warns else NOTHING
    rest = told[1:] if found.warns else told
    return [
        head,
        html.P(sentence, className=f"gf-real{' doubt' if found.warns else ''}"),
        *(html.P(f"{said(one)[:1].upper()}{said(one)[1:]}.", className="gf-note") for one in rest[:TOLD]),
        _map(found),
        html.P(_how(found), className="gf-note"),
    ]


def said(one: Difference) -> str:
    """A difference in words."""
    match one.kind:
        case "clumping":
            return f"two of them share {one.what} {short_text(one.effect)} times as often as random galaxies do"
        case "share":
            return f"{one.what}: {percent_text(one.here)} of them, {percent_text(one.drawn)} of random galaxies"
    size = abs(one.effect)
    higher = f"{'slightly ' if size < SLIGHT else ''}{'higher' if one.effect > 0 else 'lower'}"
    return f"{one.what} is {higher} than for random galaxies, by {short_text(size)} of its scatter"


def _how(found: Reality) -> str:
    mix = f" and mix of {found.magnitude}" if found.magnitude else ""
    as_large = round(found.beyond * (DRAWS + 1)) - 1
    sampled = f" A sample of {found.rows:,} of the {found.count:,} was compared." if found.rows < found.count else ""
    counted = "none differs" if not as_large else "one differs" if as_large == 1 else f"{as_large} differ"
    return f"Of {DRAWS} random selections of equal size{mix} {counted} from the others as much in any of this.{sampled}"


def _map(found: Reality) -> html.Div:
    cells = []
    for value in found.excess.ravel().tolist():
        if np.isnan(value):
            cells.append(html.I(className="none"))
            continue
        strength = min(1.0, abs(np.log2(value)) / 2)
        cells.append(html.I(className="" if value > 1 else "less", style={"opacity": f"{0.08 + 0.92 * strength:.2f}"}))
    return html.Div(cells, className="gf-excess", role="img", **{"aria-label": ABOUT_MAP}, **el.why(ABOUT_MAP))
