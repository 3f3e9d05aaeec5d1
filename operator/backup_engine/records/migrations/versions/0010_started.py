"""When the work on a backup began first: its time limit goes on through a crash (spec §5.0)."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("backups", sa.Column("time_started", sa.BigInteger))
