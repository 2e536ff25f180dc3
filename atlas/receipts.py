"""Receipts: a small file that says what was asked, so that anyone with the atlas gets the same rows again.

    {
     "format": 1,
     "receipt": "1f8a02c7",               hash of build, query and settings (`atlas.queries.query.receipt`)
     "created": "2026-11-24T23:50:00+00:00",
     "atlas": "Hubble eXtreme Deep Field", its title
     "build": "0f3b5a9c2d71",
     "query": {…},                         as `atlas.queries.query.Query`
     "settings": {"recall": 0.99},         of the search, and the version of an order by labels
     "examples": [{"row": 3, "id": "…", "ra_deg": …, "dec_deg": …}, …]
    }

A query names galaxies by row, and rows change with each build. So a receipt also says who they are: every galaxy that
the query names, by id and position. Where the receipt's own build is gone they are looked up in the current one, by id
and else by position; what is not found is told, and so is what cannot be carried over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from atlas.atlas import Atlas
from atlas.errors import InputError, UnknownGalaxyError, shorten
from atlas.icrs import DecDeg, RaDeg
from atlas.queries.planner import settings_of
from atlas.queries.query import Query, Result, canonical_query
from atlas.queries.query import receipt as hash_of
from atlas.queries.ranking import Similar, SimilarToGroup, Typical
from atlas.queries.selection import (
    Alike,
    And,
    Cluster,
    MapPolygon,
    Not,
    Or,
    PartOf,
    Row,
    Rows,
    Selection,
    parts_of,
)
from atlas.sky.sky_regions import separation_deg
from atlas.storage import layout, validate
from atlas.storage.manifest import read_manifest

RECEIPT_FORMAT = 1
MOST_BYTES = 8 << 20
MOST_NAMED = 10_000
SAME_PLACE_ARCSEC = 1.0
_HASH = re.compile(r"[0-9a-f]{8}")
_TOLD = 5  # galaxies that a note names, before it counts the rest

ReceiptText = Annotated[str, msgspec.Meta(max_length=1_000)]


class ExampleGalaxy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A galaxy that a query names by its row: who it is in any build."""

    row: Row
    id: ReceiptText
    ra_deg: RaDeg
    dec_deg: DecDeg


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Content of a receipt; see the head of this module."""

    format: int
    receipt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}$")]
    created: ReceiptText
    atlas: ReceiptText
    build: Annotated[str, msgspec.Meta(pattern=f"^{layout.SEEN}$")]
    query: Query
    settings: dict[str, Any]
    examples: Annotated[tuple[ExampleGalaxy, ...], msgspec.Meta(max_length=MOST_NAMED)]


class _Format(msgspec.Struct):
    format: int


@dataclass(frozen=True)
class Replay:
    """The answer to a receipt.

    Attributes
    ----------
    query : Query
        What was asked: the receipt's query, its galaxies looked up in this build.
    result : Result
    notes : tuple of str
        Why the answer may differ from the first one; empty where it cannot.
    """

    query: Query
    result: Result
    notes: tuple[str, ...]


def make_receipt(atlas: Atlas, query: Query, result: Result) -> bytes:
    """The receipt of an answer, as JSON.

    Raises
    ------
    InputError
        If the result answers another query, or the query names more than 10,000 galaxies.
    """
    query = canonical_query(query)
    if result.receipt != hash_of(atlas.build_id, query, settings_of(query)):
        raise InputError(f"the result of receipt {result.receipt} answers another query")
    rows = sorted(_rows_of(query))
    if len(rows) > MOST_NAMED:
        raise InputError(f"a receipt may name {MOST_NAMED:,} galaxies, this query names {len(rows):,}")
    names = atlas.identity.names(rows) if rows else []
    positions = (atlas.position(row) for row in rows)
    receipt = Receipt(
        format=RECEIPT_FORMAT,
        receipt=result.receipt,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        atlas=atlas.manifest.title,
        build=atlas.build_id,
        query=query,
        settings=settings_of(query),
        examples=tuple(
            ExampleGalaxy(row=row, id=name, ra_deg=ra, dec_deg=dec)
            for row, name, (ra, dec) in zip(rows, names, positions, strict=True)
        ),
    )
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1) + b"\n"


def read_receipt(data: bytes) -> Receipt:
    """Read and check a receipt.

    Raises
    ------
    InputError
        If it is too long, no receipt, of another format, or its content and its hash do not belong together.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"a receipt has at most {MOST_BYTES:,} bytes")
    try:
        version = msgspec.json.decode(data, type=_Format).format
        if version != RECEIPT_FORMAT:
            raise InputError(f"this receipt has format {version}, this program reads format {RECEIPT_FORMAT}")
        receipt = msgspec.json.decode(data, type=Receipt)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InputError(f"this is not a receipt: {shorten(e, 200)}") from e
    found = hash_of(receipt.build, receipt.query, receipt.settings)
    if found != receipt.receipt:
        raise InputError(f"this receipt was changed: it is named {receipt.receipt}, its content has the hash {found}")
    nameless = _rows_of(receipt.query) - {example.row for example in receipt.examples}
    if nameless:
        raise InputError(f"this receipt does not say which galaxy row {min(nameless)} is")
    return receipt


def find_receipt(text: str, folder: Path | None = None) -> bytes:
    """The bytes of a receipt that is named by its file, or by its hash and a folder.

    Raises
    ------
    InputError
        If there is no such file.
    """
    by_hash = folder is not None and _HASH.fullmatch(text)
    path = folder / f"{text}.json" if folder is not None and by_hash else Path(text)
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as e:
        hint = "; a hash is looked up in the folder that --receipts names" if _HASH.fullmatch(text) else ""
        raise InputError(f"{path} cannot be read: {e.strerror}{hint}") from e


def open_for(root: Path, receipt: Receipt) -> Atlas:
    """The build that a receipt was made from, if it is still on disk; else the current one.

    Raises
    ------
    FormatError
        If there is no atlas, or files are missing, of the wrong size, or with another header.
    InputError
        If it has not the space that the receipt was made in.
    """
    build_id, _, space = receipt.build.partition(".")
    build = layout.build_path(root, build_id)
    if not (build / layout.MANIFEST).exists():
        return Atlas.open(root).seen_in(space)
    manifest = read_manifest(build)
    validate.check_files(build, manifest)
    return Atlas(build, manifest).seen_in(space)


def replay(atlas: Atlas, receipt: Receipt) -> Replay:
    """Ask again what a receipt says.

    Raises
    ------
    InputError
        If the atlas lacks what the query needs: a space, a column, every galaxy that it asks to be like.
    """
    query, notes = receipt.query, []
    if atlas.build_id != receipt.build:
        notes.append(
            f"the receipt is of build {receipt.build} of {shorten(receipt.atlas)!r}, "
            f"this is build {atlas.build_id} of {shorten(atlas.manifest.title)!r}: the rows may differ"
        )
        rows, lost = _look_up(atlas, receipt.examples)
        notes += lost + _not_carried_over(query)
        wanted = query.ranking.examples if isinstance(query.ranking, Similar) else ()
        if wanted and not any(row in rows for row in wanted):
            raise InputError(f"none of the galaxies that the receipt asks to be like is in this atlas; {notes[1]}")
        query = _with_rows(query, rows)
    result = atlas.run(query)
    settings = settings_of(query)
    if receipt.settings != settings:
        notes.append(f"the receipt's search settings were {receipt.settings}, this program's are {settings}")
    return Replay(canonical_query(query), result, tuple(notes))


def table(atlas: Atlas, result: Result) -> Iterator[tuple[int, str, float, float, float | None]]:
    """Row, id, RA and Dec in degrees, and score of each answer; None for the score of a random order."""
    names = atlas.identity.names(result.rows)
    for row, name, score in zip(result.rows.tolist(), names, result.scores, strict=True):
        # The shortest text that reads as the same float32.
        yield row, name, *atlas.position(row), None if np.isnan(score) else float(str(score))


def _rows_of(query: Query) -> set[int]:
    """All rows that a query names."""
    ranked = query.ranking.examples if isinstance(query.ranking, Similar) else ()
    return {*ranked, *(row for part in _parts_of(query) if isinstance(part, Rows) for row in part.rows)}


def _parts_of(query: Query) -> Iterator[Selection]:
    """Parts that all selections of a query are joined from."""
    yield from parts_of(query.selection)
    if isinstance(query.ranking, SimilarToGroup):
        yield from parts_of(query.ranking.group)


def _look_up(atlas: Atlas, examples: tuple[ExampleGalaxy, ...]) -> tuple[dict[int, int], list[str]]:
    """New rows of old ones, and what there is to tell."""
    rows: dict[int, int] = {}
    moved, renamed, gone = [], [], []
    for example in examples:
        told = f"{shorten(example.id)} at {example.ra_deg:.5f} {example.dec_deg:+.5f}"
        try:
            row = atlas.identity.row(example.id)
        except UnknownGalaxyError:
            found = atlas.sky.nearest(example.ra_deg, example.dec_deg, SAME_PLACE_ARCSEC / 3600)
            if found is None:
                gone.append(told)
                continue
            row = found[0]
            renamed.append(f"{told}, now {atlas.identity.name(row)}")
        else:
            ra, dec = atlas.position(row)
            away = 3600 * float(separation_deg(np.array([ra]), np.array([dec]), example.ra_deg, example.dec_deg)[0])
            if away > SAME_PLACE_ARCSEC:
                moved.append(f"{told}, now {away:.1f}″ away")
        rows[example.row] = row
    notes = [
        f"{what}: {'; '.join(some[:_TOLD])}" + (f"; and {len(some) - _TOLD} more" if len(some) > _TOLD else "")
        for what, some in (
            ("not in this atlas", gone),
            ("found by position, under another id", renamed),
            ("found by id, at another position", moved),
        )
        if some
    ]
    return rows, notes


def _not_carried_over(query: Query) -> list[str]:
    parts = list(_parts_of(query))
    notes = []
    if any(isinstance(part, Cluster | PartOf) for part in parts) or isinstance(query.ranking, Typical):
        notes.append("clusters are numbered anew in each build: the one that is meant may have another number")
    if any(isinstance(part, MapPolygon) for part in parts):
        notes.append("the map is drawn anew in each build: a lasso on it may hold other galaxies")
    return notes


def _with_rows(query: Query, rows: dict[int, int]) -> Query:
    """The query with its rows replaced; those that have no new row are left out."""
    ranking = query.ranking
    if isinstance(ranking, Similar):
        wanted, unwanted = (tuple(rows[row] for row in of if row in rows) for of in (ranking.wanted, ranking.unwanted))
        ranking = msgspec.structs.replace(ranking, wanted=wanted, unwanted=unwanted)
    if isinstance(ranking, SimilarToGroup):
        ranking = msgspec.structs.replace(ranking, group=_selection_with(ranking.group, rows))
    return msgspec.structs.replace(query, ranking=ranking, selection=_selection_with(query.selection, rows))


def _selection_with(selection: Selection, rows: dict[int, int]) -> Selection:
    match selection:
        case And(of):
            return And(tuple(_selection_with(one, rows) for one in of))
        case Or(of):
            return Or(tuple(_selection_with(one, rows) for one in of))
        case Not(inner):
            return Not(_selection_with(inner, rows))
        case Alike(group=group) if group is not None:
            return msgspec.structs.replace(selection, group=_selection_with(group, rows))
        case PartOf(_, of):
            return msgspec.structs.replace(selection, of=_selection_with(of, rows))
        case Rows(old):
            return Rows(tuple(rows[row] for row in old if row in rows))
    return selection
