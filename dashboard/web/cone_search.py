"""Simple Cone Search 1.03 of the IVOA: makes an atlas visible to TOPCAT, Aladin, pyvo and their like.

    /scs?RA=53.16&DEC=-27.79&SR=0.01      degrees; VERB 1 … 3 says how many columns, MAXREC how many rows

Answers are VOTables, nearest galaxies first. What cannot be answered is one too, as the standard wants, with status 200
and an INFO named Error; a radius of 0 asks for the columns alone.
"""

from __future__ import annotations

import io
from itertools import chain
from typing import Any

import numpy as np
from astropy.io.votable import tree
from flask import Flask, Response, request, stream_with_context
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas
from atlas.errors import AtlasError, InputError, shorten
from atlas.exports.contents import Contents, Field
from atlas.exports.formats import FORMATS
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..error_answers import explain
from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.export import export_contents, pages_of
from ..service.result_list import columns_of
from ..settings import Settings
from ..state.page_state import State

UCD1 = {"ra": "POS_EQ_RA_MAIN", "dec": "POS_EQ_DEC_MAIN", "id": "ID_MAIN"}
"""The standard holds to the first generation of UCDs for these three."""

SEPARATION = Field(
    name="separation", dtype="float64", unit="arcsec", ucd="pos.angDistance", description="Distance from the position"
)


def register_cone_search(server: Flask, service: Service) -> None:
    """Add the address to a server."""

    @server.get("/scs")
    def cone_search() -> Response:
        try:
            answer = FORMATS["vot"].write(_answer(service, _arguments()))
            first = next(answer)
        except AtlasError as error:
            return _votable(_refusal(explain(error)))
        return _votable(stream_with_context(chain([first], answer)))


def _votable(written: Any) -> Response:
    return Response(written, mimetype=FORMATS["vot"].mime)


def _arguments() -> dict[str, str]:
    """The query string; names are of any case, as everywhere in the VO."""
    found: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name.lower() in found:
            raise InputError(f"{shorten(name.upper(), 20)} is given twice")
        found[name.lower()] = value
    return {name.upper(): value for name, value in found.items()}


def _answer(service: Service, args: dict[str, str]) -> Contents:
    atlas, settings = service.atlas, service.settings
    ra_deg = parse.number(args, "RA", -180, 360) % 360 % 360
    dec_deg = parse.number(args, "DEC", -90, 90)
    radius_deg = parse.number(args, "SR", 0, 180)
    verbosity = parse.whole(args, "VERB", 1, 3) if "VERB" in args else 2
    most = parse.whole(args, "MAXREC", 0, 2**53) if "MAXREC" in args else settings.cone_search_rows
    rows, away, status = _nearest(atlas, ra_deg, dec_deg, radius_deg, min(most, settings.cone_search_rows), settings)
    found = export_contents(
        atlas, _columns(atlas, verbosity), int(rows.size), lambda: pages_of(rows, away), SEPARATION, QUERY_STATUS=status
    )
    ucds = {found.ra: UCD1["ra"], found.dec: UCD1["dec"], found.id: UCD1["id"]}
    fields = tuple(replace(f, ucd=ucds.get(f.name, f.ucd.replace(";meta.main", ""))) for f in found.fields)
    return replace(found, fields=fields)


def _nearest(
    atlas: Atlas, ra_deg: float, dec_deg: float, radius_deg: float, most: int, settings: Settings
) -> tuple[NDArray[np.uint32], NDArray[np.float64], str]:
    """Rows within a radius and their distances in arcseconds, nearest first, and whether that is all of them."""
    if radius_deg == 0 or most == 0:
        return np.empty(0, dtype=np.uint32), np.empty(0), "OK"
    if radius_deg > settings.cone_search_deg:
        raise InputError(
            f"SR is {radius_deg:g}: this service answers radii of up to {settings.cone_search_deg:g} degrees"
        )
    rows, away = atlas.sky.cone(ra_deg, dec_deg, radius_deg * 3600)
    return rows[:most], away[:most], "OK" if rows.size <= most else "OVERFLOW"


def _columns(atlas: Atlas, verbosity: int) -> list[Column]:
    columns = atlas.columns(atlas.default_space)
    if verbosity == 3:
        return list(columns)
    position = [columns.describe(name) for name in (layout.RA, layout.DEC)]
    return position + [c for c in (columns_of(atlas, State()) if verbosity == 2 else []) if c not in position]


def _refusal(message: str) -> bytes:
    """A VOTable that says why there is no table, in both ways that clients look for."""
    file = tree.VOTableFile(version="1.4")
    file.infos.append(tree.Info(name="Error", value=message))
    resource = tree.Resource(type="results")
    status = tree.Info(name="QUERY_STATUS", value="ERROR")
    status.content = message
    resource.infos.append(status)
    file.resources.append(resource)
    buffer = io.BytesIO()
    file.to_xml(buffer)
    return buffer.getvalue()
