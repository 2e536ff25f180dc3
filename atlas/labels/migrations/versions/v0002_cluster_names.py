"""Names of clusters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "label_cluster",
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("space", sa.String(200), nullable=False),
        sa.Column("scale", sa.String(40), nullable=False),
        sa.Column("share", sa.Float(53), nullable=False),
        sa.Column("members", sa.LargeBinary, nullable=False),
    )
    op.create_index("label_cluster_identity", "label_cluster", ["identity", "seq"])
