"""The card that is shown while a galaxy is under the mouse: what matters of it, in the order in which one asks."""

from __future__ import annotations

from typing import Any

from atlas import Atlas
from atlas.catalog.position_text import format_position
from atlas.cluster_names import NO_NAMES, NamesHere

from .facts import first_columns, value_texts


def card(atlas: Atlas, row: int, color: str = "", names: NamesHere = NO_NAMES) -> dict[str, Any]:
    """Name and position of a galaxy, its magnitude, redshift and cluster, then what the page is coloured by.

    Parameters
    ----------
    atlas : Atlas
    row : int
    color : str
        What colours the points; left out where it is no column.
    names : NamesHere
        Of clusters.
    """
    return {
        "id": atlas.identity.name(row),
        "position": format_position(*atlas.position(row), "deg"),
        "facts": [[c.name, *value_texts(atlas, c, [row], names)] for c in first_columns(atlas, color)],
    }
