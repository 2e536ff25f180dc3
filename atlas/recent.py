"""LRU cache of what was derived from a mask, or from a mask and something else, kept while these are in use."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerMask(Generic[T]):
    """A function of a mask (and of other objects, or None) that remembers its latest results.

    Objects are told apart by identity: the cache that shares masks between views shares what is derived from them, and
    `Columns.array` hands out one array a column. Few results are kept, since each may take four bytes a
    selected row (168 MB where all of 42 million are).

    Parameters
    ----------
    make : callable
        Computes the value; must not change what it is given.
    keep : int
        How many values are kept.
    """

    def __init__(self, make: Callable[..., T], keep: int = 2) -> None:
        self._make = make
        self._keep = keep
        self._values: OrderedDict[tuple[int, ...], tuple[tuple[weakref.ref[object] | None, ...], T]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *inputs: object) -> T:
        key = tuple(map(id, inputs))
        with self._lock:
            kept = self._values.get(key)
            if kept is not None and all(ref is None or ref() is one for ref, one in zip(kept[0], inputs, strict=True)):
                self._values.move_to_end(key)
                return kept[1]
        value = self._make(*inputs)
        with self._lock:
            self._values[key] = (tuple(None if one is None else weakref.ref(one) for one in inputs), value)
            self._values.move_to_end(key)
            while len(self._values) > self._keep:
                self._values.popitem(last=False)
        return value
