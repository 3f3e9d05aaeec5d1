"""The tables, as SQLAlchemy Core; ``migrations/`` makes them, a test compares the two."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    true,
)

from backup_api.backups import RUNNING
from backup_api.restores import OPEN_RESTORE

METADATA: Final = MetaData()

# Text sorts and compares by code point on every database (spec §14 no. 9).
_TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
_ID: Final = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts up by itself


BACKUPS: Final = Table(
    "backups",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("configuration_id", BigInteger, nullable=False),
    Column("host_id", BigInteger, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("description", _TEXT),
    Column("type", String(16), nullable=False),
    Column("version", _TEXT, nullable=False),
    Column("build_version", _TEXT, nullable=False),
    Column("time_initiated", BigInteger, nullable=False),  # epoch ms
    Column("time_completed", BigInteger),  # epoch ms
    Column("initiated_by", _TEXT, nullable=False),
    Column("status", String(16), nullable=False),
    Column("size_on_disk", BigInteger, nullable=False),  # bytes
    Column("content_file_path", _TEXT),
    Column("is_valid", Boolean, nullable=False),
    Column("is_version_compatible", Boolean, nullable=False),
    Column("app_deployment_location", String(16), nullable=False),
    Column("is_on_demand", Boolean, nullable=False),
    Column("archive_name", _TEXT, nullable=False),
    Column("archive_directory", _TEXT),  # null: where the settings say
    Column("failure_reason", _TEXT),
    Column("failure_message", _TEXT),
    Column("time_started", BigInteger),  # epoch ms; of the first of its captures, if resumed
    sqlite_autoincrement=True,  # an id is never given twice, not even after the newest is deleted
)

# Scheduled runs all have one name and never collide (spec §12 no. 17, §14 no. 17).
Index(
    "ux_backups_name_on_demand",
    BACKUPS.c.name,
    unique=True,
    sqlite_where=BACKUPS.c.is_on_demand == true(),
    postgresql_where=BACKUPS.c.is_on_demand == true(),
)

_IS_RUNNING: Final = BACKUPS.c.status.in_(sorted(RUNNING))

# At most one running backup per host: code 1015 (spec §3.2).
Index(
    "ux_backups_running_host",
    BACKUPS.c.host_id,
    unique=True,
    sqlite_where=_IS_RUNNING,
    postgresql_where=_IS_RUNNING,
)

Index("ix_backups_status", BACKUPS.c.status)
# What clients sort by; the rest of the members sorts 100 000 records well enough without.
Index("ix_backups_time_initiated", BACKUPS.c.time_initiated, BACKUPS.c.id)
Index("ix_backups_name", BACKUPS.c.name, BACKUPS.c.id)

CONFIGURATIONS: Final = Table(
    "configurations",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("staged", JSON, nullable=False),
    Column("deployed", JSON, nullable=False),
    Column("nightly_since", BigInteger, nullable=False),  # epoch ms; no run is due from before
)

HOSTS: Final = Table(
    "hosts",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("uid", String(64), nullable=False),  # of its BackupHost
    Column("name", _TEXT, nullable=False),
    Column("staged", JSON(none_as_null=True)),  # null: its BackupHost is gone
    Column("deployed", JSON(none_as_null=True)),  # null: not in force
    Column("status", String(64), nullable=False),
    Column("reason", _TEXT),
    Column("message", _TEXT),
    sqlite_autoincrement=True,
)

# However many engines see a new BackupHost, it becomes one host.
Index("ux_hosts_uid", HOSTS.c.uid, unique=True)

DEPLOYS: Final = Table(
    "deploys",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("type", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("is_running", Boolean, nullable=False),
    Column("percent_complete", Integer, nullable=False),
    Column("initiated_by", _TEXT, nullable=False),
    Column("initiated_from", _TEXT),
    Column("hosts", JSON, nullable=False),
    Column("configuration", JSON, nullable=False),  # what was staged as it began
    Column("host_versions", JSON(none_as_null=True)),  # the same of the hosts it is about
    Column("time_initiated", BigInteger, nullable=False),  # epoch ms
    Column("time_completed", BigInteger),  # epoch ms
    sqlite_autoincrement=True,
)

# At most one deploy runs: code 1002 (spec §7.2).
Index(
    "ux_deploys_running",
    DEPLOYS.c.is_running,
    unique=True,
    sqlite_where=DEPLOYS.c.is_running == true(),
    postgresql_where=DEPLOYS.c.is_running == true(),
)

# One nightly run per host and night, on however many engines: the key decides.
NIGHTLY_RUNS: Final = Table(
    "nightly_runs",
    METADATA,
    Column("due", BigInteger, primary_key=True, autoincrement=False),  # epoch ms
    Column("host_id", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(16), primary_key=True),
)

SESSION_KEYS: Final = Table(
    "session_keys",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(64), nullable=False),  # hex
)

ENDED_SESSIONS: Final = Table(
    "ended_sessions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("until", BigInteger, nullable=False),  # epoch s
)

# What is known of the archive of a backup; no row: nothing yet.
VERIFICATIONS: Final = Table(
    "verifications",
    METADATA,
    Column("backup_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", _TEXT),
    Column("message", _TEXT),
    Column("depth", String(16)),
    Column("time_verified", BigInteger),  # epoch ms
    Column("time_requested", BigInteger),  # epoch ms
    Column("kinds", JSON),  # [[apiVersion, resource, is_defined]], what the archive needs served
    Column("incompatibilities", JSON),
    Column("conversions", JSON),
    Column("compatibility_basis", String(64)),  # digest of what it was judged against
)

# When the archives of a directory were last looked at; "" is the archive URL's own.
ARCHIVE_LOOKS: Final = Table(
    "archive_looks",
    METADATA,
    Column("directory", _TEXT, primary_key=True),
    Column("time_seen", BigInteger, nullable=False),  # epoch ms
)

# What a running capture has finished, so that another process can go on (ADR 8).
CAPTURE_JOURNAL: Final = Table(
    "capture_journal",
    METADATA,
    Column("backup_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("entry", _TEXT, nullable=False),
)

# The volumes of a DATA backup, as chosen when it began, and what became of each.
BACKUP_VOLUMES: Final = Table(
    "backup_volumes",
    METADATA,
    Column("backup_id", BigInteger, primary_key=True, autoincrement=False),
    Column("namespace", String(63), primary_key=True),
    Column("claim", String(253), primary_key=True),
    Column("tolerate_empty", Boolean, nullable=False),
    Column("tolerate_unreadable", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("snapshot_id", String(64)),
    Column("size_bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("unreadable_files", BigInteger, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("files_done", BigInteger, nullable=False),
    Column("reason", _TEXT),
    Column("message", _TEXT),
    Column("volume_snapshot", String(16), nullable=False, server_default="Never"),
    Column("volume_snapshot_class", String(253)),
)

# What is run around the reading of them: kept, so that an engine that starts anew owes it, too.
BACKUP_HOOKS: Final = Table(
    "backup_hooks",
    METADATA,
    Column("backup_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stage", String(16), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),  # as the BackupHost had it
    Column("status", String(16), nullable=False),
    Column("pods", JSON, nullable=False),  # how it went in each
    Column("reason", _TEXT),
    Column("message", _TEXT),
)

VOLUME_RESTORES: Final = Table(
    "volume_restores",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("backup_id", BigInteger, nullable=False),
    Column("host_id", BigInteger, nullable=False),
    Column("initiated_by", _TEXT, nullable=False),
    Column("status", String(16), nullable=False),
    Column("time_initiated", BigInteger, nullable=False),  # epoch ms
    Column("time_completed", BigInteger),  # epoch ms
    Column("key", String(100)),  # the caller's own name for it
    Column("request", String(80)),  # digest of what was asked for under the key
    sqlite_autoincrement=True,
)

Index("ix_volume_restores_status", VOLUME_RESTORES.c.status)
Index("ux_volume_restores_key", VOLUME_RESTORES.c.key, unique=True)

VOLUME_RESTORE_TARGETS: Final = Table(
    "volume_restore_targets",
    METADATA,
    Column("restore_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wish", JSON, nullable=False),  # as it was asked for
    Column("snapshot_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("files_done", BigInteger, nullable=False),
    Column("reason", _TEXT),
    Column("message", _TEXT),
    Column("size", BigInteger),  # bytes of the whole snapshot; null: of paths, or not known
    Column("files", BigInteger),
)

RESTORES: Final = Table(
    "restores",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("initiated_by", _TEXT, nullable=False),
    Column("host_id", BigInteger, nullable=False),
    Column("time_initiated", BigInteger, nullable=False),  # epoch ms
    Column("time_launched", BigInteger),  # epoch ms
    Column("time_completed", BigInteger),  # epoch ms
    Column("status", String(16), nullable=False),
    Column("is_running", Boolean, nullable=False),
    Column("is_recorded", Boolean, nullable=False),  # false: deleted while it ran
    Column("is_cross_deployment_restore", Boolean, nullable=False),
    Column("backup_id", BigInteger),  # null once it has ended
    Column("backup_name", _TEXT, nullable=False),
    Column("backup_version", _TEXT, nullable=False),
    Column("backup_type", String(16), nullable=False),
    Column("backup_filename", _TEXT, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    sqlite_autoincrement=True,
)

_IS_OPEN: Final = RESTORES.c.status.in_(sorted(OPEN_RESTORE)) & (RESTORES.c.is_recorded == true())

# At most one open record: code 1011 (spec §4.2).
Index(
    "ux_restores_open",
    RESTORES.c.is_recorded,
    unique=True,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)

# At most one runs, with or without its record: code 1016 (spec §14 no. 20).
Index(
    "ux_restores_running",
    RESTORES.c.is_running,
    unique=True,
    sqlite_where=RESTORES.c.is_running == true(),
    postgresql_where=RESTORES.c.is_running == true(),
)

# The plan of each restore; ``number`` counts up whenever an older computation has become worthless.
RESTORE_PLANS: Final = Table(
    "restore_plans",
    METADATA,
    Column("restore_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("summary", JSON, nullable=False),
)

RESTORE_PLAN_ITEMS: Final = Table(
    "restore_plan_items",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("restore_id", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),  # of the plan
    Column("action", String(16), nullable=False),
    Column("api_version", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("namespace", _TEXT),
    Column("name", _TEXT, nullable=False),
    Column("reason", _TEXT),
    Column("message", _TEXT),
    Column("changes", JSON, nullable=False),
)

Index(
    "ix_restore_plan_items_order",
    RESTORE_PLAN_ITEMS.c.restore_id,
    RESTORE_PLAN_ITEMS.c.number,
    RESTORE_PLAN_ITEMS.c.api_version,
    RESTORE_PLAN_ITEMS.c.kind,
    RESTORE_PLAN_ITEMS.c.namespace,
    RESTORE_PLAN_ITEMS.c.name,
)

RESTORE_FAILURES: Final = Table(
    "restore_failures",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("restore_id", BigInteger, nullable=False),
    Column("api_version", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("namespace", _TEXT),
    Column("name", _TEXT, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("message", _TEXT),
)

Index("ix_restore_failures_restore", RESTORE_FAILURES.c.restore_id)

# Which engine works on what, until when unless it asks for more (ADR 7).
CLAIMS: Final = Table(
    "claims",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("token", String(32), nullable=False, unique=True),  # of this taking alone
    Column("holder", _TEXT, nullable=False),  # for people: machine and process
    Column("until", BigInteger, nullable=False),  # epoch ms by the database's clock
)
