"""Addresses by which the page sends to and hears from the other programs of its visitor's machine (SAMP)."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, abort, jsonify, request
from msgspec import to_builtins

from atlas.errors import InputError

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.result_list import listing_of
from ..service.samp import Heard, SampClient
from ..settings import LOOPBACK
from ..state import url as links
from ..state.page_state import State
from .security import no_store

OFF = (
    "this server does not speak SAMP: it must run on your own machine, with GALAXY_FINDER_SAMP=true "
    "(elsewhere, download the table as VOTable)"
)
SIGNED_IN = "other programs cannot sign in here: download the table as VOTable, and open that"
MOST_HEARD = 2**31


def register_samp(server: Flask, service: Service) -> None:
    """Add the addresses to a server; they say why where SAMP is off."""
    samp = SampClient(service.settings.max_list_bytes) if service.settings.samp else None

    server.extensions["samp"] = samp

    def require() -> SampClient:
        if samp is None:
            raise InputError(OFF)
        host = request.host.rpartition(":")[0].strip("[]") or request.host
        if host not in LOOPBACK or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
            raise InputError("SAMP is for pages of this very machine: open http://127.0.0.1:… without a proxy")
        return samp

    def state() -> State:
        return links.from_link(parse.text(request.args, "s", service.settings.max_state_bytes), service.kept)

    def offered() -> tuple[str, str]:
        """Path and title of the table of the page."""
        listing_of(service, state())  # what cannot be listed is said here, not to the program that fetches it
        query = urlencode({"what": "table", "s": request.args["s"]})
        return f"export/{service.atlas.build_id}.vot?{query}", f"Galaxies: {service.atlas.manifest.title}"

    @server.post("/samp/table")
    def send_table() -> Response:
        client, (path, title) = require(), offered()
        return no_store(jsonify(said=client.send_table(request.host_url + path, title, request.args["s"])))

    @server.get("/samp/offer")
    def offer() -> Response:
        """For a page that speaks to the hub of its visitor's machine by itself."""
        if service.settings.user_header or service.settings.openid_issuer:
            raise InputError(SIGNED_IN)
        path, title = offered()
        return no_store(jsonify(path=f"/{path}", name=title))

    @server.get("/samp/row")
    def row() -> Response:
        at = parse.whole(request.args, "row", 0, MOST_HEARD)
        return no_store(jsonify(galaxy=row_listed(service, state(), at)))

    @server.post("/samp/position")
    def send_position() -> Response:
        client, focus = require(), state().focus
        if focus is None:
            raise InputError("choose a galaxy first: its position is sent")
        return no_store(jsonify(said=client.send_position(focus.ra_deg, focus.dec_deg)))

    @server.get("/samp/heard")
    def heard() -> Response:
        client = require()
        count, messages = client.heard_since(parse.whole(request.args, "since", 0, MOST_HEARD))
        told = [to_builtins(one) | {"galaxy": _row(client, one)} for one in messages]
        return no_store(jsonify(n=count, heard=told))

    @server.get("/samp/list/<int:n>")
    def listed(n: int) -> Response:
        data = require().list_of(n)
        if data is None:
            abort(404)
        return no_store(Response(data, mimetype="application/octet-stream"))

    def _row(client: SampClient, one: Heard) -> int | None:
        """Row of the galaxy that another program points at in a table from here."""
        link = client.link_of(one.table) if one.what == "row" else None
        return None if link is None else row_listed(service, links.from_link(link, service.kept), one.row)


def row_listed(service: Service, shown: State, at: int) -> int | None:
    """Row of the galaxy at a place, from 0, in the table of a state; None where it has no such place."""
    found = listing_of(service, shown, shown.table.sort, shown.table.descending)
    return int(found.page(at, 1)[0][0]) if 0 <= at < found.total else None
