"""The order of rows by a column, for a table that is sorted and scrolled to anywhere.

    <scratch>/<build>/<column>.rising.order/rows.npy     uint32 (n,), and .falling.order

The files are kept as `atlas.storage.derived_files` says.

Rows without a value come last in both directions, rows of one value in the order of their numbers. Categories and texts
are in the order of their words; a mixture of detectors is sorted as a column is. The whole order is sorted once and
stored; a selection's is what its mask leaves of it.
Where a selection is small it is sorted by itself, and nothing is stored.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.catalog.mixtures import MixedColumn
from atlas.errors import FormatError, InputError
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.recent import PerMask
from atlas.storage.arrays import chunks, create_array, open_vector
from atlas.storage.derived_files import open_or_make, touch
from atlas.storage.manifest import Column
from atlas.storage.publish import require_disk

ROWS = "rows.npy"
KIND = "*.order"
KEEP = 8
MAX_BYTES = 2_000_000_000
FEW_ROWS = 200_000  # sorted in 20 ms
BUCKET_ROWS = 1 << 17
SAMPLE_PER_BUCKET = 256
SORT_PASSES = 2  # of `atlas.parallel.in_threads`

Sorted = str | MixedColumn
"""A column by its name, or several as one."""


class Orders:
    """The orders of an open build.

    Parameters
    ----------
    columns : Columns
    build_id : str
        The build that they are of.
    n_rows : int
        Length of each.
    scratch : Path
        Folder of derived files, made if it is missing. It may be removed at any time.
    keep, max_bytes : int
        How many orders, and how many bytes of them, stay there; the least recently used go first.
    """

    def __init__(
        self,
        columns: Columns,
        build_id: str,
        n_rows: int,
        scratch: Path,
        *,
        keep: int = KEEP,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._columns = columns
        self._build_id, self._n_rows = build_id, n_rows
        self._scratch = scratch
        self._keep, self._max_bytes = keep, max_bytes
        self._sortings: dict[str, _Sorting] = {}
        self._open: OrderedDict[str, NDArray[np.uint32]] = OrderedDict()
        self._lock = threading.Lock()
        self._selected = PerMask(self._select)

    def page(self, column: Sorted, descending: bool, mask: Mask | None, offset: int, limit: int) -> NDArray[np.uint32]:
        """Rows offset … offset + limit − 1 of a selection in the order of a column.

        The first page of a column sorts it (0.1 s a million rows) unless the selection is small; the first page of a
        mask goes through the order once; further ones are read off.

        Parameters
        ----------
        column : str or MixedColumn
            Its name, or the mixture itself.
        descending : bool
            Largest first; missing values are last in any case.
        mask : Mask or None
            The selection; None stands for all rows.
        offset, limit : int
            The page.

        Returns
        -------
        ndarray of shape (k,), uint32
            Fewer than `limit` at the end.

        Raises
        ------
        UnknownColumnError
            If there is no such column.
        InputError
            If offset or limit are negative.
        ResourceError
            If the disk has no room.
        """
        if offset < 0 or limit < 0:
            raise InputError(f"a page begins at 0 or later and has 0 rows or more, not {offset} and {limit}")
        sorting = self._sorting(column, descending)
        rows = self._order(sorting) if mask is None else self._selected(mask, sorting)
        return np.array(rows[offset : offset + limit])

    def ready(self, column: Sorted, descending: bool, mask: Mask | None) -> bool:
        """Whether `page` has nothing left to sort that takes long."""
        sorting = self._sorting(column, descending)
        if (self._n_rows if mask is None else mask.count) <= FEW_ROWS:
            return True
        with self._lock:
            if sorting.name in self._open:
                return True
        try:
            self._opened(self._scratch / self._build_id / sorting.name)
        except FormatError:
            return False
        return True

    def _sorting(self, column: Sorted, descending: bool) -> _Sorting:
        if isinstance(column, MixedColumn):
            return self._kept(_Sorting(column.described, column, descending))
        return self._kept(_Sorting(self._columns.describe(column), self._columns.array(column), descending))

    def _kept(self, sorting: _Sorting) -> _Sorting:
        with self._lock:
            return self._sortings.setdefault(sorting.name, sorting)

    def _select(self, mask: Mask, sorting: _Sorting) -> NDArray[np.uint32]:
        if mask.count <= FEW_ROWS:
            return mask.rows[sorting.order(mask.rows)]
        order, dense = self._order(sorting), mask.dense

        def selected(part: slice) -> NDArray[np.uint32]:
            rows = order[part]
            return rows[dense[rows]]

        return np.concatenate(list(in_threads(selected, chunks(order.size))))

    def _order(self, sorting: _Sorting) -> NDArray[np.uint32]:
        """All rows in order, memory-mapped."""
        with self._lock:
            order = self._open.get(sorting.name)
            if order is not None:
                self._open.move_to_end(sorting.name)
        if order is None:
            order = open_or_make(
                self._scratch,
                self._build_id,
                sorting.name,
                self._opened,
                lambda folder: _write(folder, sorting),
                kind=KIND,
                keep=self._keep,
                max_bytes=self._max_bytes,
            )
            with self._lock:
                self._open[sorting.name] = order
                while len(self._open) > self._keep:
                    self._open.popitem(last=False)
        touch(self._scratch / self._build_id / sorting.name)
        return order

    def _opened(self, folder: Path) -> NDArray[np.uint32]:
        return open_vector(folder / ROWS, np.uint32, self._n_rows)


class _Sorting:
    """A column and a direction.

    Parameters
    ----------
    column : Column
        What the manifest says of it.
    values : ndarray of shape (n,) or MixedColumn
        As stored, or as mixed.
    descending : bool
        Largest first.
    """

    def __init__(self, column: Column, values: NDArray[Any] | MixedColumn, descending: bool) -> None:
        self.name = f"{column.name}.{'falling' if descending else 'rising'}.order"
        self.n_rows = values.size
        self.descending = descending
        self._column = column
        self._values = values
        self._place = np.argsort(np.argsort(np.array([*column.vocabulary, ""], dtype=str)[:-1]))

    def keys(self, rows: slice | NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Sort keys of some rows, and a mask of those that have a value."""
        keys = np.asarray(self._values[rows])
        match self._column.kind:
            case "category":
                known = keys < self._place.size
                return np.append(self._place, 0)[np.where(known, keys, self._place.size)], known
            case "text":
                return keys, keys != b""
            case _:
                return keys, keys == keys

    def order(self, rows: NDArray[Any]) -> NDArray[np.intp]:
        """Positions of ascending rows in their order."""
        keys, known = self.keys(rows)
        present = np.flatnonzero(known)
        # A stable sort keeps equal keys as they stand: backwards here, so that reversing it puts them forwards again.
        present = present[::-1] if self.descending else present
        order = present[_argsort(keys[present])]
        return np.concatenate([order[::-1] if self.descending else order, np.flatnonzero(~known)])


def _argsort(keys: NDArray[Any]) -> NDArray[np.intp]:
    """As `np.argsort(keys, kind="stable")`, in a third of its time.

    Vector instructions sort in any order what is equal; so the number of each distinct key is sorted once more, with
    the position behind it.
    """
    order = np.argsort(keys)
    ordered = keys[order]
    distinct = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]), dtype=np.int64)[: keys.size]
    packed = distinct << 32 | order
    packed.sort()
    return packed & 0xFFFFFFFF


def _write(folder: Path, sorting: _Sorting) -> None:
    """Sort all rows: dealt to buckets of rising values first, so that no more is sorted at once than fits a cache.

    Needs 8 bytes a row of memory. Every second bucket holds the repeats of one value, which need no sorting.
    """
    n = sorting.n_rows
    require_disk(folder, 4 * n, "a sorted column")
    pivots = _pivots(sorting)
    missing = 2 * pivots.size + 1
    dealt = np.empty(n, dtype=np.uint64)

    def deal(part: slice) -> None:
        keys, known = sorting.keys(part)
        bucket = np.searchsorted(pivots, keys, "left") + np.searchsorted(pivots, keys, "right")
        bucket[~known] = missing
        dealt[part] = bucket.astype(np.uint64) << np.uint64(32) | np.arange(part.start, part.stop, dtype=np.uint64)

    deque(in_threads(deal, chunks(n, BUCKET_ROWS)), maxlen=0)
    dealt.sort()
    bounds = np.searchsorted(dealt, np.arange(missing + 2, dtype=np.uint64) << np.uint64(32))
    known = int(bounds[missing])
    order = create_array(folder / ROWS, np.uint32, n)

    def arrange(bucket: int) -> None:
        first, end = bounds[bucket : bucket + 2]
        rows = (dealt[first:end] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        if bucket % 2 == 0:
            rows = rows[sorting.order(rows)]
        if sorting.descending and bucket != missing:
            first, end = known - end, known - first
        order[first:end] = rows

    deque(in_threads(arrange, range(missing + 1)), maxlen=0)


def _pivots(sorting: _Sorting) -> NDArray[Any]:
    """Values that cut a column into buckets of about BUCKET_ROWS, from a sample; each once, ascending."""
    n_buckets = -(-sorting.n_rows // BUCKET_ROWS)
    step = max(1, sorting.n_rows // (n_buckets * SAMPLE_PER_BUCKET))
    keys, known = sorting.keys(slice(None, None, step))
    sample = np.sort(keys[known])
    return np.unique(sample[np.arange(1, n_buckets) * sample.size // n_buckets]) if sample.size else sample
