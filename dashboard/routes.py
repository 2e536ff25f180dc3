"""Addresses beside the page: images, rasters, the sky's picture, facts for the hover card. Each names its build."""

from __future__ import annotations

import io
from importlib import metadata
from pathlib import Path
from typing import Any

import flask_bootstrap
import msgspec
import numpy as np
from flask import Flask, Response, abort, jsonify, request, send_from_directory
from PIL import Image, ImageDraw

from atlas import Atlas
from atlas import format as layout
from atlas.coordinates import format_position
from atlas.errors import InputError, shorten
from atlas.images import MIME_TYPE
from atlas.plane import Box
from atlas.projection import Projection
from dashboard import parse
from dashboard.cache import Cached, cache_key
from dashboard.fingerprint import fingerprint
from dashboard.raster import to_png
from dashboard.security import immutable
from dashboard.service import Service
from dashboard.state import SMALLEST
from dashboard.views.details import words
from dashboard.views.palette import theme

BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5" / "css"
BOOTSTRAP_URL = f"/bootstrap/{metadata.version('Bootstrap-Flask')}/bootstrap.min.css"
CARD_FACTS = 5
LARGE_PIXELS = 256
ROUNDED = 0.16


def register_routes(server: Flask, service: Service, cached: Cached) -> None:
    """Add the addresses to a server."""

    @server.get(BOOTSTRAP_URL)
    def bootstrap() -> Response:
        return immutable(send_from_directory(BOOTSTRAP, "bootstrap.min.css"))

    @server.get("/cutout/<build>/<int:row>.webp")
    def cutout(build: str, row: int) -> Response:
        atlas = _atlas(service, build)
        rounded, large = request.args.get("rounded") == "1", request.args.get("large") == "1"
        data = _image(atlas, _row(atlas, row), rounded=rounded, large=large)
        return immutable(Response(data, mimetype=MIME_TYPE))

    @server.get("/galaxy/<build>/<int:row>.json")
    def galaxy(build: str, row: int) -> Response:
        atlas = _atlas(service, build)
        return immutable(jsonify(card(atlas, _row(atlas, row))))

    @server.get("/background/<build>.png")
    def background(build: str) -> Response:
        atlas = _atlas(service, build)
        if atlas.manifest.sky_background is None:
            abort(404)
        return immutable(send_from_directory(atlas.build.resolve(), layout.SKY_BACKGROUND, mimetype="image/png"))

    @server.get("/raster/<build>/map.png")
    def map_raster(build: str) -> Response:
        atlas = _atlas(service, build)
        box, width, height, light = _raster_arguments(service)

        def draw() -> bytes:
            return to_png(atlas.space().plane.density(box, width, height).counts, theme(light))

        key = cache_key(build, "map raster", *msgspec.structs.astuple(box), width, height, light)
        return immutable(Response(cached.get_or_compute(key, draw)[0], mimetype="image/png"))

    @server.get("/raster/<build>/sky.png")
    def sky_raster(build: str) -> Response:
        atlas = _atlas(service, build)
        box, width, height, light = _raster_arguments(service)
        projection = _projection()

        def draw() -> bytes:
            return to_png(atlas.sky.density(projection, box, width, height).counts, theme(light))

        where = (projection.kind, projection.ra_deg, projection.dec_deg, *msgspec.structs.astuple(box))
        key = cache_key(build, "sky raster", *where, width, height, light)
        return immutable(Response(cached.get_or_compute(key, draw)[0], mimetype="image/png"))


def card(atlas: Atlas, row: int) -> dict[str, Any]:
    """What the hover card says of a galaxy: name, position, and the first few numbers."""
    ra_deg, dec_deg = atlas.position(row)
    columns = atlas.columns(atlas.default_space)
    skip = {layout.RA, layout.DEC, "map_x", "map_y", "anomaly_forest", *atlas.manifest.id_columns}
    shown = [c for c in atlas.columns() if c.name not in skip and c.kind in ("number", "category")][:CARD_FACTS]
    shown += [columns.describe("cluster"), columns.describe("anomaly_knn")]
    return {
        "id": atlas.identity.name(row),
        "position": format_position(ra_deg, dec_deg, "deg"),
        "facts": [[c.name, words(c, columns.values(c.name, [row])[0])] for c in shown],
    }


def _atlas(service: Service, build: str) -> Atlas:
    if not layout.BUILD_ID.fullmatch(build):
        raise InputError(f"{shorten(build)!r} is not the id of a build")
    return service.build(build)


def _row(atlas: Atlas, row: int) -> int:
    if row >= atlas.n_rows:
        raise InputError(f"row {shorten(row)} does not exist: this atlas has {atlas.n_rows:,} rows")
    return row


def _raster_arguments(service: Service) -> tuple[Box, int, int, bool]:
    args = request.args
    x0, x1, y0, y1 = (parse.number(args, name, -1e9, 1e9) for name in ("x0", "x1", "y0", "y1"))
    if not (x1 - x0 >= SMALLEST and y1 - y0 >= SMALLEST):
        raise InputError("x1 must be above x0, and y1 above y0")
    width, height = (parse.whole(args, name, 16, 4096) for name in ("w", "h"))
    if width * height > service.settings.max_raster_pixels:
        raise InputError(f"a raster may have {service.settings.max_raster_pixels:,} pixels, not {width * height:,}")
    return Box(x0, x1, y0, y1), width, height, parse.whole(args, "light", 0, 1) == 1


def _projection() -> Projection:
    kind = request.args.get("kind", "")
    if kind not in ("tan", "ait"):
        raise InputError(f"kind is {shorten(kind)!r}: allowed are tan and ait")
    ra_deg, dec_deg = parse.number(request.args, "ra", 0, 360), parse.number(request.args, "dec", -90, 90)
    if kind == "ait" and dec_deg != 0:
        raise InputError(f"dec is {dec_deg:g}: the all-sky projection is centred on the equator, dec=0")
    return Projection(kind, ra_deg % 360.0, dec_deg)


def _image(atlas: Atlas, row: int, *, rounded: bool, large: bool) -> bytes:
    data = atlas.thumbnails.read(row) if atlas.thumbnails is not None else None
    if data is None:
        data = fingerprint(np.asarray(atlas.space().embeddings[row], dtype=np.float32))
    if not (rounded or large):
        return data
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if large and picture.width < LARGE_PIXELS:
        picture = picture.resize((LARGE_PIXELS, LARGE_PIXELS), Image.Resampling.BICUBIC)
    if rounded:
        # plotly draws images as they are, so the corners are cut here.
        corners = Image.new("L", (picture.width * 2, picture.height * 2), 0)
        radius = int(corners.width * ROUNDED)
        ImageDraw.Draw(corners).rounded_rectangle((0, 0, corners.width - 1, corners.height - 1), radius, fill=255)
        picture.putalpha(corners.resize(picture.size, Image.Resampling.LANCZOS))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90, method=2)
    return buffer.getvalue()
