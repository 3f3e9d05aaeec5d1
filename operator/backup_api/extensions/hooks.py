"""The hooks of a DATA backup: what was run around the reading of its volumes, and how it went."""

from enum import StrEnum
from typing import Annotated, Final

from backup_api.endpoints import Endpoint
from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_BACKUPS
from backup_api.wire import WireRecord, known_word


class HookStage(StrEnum):
    """When a hook is run: before any volume is read, or after the last one was."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"


class HookStatus(StrEnum):
    """How far one hook is; one that is PENDING when its backup has ended was never run."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class HookInPod(WireRecord):
    """One hook in one pod.

    ``exit_code`` None: the command did not run to its end. ``stderr`` is the end of what it said
    there, ``message`` why it could not be run or ended; None: nothing is amiss.
    """

    pod: str
    container: str
    exit_code: int | None = None
    stderr: str = ""
    message: str | None = None


class BackupHook(WireRecord):
    """One hook of a backup; ``number`` counts from 0 in its stage, as the BackupHost has them.

    ``reason`` is a stable CamelCase word, ``message`` explains it; None: nothing is amiss. The
    command is not told: it may hold what is not for everybody who may see backups.
    """

    stage: Annotated[HookStage | None, known_word(HookStage)] = None
    number: int = 0
    namespace: str = ""
    on_error: str = ""
    status: Annotated[HookStatus | None, known_word(HookStatus)] = None
    pods: tuple[HookInPod, ...] = ()
    reason: str | None = None
    message: str | None = None


class ListBackupHooksErrors(EndpointErrors):
    """Refusals of GET /backup_engine/backups/{id}/hooks."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The hooks could not be read."


LIST_BACKUP_HOOKS: Final = Endpoint(
    "GET", EXTENSION_BACKUPS + "/{id}/hooks", 200, ListBackupHooksErrors
)
