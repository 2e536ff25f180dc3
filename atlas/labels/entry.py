"""Entries of the history, as they come from outside, and what follows from them.

    label, clear    a person gave a galaxy a label, or took theirs away
    undo            a person took back the last act of theirs that stands
    class           a key (1 to 9) stands for a label from now on; an empty label frees it
    collection      an ordered set of galaxies was kept: a new revision of its name
    drop, restore   a collection is listed no more, or again; its revisions answer as before
    rename          a collection is kept under another name, and its own dropped; under its own it gets another note
    name            a person named a cluster, or took its name away

Each has an id that its maker chose, so that one that is sent twice is kept once.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

import msgspec

from atlas.errors import InputError, shorten
from atlas.icrs import DecDeg, RaDeg

EntryKind = Literal["label", "clear", "undo", "class", "collection", "drop", "restore", "rename", "name"]
EntryId = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{8,64}$")]
MOST_CHARACTERS = 40
"""Of the name of a label, a collection or a cluster."""
LabelName = Annotated[str, msgspec.Meta(max_length=MOST_CHARACTERS)]
OF_COLLECTIONS: tuple[EntryKind, ...] = ("collection", "drop", "restore", "rename")
MOST_SAMPLED = 100
"""Galaxies at most that stand for a cluster: the share of a hundred is known to five in a hundred."""
MOST_MEMBERS = 10_000
"""Galaxies of a collection at most: each revision is kept whole."""
_NAME = re.compile(r"[^\s/\\\"'\x00-\x1f](?:[^/\\\"'\x00-\x1f]*[^\s/\\\"'\x00-\x1f])?")


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A galaxy by identity and position, so that it is found in other builds."""

    galaxy: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    ra_deg: RaDeg
    dec_deg: DecDeg


class NamedCluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as it was when it got a name, so that it is found in other builds.

    Attributes
    ----------
    identity : str
        Id of the entry that named it first: names that follow keep it.
    space, scale : str
        Embedding space, and the column of its labels.
    share : float
        Of all galaxies, those that were in it.
    members : tuple of Member
        Some of them, drawn at random.
    """

    identity: EntryId
    space: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    scale: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    share: Annotated[float, msgspec.Meta(gt=0, le=1)]
    members: Annotated[tuple[Member, ...], msgspec.Meta(min_length=1, max_length=MOST_SAMPLED)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One act of one person.

    Attributes
    ----------
    id : str
        Chosen by whoever sends it, 8 to 64 letters, digits, - or _.
    kind : str
    who : str
        The person's name.
    galaxy, ra_deg, dec_deg
        Whose label it is.
    label : str
        The label given, that of a class, or the name of a collection or cluster.
    to : str
        The name that a collection gets.
    key : int
        Of a class.
    grade, note : str
        How sure, and why: free words.
    origin : str
        Where the galaxy was found: the page's question and its build, as JSON.
    rank : int or None
        Its place there, from 1.
    members : tuple of Member
        Of a collection, in order.
    cluster : NamedCluster or None
        What is named.
    """

    id: EntryId
    kind: EntryKind
    who: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    galaxy: Annotated[str, msgspec.Meta(max_length=200)] = ""
    ra_deg: RaDeg | None = None
    dec_deg: DecDeg | None = None
    label: LabelName = ""
    to: LabelName = ""
    key: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    grade: Annotated[str, msgspec.Meta(max_length=20)] = ""
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    origin: Annotated[str, msgspec.Meta(max_length=200_000)] = ""
    rank: Annotated[int, msgspec.Meta(ge=1, lt=2**31)] | None = None
    members: Annotated[tuple[Member, ...], msgspec.Meta(max_length=MOST_MEMBERS)] = ()
    cluster: NamedCluster | None = None


class Label(msgspec.Struct, frozen=True, gc=False):
    """The label that a person gives a galaxy at present.

    Attributes
    ----------
    seq : int
        Number of the entry in the history.
    at : str
        When it was kept, UTC, ISO 8601.
    """

    seq: int
    galaxy: str
    ra_deg: float
    dec_deg: float
    label: str
    grade: str
    note: str
    who: str
    at: str
    rank: int | None


class Act(msgspec.Struct, frozen=True):
    """An entry of the history as it is shown."""

    seq: int
    kind: EntryKind
    galaxy: str
    label: str
    grade: str
    note: str
    who: str
    at: str
    undone: bool


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of a collection; `members` is left empty where only its size was asked for."""

    name: str
    revision: int
    size: int
    note: str
    who: str
    at: str
    members: tuple[Member, ...] = ()


class ClusterName(msgspec.Struct, frozen=True):
    """The newest name of a cluster that was not taken back; an empty one took its name away.

    Attributes
    ----------
    seq : int
        Number of the entry in the history.
    """

    seq: int
    name: str
    who: str
    at: str
    cluster: NamedCluster


def new_id() -> str:
    """An id for an entry that is made here."""
    return secrets.token_hex(12)


def checked(entry: Entry) -> Entry:
    """An entry that says all that its kind needs, with its texts trimmed.

    Raises
    ------
    InputError
        If something is missing, or a name holds what a file's name or a condition could not.
    """
    texts = {name: getattr(entry, name).strip() for name in ("who", "label", "to", "grade", "note")}
    entry = msgspec.structs.replace(entry, **texts)
    if not entry.who or not entry.who.isprintable():
        raise InputError("say who you are first: a name of 1 to 60 printable characters")
    if entry.kind == "name":
        # It becomes no part of a condition or a file's name, as other names may: E/S0 is a good one.
        if entry.cluster is None or not entry.cluster.members:
            raise InputError("say which cluster the name is for")
        if not entry.label.isprintable():
            raise InputError(f"{shorten(entry.label)!r} cannot be a name: leave out line breaks and control characters")
        return entry
    for name in (entry.label, entry.to):
        if name and not _NAME.fullmatch(name):
            raise InputError(f"{shorten(name)!r} cannot be a name: leave out quotes, slashes and line breaks")
    if entry.kind in ("label", "clear") and not (
        entry.galaxy and entry.ra_deg is not None and entry.dec_deg is not None
    ):
        raise InputError("a label needs a galaxy with its position")
    if (entry.kind in ("label", *OF_COLLECTIONS) and not entry.label) or (entry.kind == "rename" and not entry.to):
        raise InputError("a label and a collection need a name of 1 to 40 characters")
    if entry.kind == "class" and not 1 <= entry.key <= 9:
        raise InputError("a label's key is 1 to 9")
    if entry.kind == "collection" and not entry.members:
        raise InputError("a collection of no galaxy cannot be kept")
    return entry
