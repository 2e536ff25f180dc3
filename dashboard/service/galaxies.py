"""Galaxies of the open atlas: by row, by id, by a typed text, at random, and where they lie on a plane."""

from __future__ import annotations

import math
import secrets
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.object_names import named_place
from atlas.catalog.places import Place, looks_like_place, read_place, size_words
from atlas.catalog.position_text import format_position, slip
from atlas.errors import InputError, NothingNearError, UnknownGalaxyError
from atlas.exports.image_chunks import ImagedGalaxy
from atlas.mask import Mask
from atlas.planes.column_plane import column_axes
from atlas.queries.selection import Cone
from atlas.storage.manifest import RandomPick

from ..settings import Settings
from ..state.page_state import Axes, Galaxy
from .name_resolver import NameResolver

SAME_PLACE_ARCSEC = 1.0


ROUNDING_ARCSEC = 0.2
"""A position as this page writes one lies so near to its galaxy: names by position are cut off at 0.01 s and 0.1″."""


def galaxy(atlas: Atlas, row: int) -> Galaxy:
    """A row as a galaxy that outlives the build."""
    ra_deg, dec_deg = atlas.position(row)
    return Galaxy(atlas.identity.name(row), ra_deg, dec_deg)


def banded(atlas: Atlas, row: int) -> ImagedGalaxy:
    """A row as images in their own bands are looked for: by the text of each id column, and by position."""
    columns = atlas.columns(atlas.default_space)
    ids = {name: str(columns.values(name, [row])[0]) for name in atlas.identity.id_columns}
    return ImagedGalaxy(atlas.identity.name(row), ids, *atlas.position(row))


def row_of(atlas: Atlas, one: Galaxy) -> int | None:
    """Row of a galaxy in this build: by its id, else by its position to a second of arc; None if it is gone."""
    try:
        return atlas.identity.row(one.id)
    except UnknownGalaxyError:
        found = atlas.sky.nearest(one.ra_deg, one.dec_deg, SAME_PLACE_ARCSEC / 3600)
        return None if found is None else found[0]


class Found(msgspec.Struct, frozen=True):
    """Galaxy that a typed text led to.

    Attributes
    ----------
    row : int
        The galaxy that is meant, or the nearest to the place that is.
    words : str
        How the text was understood, which galaxy that is and how far away; empty where it is the very galaxy.
    around : Cone or None
        All that is meant, where the text ends with a radius.
    """

    row: int
    words: str = ""
    around: Cone | None = None


def find(atlas: Atlas, text: str, settings: Settings, names: NameResolver) -> Found:
    """The galaxy that a person means who typed an id, a place with or without a radius, or the name of an object.

    Raises
    ------
    InputError
        If it is neither, or nothing is near.
    """
    text = text.strip()
    if not text:
        raise InputError(f"type a position or a galaxy's id: {typed_examples(atlas)}")
    try:
        return Found(atlas.identity.row(text))
    except UnknownGalaxyError as unknown:
        place = read_place(text) if looks_like_place(text) else None
        if place is None:
            # Two whole numbers may be meant as either.
            wrong = slip(text)
            if wrong and not atlas.identity.has_form(text):
                raise InputError(wrong) from None
            also = f"as a position, {wrong}" if wrong else f"or type a position, such as {_written(atlas)[0]}"
            try:
                place = named_place(text) or names.find(text)
            except InputError as nameless:
                also = f"{also}; {nameless}"
            if place is None:
                raise InputError(f"{unknown}; {also}") from None
    return _nearest(atlas, place, settings)


def _nearest(atlas: Atlas, place: Place, settings: Settings) -> Found:
    """The galaxy nearest to a place, within its radius where it has one."""
    radius = place.radius_arcsec or max(settings.nearest_radius_arcsec, place.precision_arcsec)
    read = f"Read as {place.read_as}. " if place.read_as else ""
    try:
        row, away = atlas.nearest(place.ra_deg, place.dec_deg, radius, max(radius, settings.nearest_search_arcsec))
    except NothingNearError as nothing:
        told = str(nothing)
        told = f"{read}{told[0].upper()}{told[1:]}" if read else told
        raise NothingNearError(told, nothing.row, nothing.separation_arcsec) from None
    here = format_position(place.ra_deg, place.dec_deg)
    nearest = f"The galaxy nearest to {here} is {atlas.identity.name(row)}, {away:.1f}″ away."
    if place.radius_arcsec is not None:
        cone = Cone(place.ra_deg, place.dec_deg, place.radius_arcsec)
        return Found(row, f"{read}Selected: all within {size_words(cone.radius_arcsec)}. {nearest}", cone)
    return Found(row, f"{read}{nearest}" if read or away > ROUNDING_ARCSEC else "")


def typed_examples(atlas: Atlas) -> str:
    """Examples of what can be typed, by a galaxy of this atlas: position in degrees, id, sexagesimal position."""
    sexagesimal, degrees = _written(atlas)
    return "  ·  ".join([degrees, atlas.identity.name(_example(atlas)), sexagesimal])


def _example(atlas: Atlas) -> int:
    """A galaxy to show how one is named: the one that is most typical of the largest cluster, or else the first."""
    clusters = atlas.space().clusters
    return clusters[0].medoid if clusters else 0


def _written(atlas: Atlas) -> tuple[str, str]:
    """The example's position, sexagesimal and in degrees."""
    ra_deg, dec_deg = atlas.position(_example(atlas))
    return format_position(ra_deg, dec_deg, "sexagesimal"), format_position(ra_deg, dec_deg, digits=5)


def random_row(atlas: Atlas, mask: Mask | None) -> int:
    """Any row of a selection, each as likely as the others, or the brighter ones more often where the atlas says so.

    Raises
    ------
    InputError
        If the selection is empty.
    """
    if mask is not None and mask.count == 0:
        raise InputError("the selection is empty: there is no galaxy to pick")
    count = atlas.n_rows if mask is None else mask.count
    pick = atlas.manifest.random_pick
    at = secrets.randbelow(count)
    if pick is not None and pick.skip < atlas.n_rows:
        # Rows of a selection are sorted as the survey is: its ranks are those of the survey, closer together.
        rank = bright_rank(pick, atlas.n_rows, secrets.SystemRandom().random())
        at = rank * count // atlas.n_rows
    return at if mask is None else int(mask.rows[at])


def bright_rank(pick: RandomPick, n_rows: int, share: float) -> int:
    """The rank below which a share (0 … 1) of all draws lies: log-normal, cut off outside of `skip` … `n_rows`."""
    rank = NormalDist(pick.mean, pick.sigma)
    low = rank.cdf(math.log(pick.skip)) if pick.skip else 0.0
    high = rank.cdf(math.log(n_rows))
    at = low + share * (high - low)
    if not 0 < at < 1:
        return pick.skip
    return min(max(int(math.exp(min(rank.inv_cdf(at), math.log(n_rows)))), pick.skip), n_rows - 1)


def positions(atlas: Atlas, axes: Axes | None, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions of rows on the plane of the map's panel, float32; NaN where they have no place there."""
    columns = atlas.columns(atlas.default_space)
    if axes is None:
        x, y = (np.asarray(columns.array(name)[rows], dtype=np.float32) for name in ("map_x", "map_y"))
        return x, y
    drawn = column_axes(columns, axes.x, axes.y)
    x, y = columns.array(axes.x)[rows], columns.array(axes.y)[rows]
    return drawn.x.coordinates(x), drawn.y.coordinates(y)
