"""Labels and collections in a database: a history that only grows, and what follows from it.

>>> labels = Labels("data/xdf/labels.sqlite")
>>> labels.add([Entry(id=new_id(), kind="label", who="Ada", galaxy="17", ra_deg=53.1, dec_deg=-27.8, label="lens")])

A galaxy has the label of each person who gave it one: their last act on it that was not taken back. The number of the
last entry is the revision; what holds at a revision holds for ever.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from atlas.errors import InputError, shorten
from atlas.labels.database import FILE, Database
from atlas.labels.entry import OF_COLLECTIONS, Act, ClusterName, Collection, Entry, Label, Member, NamedCluster, checked
from atlas.labels.schema import CLUSTER, COLLECTION, EVENT, ORIGIN

_MEMBERS = msgspec.json.Decoder(tuple[Member, ...])
_AT_ONCE = 500
"""Galaxies whose labels are asked for by name; beyond, all are read."""
MOST_NAMES = 500
"""Clusters whose names are told: those that were named last."""


class Added(msgspec.Struct, frozen=True):
    """Outcome of adding some entries.

    Attributes
    ----------
    revision : int
        Number of the last entry of the history.
    fresh : int
        How many were kept now; the others had been before.
    """

    revision: int
    fresh: int


class Labels:
    """Labels and collections of an atlas. Safe to share between threads and processes.

    Parameters
    ----------
    place : str or Path
        As of `Database`.
    """

    def __init__(self, place: str | Path) -> None:
        self._database = Database(place)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def add(self, entries: Sequence[Entry]) -> Added:
        """Keep some acts, all or none; one whose id is known is not kept again.

        Raises
        ------
        InputError
            If one says too little, there is nothing to undo, or its id was given to something else.
        KeepingError
            If they could not be kept.
        """
        entries = [checked(entry) for entry in entries]

        def act(connection: sa.Connection) -> Added:
            known = _known(connection, [entry.id for entry in entries])
            at, fresh = datetime.now(UTC).isoformat(timespec="milliseconds"), 0
            plain: list[dict[str, Any]] = []
            for entry in entries:
                if entry.id in known:
                    _require_same(entry, known[entry.id])
                    continue
                known[entry.id] = _kept_as(entry)
                fresh += 1
                values = _values(connection, entry, at)
                if entry.kind in ("undo", "name", *OF_COLLECTIONS):  # these look at what was kept before them
                    _insert(connection, plain)
                    plain = []
                    _add_one(connection, entry, values)
                else:
                    plain.append(values)
            _insert(connection, plain)
            return Added(_revision(connection), fresh)

        return self._database.write(act)

    def revision(self) -> int:
        """Number of the last entry; 0 where nothing was ever kept."""
        return self._database.read(_revision, 0)

    def labels(self, at: int | None = None, galaxies: Sequence[str] | None = None) -> list[Label]:
        """Labels that stand, in the order in which they were given, at a revision and of some galaxies if these are
        named."""

        def ask(connection: sa.Connection) -> list[Label]:
            # All acts are read once, in order: that takes a third of the time of a query that finds the last of each.
            e, u = EVENT.c, _UNDOS.c
            which = [e.seq <= at] if at is not None else []
            undone = sa.select(u.undoes).where(u.undoes.is_not(None), *([u.seq <= at] if at is not None else []))
            if galaxies is not None:
                which.append(e.galaxy.in_(galaxies))
                undone = undone.where(u.galaxy.in_(galaxies))
            taken_back = set(connection.execute(undone).scalars())
            fields = [e[name] for name in Label.__struct_fields__]
            asked = sa.select(e.event_id, e.kind, *fields).where(e.kind.in_(("label", "clear")), *which).order_by(e.seq)
            standing: dict[tuple[str, str], Label] = {}
            for event_id, kind, *values in connection.execute(asked):
                if event_id in taken_back:
                    continue
                label = Label(*values)
                standing.pop((label.galaxy, label.who), None)  # in the order of their last acts
                if kind == "label":
                    standing[label.galaxy, label.who] = label
            return list(standing.values())

        return self._database.read(ask, [])

    def touched_since(self, revision: int) -> list[str] | None:
        """Galaxies whose labels may have changed since a revision; None where they are too many to name."""

        def ask(connection: sa.Connection) -> list[str] | None:
            changed = sa.select(EVENT.c.galaxy).where(EVENT.c.seq > revision, EVENT.c.galaxy != "").distinct()
            found = connection.execute(changed.limit(_AT_ONCE + 1)).scalars().all()
            return list(found) if len(found) <= _AT_ONCE else None

        nothing: list[str] | None = []
        return self._database.read(ask, nothing)

    def classes(self) -> dict[int, str]:
        """Label of each key that has one."""

        def ask(connection: sa.Connection) -> dict[int, str]:
            e = EVENT.c
            newest = sa.select(sa.func.max(e.seq)).where(e.kind == "class").group_by(e.key)
            rows = connection.execute(sa.select(e.key, e.label).where(e.seq.in_(newest)).order_by(e.key))
            return {key: label for key, label in rows if label}

        return self._database.read(ask, {})

    def naming(self) -> int:
        """Number of the last entry that named a cluster or took that back; 0 where there is none."""

        def ask(connection: sa.Connection) -> int:
            e = EVENT.c
            named = sa.select(e.event_id).join(CLUSTER, CLUSTER.c.seq == e.seq)
            undone = sa.select(sa.func.max(_UNDOS.c.seq)).where(_UNDOS.c.undoes.in_(named))
            last = connection.execute(sa.select(sa.func.max(CLUSTER.c.seq))).scalar()
            return max(last or 0, connection.execute(undone).scalar() or 0)

        return self._database.read(ask, 0)

    def cluster_names(self, at: int | None = None) -> list[ClusterName]:
        """The newest name of each of the clusters that were named last, an empty one where it was taken away; in the
        order in which they were given, at a revision if one is named."""

        def ask(connection: sa.Connection) -> list[ClusterName]:
            c, e, u = CLUSTER.c, EVENT.c, _UNDOS.c
            kept, undone = ([] if at is None else [seq <= at] for seq in (c.seq, u.seq))
            stands = ~sa.exists(sa.select(1).select_from(_UNDOS).where(u.undoes == e.event_id, *undone))
            newest = sa.select(sa.func.max(c.seq)).join(EVENT, e.seq == c.seq).where(stands, *kept)
            newest = newest.group_by(c.identity)
            asked = sa.select(e.label, e.who, e.at, CLUSTER).join(EVENT, e.seq == c.seq).where(c.seq.in_(newest))
            rows = connection.execute(asked.order_by(c.seq.desc()).limit(MOST_NAMES)).mappings().all()
            return [_cluster_name(row) for row in reversed(rows)]

        return self._database.read(ask, [])

    def history(self, limit: int = 100, galaxy: str | None = None) -> list[Act]:
        """The last acts, newest first; of one galaxy if it is named."""

        def ask(connection: sa.Connection) -> list[Act]:
            e = EVENT.c
            undone = sa.exists(sa.select(1).select_from(_UNDOS).where(_UNDOS.c.undoes == e.event_id))
            fields = [e[name] for name in Act.__struct_fields__[:-1]]
            asked = sa.select(*fields, undone.label("undone")).order_by(e.seq.desc())
            if galaxy is not None:
                asked = asked.where(e.galaxy == galaxy)
            return [Act(**dict(row)) for row in connection.execute(asked.limit(limit)).mappings()]

        return self._database.read(ask, [])

    def origins(self, seqs: Sequence[int]) -> dict[int, str]:
        """Origins of some labels, by the number of their entry."""

        def ask(connection: sa.Connection) -> dict[int, str]:
            found: dict[int, str] = {}
            for start in range(0, len(seqs), _AT_ONCE):
                some = seqs[start : start + _AT_ONCE]
                asked = sa.select(EVENT.c.seq, ORIGIN.c.text).join(ORIGIN, EVENT.c.origin == ORIGIN.c.name)
                found.update((seq, text) for seq, text in connection.execute(asked.where(EVENT.c.seq.in_(some))))
            return found

        return self._database.read(ask, {})

    def collections(self, at: int | None = None, *, dropped: bool = False) -> list[Collection]:
        """The newest revision of each collection, by name, without its members: those that are listed, or those that
        were dropped; as of a revision of the history where one is named."""

        def ask(connection: sa.Connection) -> list[Collection]:
            c = COLLECTION.c
            newest = sa.select(sa.func.max(c.seq)).group_by(c.name)
            newest = newest if at is None else newest.where(c.seq <= at)
            gone = c.name.in_(_dropped(at))
            asked = _collections().where(c.seq.in_(newest), gone if dropped else ~gone).order_by(c.name)
            return [Collection(**dict(row)) for row in connection.execute(asked).mappings()]

        return self._database.read(ask, [])

    def collection(self, name: str, revision: int = 0) -> Collection:
        """A collection with its members, in order; 0 stands for its newest revision.

        Raises
        ------
        InputError
            If there is none of that name, or no such revision; a dropped one has its revisions, and no newest.
        """

        def ask(connection: sa.Connection) -> Collection | None:
            c = COLLECTION.c
            asked = _collections(c.members).where(c.name == name)
            asked = asked.where(c.revision == revision) if revision else _newest(asked)
            row = connection.execute(asked).mappings().one_or_none()
            if row is None:
                return None
            return Collection(**{**row, "members": _unpacked(row["members"])})

        found = self._database.read(ask, None)
        if found is None:
            which = f"revision {revision} of the collection" if revision else "collection"
            raise InputError(f"there is no {which} {shorten(name)!r} here")
        return found


def beside(atlas: Path) -> Path:
    """Address of an atlas's labels by default."""
    return atlas / FILE


_UNDOS, _ACTS = EVENT.alias("undos"), EVENT.alias("acts")


def _cluster_name(row: sa.RowMapping) -> ClusterName:
    told = {name: row[name] for name in ("identity", "space", "scale", "share")}
    cluster = NamedCluster(**told, members=_unpacked(row["members"]))
    return ClusterName(row["seq"], row["label"], row["who"], row["at"], cluster)


def _packed(members: Sequence[Member]) -> bytes:
    return zlib.compress(msgspec.json.encode(members))


def _unpacked(members: bytes) -> tuple[Member, ...]:
    return _MEMBERS.decode(zlib.decompress(members))


def _collections(*more: Any) -> sa.Select[Any]:
    c = COLLECTION.c
    return sa.select(c.name, c.revision, c.size, EVENT.c.note, EVENT.c.who, EVENT.c.at, *more).join(
        EVENT, EVENT.c.seq == c.seq
    )


def _newest(asked: sa.Select[Any]) -> sa.Select[Any]:
    c = COLLECTION.c
    return asked.where(c.name.not_in(_dropped(None))).order_by(c.revision.desc()).limit(1)


def _dropped(at: int | None) -> sa.Select[Any]:
    """Names of the collections whose last act was to be dropped."""
    last = sa.select(sa.func.max(_ACTS.c.seq)).where(_ACTS.c.kind.in_(OF_COLLECTIONS)).group_by(_ACTS.c.label)
    last = last if at is None else last.where(_ACTS.c.seq <= at)
    drops = EVENT.alias("drops")
    return sa.select(drops.c.label).where(drops.c.kind == "drop", drops.c.seq.in_(last))


def _revision(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(EVENT.c.seq))).scalar() or 0


def _known(connection: sa.Connection, ids: list[str]) -> dict[str, tuple[str, str, str]]:
    """Kind, person and label of the ids that were kept before."""
    e, found = EVENT.c, {}
    for start in range(0, len(ids), _AT_ONCE):
        asked = sa.select(e.event_id, e.kind, e.who, e.label).where(e.event_id.in_(ids[start : start + _AT_ONCE]))
        found.update({row[0]: (row[1], row[2], row[3]) for row in connection.execute(asked)})
    return found


def _require_same(entry: Entry, kept: tuple[str, str, str]) -> None:
    kind, who, label = _kept_as(entry)
    # The label of an undo is that of what it took back.
    if (kind, who) != kept[:2] or (kind != "undo" and label != kept[2]):
        raise InputError(f"the id {entry.id} was given to something else; make a new one for each act")


def _kept_as(entry: Entry) -> tuple[str, str, str]:
    """Kind, person and label that an entry has in the history."""
    return ("collection", entry.who, entry.to) if entry.kind == "rename" else (entry.kind, entry.who, entry.label)


def _values(connection: sa.Connection, entry: Entry, at: str) -> dict[str, Any]:
    origin = None
    if entry.origin:
        origin = hashlib.sha256(entry.origin.encode()).hexdigest()[:24]
        if connection.execute(sa.select(ORIGIN.c.name).where(ORIGIN.c.name == origin)).first() is None:
            connection.execute(ORIGIN.insert(), {"name": origin, "text": entry.origin})
    return {
        "event_id": entry.id, "kind": entry.kind, "who": entry.who, "at": at, "galaxy": entry.galaxy,
        "ra_deg": entry.ra_deg, "dec_deg": entry.dec_deg, "label": entry.label if entry.kind != "clear" else "",
        "key": entry.key, "grade": entry.grade, "note": entry.note, "origin": origin, "rank": entry.rank,
        "undoes": None,
    }  # fmt: skip


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(EVENT.insert(), rows)


def _add_one(connection: sa.Connection, entry: Entry, values: dict[str, Any]) -> None:
    """An act that depends on those before it."""
    if entry.kind == "undo":
        _insert(connection, [values | _undone(connection, entry.who)])
    elif entry.kind == "collection":
        _insert(connection, [values])
        _keep_members(connection, entry.id, entry.label, len(entry.members), _packed(entry.members))
    elif entry.kind == "name" and entry.cluster is not None:
        _insert(connection, [values])
        told = {name: getattr(entry.cluster, name) for name in ("identity", "space", "scale", "share")}
        row = {"seq": _number(connection, entry.id), **told, "members": _packed(entry.cluster.members)}
        connection.execute(CLUSTER.insert(), row)
    elif entry.kind == "rename":
        size, members = _listed(connection, entry.label)
        events = [values | {"kind": "collection", "label": entry.to}]
        if entry.to != entry.label:
            if _is_listed(connection, entry.to):
                raise InputError(f"there is a collection {shorten(entry.to)!r} already: choose another name")
            events[0]["note"] = entry.note or f"was {entry.label}"
            events.append(values | {"kind": "drop", "event_id": f"{entry.id[:59]}-drop"})
        _insert(connection, events)
        _keep_members(connection, entry.id, entry.to, size, members)
    else:
        if (entry.kind == "drop") != _is_listed(connection, entry.label):
            raise InputError(f"there is no collection {shorten(entry.label)!r} to {entry.kind}")
        _insert(connection, [values])


def _keep_members(connection: sa.Connection, event_id: str, name: str, size: int, members: bytes) -> None:
    c = COLLECTION.c
    before = connection.execute(sa.select(sa.func.max(c.revision)).where(c.name == name)).scalar() or 0
    row = {"seq": _number(connection, event_id), "name": name, "revision": before + 1, "size": size, "members": members}
    connection.execute(COLLECTION.insert(), row)


def _number(connection: sa.Connection, event_id: str) -> int:
    seq: int = connection.execute(sa.select(EVENT.c.seq).where(EVENT.c.event_id == event_id)).scalar_one()
    return seq


def _is_listed(connection: sa.Connection, name: str) -> bool:
    c = COLLECTION.c
    return connection.execute(_newest(sa.select(c.seq).where(c.name == name))).first() is not None


def _listed(connection: sa.Connection, name: str) -> tuple[int, bytes]:
    """Size and members, as they are stored, of a collection's newest revision."""
    c = COLLECTION.c
    found = connection.execute(_newest(sa.select(c.size, c.members).where(c.name == name))).first()
    if found is None:
        raise InputError(f"there is no collection {shorten(name)!r} here")
    return found[0], found[1]


def _undone(connection: sa.Connection, who: str) -> dict[str, Any]:
    """Act that an undo takes back: the person's last act that stands."""
    e = EVENT.c
    undone = sa.select(_UNDOS.c.undoes).where(_UNDOS.c.undoes.is_not(None), _UNDOS.c.who == who)
    asked = sa.select(e.event_id, e.galaxy, e.ra_deg, e.dec_deg, e.label).where(
        e.who == who, e.kind.in_(("label", "clear", "name")), e.event_id.not_in(undone)
    )
    last = connection.execute(asked.order_by(e.seq.desc()).limit(1)).mappings().first()
    if last is None:
        raise InputError("there is nothing of yours to undo")
    return {"undoes": last["event_id"], **{name: last[name] for name in ("galaxy", "ra_deg", "dec_deg", "label")}}
