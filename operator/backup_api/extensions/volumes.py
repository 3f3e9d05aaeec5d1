"""The volumes of a DATA backup, one by one, and their restore: the appliance's API has neither."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from backup_api.endpoints import Endpoint
from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_BACKUPS, EXTENSIONS
from backup_api.wire import EXACT, WireRecord, WireRequest, known_word


class VolumeStatus(StrEnum):
    """How far one volume is, of a backup or of a restore."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class VolumeRestoreStatus(StrEnum):
    """How far a restore of volumes is."""

    INITIALIZING = "INITIALIZING"
    IN_PROGRESS = "IN_PROGRESS"
    CANCELLING = "CANCELLING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


UNFINISHED: Final = frozenset(
    {
        VolumeRestoreStatus.INITIALIZING,
        VolumeRestoreStatus.IN_PROGRESS,
        VolumeRestoreStatus.CANCELLING,
    }
)


class BackupVolume(WireRecord):
    """One volume of a DATA backup.

    ``size`` is that of its files, before compression and before what they share with other
    snapshots is taken off; known once the snapshot is taken, as ``files`` and ``unreadable_files``
    are. ``bytes_done`` and ``files_done`` grow meanwhile, ``bytes_done`` in rounded steps.
    ``reason`` is a stable CamelCase word, ``message`` explains it; None: nothing is amiss.
    """

    namespace: str
    claim: str
    status: Annotated[VolumeStatus | None, known_word(VolumeStatus)] = None
    snapshot_id: str | None = None
    size: int = 0  # bytes
    files: int = 0
    unreadable_files: int = 0
    bytes_done: int = 0
    files_done: int = 0
    reason: str | None = None
    message: str | None = None


class VolumeWish(WireRequest):
    """One volume to restore, and where to.

    ``target_namespace`` and ``target_claim`` absent: those it came from. ``create_claim``: the
    claim is made, and must not exist; else it must exist, and be empty unless ``paths`` choose
    what is to be overwritten. Paths are relative, ``/`` between their parts.
    """

    model_config = EXACT

    namespace: str | None = None
    claim: str | None = None
    target_namespace: str | None = None
    target_claim: str | None = None
    create_claim: bool = False
    storage_class: str | None = Field(None, description="of a claim to be made; absent: default")
    size: int | None = Field(None, description="bytes, of a claim to be made")
    paths: tuple[str, ...] = ()


class CreateVolumeRestore(WireRequest):
    """Body of POST /backup_engine/volume_restores.

    The backup is ``backup_id``, or the newest good one of ``host_id`` or ``hostname`` that began at
    or before ``point_in_time`` (epoch ms; absent: now). ``key`` is the caller's own name for the
    restore: asked again under the same one, the engine answers with the restore that it has.
    ``approved_plan``: restore only if the plan of this moment has that digest.
    """

    model_config = EXACT

    backup_id: int | None = None
    host_id: int | None = None
    hostname: str | None = None
    point_in_time: int | None = None
    volumes: tuple[VolumeWish, ...] = ()
    key: str | None = Field(None, description="1 to 100 of letters, digits, '_', '-' and '.'")
    approved_plan: str | None = None


class RestoredVolume(WireRecord):
    """One volume of a restore, and how far it is.

    ``size`` and ``files`` are those of the snapshot; None: single paths are restored, whose sizes
    are known once they are. ``bytes_done`` grows in rounded steps, and is exact at the end.
    """

    namespace: str
    claim: str
    target_namespace: str
    target_claim: str
    create_claim: bool = False
    paths: tuple[str, ...] = ()
    snapshot_id: str | None = None
    size: int | None = None  # bytes
    files: int | None = None
    status: Annotated[VolumeStatus | None, known_word(VolumeStatus)] = None
    bytes_done: int = 0
    files_done: int = 0
    reason: str | None = None
    message: str | None = None


class VolumeRestoreRecord(WireRecord):
    """One restore of volumes."""

    id: int
    key: str | None = None
    backup_id: int
    host_id: int
    status: Annotated[VolumeRestoreStatus | None, known_word(VolumeRestoreStatus)] = None
    initiated_by: str | None = None
    time_initiated: int | None = None  # epoch ms
    time_completed: int | None = None  # epoch ms
    volumes: tuple[RestoredVolume, ...] = ()


class ListBackupVolumesErrors(EndpointErrors):
    """Refusals of GET /backup_engine/backups/{id}/volumes."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The volumes could not be read."


class CreateVolumeRestoreErrors(EndpointErrors):
    """Refusals of POST /backup_engine/volume_restores."""

    NO_BACKUP_NAMED = 422, 1002, FINAL, "Name either a backup or a host."
    UNKNOWN_BACKUP = 422, 1003, FINAL, "There is no such backup."
    NOT_RESTORABLE = 422, 1004, FINAL, "The backup is no valid DATA backup."
    NO_VOLUMES = 422, 1005, FINAL, "No volume is named."
    UNKNOWN_VOLUME = 422, 1006, FINAL, "The backup has no such volume."
    WRONG_TARGET = 422, 1007, FINAL, "A target is no claim, or is named twice."
    WRONG_PATH = 422, 1008, FINAL, "A path is not relative, or leaves the volume."
    NO_EXECUTOR = 409, 1009, FINAL, "This engine has nothing to work on volumes with."
    PLAN_CHANGED = 409, 1010, FINAL, "The plan is no longer the one that was approved."
    KEY_TAKEN = 409, 1011, FINAL, "There is a restore of something else under this key."
    WRONG_KEY = 422, 1012, FINAL, "The key is none."
    NOT_CREATED = 500, 1000, TRANSIENT, "The restore could not be created."


class ReadVolumeRestoreErrors(EndpointErrors):
    """Refusals of the reads of restores of volumes."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore of volumes with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The restore could not be read."


class CancelVolumeRestoreErrors(EndpointErrors):
    """Refusals of DELETE /backup_engine/volume_restores/{id}."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore of volumes with this id."
    ENDED = 409, 1002, FINAL, "The restore has ended."
    NOT_CANCELLED = 500, 1000, TRANSIENT, "The restore could not be cancelled."


_RESTORES: Final = EXTENSIONS + "/volume_restores"

LIST_BACKUP_VOLUMES: Final = Endpoint(
    "GET", EXTENSION_BACKUPS + "/{id}/volumes", 200, ListBackupVolumesErrors
)
LIST_VOLUME_RESTORES: Final = Endpoint("GET", _RESTORES, 200, ReadVolumeRestoreErrors, is_list=True)
CREATE_VOLUME_RESTORE: Final = Endpoint("POST", _RESTORES, 201, CreateVolumeRestoreErrors)
GET_VOLUME_RESTORE: Final = Endpoint("GET", _RESTORES + "/{id}", 200, ReadVolumeRestoreErrors)
CANCEL_VOLUME_RESTORE: Final = Endpoint(
    "DELETE", _RESTORES + "/{id}", 202, CancelVolumeRestoreErrors
)

VOLUME_ENDPOINTS: Final = (
    LIST_BACKUP_VOLUMES,
    LIST_VOLUME_RESTORES,
    CREATE_VOLUME_RESTORE,
    GET_VOLUME_RESTORE,
    CANCEL_VOLUME_RESTORE,
)
"""Every endpoint of this extension."""
