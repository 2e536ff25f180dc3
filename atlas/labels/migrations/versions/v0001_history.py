"""The history, its origins and collections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "label_event",
        sa.Column("seq", seq, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(64), nullable=False, unique=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("who", sa.String(60), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("galaxy", sa.String(200), nullable=False),
        sa.Column("ra_deg", sa.Float(53)),
        sa.Column("dec_deg", sa.Float(53)),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("grade", sa.String(20), nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("origin", sa.String(24)),
        sa.Column("rank", sa.Integer),
        sa.Column("undoes", sa.String(64)),
        sqlite_autoincrement=True,
    )
    op.create_index("label_event_galaxy", "label_event", ["galaxy", "who", "seq"])
    op.create_index("label_event_who", "label_event", ["who", "seq"])
    op.create_index("label_event_undoes", "label_event", ["undoes"])
    op.create_table(
        "label_origin",
        sa.Column("name", sa.String(24), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "label_collection",
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
    )
    op.create_index("label_collection_name", "label_collection", ["name", "revision"], unique=True)
