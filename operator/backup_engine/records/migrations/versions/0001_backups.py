"""The table of backups (spec §3.0)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "backups",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("configuration_id", sa.BigInteger, nullable=False),
        sa.Column("host_id", sa.BigInteger, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("build_version", _TEXT, nullable=False),
        sa.Column("time_initiated", sa.BigInteger, nullable=False),
        sa.Column("time_completed", sa.BigInteger),
        sa.Column("initiated_by", _TEXT, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("size_on_disk", sa.BigInteger, nullable=False),
        sa.Column("content_file_path", _TEXT),
        sa.Column("is_valid", sa.Boolean, nullable=False),
        sa.Column("is_version_compatible", sa.Boolean, nullable=False),
        sa.Column("app_deployment_location", sa.String(16), nullable=False),
        sa.Column("is_on_demand", sa.Boolean, nullable=False),
        sa.Column("archive_name", _TEXT, nullable=False),
        sa.Column("failure_reason", _TEXT),
        sa.Column("failure_message", _TEXT),
        sqlite_autoincrement=True,
    )
    on_demand = sa.column("is_on_demand", sa.Boolean) == sa.true()
    op.create_index(
        "ux_backups_name_on_demand",
        "backups",
        ["name"],
        unique=True,
        sqlite_where=on_demand,
        postgresql_where=on_demand,
    )
    running = sa.column("status", sa.String).in_(["INITIALIZING", "IN_PROGRESS"])
    op.create_index(
        "ux_backups_running_host",
        "backups",
        ["host_id"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_index("ix_backups_status", "backups", ["status"])
