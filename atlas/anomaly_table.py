"""Tables of galaxies that detectors find odd, as a notebook shows them."""

from __future__ import annotations

from typing import get_args

from atlas.build import OpenBuild
from atlas.catalog.anomalies import DEFAULT, PERCENTILES, detector_of, offered
from atlas.catalog.mixtures import MixedBy, MixedColumn
from atlas.errors import InputError, shorten
from atlas.notebook import GalaxyTable, galaxy_table, require_limit
from atlas.queries.answer import answer
from atlas.queries.query import Query
from atlas.queries.ranking import ByColumn, ByDetectors
from atlas.queries.selection import All, Selection, as_selection


def odd_table(
    atlas: OpenBuild,
    *detectors: str,
    by: MixedBy = "highest",
    within: Selection | str | None = None,
    k: int = 100,
    space: str | None = None,
) -> GalaxyTable:
    """Galaxies that detectors find odd, the oddest first: those of the drawer of anomalies, one or several mixed.

    Parameters
    ----------
    *detectors : str
        Columns such as "anomaly_form"; the default of the atlas where none is named.
    by : str
        Whether the "highest" of several percentiles counts or their "mean".
    within : Selection or str, optional
        Which galaxies may appear; text is a condition, such as "artefact <= 0.5".
    k : int
        Galaxies wanted, 1 to 10,000.
    space : str, optional
        Embedding space whose detectors are asked; the first by default.

    Raises
    ------
    InputError
        If a detector or a way of mixing is not known, or the atlas has no detector.
    """
    atlas = atlas.seen_in(space or atlas.default_space)
    require_limit(k)
    columns = atlas.columns(atlas.default_space)
    named = detectors or (detector_of(DEFAULT, columns),)
    if by not in get_args(MixedBy):
        raise InputError(f"detectors are mixed by the 'highest' or the 'mean' of them, not {shorten(by)!r}")
    ranking: ByDetectors | ByColumn = ByColumn(named[0])
    if len({*named}) > 1 or named[0] in PERCENTILES:
        ranking = ByDetectors(MixedColumn(columns, tuple(dict.fromkeys(named)), by).detectors, by)
    elif named[0] not in offered(columns):
        raise InputError(f"{shorten(named[0])!r} is no detector of this atlas: it has {', '.join(offered(columns))}")
    query = Query(
        space=atlas.default_space,
        ranking=ranking,
        selection=All() if within is None else as_selection(within),
        limit=int(k),
    )
    result = answer(atlas, query)
    found = galaxy_table(atlas, result.rows)
    found._query, found.receipt = query, result.receipt
    found.insert(0, found._score, result.scores)
    return found
