"""Aladin Lite over a sky of tiles with the galaxies of the selection, where whoever runs the server has fetched it.

    /aladin?ra=…&dec=…&fov=…&s=…                   the page; without a position that of the sky's view in the state
    /aladin/galaxies/<build>.json?…                galaxies of the selection in view, as many as a catalogue may hold
    /aladin/open/<build>/<row>?s=…                 to Galaxy Finder, with that galaxy in the details
    /aladin/lite/<version>.js                      the library, from our own host

Nothing of it is part of this program, and nothing is there unless the settings name it. The page alone may compile
WebAssembly and speak to the hosts of the listed surveys: the policy of all other pages stays as it is.
"""

from __future__ import annotations

import hashlib
import math
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from flask import Blueprint, Flask, Response, jsonify, render_template, request, send_file
from markupsafe import Markup
from msgspec.structs import replace

from atlas import Atlas
from atlas.errors import InputError, shorten
from atlas.planes.plane import Box
from atlas.sky.projection import Projection

from ..hips_services import HIPS_FORM, HipsSurvey, read_hips
from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.galaxies import galaxy
from ..settings import Settings, variable
from ..state import url as links
from ..state.page_state import State, active, is_narrowed
from ..state.viewports import home
from .icon import ICON
from .security import immutable, no_store

MOST_GALAXIES = 1_000
WIDEST_DEG, NARROWEST_DEG = 180.0, 0.001
FIELD_DEG = 0.05
TANGENT_DEG = 60.0
"""Wider views are of the whole sky."""

SCRIPT = "aladin-page.js"
_SIGN, _MODULE = b"cds.unistra.fr/AladinLite", b"as default"
_MAX_BYTES, _TAIL_BYTES = 50_000_000, 400
_PLACES = ("", "aladin.js", "dist/aladin.js", "package/dist/aladin.js")


def register_aladin(server: Flask, service: Service) -> None:
    """Add the page to a server, where the settings name the library.

    Raises
    ------
    InputError
        If the file is not Aladin Lite as npm has it, or no survey is listed.
    """
    settings = service.settings
    if not settings.aladin_lite:
        return
    library = library_of(settings)
    surveys = read_hips(settings.aladin_hips)
    version = hashlib.blake2b(library.read_bytes(), digest_size=8).hexdigest()
    address = f"/aladin/lite/{version}.js"
    server.add_url_rule(address, "aladin_lite", partial(_send, library))
    pages = Blueprint("aladin", __name__, template_folder="templates")

    @pages.get("/aladin")
    def page() -> Response:
        atlas, link, state = service.atlas, _link(service), _state(service)
        ra_deg, dec_deg, fov_deg = _place(atlas, state)
        told = {
            "library": address,
            "galaxies": f"/aladin/galaxies/{atlas.build_id}.json",
            "open": f"/aladin/open/{atlas.build_id}/",
            "state": link,
            "place": [ra_deg, dec_deg, fov_deg],
            "surveys": [{"name": s.name, "credit": s.credit, "url": s.address} for s in surveys],
            "selected": is_narrowed(state),
        }
        home_address = "/?" + urlencode({"s": link}) if link else "/"
        response = Response(
            render_template(
                "aladin.html", told=told, title=atlas.manifest.title, home=home_address, icon=Markup(ICON),  # noqa: S704
                script=f"/assets/{SCRIPT}",
            )
        )  # fmt: skip
        response.headers["Content-Security-Policy"] = aladin_policy(surveys)
        return no_store(response)

    @pages.get("/aladin/galaxies/<build>.json")
    def galaxies(build: str) -> Response:
        atlas = service.build(parse.build_id(build))
        return no_store(jsonify(_in_view(service, atlas, _state(service))))

    @pages.get("/aladin/open/<build>/<int:row>")
    def opened(build: str, row: int) -> Response:
        atlas = service.build(parse.build_id(build))
        if row >= atlas.n_rows:
            raise InputError(f"this atlas has {atlas.n_rows:,} rows: there is no row {row}")
        link = service.link(replace(_state(service), focus=galaxy(atlas, row)))
        return no_store(Response(status=302, headers={"Location": "/?" + urlencode({"s": link})}))

    server.register_blueprint(pages)


def library_of(settings: Settings) -> Path:
    """The file of the library.

    Raises
    ------
    InputError
        If it is not where the settings say, or is another.
    """
    place = Path(settings.aladin_lite)
    allowed = (
        "allowed is dist/aladin.js of npm's aladin-lite (`npm pack aladin-lite`), or the folder it was unpacked into"
    )
    told = f"{variable('aladin_lite')} is {shorten(settings.aladin_lite)}"
    file = next((path for path in (place / name for name in _PLACES) if path.is_file()), None)
    if file is None:
        raise InputError(f"{told}, where no aladin.js lies: {allowed}")
    try:
        data = file.read_bytes() if file.stat().st_size <= _MAX_BYTES else b""
    except OSError as error:
        raise InputError(f"{told}, which cannot be read ({error.strerror}): {allowed}") from error
    if _SIGN not in data or _MODULE not in data[-_TAIL_BYTES:]:
        raise InputError(f"{told}, which is not Aladin Lite as a module: {allowed}")
    if not settings.aladin_hips:
        raise InputError(f"{variable('aladin_lite')} needs {variable('aladin_hips')}: allowed is {HIPS_FORM}")
    return file.resolve()


def aladin_policy(surveys: tuple[HipsSurvey, ...]) -> str:
    """The policy of the page: as that of all others, but for WebAssembly and the hosts of the surveys."""
    origins = " ".join(dict.fromkeys(origin for survey in surveys for origin in survey.origins))
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            f"img-src 'self' data: blob: {origins}",
            "font-src 'self' data:",
            f"connect-src 'self' data: blob: {origins}",  # its WebAssembly lies in an address of data
            "worker-src blob:",  # which reads its tiles
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _send(library: Path) -> Response:
    return immutable(send_file(library, mimetype="text/javascript"))


def _link(service: Service) -> str:
    return parse.text(request.args, "s", service.settings.max_state_bytes) if "s" in request.args else ""


def _state(service: Service) -> State:
    return links.from_link(_link(service), service.kept)


def _place(atlas: Atlas, state: State) -> tuple[float, float, float]:
    """Right ascension, declination and width of the view in degrees: as asked for, else as the sky of the state."""
    if "ra" in request.args or "dec" in request.args:
        return (
            parse.number(request.args, "ra", 0, 360) % 360,
            parse.number(request.args, "dec", -90, 90),
            parse.number(request.args, "fov", NARROWEST_DEG, WIDEST_DEG) if "fov" in request.args else FIELD_DEG,
        )
    view = state.sky or home(atlas, state.sky_look)
    box = view.box
    middle = view.projection.inverse((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    ra_deg, dec_deg = (float(one) for one in middle)
    if not (math.isfinite(ra_deg) and math.isfinite(dec_deg)):
        ra_deg, dec_deg = (float(one) for one in view.projection.inverse(0.0, 0.0))
    return ra_deg % 360, dec_deg, min(max(box.x1 - box.x0, NARROWEST_DEG), WIDEST_DEG)


def _in_view(service: Service, atlas: Atlas, state: State) -> dict[str, Any]:
    """Galaxies of the selection in a view, all or a uniform sample of them, and in words how many."""
    ra_deg, dec_deg, fov_deg = _place(atlas, state)
    high_deg = parse.number(request.args, "high", NARROWEST_DEG, WIDEST_DEG) if "high" in request.args else fov_deg
    if max(fov_deg, high_deg) > TANGENT_DEG:
        projection, half = Projection("ait", ra_deg % 360, 0.0), (180.0, 90.0)
    else:
        wide, high = (math.degrees(math.tan(math.radians(one / 2))) for one in (fov_deg, high_deg))
        projection, half = Projection("tan", ra_deg % 360, dec_deg), (wide, high)
    box = Box(-half[0], half[0], -half[1], half[1])
    sample = atlas.sky.viewport(projection, box, MOST_GALAXIES, service.mask(active(state), atlas))
    rows = np.sort(sample.rows)
    names = atlas.identity.names(rows)
    places = (atlas.position(int(row)) for row in rows)
    of = "of the selection " if is_narrowed(state) else ""
    shown = f"{rows.size:,} of {sample.in_view:,}" if rows.size < sample.in_view else f"{sample.in_view:,}"
    noun = "galaxy" if sample.in_view == 1 else "galaxies"
    where = "in all of the sky" if projection.all_sky else "in view"
    return {
        "words": f"{shown} {noun} {of}{where}",
        "galaxies": [[int(row), name, *place] for row, name, place in zip(rows, names, places, strict=True)],
    }
