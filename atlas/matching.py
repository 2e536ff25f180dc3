"""A list from elsewhere against the galaxies of an atlas: which are here, how far off, and which might be another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.table import Table
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.errors import InputError, shorten
from atlas.examples import degrees, icrs_of, id_list, ids_of, positions_of

MOST_MATCHED = 1_000_000
MATCHED, UNMATCHED, AMBIGUOUS = "matched", "unmatched", "ambiguous"


def match(
    atlas: OpenBuild,
    galaxies: Any = None,
    *,
    ra_deg: Any = None,
    dec_deg: Any = None,
    id: Any = None,
    radius_arcsec: float = 1.0,
) -> pd.DataFrame:
    """The galaxy of the atlas for each of a list: the one of that id, else the nearest to its position.

    Parameters
    ----------
    galaxies : SkyCoord, Table or DataFrame
        Coordinates, or a table with the ids of this atlas or with positions.
    ra_deg, dec_deg : array of float or Quantity
        Instead: positions (ICRS), in degrees where they have no unit.
    id : list of str or int
        Instead: ids.
    radius_arcsec : float
        How far a galaxy may lie from a position, above 0 and up to 3,600.

    Returns
    -------
    DataFrame
        As long as the list, in its order: `row` (int64, −1 without a match), `id`, `separation_arcsec` (NaN where an
        id was given), `candidates` (galaxies within the radius) and `outcome`: "matched", "unmatched", or "ambiguous"
        where several galaxies lie within the radius, or several of the list have the same galaxy.

    Raises
    ------
    InputError
        If an argument is of no known form.
    """
    if not (isinstance(radius_arcsec, int | float | np.number) and 0 < radius_arcsec <= 3600):
        raise InputError(f"radius_arcsec lies above 0 and up to 3,600, not {shorten(radius_arcsec)}")
    position = ra_deg is not None or dec_deg is not None
    if (galaxies is not None) + (id is not None) + position != 1:
        raise InputError("give one of these: galaxies (a SkyCoord or a table), ra_deg and dec_deg, or id")
    if id is not None:
        return match_each(atlas, id_list(id))
    if isinstance(galaxies, pd.DataFrame):
        galaxies = Table.from_pandas(galaxies)
    if isinstance(galaxies, Table):
        named = ids_of(galaxies, atlas.identity.id_columns)
        if named is not None:
            return match_each(atlas, named)
        ra, dec = positions_of(galaxies, atlas.identity.id_columns)
    elif isinstance(galaxies, SkyCoord | BaseCoordinateFrame):
        ra, dec = icrs_of(galaxies)
    elif position:
        if ra_deg is None or dec_deg is None:
            raise InputError(f"{'dec_deg' if dec_deg is None else 'ra_deg'} is missing: a position has RA and Dec")
        ra, dec = degrees(ra_deg, "ra_deg"), degrees(dec_deg, "dec_deg")
    else:
        raise InputError(
            f"{type(galaxies).__name__} is no list of galaxies: give a SkyCoord, an astropy Table or a DataFrame"
        )
    if ra.shape != dec.shape:
        raise InputError(f"as many RA as Dec are needed, not {ra.size} and {dec.size}")
    return match_each(atlas, [""] * ra.size, ra, dec, float(radius_arcsec))


def match_each(
    atlas: OpenBuild,
    names: list[str],
    ra: NDArray[np.float64] | None = None,
    dec: NDArray[np.float64] | None = None,
    radius_arcsec: float = 1.0,
) -> pd.DataFrame:
    """Matches as `match` returns them, for a list of which each has an id, or else ("") a position (ICRS, degrees)."""
    if len(names) > MOST_MATCHED:
        raise InputError(f"at most {MOST_MATCHED:,} can be matched at once, not {len(names):,}")
    named, placed = (np.flatnonzero([bool(name) == has for name in names]) for has in (True, False))
    rows, away = np.full(len(names), -1, dtype=np.int64), np.full(len(names), np.nan)
    rows[named] = atlas.identity.rows([names[at] for at in named])
    candidates = (rows >= 0).astype(np.int64)
    if ra is not None and dec is not None and placed.size:
        rows[placed], away[placed], candidates[placed] = _by_position(atlas, ra[placed], dec[placed], radius_arcsec)
    return _table(atlas, rows, away, candidates)


def _by_position(
    atlas: OpenBuild, ra: NDArray[np.float64], dec: NDArray[np.float64], radius_arcsec: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    rows = np.full(ra.size, -1, dtype=np.int64)
    away = np.full(ra.size, np.nan)
    candidates = np.zeros(ra.size, dtype=np.int64)
    # NaN compares false: what has no position, or an impossible one, is unmatched.
    for at in np.flatnonzero((ra >= -180) & (ra <= 360) & (dec >= -90) & (dec <= 90)).tolist():
        near, separations = atlas.sky.cone(float(ra[at]) % 360, float(dec[at]), radius_arcsec)
        candidates[at] = near.size
        if near.size:
            rows[at], away[at] = near[0], separations[0]
    return rows, away, candidates


def _table(
    atlas: OpenBuild, rows: NDArray[np.int64], away: NDArray[np.float64], candidates: NDArray[np.int64]
) -> pd.DataFrame:
    here = rows >= 0
    ids = np.full(rows.size, "", dtype=object)
    ids[here] = atlas.identity.names(rows[here])
    _, at, times = np.unique(rows, return_inverse=True, return_counts=True)
    unsure = here & ((candidates > 1) | (times[at] > 1))
    outcome = np.where(unsure, AMBIGUOUS, np.where(here, MATCHED, UNMATCHED))
    return pd.DataFrame(
        {"row": rows, "id": ids, "separation_arcsec": away, "candidates": candidates, "outcome": outcome}
    )
