"""Addresses beside the page: images, rasters, the sky's picture, facts for the hover card. Each names its build."""

from __future__ import annotations

import io
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import flask_bootstrap
import msgspec
import numpy as np
from flask import Flask, Response, abort, jsonify, request, send_from_directory
from PIL import Image, ImageDraw

from atlas import Atlas
from atlas.catalog.histogram import zero_of
from atlas.errors import ExpressionError, InputError, shorten
from atlas.exports.formats import FORMATS
from atlas.expressions import check as expression
from atlas.planes.plane import Box
from atlas.queries import selection as selections
from atlas.queries.selection import All, Selection
from atlas.receipts import make_receipt
from atlas.storage import layout
from atlas.storage.manifest import Column
from atlas.storage.thumbnails import MIME_TYPE

from ..cache.results import Cached, cache_key
from ..images.density import mean_to_png, to_png
from ..images.embedding import fingerprint
from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.export import What, contents_of, name_of_receipt
from ..service.gallery_query import question_of
from ..service.index_loading import WORDS
from ..state import url as links
from ..state.coloring import LONGEST
from ..state.page_state import Axes, State
from ..state.shading import Shading
from ..views.card import card
from ..views.paint import has_mean
from ..views.palette import Scale, scale_of, theme
from .downloads import Downloads
from .plane_arguments import box_asked, projection_asked
from .security import immutable, no_store

BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5" / "css"
BOOTSTRAP_URL = f"/bootstrap/{metadata.version('Bootstrap-Flask')}/bootstrap.min.css"
COMPLETIONS = 8
LARGE_PIXELS = 256
ROUNDED = 0.16
EDGE, EDGE_COLOR = 0.03, "#8b98a8"
SUPERSAMPLED = 4


def register_routes(server: Flask, service: Service, cached: Cached, downloads: Downloads) -> None:
    """Add the addresses to a server."""

    @server.before_request
    def require_build() -> None:
        if request.path == "/":
            _ = service.atlas  # Dash would begin a page, and only then find that there is no build to fill it from

    @server.get(BOOTSTRAP_URL)
    def bootstrap() -> Response:
        return immutable(send_from_directory(BOOTSTRAP, "bootstrap.min.css"))

    @server.get("/cutout/<build>/<int:row>.webp")
    def cutout(build: str, row: int) -> Response:
        atlas = _atlas(service, build)
        framed, large = request.args.get("framed") == "1", request.args.get("large") == "1"
        data = _image(atlas, _row(atlas, row), framed=framed, large=large)
        return immutable(Response(data, mimetype=MIME_TYPE))

    @server.get("/galaxy/<build>/<int:row>.json")
    def galaxy(build: str, row: int) -> Response:
        atlas = _atlas(service, build)
        args = request.args
        color = parse.text(args, "color", LONGEST) if "color" in args else ""
        told = jsonify(card(atlas, _row(atlas, row), color, service.book.cluster_names(atlas)))
        # Names of clusters change with the labels: only an address that says as of when may be kept.
        dated = "labels" in args and parse.whole(args, "labels", 0, 2**53) == service.book.known().revision
        return immutable(told) if dated else no_store(told)

    @server.get("/background/<build>.png")
    def background(build: str) -> Response:
        atlas = _atlas(service, build)
        if atlas.manifest.sky_background is None:
            abort(404)
        return immutable(send_from_directory(atlas.build.resolve(), layout.SKY_BACKGROUND, mimetype="image/png"))

    @server.get("/raster/<build>/map.png")
    def map_raster(build: str) -> Response:
        atlas = _atlas(service, build)
        asked = _raster_arguments(service, atlas)
        axes = _axes(atlas)
        # Where galaxies lie may be of another space than what is selected.
        of = parse.text(request.args, "of", 64) if "of" in request.args else atlas.default_space
        there = atlas.seen_in(of)

        def draw() -> bytes:
            plane = service.plane(axes, there)
            mask, box, (width, height) = service.mask(asked.selection, atlas), asked.box, asked.size
            if asked.column is None:
                return to_png(plane.density(box, width, height, mask).counts, theme(asked.light), asked.flip)
            values = atlas.columns(atlas.default_space).number(asked.column.name)
            scale, zero = _scale(asked.column, asked.shading)
            means = plane.mean(box, width, height, values, mask, zero=zero)
            return mean_to_png(means, scale, asked.flip)

        key = cache_key(build, "map raster", of, *asked.key(), *(() if axes is None else (axes.x, axes.y)))
        return immutable(Response(cached.get_or_compute(key, draw)[0], mimetype="image/png"))

    @server.get("/raster/<build>/sky.png")
    def sky_raster(build: str) -> Response:
        atlas = _atlas(service, build)
        asked = _raster_arguments(service, atlas)
        projection = projection_asked()

        def draw() -> bytes:
            mask, box, (width, height) = service.mask(asked.selection, atlas), asked.box, asked.size
            if asked.column is None:
                return to_png(atlas.sky.density(projection, box, width, height, mask).counts, theme(asked.light))
            values = atlas.columns(atlas.default_space).number(asked.column.name)
            scale, zero = _scale(asked.column, asked.shading)
            means = atlas.sky.mean(projection, box, width, height, values, mask, zero=zero)
            return mean_to_png(means, scale)

        where = (projection.kind, projection.frame, projection.ra_deg, projection.dec_deg)
        key = cache_key(build, "sky raster", *where, *asked.key())
        return immutable(Response(cached.get_or_compute(key, draw)[0], mimetype="image/png"))

    @server.get("/export/<build>.<kind>")
    def export(build: str, kind: str) -> Response:
        _current(service, build)
        state = _state(service)
        what: Any = request.args.get("what", "table" if state.listing == "table" else "selection")
        if what not in get_args(What):
            raise InputError(f"what is {shorten(what)!r}: allowed are {' and '.join(get_args(What))}")
        if kind not in FORMATS:
            raise InputError(f"there is no format {shorten(kind)!r}: allowed are {', '.join(FORMATS)}")
        response = downloads.answer(FORMATS[kind].write(contents_of(service, state, what)), FORMATS[kind].mime)
        asked = name_of_receipt(service, state)
        name = "-".join(["galaxies", build, *([asked] if asked else [])]) + FORMATS[kind].ending
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @server.get("/receipt/<build>/<receipt>.json")
    def receipt(build: str, receipt: str) -> Response:
        atlas = _current(service, build)
        query = question_of(atlas, _state(service)).query
        if query is None:
            raise InputError("this page asks no question yet: there is nothing to repeat")
        query = service.pinned(query)
        result = service.run(query, atlas)
        if result is None:
            raise InputError(WORDS[service.progress(atlas)])
        if result.receipt != receipt:
            raise InputError(f"this link's question has the receipt {result.receipt}, not {shorten(receipt)}")
        response = Response(make_receipt(atlas, query, result), mimetype="application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="receipt-{receipt}.json"'
        return response

    @server.get("/expression/<build>.json")
    def check_expression(build: str) -> Response:
        atlas = _atlas(service, build)
        text = parse.text(request.args, "text", 500)
        cursor = parse.whole(request.args, "cursor", 0, 500)
        return jsonify(checked_expression(atlas, text, cursor))


class RasterArguments(msgspec.Struct, frozen=True):
    """Arguments of a picture of a plane.

    Attributes
    ----------
    box : Box
    size : tuple of int
        Width and height in pixels.
    light : bool
    flip : tuple of bool
        Which axes run backwards.
    selection : Selection
    column : Column or None
        The column whose mean is shown; None shows the density.
    shading : Shading
        How means become colours.
    """

    box: Box
    size: tuple[int, int]
    light: bool
    flip: tuple[bool, bool]
    selection: Selection
    column: Column | None
    shading: Shading

    def key(self) -> tuple[Any, ...]:
        """Primitives that name the picture."""
        column = "" if self.column is None else self.column.name
        selection = selections.encode_selection(selections.canonical(self.selection)).decode()
        look = (self.light, *self.flip, *msgspec.structs.astuple(self.shading))
        return (*msgspec.structs.astuple(self.box), *self.size, *look, selection, column)


def checked_expression(atlas: Atlas, text: str, cursor: int) -> dict[str, Any]:
    """Whether a condition can be read, where it cannot, and what the word under the cursor may become."""
    columns = atlas.condition_columns
    error = None
    try:
        if text.strip():
            expression.parse(text, columns)
    except ExpressionError as e:
        error = {"start": e.start, "end": e.end, "message": str(e)}
    found = expression.complete(text, cursor, columns)
    return {"error": error, "start": found.start, "end": found.end, "words": list(found.words[:COMPLETIONS])}


def _atlas(service: Service, build: str) -> Atlas:
    return service.build(parse.build_id(build))


def _current(service: Service, build: str) -> Atlas:
    """The build in use, which is the only one that lists and receipts are made from."""
    atlas = _atlas(service, build)
    if atlas.manifest.build_id != service.atlas.manifest.build_id:
        raise InputError("the atlas was built anew since this page was loaded; reload the page")
    service.see(atlas.default_space)
    return atlas


def _state(service: Service) -> State:
    return links.from_link(parse.text(request.args, "s", service.settings.max_state_bytes), service.kept)


def _row(atlas: Atlas, row: int) -> int:
    if row >= atlas.n_rows:
        raise InputError(f"row {shorten(row)} does not exist: this atlas has {atlas.n_rows:,} rows")
    return row


def _scale(column: Column, shading: Shading) -> tuple[Scale, int]:
    """The scale that a column's means are painted by, and what both are counted from."""
    scale = scale_of(column, shading)
    zero = 0 if scale.log else zero_of(column)
    return (scale.above(zero) if zero else scale), zero


def _raster_arguments(service: Service, atlas: Atlas) -> RasterArguments:
    args = request.args
    box = box_asked()
    width, height = (parse.whole(args, name, 16, 4096) for name in ("w", "h"))
    if width * height > service.settings.max_raster_pixels:
        raise InputError(f"a raster may have {service.settings.max_raster_pixels:,} pixels, not {width * height:,}")
    flip = parse.whole(args, "flip", 0, 3) if "flip" in args else 0
    selection = service.recall(parse.text(args, "in", 24), atlas) if "in" in args else All()
    column = None
    if "column" in args:
        column = atlas.columns(atlas.default_space).describe(parse.text(args, "column", 64))
        if not has_mean(column):
            raise InputError(f"column {column.name!r} has no mean")
    light = parse.whole(args, "light", 0, 1) == 1
    flips = bool(flip & 1), bool(flip & 2)
    return RasterArguments(
        Box(box.x0, box.x1, box.y0, box.y1), (width, height), light, flips, selection, column, parse.shading(args)
    )


def _axes(atlas: Atlas) -> Axes | None:
    if "x" not in request.args and "y" not in request.args:
        return None
    names = [parse.text(request.args, name, 64) for name in ("x", "y")]
    for name in names:
        atlas.columns(atlas.default_space).number(name)
    return Axes(*names)


def _image(atlas: Atlas, row: int, *, framed: bool, large: bool) -> bytes:
    data = atlas.thumbnails.read(row) if atlas.thumbnails is not None else None
    if data is None:
        data = fingerprint(np.asarray(atlas.space().embeddings[row], dtype=np.float32))
    if not (framed or large):
        return data
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if large and picture.width < LARGE_PIXELS:
        picture = picture.resize((LARGE_PIXELS, LARGE_PIXELS), Image.Resampling.BICUBIC)
    if framed:
        picture = _framed(picture)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90, method=2)
    return buffer.getvalue()


def _framed(picture: Image.Image) -> Image.Image:
    """A picture with its corners cut and a thin edge, since plotly draws images as they are."""
    size = picture.width * SUPERSAMPLED, picture.height * SUPERSAMPLED
    box = (0, 0, size[0] - 1, size[1] - 1)
    corners, inner = Image.new("L", size, 0), Image.new("L", size, 0)
    radius, edge = int(size[0] * ROUNDED), max(1, int(size[0] * EDGE))
    ImageDraw.Draw(corners).rounded_rectangle(box, radius, fill=255)
    ImageDraw.Draw(inner).rounded_rectangle(
        (edge, edge, size[0] - 1 - edge, size[1] - 1 - edge), radius - edge, fill=255
    )
    inside, outline = (one.resize(picture.size, Image.Resampling.LANCZOS) for one in (inner, corners))
    framed = Image.composite(picture, Image.new("RGB", picture.size, EDGE_COLOR), inside)
    framed.putalpha(outline)
    return framed
