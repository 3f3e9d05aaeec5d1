"""What is known of archives, and the journal of captures (architecture §3)."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "verifications",
        sa.Column("backup_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
        sa.Column("depth", sa.String(16)),
        sa.Column("time_verified", sa.BigInteger),
        sa.Column("time_requested", sa.BigInteger),
        sa.Column("kinds", sa.JSON),
        sa.Column("incompatibilities", sa.JSON),
        sa.Column("conversions", sa.JSON),
        sa.Column("compatibility_basis", sa.String(64)),
    )
    op.create_table(
        "archive_looks",
        sa.Column("directory", _TEXT, primary_key=True),
        sa.Column("time_seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "capture_journal",
        sa.Column("backup_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("entry", _TEXT, nullable=False),
    )
