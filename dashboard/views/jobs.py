"""A job where its answer will stand: what it does, how far it is, a way to end it or to begin anew.

`assets/2-jobs.js` keeps it up to date while it is under way, shows it in the status line too, and sets `job-ended`
when it has ended: who waits for an answer takes that as an input, and asks again.
"""

from __future__ import annotations

from typing import Any

from dash import html

from ..jobs.job import Job
from ..service.atlas_service import Service
from . import elements as el

ENDS = {"failed": "failed", "cancelled": "cancelled", "interrupted": "interrupted: the process that ran it is gone"}


def job_card(job: Job) -> html.Div:
    """A job as a panel shows it."""
    as_told = job_told(job)
    return html.Div(
        [
            html.Div(job.title, className="gf-job-title"),
            html.Progress(value=str(as_told["share"]), max="1", **{"aria-label": job.title}),
            html.Div(
                [
                    html.Span(as_told["told"], className="gf-job-told"),
                    el.button("cancel", kind="link", label="Cancel this job", is_="local", do="job", what="cancel"),
                    el.button("start again", kind="link", label="Begin this job anew", is_="local", do="job",
                              what="again"),
                ]
            ),
        ],
        className="gf-job",
        role="status",
        **{"data-job": job.id, "data-phase": job.phase},
    )  # fmt: skip


def concerns(service: Service, ended: Any, kind: str) -> bool:
    """Whether the job that ended, as `job-ended` tells, may be of a kind; one that is to begin anew is unknown."""
    job = service.jobs.find(ended["id"]) if isinstance(ended, dict) and isinstance(ended.get("id"), str) else None
    return job is None or job.kind == kind


def job_told(job: Job) -> dict[str, Any]:
    """State of a job, as the browser is told: phase, share done, and a sentence."""
    return {"phase": job.phase, "share": round(job.share, 4), "told": job_words(job)}


def job_words(job: Job) -> str:
    """State of a job in a few words."""
    match job.phase:
        case "waiting":
            return "waiting for its turn"
        case "running" if job.total:
            rate = f", {_short(job.rate)} a second" if job.rate else ""
            return f"{100 * job.share:.0f} % of {job.total:,}{rate}"
        case "running":
            return "beginning"
        case "done":
            return f"done in {job.seconds:.1f} s"
    return ENDS[job.phase] + (f": {job.said}" if job.said else "")


def _short(rate: float) -> str:
    for size, word in ((1e6, " million"), (1e3, ",000")):
        if rate >= size:
            return f"{rate / size:.1f}{word}" if size == 1e6 else f"{rate / size:.0f}{word}"
    return f"{rate:.0f}"
