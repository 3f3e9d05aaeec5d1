"""Volumes of DATA backups, and restores of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "backup_volumes",
        sa.Column("backup_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("namespace", sa.String(63), primary_key=True),
        sa.Column("claim", sa.String(253), primary_key=True),
        sa.Column("tolerate_empty", sa.Boolean, nullable=False),
        sa.Column("tolerate_unreadable", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("snapshot_id", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("unreadable_files", sa.BigInteger, nullable=False),
        sa.Column("bytes_done", sa.BigInteger, nullable=False),
        sa.Column("files_done", sa.BigInteger, nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
    )
    op.create_table(
        "volume_restores",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("backup_id", sa.BigInteger, nullable=False),
        sa.Column("host_id", sa.BigInteger, nullable=False),
        sa.Column("initiated_by", _TEXT, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("time_initiated", sa.BigInteger, nullable=False),
        sa.Column("time_completed", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_volume_restores_status", "volume_restores", ["status"])
    op.create_table(
        "volume_restore_targets",
        sa.Column("restore_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("wish", sa.JSON, nullable=False),
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("bytes_done", sa.BigInteger, nullable=False),
        sa.Column("files_done", sa.BigInteger, nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
    )
