"""Keys of restores of volumes, so that one may be asked for twice; sizes of their volumes."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("volume_restores", sa.Column("key", sa.String(100)))
    op.add_column("volume_restores", sa.Column("request", sa.String(80)))
    op.create_index("ux_volume_restores_key", "volume_restores", ["key"], unique=True)
    op.add_column("volume_restore_targets", sa.Column("size", sa.BigInteger))
    op.add_column("volume_restore_targets", sa.Column("files", sa.BigInteger))
