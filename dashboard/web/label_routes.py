"""Addresses of the labels: keep some, tell those of some rows, download all.

Labels have a way of their own beside the page's events: one is kept while the next is given, and the browser holds what
was not acknowledged until it is, under an id that makes sending it twice harmless.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pandas as pd
from flask import Flask, Response, jsonify, request
from numpy.typing import NDArray

from atlas import Atlas
from atlas.errors import InputError, KeepingError
from atlas.labels.entry import MOST_MEMBERS, Entry, EntryId, EntryKind, Label

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.gallery_query import question_of
from ..service.index_loading import WORDS
from ..state import url as links
from ..state.page_state import State, active, question
from ..views.labels import told
from .access import signed_in

MOST_ENTRIES = 50
MOST_ROWS = 500


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An act as the browser tells it: a galaxy by its id alone, and the link of the page where it was done; a cluster
    by its label and build, or by the identity of its name."""

    id: EntryId
    kind: EntryKind
    who: Annotated[str, msgspec.Meta(max_length=60)]
    galaxy: Annotated[str, msgspec.Meta(max_length=200)] = ""
    label: Annotated[str, msgspec.Meta(max_length=40)] = ""
    to: Annotated[str, msgspec.Meta(max_length=40)] = ""
    grade: Annotated[str, msgspec.Meta(max_length=20)] = ""
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    key: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    rank: Annotated[int, msgspec.Meta(ge=1, lt=2**31)] | None = None
    link: str = ""
    of: Literal["gallery", "selection"] = "gallery"
    cluster: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None
    build: Annotated[str, msgspec.Meta(max_length=300)] = ""
    identity: EntryId | None = None


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some acts, in order."""

    entries: Annotated[tuple[Sent, ...], msgspec.Meta(min_length=1, max_length=MOST_ENTRIES)]


def register_label_routes(server: Flask, service: Service) -> None:
    """Add the addresses to a server."""

    @server.post("/labels")
    def keep() -> Response:
        try:
            batch = msgspec.convert(request.get_json(), Batch)
        except msgspec.ValidationError as error:
            raise InputError(parse.sentence(error)) from error
        atlas = service.atlas
        try:
            entries = [_entry(service, atlas, sent) for sent in batch.entries]
            since = service.labels.revision()
            service.labels.add(entries)
            known = service.book.known(fresh=True)
            return jsonify(kept=True, **told(known), **_changed(service, atlas, since))
        except KeepingError as error:
            # No failure of the request: the browser keeps them, says so, and tries again.
            return jsonify(kept=False, said=f"{str(error)[:1].upper()}{str(error)[1:]}. It is tried again.")

    @server.get("/labels/<build>/of.json")
    def of(build: str) -> Response:
        atlas = service.build(parse.build_id(build))
        words = parse.text(request.args, "rows", 6_000).split(",")
        if len(words) > MOST_ROWS or not all(word.isascii() and word.isdigit() and len(word) < 11 for word in words):
            raise InputError(f"rows are 1 to {MOST_ROWS} whole numbers, separated by commas")
        rows = [int(word) for word in words]
        return jsonify(**told(service.book.known()), rows=_labels_of(atlas, rows))

    @server.get("/labels/<build>.csv")
    def download(build: str) -> Response:
        atlas = service.build(parse.build_id(build))
        response = Response(label_table(atlas).to_csv(index=False), mimetype="text/csv")
        response.headers["Content-Disposition"] = f'attachment; filename="labels-{build}.csv"'
        return response


def _entry(service: Service, atlas: Atlas, sent: Sent) -> Entry:
    """Entry of what a browser sent, with the galaxy's position and where it was found."""
    found = {name: getattr(sent, name) for name in ("id", "kind", "who", "label", "to", "grade", "note", "key", "rank")}
    found["who"] = signed_in() or sent.who
    if not found["who"].strip():
        raise InputError("say who you are first: type your name in the drawer of labels (N)")
    if sent.kind == "name":
        return _naming(service, sent, found["who"])
    if sent.kind in ("undo", "class", "drop", "restore", "rename"):
        return Entry(**found)
    where = links.from_link(sent.link[: service.settings.max_state_bytes], service.kept)
    origin = msgspec.json.encode({"build": atlas.build_id, "question": question(where)}).decode()
    if sent.kind == "collection":
        return Entry(**found, origin=origin, members=atlas.labelled.as_members(_listed(service, where, sent.of)))
    ra_deg, dec_deg = atlas.position(atlas.identity.row(sent.galaxy))
    return Entry(**found, galaxy=sent.galaxy, ra_deg=ra_deg, dec_deg=dec_deg, origin=origin)


def _naming(service: Service, sent: Sent, who: str) -> Entry:
    """Entry that names a cluster of the build that the browser shows, or takes a name away that has none there."""
    names = service.build(parse.build_id(sent.build)).cluster_names
    if sent.identity is not None:
        return names.forgetting(sent.identity, who=who, id=sent.id)
    if sent.cluster is None:
        raise InputError("say which cluster the name is for")
    return names.entry(sent.cluster, sent.label, who=who, id=sent.id)


def _listed(service: Service, state: State, of: Literal["gallery", "selection"]) -> NDArray[Any]:
    """Rows that become a collection: those of the gallery in its order, or all that is selected."""
    atlas = service.atlas
    if of == "selection":
        mask = service.mask(active(state), atlas)
        count = atlas.n_rows if mask is None else mask.count
        if mask is None or count > MOST_MEMBERS:
            raise InputError(f"a collection holds at most {MOST_MEMBERS:,} galaxies; {count:,} are selected")
        return mask.rows
    query = question_of(atlas, state).query
    if query is None:
        raise InputError("the gallery shows no list yet: choose a galaxy, or select some")
    result = service.run(query, atlas)
    if result is None:
        raise InputError(WORDS[service.progress(atlas)])
    return result.rows


def _changed(service: Service, atlas: Atlas, since: int) -> dict[str, Any]:
    """Labels of all rows that were touched since a revision, be it by an undo; nothing where they are too many."""
    galaxies = service.labels.touched_since(since)
    if galaxies is None:
        return {}
    atlas.labelled.now()  # finds the rows of galaxies that are new to it
    rows = [row for row in atlas.labelled.rows_of(galaxies).tolist() if row >= 0]
    return {"since": since, "rows": {**{str(row): [] for row in rows}, **_labels_of(atlas, rows)}}


def _labels_of(atlas: Atlas, rows: list[int]) -> dict[str, list[list[str]]]:
    """Label, person, grade and note, by row, of those that have labels."""
    return {
        str(row): [[one.label, one.who, one.grade, one.note] for one in given]
        for row, given in atlas.labelled.of_rows(rows).items()
    }


def label_table(atlas: Atlas) -> pd.DataFrame:
    """Every label that stands, with its galaxy and its row in this build."""
    given: list[Label] = [one for labels in atlas.labelled.now().of.values() for one in labels]
    rows = atlas.labelled.rows_of([one.galaxy for one in given])
    columns: dict[str, Any] = {
        "id": [one.galaxy for one in given],
        "row": pd.array([None if row < 0 else row for row in rows.tolist()], dtype="Int64"),
    }
    for name in ("ra_deg", "dec_deg", "label", "grade", "note", "who", "at", "rank"):
        columns[name] = [getattr(one, name) for one in given]
    columns["rank"] = pd.array(columns["rank"], dtype="Int64")
    return pd.DataFrame(columns)
