"""Names of the requests that the way of an object is made of."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

CHECK_NAME = "look for the name"
ADD_FINALIZER = "store the finalizer"
REMOVE_FINALIZER = "remove the finalizer"
STORE_ATTEMPT = "store the attempt"
POST = "POST the backup"
STORE_ID = "store the id"
STORE_STATUS = "store the status"
READ_RECORD = "read the record"
POLL = "poll the records"
DELETE = "DELETE the record"

CREATE_BACKUP = "create the Backup"
CANCEL_BACKUP = "cancel the Backup before it"
MARK_EXPIRED = "mark the expired Backup"
DELETE_BACKUP = "delete the expired Backup"
STORE_SCHEDULE = "store the schedule's status"

READ_STAGED = "read the staged configuration"
READ_DEPLOYED = "read the deployed configuration"
READ_DEPLOY = "read the state of the deploy"
STAGE = "POST the staged configuration"
DEPLOY = "POST the deploy"

LIST_RESTORES = "look for open restores"
POST_RESTORE = "POST the restore"
READ_RESTORE = "read the restore"
STORE_LAUNCH = "store the launch"
LAUNCH = "POST the launch"
DROP_RESTORE = "DELETE the restore"

PLAN_VOLUMES = "POST the plan of volumes"
POST_VOLUMES = "POST the restore of volumes"
READ_VOLUMES = "read the restore of volumes"

UNTIL_ITS_END = frozenset({POLL, STORE_STATUS})
"""What is done until a backup has ended, however often."""

FAMILY = "/api/backup_and_restore"
BACKUPS = f"{FAMILY}/backups"
RESTORES = f"{FAMILY}/restores"
VOLUME_PLANS = "/api/backup_engine/volume_plans"
VOLUME_RESTORES = "/api/backup_engine/volume_restores"
STAGED = "/api/staged_config/backup_and_restore/scheduled_backup_configurations/"
DEPLOYED = "/api/config/backup_and_restore/scheduled_backup_configurations/"
DEPLOY_STATUS = "/api/staged_config/deploy_status"


def name_cluster_step(method: str, path: str, body: Any) -> str | None:  # noqa: ANN401 - JSON
    """Name a request to the API server; None: it changes none of our objects."""
    if "/backups" in path and "/apis/backup-operator.io/" in path:
        if method == "POST":
            return CREATE_BACKUP
        if method == "DELETE":
            return DELETE_BACKUP
    if method != "PATCH":
        return None
    if "/backupschedules/" in path:
        return STORE_SCHEDULE
    if "/backups/" in path or "/restores/" in path:
        return _name_change(body)
    return STORE_STATUS if "/backupconfigurations/" in path else None


def _name_change(body: Any) -> str:  # noqa: ANN401 - JSON
    metadata, status = body.get("metadata", {}), body.get("status", {})
    if metadata.get("finalizers") is not None:
        return ADD_FINALIZER if metadata["finalizers"] else REMOVE_FINALIZER
    if "annotations" in metadata:
        return MARK_EXPIRED
    if "spec" in body:
        return CANCEL_BACKUP
    if "submission" in status:
        return STORE_ATTEMPT
    if "launch" in status:
        return STORE_LAUNCH
    return STORE_ID if "id" in status else STORE_STATUS


def name_engine_step(method: str, url: str, range_header: str) -> str | None:
    """Name a request to an engine; None: it is about the engine itself."""
    parts = urlsplit(url)
    if parts.path.startswith(BACKUPS):
        asked = " ".join(parse_qs(parts.query).get("filter", []))
        return _name_backup_step(method, parts.path, asked, range_header)
    if parts.path.startswith(RESTORES):
        return _name_restore_step(method, parts.path)
    if parts.path == DEPLOY_STATUS:
        return DEPLOY if method == "POST" else READ_DEPLOY
    if parts.path.startswith(STAGED):
        return STAGE if method == "POST" else READ_STAGED
    return (
        READ_DEPLOYED if parts.path.startswith(DEPLOYED) else _name_volume_step(method, parts.path)
    )


def _name_backup_step(method: str, path: str, asked: str, range_header: str) -> str | None:
    if method == "POST" and path == BACKUPS:
        return POST
    if method == "DELETE":
        return DELETE
    if path != BACKUPS:
        return READ_RECORD
    if "name =" in asked:
        return CHECK_NAME
    return None if range_header == "items=0-0" or "id >=" in asked else POLL


def _name_restore_step(method: str, path: str) -> str:
    if path == RESTORES:
        return POST_RESTORE if method == "POST" else LIST_RESTORES
    return {"POST": LAUNCH, "DELETE": DROP_RESTORE}.get(method, READ_RESTORE)


def _name_volume_step(method: str, path: str) -> str | None:
    if path.startswith(VOLUME_RESTORES):
        return POST_VOLUMES if method == "POST" else READ_VOLUMES
    return PLAN_VOLUMES if path == VOLUME_PLANS else None
