"""Near twins in the gallery: how many galaxies lie within some arcseconds of a better one, and whether they show."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas import Atlas, Query, Result
from atlas.queries.query import examples_of
from atlas.queries.spacing import apart
from atlas.storage import layout

from . import elements as el

TWIN_ARCSEC = 25.0
"""Large galaxies are catalogued in pieces, and pieces lie this near."""

OF_THE_FIELD = 0.01


def radius_of(atlas: Atlas) -> float:
    """Radius of twins, arcseconds: less where the whole atlas is small, or all of it would be one's twin."""
    return min(TWIN_ARCSEC, float(f"{OF_THE_FIELD * 3600 * atlas.sky.footprint[2]:.1g}"))


def twin_choice(atlas: Atlas, query: Query | None, result: Result | None) -> list[Any]:
    """The choice to hide near twins where some are shown, or to show those that are hidden."""
    if query is None or result is None:
        return []
    if query.spacing is not None and query.spacing.apart_arcsec:
        words = f"{result.hidden:,} hidden within {query.spacing.apart_arcsec:g}″"
        why = "Galaxies so near a better one, or an example, are left out. Show them"
        return [el.button(words, kind="link on", label=why, is_="change", apart_arcsec=0)]
    radius = radius_of(atlas)
    twins = count_twins(atlas, query, result, radius)
    if not twins:
        return []
    why = f"{twins:,} of those shown lie within {radius:g}″ of a better one, or of an example: hide them"
    return [el.button(f"hide {twins:,} within {radius:g}″", kind="link", label=why, is_="change", apart_arcsec=radius)]


def count_twins(atlas: Atlas, query: Query, result: Result, radius_arcsec: float) -> int:
    """Number of an answer's galaxies within a radius of one before them, or of an example."""
    examples = np.asarray(examples_of(query), dtype=np.int64)
    rows = np.concatenate([examples, result.rows])
    ra, dec = (atlas.columns().array(name)[rows] for name in (layout.RA, layout.DEC))
    return int(result.rows.size - apart(ra, dec, radius_arcsec, result.rows.size, before=examples.size).size)
