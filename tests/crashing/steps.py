"""Names of the requests that one Backup's way is made of."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

BACKUPS = "/api/backup_and_restore/backups"

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


def name_cluster_step(method: str, path: str, body: Any) -> str | None:  # noqa: ANN401 - JSON
    """Name a request to the API server; None: it is not about a Backup."""
    if method != "PATCH" or "/backups/" not in path:
        return None
    finalizers = body.get("metadata", {}).get("finalizers")
    if finalizers is not None:
        return ADD_FINALIZER if finalizers else REMOVE_FINALIZER
    status = body.get("status", {})
    if "submission" in status:
        return STORE_ATTEMPT
    return STORE_ID if "id" in status else STORE_STATUS


def name_engine_step(method: str, url: str, range_header: str) -> str | None:
    """Name a request to an engine; None: it is about the engine itself."""
    parts = urlsplit(url)
    if not parts.path.startswith(BACKUPS):
        return None
    if method == "POST" and parts.path == BACKUPS:
        return POST
    if method == "DELETE":
        return DELETE
    if parts.path != BACKUPS:
        return READ_RECORD
    asked = " ".join(parse_qs(parts.query).get("filter", []))
    if "name =" in asked:
        return CHECK_NAME
    return None if range_header == "items=0-0" or "id >=" in asked else POLL
