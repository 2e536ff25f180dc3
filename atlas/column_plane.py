"""Any column against any column: a plane with the same levels, counts and lassos as the map, built when asked for.

    <scratch>/<build>/<x>--<y>/     a plane (`atlas.plane`), kept as `atlas.scratch` says
                      axes.json     what it was built with: `Axes`

The coordinates are the columns' values as float32; on a logarithmic axis they are log10 of the values. Rows where
either is missing (or has no logarithm) are in no view. A lasso, `ColumnPolygon`, is in these coordinates too, and holds
the same rows whether the plane is there or not.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.columns import Columns, is_skewed
from atlas.errors import FormatError, InputError
from atlas.format import write_atomically
from atlas.level_files import chunks, create_array
from atlas.mask import Mask
from atlas.plane import WRITE_PASSES, Plane, write_plane
from atlas.polygon import geometry, validate_polygon
from atlas.pyramid import finest_grid
from atlas.region import Polygon
from atlas.scratch import open_or_make, touch
from atlas.selection import ColumnPolygon
from atlas.threads import in_threads
from atlas.writer import require_disk

if TYPE_CHECKING:
    from atlas.atlas import OpenSpace

KEEP = 6
MAX_BYTES = 8_000_000_000  # seven planes of 42 million rows
BYTES_PER_ROW = 34  # what is written, with the coordinates that are put down on the way
KIND = "*--*"
AXES = "axes.json"
PASSES = WRITE_PASSES + 2


class Axes(msgspec.Struct, frozen=True):
    """Which axes of a column plane are logarithmic."""

    x_log: bool = False
    y_log: bool = False


def column_axes(columns: Columns, x: str, y: str) -> Axes:
    """The axes of the plane of two columns: logarithmic where the values are positive and skewed.

    Raises
    ------
    InputError
        If a column does not exist or holds no numbers.
    """
    for name in (x, y):
        columns.number(name)
    return Axes(is_skewed(columns.describe(x)), is_skewed(columns.describe(y)))


def coordinates(values: NDArray[Any], log: bool) -> NDArray[np.float32]:
    """Where values lie along an axis; NaN for those that are missing, beyond float32, or without a logarithm.

    Parameters
    ----------
    values : ndarray of shape (m,), any number dtype
        Part of a column.
    log : bool
        Whether the axis is logarithmic.
    """
    with np.errstate(all="ignore"):
        if log:
            # In float64 and rounded once: the same value lands in the same place, alone or among others.
            values = np.log10(np.asarray(values, dtype=np.float64))
        placed = np.asarray(values, dtype=np.float32)
    return placed if np.isfinite(placed).all() else np.where(np.isfinite(placed), placed, np.float32(np.nan))


def rows_inside(columns: Columns, polygon: ColumnPolygon) -> Mask:
    """All rows inside a lasso on the plane of two columns, exactly, by one pass over both columns.

    Raises
    ------
    InputError
        If a column does not exist or holds no numbers, or the polygon has no area.
    """
    x, y = columns.number(polygon.x), columns.number(polygon.y)
    vertices = validate_polygon(polygon.vertices)

    def inside(part: slice) -> NDArray[np.uint8]:
        # Its own in each part: what shapely prepares on first use must not be shared by threads.
        region = Polygon(geometry(vertices))
        dense = region.contains(coordinates(x[part], polygon.x_log), coordinates(y[part], polygon.y_log))
        return np.packbits(dense, bitorder="little")

    return Mask(np.concatenate(list(in_threads(inside, chunks(x.size)))), x.size)


class ColumnPlanes:
    """The column planes of an open atlas.

    Parameters
    ----------
    build_id : str
        The build that is open.
    space : OpenSpace
        Has the columns: those of the catalogue and its own. Not the atlas, which would then hold itself and outlive
        its last use by however long the garbage collector takes.
    """

    def __init__(self, build_id: str, space: OpenSpace) -> None:
        self._build_id = build_id
        self._space = space
        self._open: OrderedDict[Path, Plane] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        x: str,
        y: str,
        scratch: Path,
        *,
        keep: int = KEEP,
        max_bytes: int = MAX_BYTES,
        advance: Callable[[float], object] = lambda _: None,
    ) -> Plane:
        """See `Atlas.column_plane`."""
        columns = self._space.columns
        axes = column_axes(columns, x, y)
        folder = self._folder(x, y, scratch)
        plane = self._opened(folder)
        if plane is None:
            plane = open_or_make(
                scratch,
                self._build_id,
                folder.name,
                lambda found: _open(found, axes),
                lambda partial: self._write(partial, columns, x, y, axes, advance),
                kind=KIND,
                keep=keep,
                max_bytes=max_bytes,
            )
            with self._lock:
                plane = self._open.setdefault(folder, plane)
                for other in [f for f in self._open if not f.exists()]:
                    del self._open[other]  # or its files would keep their room on the disk
                while len(self._open) > keep:
                    self._open.popitem(last=False)
        touch(folder)
        return plane

    def ready(self, x: str, y: str, scratch: Path) -> bool:
        """See `Atlas.column_plane_ready`."""
        folder = self._folder(x, y, scratch)
        axes = column_axes(self._space.columns, x, y)
        if self._opened(folder) is not None:
            return True
        try:
            _open(folder, axes)
        except FormatError:
            return False
        return True

    def polygon(self, polygon: ColumnPolygon) -> Mask:
        """All rows inside a lasso: by the plane where it is open, else by a pass over its columns."""
        columns = self._space.columns
        axes = column_axes(columns, polygon.x, polygon.y)
        if axes == Axes(polygon.x_log, polygon.y_log):
            with self._lock:
                open_planes = dict(self._open)
            for folder, plane in open_planes.items():
                if folder.name == _name(polygon.x, polygon.y):
                    return plane.polygon(polygon.vertices)
        return rows_inside(columns, polygon)

    def _folder(self, x: str, y: str, scratch: Path) -> Path:
        return scratch / self._build_id / _name(x, y)

    def _opened(self, folder: Path) -> Plane | None:
        with self._lock:
            plane = self._open.get(folder)
            if plane is not None:
                self._open.move_to_end(folder)
            return plane

    def _write(
        self, partial: Path, columns: Columns, x: str, y: str, axes: Axes, advance: Callable[[float], object]
    ) -> None:
        n = self._space.n_rows
        require_disk(partial, BYTES_PER_ROW * n + 6 * finest_grid(n) ** 2, f"the plane of {x} and {y}")
        done = 0

        def told(rows: int) -> None:
            nonlocal done
            done += rows
            advance(done / (PASSES * n))

        x_placed, y_placed = (
            _placed(partial / f"{axis}-placed.npy", columns.number(name), log, told)
            for axis, name, log in (("x", x, axes.x_log), ("y", y, axes.y_log))
        )
        try:
            write_plane(partial, x_placed, y_placed, seed=self._space.plane.seed, advance=told)
        except InputError:
            raise InputError(f"no galaxy has a value of both {x!r} and {y!r}") from None
        for path in partial.glob("*-placed.npy"):
            path.unlink()
        write_atomically(partial / AXES, msgspec.json.encode(axes))


def _open(folder: Path, axes: Axes) -> Plane:
    """The plane in a folder; FormatError where it is missing, not whole, or has other axes."""
    try:
        built = msgspec.json.decode((folder / AXES).read_bytes(), type=Axes)
    except (OSError, msgspec.DecodeError) as error:
        raise FormatError(f"{folder / AXES} cannot be read: {error}") from error
    if built != axes:
        raise FormatError(f"{folder} was built with {built}, {axes} are wanted")
    return Plane.open(folder)


def _placed(path: Path, values: NDArray[Any], log: bool, advance: Callable[[int], object]) -> NDArray[np.float32]:
    """Coordinates of a whole column: the column itself where it holds them, else put down in a file."""
    if values.dtype == np.float32 and not log:
        advance(values.size)
        return values
    placed = create_array(path, np.float32, values.size)
    for part in chunks(values.size):
        placed[part] = coordinates(values[part], log)
        advance(part.stop - part.start)
    return placed


def _name(x: str, y: str) -> str:
    return f"{x}--{y}"
