"""The ordinary galaxy that an odd one should be seen beside: most like it, of its brightness, and in no way odd."""

from __future__ import annotations

import math

from atlas.build import OpenBuild
from atlas.catalog.anomalies import ARTEFACT, DEFAULT, SPOILT, offered
from atlas.catalog.columns import Columns
from atlas.catalog.key_columns import magnitude_column
from atlas.queries.query import Query
from atlas.queries.ranking import Similar
from atlas.queries.selection import And, Range, Selection

ODD, ORDINARY = 95.0, 50.0
"""Percentiles of the default detector: from where on a galaxy is odd, and up to where it is ordinary."""

STEP_MAG = 0.5
"""Of like brightness is what lies in the same step of magnitude or in one beside it: few selections, kept once each."""


def ordinary_like(atlas: OpenBuild, row: int, space: str | None = None) -> Query | None:
    """The question which ordinary galaxy is most like an odd one.

    Parameters
    ----------
    atlas : OpenBuild
    row : int
    space : str, optional
        The first by default.

    Returns
    -------
    Query or None
        For one galaxy; None where the row is not odd, or the atlas does not know.
    """
    space = space or atlas.default_space
    columns = atlas.columns(space)
    usual = {DEFAULT: (ODD, ORDINARY), ARTEFACT: (SPOILT, SPOILT)}
    known = [name for name in usual if name in offered(columns)]
    if DEFAULT not in known or not any(columns.array(name)[row] > usual[name][0] for name in known):
        return None
    among: list[Selection] = [Range(name, None, usual[name][1]) for name in known]
    return Query(
        space=space,
        ranking=Similar((row,)),
        selection=And((*among, *_of_like_brightness(columns, row))),
        limit=1,
    )


def _of_like_brightness(columns: Columns, row: int) -> tuple[Selection, ...]:
    column = magnitude_column(columns)
    magnitude = math.nan if column is None else float(columns.array(column.name)[row])
    if column is None or not math.isfinite(magnitude):
        return ()
    step = math.floor(magnitude / STEP_MAG)
    return (Range(column.name, (step - 1) * STEP_MAG, (step + 2) * STEP_MAG),)
