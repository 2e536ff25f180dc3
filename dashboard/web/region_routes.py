"""Regions of the sky from elsewhere: read, and handed back as a selection that the page then asks for."""

from __future__ import annotations

import msgspec
from flask import Flask, Response, current_app, request

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.region_reader import read_brought
from .security import REGIONS


def register_region_routes(server: Flask, service: Service) -> None:
    """Add the address to a server."""

    @server.post(REGIONS)
    def read_region_file(build: str) -> Response:
        service.build(parse.build_id(build))
        read = msgspec.json.encode(read_brought(request.get_data()))
        return current_app.response_class(read, mimetype="application/json")
