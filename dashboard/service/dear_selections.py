"""Selections that take longer than a request: each becomes a job, and what needs its mask is told so meanwhile.

A page holds an event back whose state would need such a mask (`dashboard.interaction.step`), and sends it again when
the job has ended: nothing that draws waits, and no thread that answers is held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atlas import Atlas, Mask
from atlas.errors import InputError
from atlas.parallel import watched
from atlas.queries.price import price
from atlas.queries.selection import All, And, Not, Or, Selection, encode_selection, parts_of

from ..cache.results import cache_key
from ..jobs.job import Run, UnderWayError
from ..jobs.queue import Jobs
from ..settings import Settings

PARTS_KEPT = 8
"""Of a joined selection: a page has a lasso, a condition and some brushes."""

PATIENCE_S = 0.3  # what is ready by then was no job to whoever asked
OPERATIONS_A_SECOND = 1e9


def parts_kept(selection: Selection, n_rows: int) -> tuple[Selection, ...]:
    """Parts of a canonical selection whose masks are kept by themselves: the dearest of a joined one."""
    match selection:
        case And(of) | Or(of):
            return tuple(sorted(of, key=lambda one: price(one, n_rows))[-PARTS_KEPT:])
        case Not(of) if not isinstance(of, All):
            return (of,)
    return ()


class KeptMasks(Protocol):
    """Keeper of masks: the service (`dashboard.service.atlas_service`)."""

    settings: Settings
    jobs: Jobs
    spend: Callable[[int], object]

    def has_mask(self, selection: Selection, atlas: Atlas) -> bool: ...

    def evaluated(self, selection: Selection, atlas: Atlas) -> Mask | None: ...

    def part(self, selection: Selection, atlas: Atlas) -> Mask: ...


class DearSelections:
    """Begins the jobs, and says of which selections the mask is not there yet.

    Parameters
    ----------
    service : KeptMasks
    """

    def __init__(self, service: KeptMasks) -> None:
        self._service = service

    def require_ready(self, selection: Selection, atlas: Atlas) -> None:
        """Refuse, for now, a canonical selection that takes longer than a request, and have it evaluated.

        Raises
        ------
        UnderWayError
            With the job that evaluates it; one that failed or was cancelled begins anew when its visitor says so.
        InputError
            If its visitor has had enough, or too many jobs wait.
        """
        service = self._service
        left = self._left(selection, atlas)
        if left < service.settings.job_operations:
            return
        key = cache_key(atlas.build_id, "mask job", encode_selection(selection).decode())
        found = service.jobs.find(key)
        if found is None or found.phase == "done":
            service.spend(left)
        title = f"Selecting among {atlas.n_rows:,} galaxies, at most {left / OPERATIONS_A_SECOND:.1f} s of a core"
        job = service.jobs.submit(key, "mask", title, lambda run: self._evaluate(selection, atlas, left, run))
        job = service.jobs.wait(key, PATIENCE_S) or job
        if not (job.phase == "done" and service.has_mask(selection, atlas)):
            raise UnderWayError(job)

    def _left(self, selection: Selection, atlas: Atlas) -> int:
        """Operations that a selection takes beside the masks that are kept; exact where they are many."""
        asked = price(selection, atlas.n_rows)
        if asked < self._service.settings.job_operations:
            return asked
        if self._service.has_mask(selection, atlas):
            return 0
        known = sum(
            price(one, atlas.n_rows)
            for one in parts_kept(selection, atlas.n_rows)
            if self._service.has_mask(one, atlas)
        )
        return asked - known

    def _evaluate(self, selection: Selection, atlas: Atlas, total: int, run: Run) -> None:
        """Evaluate a selection part by part; followed, and ended, by the chunk."""
        service, done = self._service, 0
        for piece in (*parts_kept(selection, atlas.n_rows), selection):
            if service.has_mask(piece, atlas):
                continue
            weight = total - done if piece is selection else price(piece, atlas.n_rows)
            leaves = len(list(parts_of(piece)))
            passed = 0.0

            def tell(share: float, weight: int = weight, leaves: int = leaves, done: int = done) -> None:
                nonlocal passed
                passed = min(1.0, passed + share / leaves)
                run.progress(int(done + passed * weight), total)

            with watched(tell):
                if piece is selection:
                    service.evaluated(piece, atlas)
                else:
                    service.part(piece, atlas)
            done += weight
        if not service.has_mask(selection, atlas):
            raise InputError("what was selected could not be kept: the server's disk or cache is full")
