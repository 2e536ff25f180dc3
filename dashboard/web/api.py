"""The notebook's questions over HTTP, for programs: off by default (`api`).

    GET  /api/v1/atlas           what is served: build, spaces, columns
    POST /api/v1/count           {"selection": …} → how many galaxies
    POST /api/v1/query           a `Query` → its galaxies in order, as JSON, or as a file by ?format=parquet, csv, vot …
    GET  /api/v1/openapi.json    all of this, described

A body is what receipts hold: `atlas.queries.query.Query` and its selections, decoded by their types. The same limits
hold as for the page: what a selection may cost, what a visitor may have, how large a body is.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from flask import Flask, Response, jsonify, request

from atlas import Atlas
from atlas.catalog.mixtures import mixture_meaning
from atlas.cluster_names import NO_NAMES, NamesHere
from atlas.errors import InputError, shorten
from atlas.exports.contents import Contents, Field
from atlas.exports.formats import FORMATS
from atlas.notebook import ABOUT_SIMILARITY, ODDNESS, SIMILARITY
from atlas.queries.query import Query, Result
from atlas.queries.ranking import ByDetectors, canonical_ranking
from atlas.queries.selection import All, Selection
from atlas.storage.manifest import Column, Name

from ..service.atlas_service import Service
from ..service.export import export_contents, pages_of
from ..service.index_loading import WORDS
from .downloads import Downloads

ROOT = "/api/v1"


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question of how many; conditions on what belongs to a space are of the first, if none is named."""

    selection: Selection = All()
    space: Name | None = None


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question of which, in what order; without columns, only who and where they are."""

    query: Query
    columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=200)] = ()


def register_api(server: Flask, service: Service, downloads: Downloads) -> None:
    """Add the addresses to a server."""

    @server.get(f"{ROOT}/atlas")
    def describe_atlas() -> Response:
        return jsonify(described(service.atlas))

    @server.post(f"{ROOT}/count")
    def count() -> Response:
        asked = _decoded(Counted)
        atlas = service.atlas.seen_in(asked.space)
        mask = service.mask(asked.selection, atlas)
        return jsonify(build=atlas.build_id, count=atlas.n_rows if mask is None else mask.count, of=atlas.n_rows)

    @server.post(f"{ROOT}/query")
    def query() -> Response:
        asked = _decoded(Asked)
        atlas = service.atlas.seen_in(asked.query.space)  # its columns and conditions are of that space, too
        kind = request.args.get("format", "json")
        if kind not in ("json", *FORMATS):
            raise InputError(f"there is no format {shorten(kind)!r}: allowed are json, {', '.join(FORMATS)}")
        described = atlas.columns(atlas.default_space)
        columns = [described.describe(name) for name in asked.columns]
        result = service.run(asked.query, atlas)
        if result is None:
            raise InputError(WORDS[service.progress(atlas)])
        ranking = canonical_ranking(asked.query.ranking)
        mixed = ranking if isinstance(ranking, ByDetectors) else None
        table = contents_of_result(atlas, columns, result, service.book.cluster_names(atlas), mixed)
        if kind == "json":
            return jsonify(answered(atlas, table, result))
        return downloads.answer(FORMATS[kind].write(table), FORMATS[kind].mime)

    @server.get(f"{ROOT}/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document())


def described(atlas: Atlas) -> dict[str, Any]:
    """Description of what is served."""
    manifest = atlas.manifest
    return {
        "title": manifest.title,
        "build": atlas.build_id,
        "galaxies": atlas.n_rows,
        "spaces": [{"name": space.name, "dimension": space.dimension} for space in manifest.spaces],
        "columns": [
            {name: getattr(column, name) for name in ("name", "kind", "dtype", "unit", "ucd", "description")}
            for column in atlas.columns(atlas.default_space)
        ],
    }


def contents_of_result(
    atlas: Atlas,
    columns: list[Column],
    result: Result,
    clusters: NamesHere = NO_NAMES,
    mixed: ByDetectors | None = None,
) -> Contents:
    """The galaxies of an answer in its order: id, score, position, and the columns that were asked for; beside those of
    clusters the names that people gave. `mixed` are the detectors that ordered it, if any did."""
    known = atlas.columns(atlas.default_space)
    place = [known.describe(name) for name in ("ra", "dec") if name not in {column.name for column in columns}]
    score = Field(name=SIMILARITY, dtype="float32", description=ABOUT_SIMILARITY)
    if mixed is not None:
        score = Field(name=ODDNESS, dtype="float32", description=mixture_meaning(mixed.detectors, mixed.mixed_by))
    scored = score if np.isfinite(result.scores).any() else None
    return export_contents(
        atlas, [*place, *columns], int(result.rows.size), lambda: pages_of(result.rows, result.scores), scored,
        clusters, receipt=result.receipt,
    )  # fmt: skip


def answered(atlas: Atlas, table: Contents, result: Result) -> dict[str, Any]:
    """An answer as JSON: how it was found, and a list a field; what is missing is null."""
    parts = list(table.parts())
    values = {f.name: [_plain(value) for part in parts for value in part[f.name].tolist()] for f in table.fields}
    return {
        "receipt": result.receipt,
        "build": atlas.build_id,
        "total": result.total,
        "method": result.method,
        "recall": None if result.recall is None else msgspec.to_builtins(result.recall),
        "row": result.rows.tolist(),
        "fields": values,
    }


def openapi_document() -> dict[str, Any]:
    """The addresses and the types of their bodies (OpenAPI 3.1, whose schemas are JSON Schema)."""
    place = "#/components/schemas/{name}"
    (counted, asked), components = msgspec.json.schema_components([Counted, Asked], ref_template=place)

    def post(summary: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        answers = {
            "200": {"description": "the answer"},
            "400": {"description": "what was wrong, as error"},
            "429": {"description": "more than one visitor may have; wait a minute"},
        }
        return {"post": {"summary": summary, "requestBody": body, "parameters": [*parameters], "responses": answers}}

    kind = {"name": "format", "in": "query", "schema": {"enum": ["json", *FORMATS], "default": "json"}}
    seen = {"responses": {"200": {"description": "what is served"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Galaxy Finder", "version": "1"},
        "paths": {
            f"{ROOT}/atlas": {"get": {"summary": "What is served: build, spaces, columns", **seen}},
            f"{ROOT}/count": post("How many galaxies a selection holds", counted),
            f"{ROOT}/query": post("Which galaxies, in what order", asked, kind),
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _decoded(kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"the body is not as /api/v1/openapi.json describes it: {shorten(error, 200)}") from error


def _plain(value: Any) -> Any:
    """A cell as JSON has it."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
