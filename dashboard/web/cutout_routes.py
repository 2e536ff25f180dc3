"""Images that the atlas does not keep: pictures of other servers, by way of this one, and bands of a folder as FITS.

A picture is sent where there is one by now, else why there is none yet.
"""

from __future__ import annotations

from typing import get_args

from flask import Flask, Response, jsonify

from atlas import Atlas
from atlas.errors import InputError
from atlas.exports.band_image import BandImages
from atlas.exports.formats import FORMATS
from atlas.storage.thumbnails import MIME_TYPE

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.galaxies import banded
from ..service.remote_images import Absence, Cutout, context_arcsec
from ..service.sky_pictures import SkyPictureAsked
from ..sky_services import read_sky_services
from ..state.image_look import Context
from .plane_arguments import box_asked, projection_asked
from .security import no_store

DAY_S = 86_400


def register_cutouts(server: Flask, service: Service) -> None:
    """Add the addresses of cut-outs and of pictures of the sky, where the settings list services that may be asked."""
    if service.cutout_services:
        _register_galaxies(server, service)
    if service.settings.sky_images:
        _register_sky(server, service)
    if service.band_images is not None:
        _register_bands(server, service, service.band_images)


def _register_galaxies(server: Flask, service: Service) -> None:
    services = service.cutout_services

    @server.get("/remote/<build>/<int:row>/<int:nth>-<int:pixels>.webp")
    def remote(build: str, row: int, nth: int, pixels: int) -> Response:
        atlas = service.build(parse.build_id(build))
        if row >= atlas.n_rows:
            raise InputError(f"this atlas has {atlas.n_rows:,} rows: there is no row {row}")
        if nth > len(services):
            raise InputError(f"allowed are the services 1 to {len(services)}, and 0 for where there is no own image")
        if pixels not in get_args(Context):
            raise InputError(f"pixels is {pixels}: allowed are {', '.join(map(str, get_args(Context)))}")
        own = _own(atlas, row) if nth == 0 else None
        if own is not None:
            return _picture(own)
        chosen = services[max(0, nth - 1)]
        cutout = Cutout(chosen, *atlas.position(row), pixels, context_arcsec(atlas, pixels))
        found = service.remote_images.picture(cutout)
        return _picture(found) if isinstance(found, bytes) else _absent(found)


def _register_sky(server: Flask, service: Service) -> None:
    services = read_sky_services(service.settings.sky_images)

    @server.get("/behind/<int:nth>.webp")
    def behind_points(nth: int) -> Response:
        if nth >= len(services):
            raise InputError(f"allowed are the pictures 0 to {len(services) - 1}")
        asked = SkyPictureAsked(services[nth], projection_asked(), box_asked())
        found = service.remote_images.picture(asked)
        return _picture(found) if isinstance(found, bytes) else _absent(found)


def _register_bands(server: Flask, service: Service, images: BandImages) -> None:
    @server.get("/bands/<build>/<int:row>.fits")
    def bands(build: str, row: int) -> Response:
        atlas = service.build(parse.build_id(build))
        if row >= atlas.n_rows:
            raise InputError(f"this atlas has {atlas.n_rows:,} rows: there is no row {row}")
        data = images.image(banded(atlas, row), atlas.manifest)
        response = Response(data, mimetype=FORMATS["fits"].mime)
        # Ids may hold letters that headers may not.
        response.headers.set("Content-Disposition", "attachment", filename=f"galaxy-{build}-{row}.fits")
        return no_store(response)


def _own(atlas: Atlas, row: int) -> bytes | None:
    return None if atlas.thumbnails is None else atlas.thumbnails.read(row)


def _picture(data: bytes) -> Response:
    response = Response(data, mimetype=MIME_TYPE)
    response.headers["Cache-Control"] = f"private, max-age={DAY_S}"
    return response


def _absent(why: Absence) -> Response:
    """Told without a failure: browsers log those, and this is none of the page's."""
    response = jsonify({"absent": why})
    response.status_code = 202
    return no_store(response)
