"""Any column against any column: a plane with the same levels, counts and lassos as the map, built when asked for.

    <scratch>/<build>/<x>--<y>/     a plane (`atlas.planes.plane`), kept as `atlas.storage.derived_files` says
                      axes.json     what it was built with: `PlaneAxes`

The coordinates are float32, along axes that `atlas.planes.axis` chooses for the columns' values. Rows where either is
missing (or has no logarithm) are in no view. A lasso (`ColumnPolygon`) says along which axes it was drawn; it is
brought to those of the plane, and holds the same rows whether the plane is there or not.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.errors import FormatError, InputError
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.planes.axis import Axis, axis_of
from atlas.planes.count_pyramid import finest_grid
from atlas.planes.plane import WRITE_PASSES, Plane, write_plane
from atlas.planes.polygon import geometry, validate_polygon
from atlas.planes.region import Polygon
from atlas.storage.arrays import chunks, create_array
from atlas.storage.derived_files import open_or_make, touch
from atlas.storage.layout import write_atomically
from atlas.storage.publish import require_disk

KEEP = 6
MAX_BYTES = 8_000_000_000  # seven planes of 42 million rows
BYTES_PER_ROW = 34  # what is written, with the coordinates that are put down on the way
KIND = "*--*"
AXES = "axes.json"
PASSES = WRITE_PASSES + 2


class PlaneAxes(msgspec.Struct, frozen=True):
    """The axes of a column plane."""

    x: Axis
    y: Axis

    def moved(self, corners: NDArray[np.float64], other: PlaneAxes) -> NDArray[np.float64] | None:
        """Corners of an outline in the coordinates of other axes; None where only one of the two has logarithms."""
        x, y = self.x.moved(corners[:, 0], other.x), self.y.moved(corners[:, 1], other.y)
        return None if x is None or y is None else np.column_stack([x, y])


def column_axes(columns: Columns, x: str, y: str) -> PlaneAxes:
    """The axes of the plane of two columns (`atlas.planes.axis.axis_of`).

    Raises
    ------
    InputError
        If a column does not exist or holds no numbers.
    """
    for name in (x, y):
        columns.number(name)
    return PlaneAxes(axis_of(columns.describe(x)), axis_of(columns.describe(y)))


def rows_inside(columns: Columns, x: str, y: str, corners: NDArray[np.float64], drawn_on: PlaneAxes) -> Mask:
    """All rows inside a lasso on the plane of two columns, exactly, by one pass over both columns.

    Raises
    ------
    InputError
        If a column does not exist or holds no numbers, or the polygon has no area.
    """
    axes = column_axes(columns, x, y)
    along_x, along_y = columns.number(x), columns.number(y)
    # On the plane's own axes where it can be: those of a lasso that was typed are wider than float32 can tell apart.
    moved = drawn_on.moved(corners, axes)
    axes, corners = (drawn_on, corners) if moved is None else (axes, moved)
    vertices = validate_polygon(corners)

    def inside(part: slice) -> NDArray[np.uint8]:
        # Its own in each part: what shapely prepares on first use must not be shared by threads.
        region = Polygon(geometry(vertices))
        dense = region.contains(axes.x.coordinates(along_x[part]), axes.y.coordinates(along_y[part]))
        return np.packbits(dense, bitorder="little")

    return Mask(np.concatenate(list(in_threads(inside, chunks(along_x.size)))), along_x.size)


class ColumnPlanes:
    """The column planes of an open atlas.

    Parameters
    ----------
    build_id : str
        The build that is open.
    columns : Columns
        Those of the catalogue and of the default space.
    n_rows : int
        Length of each.
    """

    def __init__(self, build_id: str, columns: Columns, n_rows: int) -> None:
        self._build_id = build_id
        self._columns = columns
        self._n_rows = n_rows
        self._open: OrderedDict[Path, Plane] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        x: str,
        y: str,
        scratch: Path,
        *,
        seed: int,
        keep: int = KEEP,
        max_bytes: int = MAX_BYTES,
        advance: Callable[[float], object] = lambda _: None,
    ) -> Plane:
        """See `Atlas.column_plane`; `seed` is of the levels, that of the build's other planes."""
        axes = column_axes(self._columns, x, y)
        folder = self._folder(x, y, scratch)
        plane = self._opened(folder)
        if plane is None:
            plane = open_or_make(
                scratch,
                self._build_id,
                folder.name,
                lambda found: _open(found, axes),
                lambda partial: self._write(partial, x, y, axes, seed, advance),
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
        axes = column_axes(self._columns, x, y)
        if self._opened(folder) is not None:
            return True
        try:
            _open(folder, axes)
        except FormatError:
            return False
        return True

    def polygon(self, x: str, y: str, corners: NDArray[np.float64], drawn_on: PlaneAxes) -> Mask:
        """All rows inside a lasso: by the plane where it is open, else by a pass over its columns."""
        vertices = drawn_on.moved(corners, column_axes(self._columns, x, y))
        if vertices is not None:
            with self._lock:
                open_planes = dict(self._open)
            for folder, plane in open_planes.items():
                if folder.name == _name(x, y):
                    return plane.polygon(vertices)
        return rows_inside(self._columns, x, y, corners, drawn_on)

    def _folder(self, x: str, y: str, scratch: Path) -> Path:
        return scratch / self._build_id / _name(x, y)

    def _opened(self, folder: Path) -> Plane | None:
        with self._lock:
            plane = self._open.get(folder)
            if plane is not None:
                self._open.move_to_end(folder)
            return plane

    def _write(
        self, partial: Path, x: str, y: str, axes: PlaneAxes, seed: int, advance: Callable[[float], object]
    ) -> None:
        n = self._n_rows
        require_disk(partial, BYTES_PER_ROW * n + 6 * finest_grid(n) ** 2, f"the plane of {x} and {y}")
        done = 0

        def told(rows: int) -> None:
            nonlocal done
            done += rows
            advance(done / (PASSES * n))

        x_placed, y_placed = (
            _placed(partial / f"{name}-placed.npy", self._columns.number(column), axis, told)
            for name, column, axis in (("x", x, axes.x), ("y", y, axes.y))
        )
        try:
            write_plane(partial, x_placed, y_placed, seed=seed, advance=told)
        except InputError:
            raise InputError(f"no galaxy has a value of both {x!r} and {y!r}") from None
        for path in partial.glob("*-placed.npy"):
            path.unlink()
        write_atomically(partial / AXES, msgspec.json.encode(axes))


def _open(folder: Path, axes: PlaneAxes) -> Plane:
    """The plane in a folder; FormatError where it is missing, not whole, or has other axes."""
    try:
        built = msgspec.json.decode((folder / AXES).read_bytes(), type=PlaneAxes)
    except (OSError, msgspec.DecodeError) as error:
        raise FormatError(f"{folder / AXES} cannot be read: {error}") from error
    if built != axes:
        raise FormatError(f"{folder} was built with {built}, {axes} are wanted")
    return Plane.open(folder)


def _placed(path: Path, values: NDArray[Any], axis: Axis, advance: Callable[[int], object]) -> NDArray[np.float32]:
    """Coordinates of a whole column: the column itself where it holds them, else put down in a file."""
    if values.dtype == np.float32 and axis.keeps:
        advance(values.size)
        return values
    placed = create_array(path, np.float32, values.size)
    for part in chunks(values.size):
        placed[part] = axis.coordinates(values[part])
        advance(part.stop - part.start)
    return placed


def _name(x: str, y: str) -> str:
    return f"{x}--{y}"
