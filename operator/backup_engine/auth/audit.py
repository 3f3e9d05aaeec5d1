"""The audit log: one line for each request that would change something."""

import logging
from dataclasses import dataclass
from typing import Final

AUDIT: Final = logging.getLogger("backup_engine.audit")


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who wanted what, and what came of it; ``code`` 0: not refused."""

    who: str
    client: str
    what: str
    subject: str
    http_status: int
    code: int
    request_id: str


def write_audit(line: AuditLine) -> None:
    """Write one line; values of strangers are quoted, so that none can forge a line."""
    AUDIT.info(
        "who=%r client=%r what=%r subject=%r status=%d code=%d request=%s",
        line.who,
        line.client,
        line.what,
        line.subject,
        line.http_status,
        line.code,
        line.request_id,
    )
