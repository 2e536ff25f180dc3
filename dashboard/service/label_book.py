"""Label book, what the page has to know of the labels all the time: their revision, and which key gives which.

Every event of the page asks for it, so it is read at most twice a second, by one thread, and a database that is away is
not waited for again and again: what was known last is told meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time

import msgspec

from atlas import Atlas
from atlas.cluster_names import NamesHere
from atlas.errors import KeepingError
from atlas.labels.store import Labels
from atlas.queries.selection import Collected, Expression, Labelled

LOOK_EVERY_S = 0.5
PATIENCE_S = 10.0
_log = logging.getLogger(__name__)


class Known(msgspec.Struct, frozen=True):
    """Revision of the labels, the label of each key that has one, and the revision that last named a cluster."""

    revision: int = 0
    classes: dict[int, str] = {}
    named_at: int = 0


class LabelBook:
    """Latest knowledge of the labels. Safe to share between threads.

    Parameters
    ----------
    labels : Labels
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._lock = threading.Lock()
        self._known = Known()
        self._looked = False
        self._look_again = self._away_until = 0.0

    def known(self, *, fresh: bool = False) -> Known:
        """Revision and classes; `fresh` looks now, whatever was seen a moment ago, unless the database is away."""
        if not self._lock.acquire(blocking=fresh or not self._looked):
            return self._known  # who looks just now may wait for the database; nobody else has to
        try:
            now = time.monotonic()
            if now < self._away_until or (not fresh and now < self._look_again):
                return self._known
            self._look_again = now + LOOK_EVERY_S
            try:
                revision = self._labels.revision()
                if revision != self._known.revision:
                    self._known = Known(revision, self._labels.classes(), self._labels.naming())
            except KeepingError:
                _log.exception("the labels cannot be read; asked again in %g s", PATIENCE_S)
                self._away_until = time.monotonic() + PATIENCE_S
            self._looked = True
            return self._known
        finally:
            self._lock.release()

    def cluster_names(self, atlas: Atlas) -> NamesHere:
        """Names that people gave to clusters; none where the database was away before they were read."""
        try:
            return atlas.cluster_names.at(self.known().named_at)
        except KeepingError:
            return NamesHere()

    def newest(self, part: Labelled | Collected | Expression) -> int:
        """The revision that a part of a selection means by now."""
        if isinstance(part, Collected):
            return self._labels.collection(part.name).revision
        return self._labels.revision()
