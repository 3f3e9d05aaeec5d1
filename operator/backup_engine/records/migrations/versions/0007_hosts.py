"""Hosts, staged and deployed, and what a deploy puts in force of them (spec §6, §7)."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_CONSOLE = {"definition": {"type": "Console"}}


def upgrade() -> None:
    hosts = op.create_table(
        "hosts",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("staged", sa.JSON(none_as_null=True)),
        sa.Column("deployed", sa.JSON(none_as_null=True)),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("message", _TEXT),
        sqlite_autoincrement=True,
    )
    op.create_index("ux_hosts_uid", "hosts", ["uid"], unique=True)
    # Without an id of its own: the counter has to know that 1 is the console's (spec §6).
    op.execute(
        hosts.insert().values(
            uid="console", name="console", staged=_CONSOLE, deployed=_CONSOLE, status="Active"
        )
    )
    op.add_column("deploys", sa.Column("host_versions", sa.JSON(none_as_null=True)))
