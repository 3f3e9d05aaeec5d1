"""Configurations, deploys and nightly runs (spec §5, §7, §10)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("backups", sa.Column("archive_directory", _TEXT))
    op.create_table(
        "configurations",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("staged", sa.JSON, nullable=False),
        sa.Column("deployed", sa.JSON, nullable=False),
        sa.Column("nightly_since", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deploys",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("is_running", sa.Boolean, nullable=False),
        sa.Column("percent_complete", sa.Integer, nullable=False),
        sa.Column("initiated_by", _TEXT, nullable=False),
        sa.Column("initiated_from", _TEXT),
        sa.Column("hosts", sa.JSON, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("time_initiated", sa.BigInteger, nullable=False),
        sa.Column("time_completed", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    running = sa.column("is_running", sa.Boolean) == sa.true()
    op.create_index(
        "ux_deploys_running",
        "deploys",
        ["is_running"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "nightly_runs",
        sa.Column("due", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("host_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(16), primary_key=True),
    )
