"""A list of galaxies from elsewhere: read, matched to the atlas, and kept as a collection."""

from __future__ import annotations

import msgspec
import numpy as np
from flask import Flask, Response, jsonify, request

from atlas import Atlas
from atlas.errors import InputError, KeepingError, shorten
from atlas.labels.entry import Entry
from atlas.matching import AMBIGUOUS, UNMATCHED, match_each

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.list_reader import Listed, read_list
from ..views.labels import told
from .access import signed_in
from .security import LISTS

MOST_ARCSEC = 60.0
EXAMPLES = 3


def register_list_routes(server: Flask, service: Service) -> None:
    """Add the address to a server."""

    @server.post(LISTS)
    def keep_list(build: str) -> Response:
        atlas = service.build(parse.build_id(build))
        name, who, act, file = (
            parse.text(request.args, key, most) for key, most in (("name", 40), ("who", 60), ("id", 40), ("file", 200))
        )
        who = signed_in() or who
        if not who.strip():
            raise InputError("say who you are first: type your name in the drawer of labels (N)")
        if not name.strip():
            raise InputError("give the list a name")
        radius = parse.number(request.args, "radius", 0.01, MOST_ARCSEC)
        listed = read_list(request.get_data(), atlas.identity.id_columns)
        rows, words = _matched(atlas, listed, radius)
        if not rows.size:
            raise InputError(words)
        origin = msgspec.json.encode({"build": atlas.build_id, "list": file, "radius_arcsec": radius}).decode()
        kept = Entry(
            id=act, kind="collection", who=who, label=name, origin=origin, members=atlas.labelled.as_members(rows)
        )
        try:
            service.labels.add([kept])
        except KeepingError as error:
            return jsonify(kept=False, said=f"{str(error)[:1].upper()}{str(error)[1:]}. Nothing was kept; try again.")
        return jsonify(kept=True, said=words, **told(service.book.known(fresh=True)))


def _matched(atlas: Atlas, listed: Listed, radius_arcsec: float) -> tuple[np.ndarray, str]:
    """Rows of a list, each once, in its order; and what became of the list, in a sentence."""
    ra, dec = (
        np.array([np.nan if v is None else v for v in angle], dtype=np.float64)
        for angle in (listed.ra_deg, listed.dec_deg)
    )
    found = match_each(atlas, listed.names, ra, dec, radius_arcsec)
    rows = found["row"].to_numpy()
    _, first = np.unique(rows, return_index=True)
    kept = rows[np.sort(first)]
    kept = kept[kept >= 0]
    outcome = found["outcome"].to_numpy()
    unmatched = np.flatnonzero(outcome == UNMATCHED)
    words = f"{kept.size:,} of {len(found):,} are galaxies of this atlas"
    if several := int(np.count_nonzero(outcome == AMBIGUOUS)):
        words += f"; {several:,} of them might be another, or stand twice in the list"
    if unmatched.size:
        words += f". Not found: {', '.join(_asked(listed, at) for at in unmatched[:EXAMPLES].tolist())}"
        words += f" and {unmatched.size - EXAMPLES:,} more" if unmatched.size > EXAMPLES else ""
    return kept, f"{words}."


def _asked(listed: Listed, at: int) -> str:
    ra, dec = listed.ra_deg[at], listed.dec_deg[at]
    if listed.names[at]:
        return shorten(listed.names[at], 40)
    return f"line {at + 1}, which is no position" if ra is None or dec is None else f"{ra:.5f} {dec:+.5f}"
