"""Restores, their plans and what they could not restore (spec §4)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "restores",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("initiated_by", _TEXT, nullable=False),
        sa.Column("host_id", sa.BigInteger, nullable=False),
        sa.Column("time_initiated", sa.BigInteger, nullable=False),
        sa.Column("time_launched", sa.BigInteger),
        sa.Column("time_completed", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("is_running", sa.Boolean, nullable=False),
        sa.Column("is_recorded", sa.Boolean, nullable=False),
        sa.Column("is_cross_deployment_restore", sa.Boolean, nullable=False),
        sa.Column("backup_id", sa.BigInteger),
        sa.Column("backup_name", _TEXT, nullable=False),
        sa.Column("backup_version", _TEXT, nullable=False),
        sa.Column("backup_type", sa.String(16), nullable=False),
        sa.Column("backup_filename", _TEXT, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    is_open = sa.and_(
        sa.column("status", sa.String).in_(
            ["INITIALIZING", "IN_PROGRESS", "PENDING", "REQUESTING"]
        ),
        sa.column("is_recorded", sa.Boolean) == sa.true(),
    )
    op.create_index(
        "ux_restores_open",
        "restores",
        ["is_recorded"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    running = sa.column("is_running", sa.Boolean) == sa.true()
    op.create_index(
        "ux_restores_running",
        "restores",
        ["is_running"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "restore_plans",
        sa.Column("restore_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
    )
    op.create_table(
        "restore_plan_items",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("restore_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("api_version", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("namespace", _TEXT),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
        sa.Column("changes", sa.JSON, nullable=False),
    )
    op.create_index(
        "ix_restore_plan_items_order",
        "restore_plan_items",
        ["restore_id", "number", "api_version", "kind", "namespace", "name"],
    )
    op.create_table(
        "restore_failures",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("restore_id", sa.BigInteger, nullable=False),
        sa.Column("api_version", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("namespace", _TEXT),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("message", _TEXT),
    )
    op.create_index("ix_restore_failures_restore", "restore_failures", ["restore_id"])
