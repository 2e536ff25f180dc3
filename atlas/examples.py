"""Galaxies as a notebook names them: ids, rows, positions, tables; each is matched to a row of the atlas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.table import Table
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.identity import SEPARATOR
from atlas.catalog.object_names import named_place
from atlas.catalog.places import looks_like_place, read_place
from atlas.catalog.position_text import POSITION_NAMES, slip
from atlas.errors import InputError, shorten
from atlas.mask import Mask

MOST_EXAMPLES = 1000
WAYS = (
    "a position or an id as text, a SkyCoord, a table with ids or positions, ra_deg and dec_deg, id (one or several), "
    "or rows (one or several)"
)


class Match(msgspec.Struct, frozen=True):
    """A galaxy that was asked for, as the atlas has it.

    Attributes
    ----------
    row : int
    id : str
    ra_deg, dec_deg : float
        Where it lies (ICRS).
    separation_arcsec : float or None
        How far that is from the position that was asked for; None where it was named by id or row.
    """

    row: int
    id: str
    ra_deg: float
    dec_deg: float
    separation_arcsec: float | None = None

    def __str__(self) -> str:
        place = f"galaxy {self.id} at {self.ra_deg:.6f} {self.dec_deg:+.6f}"
        far = self.separation_arcsec
        return place if far is None else f"{place}, {far:.2f}″ from the position asked for"


def match_examples(
    atlas: OpenBuild,
    galaxies: Any = None,
    ra_deg: Any = None,
    dec_deg: Any = None,
    id: Any = None,
    rows: Any = None,
    *,
    radius_arcsec: float,
) -> tuple[Match, ...]:
    """The galaxies that one of the arguments of `Atlas.similar` names; those that are None were not given.

    Raises
    ------
    InputError
        If none or several are given, one has a form that is not known, or what it names is not in the atlas.
    """
    position = ra_deg is not None or dec_deg is not None
    given = [name for name, it in (("galaxies", galaxies), ("id", id), ("rows", rows)) if it is not None]
    given += ["ra_deg and dec_deg"] if position else []
    if len(given) != 1:
        raise InputError(f"give one of these: {WAYS}" + (f"; not {' and '.join(given)} together" if given else ""))
    if position:
        if ra_deg is None or dec_deg is None:
            raise InputError(f"{'dec_deg' if dec_deg is None else 'ra_deg'} is missing: a position has RA and Dec")
        found = _at(atlas, degrees(ra_deg, "ra_deg"), degrees(dec_deg, "dec_deg"), radius_arcsec)
    elif id is not None:
        found = (_called(atlas, one) for one in id_list(id))
    elif rows is not None:
        found = (_match(atlas, row) for row in _rows(rows, atlas.n_rows))
    else:
        found = _any(atlas, galaxies, radius_arcsec)
    matches = tuple(one for _, one in zip(range(MOST_EXAMPLES + 1), found, strict=False))
    if not matches:
        raise InputError("no galaxy was given: what was passed is empty")
    if len(matches) > MOST_EXAMPLES:
        raise InputError(f"at most {MOST_EXAMPLES:,} examples can be given at once")
    return matches


def _any(atlas: OpenBuild, galaxies: Any, radius_arcsec: float) -> Iterator[Match]:
    """Examples of whichever type was given."""
    if isinstance(galaxies, str):
        if looks_like_place(galaxies) and (place := read_place(galaxies)) is not None:
            reach = place.radius_arcsec or max(radius_arcsec, place.precision_arcsec)
            return _at(atlas, np.array([place.ra_deg]), np.array([place.dec_deg]), reach)
        return _named(atlas, galaxies, radius_arcsec)
    if isinstance(galaxies, SkyCoord | BaseCoordinateFrame):
        return _at(atlas, *icrs_of(galaxies), radius_arcsec)
    if isinstance(galaxies, pd.DataFrame):
        return _table(atlas, Table.from_pandas(galaxies), radius_arcsec)
    if isinstance(galaxies, Table):
        return _table(atlas, galaxies, radius_arcsec)
    if isinstance(galaxies, Match):
        return iter([galaxies])
    if isinstance(galaxies, list | tuple | np.ndarray | pd.Series | pd.Index):
        items = list(galaxies)
        if all(isinstance(one, str | Match) for one in items):
            return (match for one in items for match in _any(atlas, one, radius_arcsec))
        raise InputError(
            f"numbers may be ids, rows or positions: say id=…, rows=…, or ra_deg=… and dec_deg=…, for "
            f"{shorten(items, 40)}"
        )
    if isinstance(galaxies, int | np.integer):
        raise InputError(f"{shorten(galaxies)} may be an id or a row: say id={galaxies} or rows={galaxies}")
    raise InputError(f"{type(galaxies).__name__} is not understood; give {WAYS}")


def _match(atlas: OpenBuild, row: int, separation_arcsec: float | None = None) -> Match:
    ra_deg, dec_deg = atlas.position(row)
    return Match(row, atlas.identity.name(row), ra_deg, dec_deg, separation_arcsec)


def _called(atlas: OpenBuild, name: str) -> Match:
    wrong = slip(name)
    if wrong and not atlas.identity.has_form(name):
        raise InputError(wrong)
    return _match(atlas, atlas.identity.row(name))


def _named(atlas: OpenBuild, name: str, radius_arcsec: float) -> Iterator[Match]:
    """By the atlas's own id, else by the name of an object of OpenNGC."""
    try:
        return iter([_called(atlas, name)])
    except InputError:
        place = named_place(name)
        if place is None:
            raise
    reach = max(radius_arcsec, place.precision_arcsec)
    return _at(atlas, np.array([place.ra_deg]), np.array([place.dec_deg]), reach)


def _at(
    atlas: OpenBuild, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], radius_arcsec: float
) -> Iterator[Match]:
    """The galaxy nearest to each position."""
    if ra_deg.shape != dec_deg.shape:
        raise InputError(f"as many RA as Dec are needed, not {ra_deg.size} and {dec_deg.size}")
    for ra, dec in zip(ra_deg.tolist(), dec_deg.tolist(), strict=True):
        # NaN compares false: it is in no range.
        if not (-180 <= ra <= 360 and -90 <= dec <= 90):
            raise InputError(f"RA lies in 0…360 (or −180…180) and Dec in −90…90 degrees, not at {ra:g} {dec:+g}")
        yield _match(atlas, *atlas.nearest(ra % 360, dec, radius_arcsec))


def icrs_of(sky: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec of coordinates of any frame, in degrees.

    Raises
    ------
    InputError
        If they cannot be brought to ICRS.
    """
    try:
        icrs = SkyCoord(sky).icrs
    except Exception as e:  # astropy raises many kinds for a frame that leads nowhere
        raise InputError(f"these coordinates cannot be brought to ICRS: {shorten(e, 120)}") from e
    ra, dec = (np.atleast_1d(np.asarray(angle.deg, dtype=np.float64)).ravel() for angle in (icrs.ra, icrs.dec))
    return ra, dec


def _table(atlas: OpenBuild, table: Any, radius_arcsec: float) -> Iterator[Match]:
    """By the ids of the atlas where the table has them, else by position."""
    named = ids_of(table, atlas.identity.id_columns)
    if named is not None:
        return (_called(atlas, name) for name in named)
    return _at(atlas, *positions_of(table, atlas.identity.id_columns), radius_arcsec)


def ids_of(table: Table, id_columns: Sequence[str]) -> list[str] | None:
    """The ids of a table's rows, where it has all id columns of the atlas."""
    if not all(name in table.colnames for name in id_columns):
        return None
    parts = [[_word(value) for value in table[name]] for name in id_columns]
    return [SEPARATOR.join(words) for words in zip(*parts, strict=True)]


def positions_of(table: Table, id_columns: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec of a table's rows (ICRS, degrees), NaN where one is missing.

    Raises
    ------
    InputError
        If no columns hold positions.
    """
    for name in table.colnames:
        if isinstance(table[name], SkyCoord):
            return icrs_of(table[name])
    known = {name.lower(): name for name in table.colnames}
    for ra, dec in POSITION_NAMES:
        if ra in known and dec in known:
            return degrees(table[known[ra]], known[ra]), degrees(table[known[dec]], known[dec])
    raise InputError(
        f"the table has neither the ids of this atlas ({', '.join(id_columns)}) nor positions (ra and "
        f"dec) among its columns: {shorten(', '.join(table.colnames))}"
    )


def _word(value: Any) -> str:
    """A value of an id column as the atlas writes it; integers beside missing values arrive as floats."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value) if whole else value)


def degrees(angle: Any, name: str) -> NDArray[np.float64]:
    """An angle, or several, in degrees: numbers are, what has a unit is brought to them."""
    try:
        unit = getattr(angle, "unit", None)
        values = np.ma.filled(np.ma.asarray(getattr(angle, "value", angle), dtype=np.float64), np.nan)
        if unit is not None:
            values = (values * u.Unit(unit)).to_value(u.deg)
        return np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel()
    except (TypeError, ValueError) as e:  # astropy's errors of units are both
        raise InputError(f"{name} must hold angles in degrees, or with a unit of angle, not {shorten(angle)}") from e


def id_list(id: Any) -> list[str]:
    """One id or several, text or whole numbers."""
    items = [id] if isinstance(id, str | int | np.integer) else id
    if not isinstance(items, list | tuple | np.ndarray | pd.Series | pd.Index):
        raise InputError(f"an id is text or a whole number, not {type(id).__name__}")
    for one in items:
        if isinstance(one, bool) or not isinstance(one, str | int | np.integer):
            raise InputError(f"an id is text or a whole number, not {shorten(one)}")
    return [str(one) for one in items]


def _rows(rows: Any, n_rows: int) -> list[int]:
    """One row or several; rows are whole numbers."""
    if isinstance(rows, Mask):
        rows = rows.rows[: MOST_EXAMPLES + 1]
    try:
        array = np.atleast_1d(np.asarray(rows))
    except ValueError:  # lists of unequal length
        array = np.empty(0, dtype=object)
    if array.size == 0 and not np.iterable(rows):
        raise InputError(f"rows are whole numbers, not {shorten(rows)}")
    if array.size and (array.dtype.kind not in "iu" or array.ndim != 1):
        raise InputError(f"rows are whole numbers, one or a list of them, not {shorten(rows)}")
    for row in array.tolist():
        if not 0 <= row < n_rows:
            raise InputError(f"row {shorten(row)} does not exist: this atlas has {n_rows:,} rows, counted from 0")
    return [int(row) for row in array.tolist()]
