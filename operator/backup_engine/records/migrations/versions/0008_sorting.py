"""Indexes to sort many backups by (spec §2.9)."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("ix_backups_time_initiated", "backups", ["time_initiated", "id"])
    op.create_index("ix_backups_name", "backups", ["name", "id"])
