"""Build that a worker answers from: the one that it has, until the index of a newer one is in memory.

    CURRENT is written ──> the new build is opened ──> a thread reads its index ──> the new build is taken up
                           where it cannot be:         where it does not answer:    and the one before let go
                           the one in use stays        the one in use stays

So nobody waits for an index but the visitors of a worker that has just started. Two indexes are in memory until the
swap: at 42 million rows 1.6 GiB of the old one, and of the new one 4 GiB while it is read and 1.6 GiB then. A build
that was refused is tried again when CURRENT is written anew, be it with the same id.

Pages that were loaded from a build before go on to ask for its pictures: it is opened for them, and let go when nobody
has asked for some minutes or its folder is gone, since a mapped file takes its room on the disk until then.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path

from atlas import Atlas
from atlas.errors import AtlasError, InputError
from atlas.labels.store import Labels
from atlas.storage.layout import CURRENT, build_path
from atlas.storage.manifest import read_manifest
from atlas.storage.publish import current_build

from .index_loading import Indexes, LoadingState

LOOK_EVERY_S = 2.0
EARLIER_KEPT = 2
EARLIER_S = 600.0
_log = logging.getLogger(__name__)


class Builds:
    """The build that a worker answers from, and the one that will follow it. Safe to share between threads.

    Parameters
    ----------
    root : Path
        Folder of the atlas.
    indexes : Indexes
        Loads the index of each build.
    labels : Labels
        What people kept, of all builds.
    keep_searching : bool
        Whether the build in use stays until the new one's index is in memory; else a new build is taken up at once,
        and two indexes are never in memory together for longer than a request.
    search_url : str
        As `Atlas.open` takes it.
    """

    def __init__(
        self, root: Path, indexes: Indexes, labels: Labels, *, keep_searching: bool, search_url: str = ""
    ) -> None:
        self._root = root
        self._labels = labels
        self._indexes = indexes
        self._keep_searching = keep_searching
        self._search_url = search_url
        self._lock = threading.Lock()
        self._looked = 0.0
        self._seen: tuple[int, int] | None = None
        self._in_use: Atlas | None = None
        self._next: Atlas | None = None
        self._earlier: OrderedDict[str, tuple[Atlas, float]] = OrderedDict()  # each with when it was last asked for

    def current(self) -> Atlas:
        """The build in use. CURRENT is looked at when this is asked, at most every two seconds.

        Raises
        ------
        FormatError
            If there is no atlas yet.
        """
        with self._lock:
            now = time.monotonic()
            if self._in_use is None:
                self._seen = _written(self._root)
                self._in_use = self._open()
                self._looked = now
            elif now - self._looked >= LOOK_EVERY_S:
                self._looked = now
                self._look(self._in_use)
                self._let_go(now)
            return self._in_use

    def _open(self) -> Atlas:
        return Atlas.open(self._root, apart=True, labels=self._labels, search_url=self._search_url)

    def named(self, build_id: str) -> Atlas:
        """The build of an id: in use, about to be, or an earlier one that is still on disk.

        Raises
        ------
        InputError
            If its folder is gone.
        """
        with self._lock:
            for atlas in (self._in_use, self._next):
                if atlas is not None and atlas.build_id == build_id:
                    return atlas
            path = build_path(self._root, build_id)
            if not path.is_dir():
                raise InputError("this build of the atlas is gone; reload the page")
            atlas, _ = self._earlier.get(build_id, (None, 0.0))
            atlas = atlas or Atlas(path, read_manifest(path), apart=True, labels=self._labels)
            self._earlier[build_id] = atlas, time.monotonic()
            self._earlier.move_to_end(build_id)
            if len(self._earlier) > EARLIER_KEPT:
                self._earlier.popitem(last=False)
            return atlas

    def _let_go(self, now: float) -> None:
        """Forget the earlier builds that nobody has asked for lately, or that are gone."""
        gone = [
            build_id
            for build_id, (atlas, asked) in self._earlier.items()
            if now - asked > EARLIER_S or not atlas.build.is_dir()
        ]
        for build_id in gone:
            del self._earlier[build_id]
        if gone:
            gc.collect()  # a build and its spaces know each other

    def _look(self, in_use: Atlas) -> None:
        """Begin with the current build where CURRENT was written since it was last looked at."""
        written = _written(self._root)
        if written == self._seen:
            return
        self._seen = written
        try:
            if current_build(self._root) == in_use.build_id:
                self._next = None  # somebody went back to it
                return
            newest = self._open()
        except AtlasError:
            _log.exception("the new build cannot be opened; the one before stays in use")
            return
        if self._next is not None and self._next.build_id == newest.build_id:
            return
        # What was published twice since is gone from the disk, and with it what was not opened yet: no reason to stay.
        if self._keep_searching and in_use.build.is_dir():
            self._next = newest
            self._indexes.start(newest, self._loaded)
        else:
            self._take_up(newest)
            self._indexes.start(newest)

    def _loaded(self, atlas: Atlas, outcome: LoadingState) -> None:
        """Take up a build whose index is loaded, or drop one whose cannot be; called by the thread that loaded it."""
        with self._lock:
            if atlas is not self._next:
                return  # another one was published meanwhile
            if outcome == "ready":
                self._take_up(atlas)
                return
            self._next = None
            assert self._in_use is not None
            _log.error("build %s cannot be searched; %s stays in use", atlas.build_id, self._in_use.build_id)

    def _take_up(self, atlas: Atlas) -> None:
        self._in_use, self._next = atlas, None
        # A request that failed may lie about in a cycle with the build before, whose index is too large to wait for.
        gc.collect()
        _log.info("build %s is in use", atlas.build_id)


def _written(root: Path) -> tuple[int, int] | None:
    """Mark of this CURRENT: it changes whenever the file is written; None where there is none."""
    try:
        found = (root / CURRENT).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
