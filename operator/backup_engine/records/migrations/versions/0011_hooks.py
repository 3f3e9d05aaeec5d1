"""Hooks around the reading of volumes, and snapshots that the storage makes of them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    mode = sa.Column("volume_snapshot", sa.String(16), nullable=False, server_default="Never")
    op.add_column("backup_volumes", mode)
    op.add_column("backup_volumes", sa.Column("volume_snapshot_class", sa.String(253)))
    op.create_table(
        "backup_hooks",
        sa.Column("backup_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("definition", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("pods", sa.JSON, nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
    )
