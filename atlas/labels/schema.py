"""Tables of the labels. A change here is a step in `migrations/versions`, and `HEAD` its name.

label_event         append-only: seq counts what was kept, in the order in which it became visible
label_origin        where galaxies were found, each text once, by the hash of it
label_collection    members of the collections, a row a revision
label_cluster       clusters that were named, each with some of its members
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

HEAD = "0002"
METADATA = MetaData()
_SEQ = BigInteger().with_variant(Integer, "sqlite")

EVENT = Table(
    "label_event",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("kind", String(12), nullable=False),
    Column("who", String(60), nullable=False),
    Column("at", String(32), nullable=False),
    Column("galaxy", String(200), nullable=False),
    Column("ra_deg", Float(53)),
    Column("dec_deg", Float(53)),
    Column("label", String(40), nullable=False),
    Column("key", Integer, nullable=False),
    Column("grade", String(20), nullable=False),
    Column("note", String(500), nullable=False),
    Column("origin", String(24)),
    Column("rank", Integer),
    Column("undoes", String(64)),
    Index("label_event_galaxy", "galaxy", "who", "seq"),
    Index("label_event_who", "who", "seq"),
    Index("label_event_undoes", "undoes"),
    sqlite_autoincrement=True,  # a number is never given twice
)
ORIGIN = Table(
    "label_origin",
    METADATA,
    Column("name", String(24), primary_key=True),
    Column("text", Text, nullable=False),
)
COLLECTION = Table(
    "label_collection",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("name", String(40), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("members", LargeBinary, nullable=False),
    Index("label_collection_name", "name", "revision", unique=True),
)
CLUSTER = Table(
    "label_cluster",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("identity", String(64), nullable=False),
    Column("space", String(200), nullable=False),
    Column("scale", String(40), nullable=False),
    Column("share", Float(53), nullable=False),
    Column("members", LargeBinary, nullable=False),
    Index("label_cluster_identity", "identity", "seq"),
)
