"""Derived files that a view needs, planes of two columns and sort orders: a job makes each, so that no request waits.

They lie on the disk of the machine that made them (`atlas.storage.derived_files`): each machine has jobs of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from atlas import Atlas, Mask
from atlas.catalog.sort_order import SORT_PASSES, Orders, Sorted
from atlas.errors import InputError
from atlas.parallel import watched
from atlas.planes.plane import Plane

from ..cache.results import cache_key
from ..jobs.job import Run, UnderWayError
from ..jobs.queue import Jobs, Work
from ..state.page_state import Axes

PATIENCE_S = 0.5  # what is ready by then is drawn at once; nobody waits longer without being told for what


class DerivedFiles:
    """Planes and orders: opened where they are on disk, else made by a job.

    Parameters
    ----------
    jobs : Jobs
    scratch : Path
        Where they are kept.
    """

    def __init__(self, jobs: Jobs, scratch: Path) -> None:
        self._jobs = jobs
        self._scratch = scratch

    def plane(self, atlas: Atlas, axes: Axes) -> Plane:
        """The plane of two columns.

        Raises
        ------
        UnderWayError
            With the job that makes it, where that is not done within a moment.
        InputError
            If there can be no such plane.
        """
        if not atlas.column_plane_ready(axes.x, axes.y, self._scratch):
            title = f"Putting {atlas.n_rows:,} galaxies in order by {axes.x} and {axes.y}"
            self._require("plane", f"{axes.x}--{axes.y}", title, lambda run: self._make_plane(atlas, axes, run), atlas)
        return atlas.column_plane(axes.x, axes.y, self._scratch)

    def _make_plane(self, atlas: Atlas, axes: Axes, run: Run) -> None:
        advance = _progress(run, atlas.n_rows)
        # Waiting for its turn on the disk it makes no progress, and can be ended all the same.
        with watched(lambda _: advance(run.job.share)):
            atlas.column_plane(axes.x, axes.y, self._scratch, advance=advance)

    def require_order(self, orders: Orders, atlas: Atlas, column: Sorted, descending: bool, mask: Mask | None) -> None:
        """Refuse, for now, an order that is not there yet, and have it made.

        Raises
        ------
        UnderWayError
            With the job that makes it, where that is not done within a moment.
        InputError
            If it cannot be made.
        """
        if orders.ready(column, descending, mask):
            return

        def make(run: Run) -> None:
            advance, done = _progress(run, atlas.n_rows), 0.0

            def tell(share: float) -> None:
                nonlocal done
                done += share / SORT_PASSES
                advance(done)

            with watched(tell):
                orders.page(column, descending, None, 0, 0)

        way = "falling" if descending else "rising"
        name = column if isinstance(column, str) else column.described.name
        told = column if isinstance(column, str) else f"{len(column.detectors)} detectors, mixed"
        self._require("order", f"{name} {way}", f"Sorting {atlas.n_rows:,} galaxies by {told}", make, atlas)

    def _require(self, kind: str, request: str, title: str, make: Work, atlas: Atlas) -> None:
        key = cache_key(atlas.build_id, kind, request, socket.gethostname())
        job = self._jobs.submit(key, kind, title, make)
        job = self._jobs.wait(key, PATIENCE_S) or job
        if job.phase == "failed":
            self._jobs.forget(key)
            raise InputError(job.said)
        if job.phase != "done":
            raise UnderWayError(job)


def _progress(run: Run, n_rows: int) -> Callable[[float], None]:
    """Tells a job's progress in galaxies, from a share of the work."""
    return lambda share: run.progress(int(min(share, 1.0) * n_rows), n_rows)
