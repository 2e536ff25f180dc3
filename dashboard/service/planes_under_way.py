"""Planes of two columns that are being put in order, so that no request waits for one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from atlas import Atlas
from atlas.planes.plane import Plane

from ..state.page_state import Axes

PATIENCE_S = 1.5  # a plane that is ready by then is drawn at once, a later one when the browser asks again
PLANES_OPEN = 6


class PlanesUnderWay:
    """Planes of two columns: opened where they are on disk, else ordered by a thread of their own.

    Parameters
    ----------
    scratch : Path
        Where planes are kept.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._flights: OrderedDict[tuple[str, str, str], Future[Plane]] = OrderedDict()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plane")

    def get(self, atlas: Atlas, axes: Axes) -> Plane | None:
        """The plane, if it is ready within a moment."""
        name = (atlas.build_id, axes.x, axes.y)
        with self._lock:
            flight = self._flights.get(name)
            if flight is None:
                flight = self._pool.submit(atlas.column_plane, axes.x, axes.y, self._scratch)
                self._flights[name] = flight
            self._flights.move_to_end(name)
            for old in list(self._flights)[:-PLANES_OPEN]:
                if self._flights[old].done():
                    del self._flights[old]
        try:
            return flight.result(timeout=PATIENCE_S)
        except TimeoutError:
            return None
        except Exception:
            with self._lock:
                if self._flights.get(name) is flight:
                    del self._flights[name]  # it would keep the build that it failed on in memory
            raise
