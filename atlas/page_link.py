"""Links from a notebook to the page of a dashboard that serves the same atlas: the same question, asked there.

A state of the page is JSON, deflated, in base64url behind `?s=`. What a link leaves out is as the page opens.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any
from urllib.parse import urlsplit

import msgspec

from atlas.build import OpenBuild
from atlas.catalog.anomalies import DETECTORS, PERCENTILES
from atlas.errors import InputError, shorten
from atlas.queries.query import Query
from atlas.queries.ranking import ByColumn, ByDetectors, Similar, canonical_ranking
from atlas.queries.selection import All, Expression
from atlas.queries.spacing import Spacing

LONGEST = 6_000
"""Characters that a dashboard takes, as it is set up by default."""

MOST_EXAMPLES = 50
FEWEST_SHOWN, MOST_SHOWN = 16, 1000
VARIETY = 0.5
"""Of the page's order "varied": as much for being unlike the ones before as for being like the examples."""


def pack_state(text: str) -> str:
    """A state, as JSON, as it stands behind `?s=`."""
    deflated = zlib.compress(text.encode(), level=9, wbits=-15)
    return base64.urlsafe_b64encode(deflated).rstrip(b"=").decode()


def page_link(atlas: OpenBuild, query: Query, base_url: str) -> str:
    """Address of the page that shows what a query found.

    Parameters
    ----------
    base_url : str
        Where the dashboard is served, such as "http://127.0.0.1:8050".

    Raises
    ------
    InputError
        If it is no such address, or the page cannot ask the same.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InputError(f"{shorten(base_url)!r} is no address of a dashboard, such as http://127.0.0.1:8050")
    token = pack_state(msgspec.json.encode(_state(atlas, query)).decode())
    if len(token) > LONGEST:
        raise InputError("this question is too long for a link: its selection has too many parts or corners")
    return f"{base_url.rstrip('/')}/?s={token}"


def _state(atlas: OpenBuild, query: Query) -> dict[str, Any]:
    """The state of the page that asks a query; `dashboard.state.page_state.State` reads it."""
    ranking, spacing = query.ranking, query.spacing or Spacing()
    variety = spacing.variety
    if isinstance(ranking, ByDetectors | ByColumn):
        return _odd(ranking) | _common(atlas, query)
    if not isinstance(ranking, Similar) or variety not in (0.0, VARIETY):
        raise InputError(
            f"the page asks for galaxies like others of the atlas, with a variety of 0 or {VARIETY}; not by embeddings"
        )
    if max(len(ranking.wanted), len(ranking.unwanted)) > MOST_EXAMPLES:
        raise InputError(f"the page takes {MOST_EXAMPLES} examples at most")
    wanted, unwanted = ([_galaxy(atlas, row) for row in rows] for rows in (ranking.wanted, ranking.unwanted))
    state: dict[str, Any] = {
        # One example alone is the galaxy of the details, which the page searches by.
        "focus": wanted[0],
        **({"wanted": wanted, "unwanted": unwanted} if len(wanted) > 1 or unwanted else {}),
        "order": "varied" if variety else "most",
    }
    return state | _common(atlas, query)


def _odd(ranking: ByDetectors | ByColumn) -> dict[str, Any]:
    """Order of a state that detectors of anomalies make."""
    ranking = canonical_ranking(ranking)  # type: ignore[assignment]
    if isinstance(ranking, ByDetectors):
        detectors = [name for name in PERCENTILES if name in ranking.detectors]
        return {"order": "mixed", "mixture": {"detectors": detectors, "by": ranking.mixed_by}}
    if ranking.column not in DETECTORS or not ranking.descending:
        raise InputError("the page orders by a column in its table alone, of which there are no links from here")
    return {"order": ranking.column}


def _common(atlas: OpenBuild, query: Query) -> dict[str, Any]:
    """Part of a state that every link holds: how many, where, in which space, and how."""
    state: dict[str, Any] = {
        "shown": min(max(query.limit, FEWEST_SHOWN), MOST_SHOWN),
        "exact": query.exact,
        "apart_arcsec": (query.spacing or Spacing()).apart_arcsec,
    }
    if query.space != atlas.space_names[0]:
        state["space"] = query.space
    if isinstance(query.selection, Expression):
        state["expression"] = query.selection.text
    elif not isinstance(query.selection, All):
        state["selection"] = query.selection
    return state


def _galaxy(atlas: OpenBuild, row: int) -> dict[str, Any]:
    ra_deg, dec_deg = atlas.position(row)
    return {"id": atlas.identity.name(row), "ra_deg": ra_deg, "dec_deg": dec_deg}
