"""One segment of the sky: the positions of a range of rows, how they are written and opened.

    sky.json        the header: what the store is, where its rows lie
    ra.npy dec.npy  uint32 (m,)   positions in the order of the store, rounded to 0.0003″
    …               the level store (`atlas.planes.level_store`), its cells nested HEALPix of order 14 (13″)

Nested HEALPix has no edges: RA 0/360, the poles and galactic coordinates are no special case. The counts of its cells
are the differences of the store's `starts`, so the sky needs no count pyramid of its own.

How segments are seen as one sky: `atlas.sky.sky_plane`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import CoordinateError
from atlas.mask import Mask
from atlas.planes.level_store import LevelStore, Positions
from atlas.planes.level_store_files import ROW, StoreHeader, write_store
from atlas.sky.healpix import BASE_CELLS, cell_of
from atlas.sky.sky_regions import Coordinates, separation_deg
from atlas.storage.arrays import chunks, create_array, open_vector
from atlas.storage.layout import write_atomically

HEADER = "sky.json"
RA = "ra.npy"
DEC = "dec.npy"

ORDER = 14
_RA_STEP = 360 / 2**32
_DEC_STEP = 180 / (2**32 - 1)


class SkyHeader(msgspec.Struct, frozen=True):
    """Content of `sky.json`: the store, and a circle that holds all its rows."""

    store: StoreHeader
    ra_deg: float
    dec_deg: float
    radius_deg: float


class SkySegment:
    """An open segment of the sky.

    Parameters
    ----------
    directory : Path
        Where `write_sky` wrote.
    header : SkyHeader
        What it wrote there.
    columns : (ndarray, ndarray) or None
        RA and Dec of all rows of the atlas, degrees, float64 of shape (n,).
    n_rows : int
        Rows of the atlas, those of other segments included.

    Attributes
    ----------
    store : LevelStore
        The rows.
    cell_order : int
        Order of the cells that they are kept in.

    Raises
    ------
    FormatError
        If a file is missing, truncated or foreign.
    """

    def __init__(self, directory: Path, header: SkyHeader, columns: Coordinates | None, n_rows: int) -> None:
        self.store = LevelStore(directory, header.store, n_rows)
        self._ra = open_vector(directory / RA, np.uint32, header.store.n_points)
        self._dec = open_vector(directory / DEC, np.uint32, header.store.n_points)
        self._columns = columns
        self.cell_order = ORDER

    def stored(self, positions: Positions) -> Coordinates:
        """See `atlas.sky.sky_regions.Stars`."""
        return self._ra[positions] * _RA_STEP, self._dec[positions] * _DEC_STEP - 90

    def exact(self, positions: Positions) -> Coordinates:
        """See `atlas.sky.sky_regions.Stars`."""
        if self._columns is None:
            return self.stored(positions)
        rows = self.store.row[positions]
        return self._columns[0][rows], self._columns[1][rows]

    def count_mask(self, order: int, mask: Mask) -> NDArray[np.uint32]:
        """Selected rows in each cell of an order."""
        positions = self.store.subset(mask).positions
        if order <= self.store.header.start_depth:
            return np.diff(np.searchsorted(positions, self.store.starts_at(order))).astype(np.uint32)
        return np.bincount(self.cells_at(order, positions), minlength=BASE_CELLS * 4**order).astype(np.uint32)

    def cells_at(self, order: int, positions: slice | Positions | NDArray[np.uint32]) -> NDArray[np.intp]:
        """Cell of an order that each row lies in."""
        return (self.store.cell[positions] >> np.uint32(2 * (ORDER - order))).astype(np.intp)


def write_sky(
    directory: Path, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], *, seed: int, first_row: int = 0
) -> None:
    """Write a sky, or what is appended to one.

    Needs about 22 bytes a row of memory while it runs; the columns may be memory-mapped.

    Parameters
    ----------
    directory : Path
        Made if it is missing.
    ra_deg, dec_deg : ndarray of shape (n,), float64
        Positions of the segment's own rows: RA in 0 … 360, Dec in −90 … 90.
    seed : int
        Seed of the random levels; that of the sky where rows are appended.
    first_row : int
        Row of the atlas that the segment begins with.

    Raises
    ------
    CoordinateError
        If a position is out of range or not a number.
    """
    directory.mkdir(parents=True, exist_ok=True)
    cells = np.empty(ra_deg.size, dtype=np.uint32)
    for part in chunks(ra_deg.size):
        bad = ~((ra_deg[part] >= 0) & (ra_deg[part] <= 360) & (np.abs(dec_deg[part]) <= 90))
        if bad.any():
            at = part.start + int(np.argmax(bad))
            raise CoordinateError(f"row {first_row + at} has no position: RA {ra_deg[at]}, Dec {dec_deg[at]}")
        cells[part] = cell_of(ra_deg[part], dec_deg[part], ORDER)
    present = np.ones(cells.size, dtype=np.bool_)
    store = write_store(directory, cells, present, roots=BASE_CELLS, depth=ORDER, seed=seed, first_row=first_row)
    del cells, present

    rows = open_vector(directory / ROW, np.uint32, store.n_points)
    ra = create_array(directory / RA, np.uint32, rows.size)
    dec = create_array(directory / DEC, np.uint32, rows.size)
    for part in chunks(rows.size):
        own = rows[part] - np.uint32(first_row)
        ra[part] = np.rint(ra_deg[own] / _RA_STEP).astype(np.uint64) % 2**32
        dec[part] = np.rint((dec_deg[own] + 90) / _DEC_STEP)
    header = SkyHeader(store, *_footprint(ra_deg, dec_deg))
    write_atomically(directory / HEADER, msgspec.json.format(msgspec.json.encode(header)))


def _footprint(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean direction of all rows, and the distance of the farthest."""
    total = np.zeros(3)
    for part in chunks(ra_deg.size):
        ra, dec = np.radians(ra_deg[part]), np.radians(dec_deg[part])
        total += [np.sum(np.cos(dec) * np.cos(ra)), np.sum(np.cos(dec) * np.sin(ra)), np.sum(np.sin(dec))]
    if np.linalg.norm(total) < 1e-9 * ra_deg.size:
        return 0.0, 0.0, 180.0  # evenly over the sky: there is no mean direction
    center_ra = float(np.degrees(np.arctan2(total[1], total[0])) % 360) % 360
    center_dec = float(np.degrees(np.arctan2(total[2], np.hypot(total[0], total[1]))))
    radius = 0.0
    for part in chunks(ra_deg.size):
        radius = max(radius, float(separation_deg(ra_deg[part], dec_deg[part], center_ra, center_dec).max()))
    return center_ra, center_dec, radius
