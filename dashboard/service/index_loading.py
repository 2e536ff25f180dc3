"""Has the index of each build loaded, in a process of its own: the page answers meanwhile, and says what it lacks. What
the first visitor would wait for is read after it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal
from weakref import WeakKeyDictionary

from atlas import Atlas, Query, Similar
from atlas.search.served_index import SearchAwayError

LoadingState = Literal["loading", "ready", "failed"]

WORDS: dict[LoadingState, str] = {
    "loading": "search is loading; look again in a moment",
    "failed": "search does not answer: its index could not be loaded, and the server's log says why",
}
"""What is said where a search cannot be answered."""

AGAIN_S = 5.0
_log = logging.getLogger(__name__)


class Indexes:
    """Indexes of the open builds, and how far each is. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_by_one = threading.Lock()  # reading an index takes more memory than holding it
        self._progress: WeakKeyDictionary[Atlas, LoadingState] = WeakKeyDictionary()
        self._failed_at: WeakKeyDictionary[Atlas, float] = WeakKeyDictionary()

    def start(self, atlas: Atlas, then: Callable[[Atlas, LoadingState], object] = lambda *_: None) -> None:
        """Load the index of a build, unless that is under way or done; what failed is tried again.

        Parameters
        ----------
        atlas : Atlas
        then : callable
            Told the build and how it ended, "ready" or "failed", by the thread that loaded it.
        """
        with self._lock:
            if self._progress.get(atlas, "failed") != "failed":
                return
            self._progress[atlas] = "loading"
        threading.Thread(target=self._load, args=(atlas, then), name="load-index", daemon=True).start()

    def progress(self, atlas: Atlas) -> LoadingState:
        """Progress of an index; one that nobody asked for yet, or whose process is gone, begins to load.

        A search server that was away is asked again after some seconds.
        """
        with self._lock:
            found = self._progress.get(atlas)
            again = time.monotonic() - self._failed_at.get(atlas, 0.0) > AGAIN_S
            if (found == "ready" and not atlas.space().index_loaded) or (
                found == "failed" and again and atlas.space().served is not None
            ):
                del self._progress[atlas]
                found = None
        if found is None:
            self.start(atlas)
            return "loading"
        return found

    def _load(self, atlas: Atlas, then: Callable[[Atlas, LoadingState], object]) -> None:
        outcome: LoadingState = "failed"
        try:
            with self._one_by_one:
                # The self-test: an index that loads but does not answer must not count as ready.
                atlas.run(Query(space=atlas.default_space, ranking=Similar((0,)), limit=1))
            outcome = "ready"
        except SearchAwayError as error:
            _log.warning("%s", error)
        except Exception:
            _log.exception("the index of build %s does not answer", atlas.build_id)
        with self._lock:
            self._progress[atlas] = outcome
            self._failed_at[atlas] = time.monotonic()
        try:
            # A sample of every column, which whoever sees the map of a build first would wait for.
            _ = atlas.space().cluster_words, atlas.space().cluster_portraits
        except Exception:
            _log.exception("the clusters of build %s cannot be described", atlas.build_id)
        then(atlas, outcome)
        try:
            atlas.labelled.now()  # who opens their drawer finds them read
            atlas.cluster_names.now()
        except Exception:
            _log.exception("the labels of build %s cannot be read", atlas.build_id)
