"""What was derived from a mask, kept while the mask is in use."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from atlas.mask import Mask

T = TypeVar("T")


class PerMask(Generic[T]):
    """A function of a mask that remembers its latest results.

    Masks are told apart by identity: the cache that shares masks between views shares what is derived from them.
    Few results are kept, since each may take four bytes a selected row (168 MB where all of 42 million are).

    Parameters
    ----------
    make : callable
        Computes the value; must not change the mask.
    keep : int
        How many values are kept.
    """

    def __init__(self, make: Callable[[Mask], T], keep: int = 2) -> None:
        self._make = make
        self._keep = keep
        self._values: OrderedDict[int, tuple[weakref.ref[Mask], T]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, mask: Mask) -> T:
        with self._lock:
            kept = self._values.get(id(mask))
            if kept is not None and kept[0]() is mask:
                self._values.move_to_end(id(mask))
                return kept[1]
        value = self._make(mask)
        with self._lock:
            self._values[id(mask)] = (weakref.ref(mask), value)
            self._values.move_to_end(id(mask))
            while len(self._values) > self._keep:
                self._values.popitem(last=False)
        return value
