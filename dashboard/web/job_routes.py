"""Addresses of the jobs: how some stand, cancel one, let one begin anew.

A job's id is the hash of what was asked, so nobody learns of a job that nobody told them of.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response, jsonify, request

from atlas.errors import InputError

from ..error_answers import error_response
from ..interaction import browser_events as parse
from ..jobs.job import UnderWayError
from ..service.atlas_service import Service
from ..views.jobs import job_told

MOST_ASKED = 20
ID = re.compile(r"[0-9a-f]{64}")


def register_job_routes(server: Flask, service: Service) -> None:
    """Add the addresses to a server; what needs something that a job makes is answered by 503 until it is there."""
    server.register_error_handler(UnderWayError, lambda error: error_response(503, str(error)))

    @server.get("/jobs.json")
    def jobs() -> Response:
        ids = parse.text(request.args, "ids", 2_000).split(",")
        if len(ids) > MOST_ASKED:
            raise InputError(f"at most {MOST_ASKED} jobs are told of at once")
        return jsonify({one: _told(service, one) for one in ids})

    @server.post("/jobs/<job_id>/cancel")
    def cancel(job_id: str) -> Response:
        service.jobs.cancel(_id(job_id))
        return jsonify(_told(service, job_id))

    @server.post("/jobs/<job_id>/again")
    def again(job_id: str) -> Response:
        service.jobs.forget(_id(job_id))
        return jsonify(_told(service, job_id))


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise InputError("this is not the id of a job")
    return text


def _told(service: Service, job_id: str) -> dict[str, Any]:
    job = service.jobs.find(_id(job_id))
    # Who asks for one that is forgotten draws anew, and so begins it again where it is still wanted.
    return {"phase": "gone", "share": 0.0, "told": ""} if job is None else job_told(job)
