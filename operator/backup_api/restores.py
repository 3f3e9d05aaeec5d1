"""Restores on the wire: the record, its two requests, and their refusals (spec §4)."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from backup_api.backups import BackupType
from backup_api.errors import BUSY, FINAL, TRANSIENT, EndpointErrors
from backup_api.wire import JsonDict, WireRecord, WireRequest, known_word, requiring


class RestoreGroup(StrEnum):
    """What a restore can bring back, group by group (spec §4.0)."""

    CUSTOM_RULES_CONFIG = "CUSTOM_RULES_CONFIG"
    DEPLOYMENT_CONFIG = "DEPLOYMENT_CONFIG"
    USERS_CONFIG = "USERS_CONFIG"
    LICENSE_CONFIG = "LICENSE_CONFIG"
    QVM_CONFIG = "QVM_CONFIG"
    INSTALLED_APPS_CONFIG = "INSTALLED_APPS_CONFIG"
    REPORT_TEMPLATES = "REPORT_TEMPLATES"
    ASSETS_DATA = "ASSETS_DATA"
    OFFENSES_DATA = "OFFENSES_DATA"


NEED_DEPLOYMENT: Final = frozenset({RestoreGroup.INSTALLED_APPS_CONFIG, RestoreGroup.OFFENSES_DATA})
"""Groups that DEPLOYMENT_CONFIG has to accompany (code 1009, spec §4.2)."""


class RestoreStatus(StrEnum):
    """Where a restore stands (spec §4.0)."""

    PENDING = "PENDING"
    REQUESTING = "REQUESTING"
    INITIALIZING = "INITIALIZING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


OPEN_RESTORE: Final = frozenset(RestoreStatus) - {RestoreStatus.SUCCESS, RestoreStatus.FAILED}
"""States of which there can be one restore at a time, and the only ones that can be deleted."""

RUNNING_RESTORE: Final = OPEN_RESTORE - {RestoreStatus.PENDING}
"""States in which no backup can start (409/1016)."""


class RestoreRecord(WireRecord):
    """One restore as the server reports it (spec §4.0); None means not known, or no longer.

    ``backup_id`` turns null when the restore ends: keep the relation by ``backup_filename``.
    """

    id: int
    initiated_by: str | None = Field(None, description="who started it; spelled right here")
    host_id: int | None = Field(None, description="host that is restored")
    time_initiated: int | None = Field(None, description="start, epoch ms")
    time_completed: int | None = Field(None, description="end, epoch ms; null until then")
    status: Annotated[RestoreStatus | None, known_word(RestoreStatus)] = Field(
        None, description="where it stands"
    )
    is_cross_deployment_restore: bool | None = Field(
        None, description="the archive is of another deployment"
    )
    backup_id: int | None = Field(None, description="archive to restore; null once it is over")
    backup_name: str | None = Field(None, description="name of the backup")
    backup_version: str | None = Field(None, description="product version of the archive")
    backup_type: Annotated[BackupType | None, known_word(BackupType)] = Field(
        None, description="always CONFIG"
    )
    backup_filename: str | None = Field(None, description="file name of the archive")
    groups: tuple[str, ...] | None = Field(
        None, description="what is restored: words of RestoreGroup, or newer ones"
    )


SORTABLE_RESTORES: Final = frozenset(
    {
        "id",
        "initiated_by",
        "time_initiated",
        "time_completed",
        "is_cross_deployment_restore",
        "backup_name",
        "backup_type",
        "backup_version",
        "backup_filename",
    }
)
"""Names that ``sort`` takes on the list of restores (spec §4.1)."""


_GROUPS: Final[JsonDict] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "enum": [group.value for group in RestoreGroup]},
}


class CreateRestore(WireRequest):
    """Body of POST /restores (spec §4.2). Groups are plain text: an unknown one is 422/1010."""

    model_config = requiring("backup_id", "groups")

    backup_id: int | None = Field(
        None, description="a CONFIG backup", json_schema_extra={"type": "integer"}
    )
    groups: tuple[str, ...] | None = Field(
        None, description="what to restore", json_schema_extra=_GROUPS
    )


class LaunchRestore(WireRequest):
    """Body of POST /restores/{id}: only REQUESTING is taken, anything else is 422/1013."""

    model_config = requiring("status")

    status: str | None = Field(
        None,
        description="nothing else can be changed",
        json_schema_extra={"type": "string", "enum": ["REQUESTING"]},
    )


class ListRestoresErrors(EndpointErrors):
    """Refusals of GET /restores (spec §4.1)."""

    WRONG_SORT = 422, 1018, FINAL, "A name in sort is not sortable."
    UNREADABLE = 500, 1000, TRANSIENT, "The restores could not be read."


class CreateRestoreErrors(EndpointErrors):
    """Refusals of POST /restores (spec §4.2)."""

    ANOTHER_IS_OPEN = 409, 1011, BUSY, "Another restore is pending or running."
    BACKUP_MISSING = 422, 1002, FINAL, "The backup id is missing."
    BACKUP_UNKNOWN = 422, 1003, FINAL, "There is no such backup."
    NOT_CONFIG = 422, 1004, FINAL, "The backup is not of type CONFIG."
    NOT_SUCCESSFUL = 422, 1005, FINAL, "The backup has not succeeded."
    NOT_VALID = 422, 1006, FINAL, "The archive of the backup is not valid."
    NOT_COMPATIBLE = 422, 1007, FINAL, "The version of the archive is not compatible."
    GROUPS_MISSING = 422, 1008, FINAL, "The groups are missing."
    DEPLOYMENT_MISSING = 422, 1009, FINAL, "DEPLOYMENT_CONFIG has to accompany the groups."
    GROUP_UNKNOWN = 422, 1010, FINAL, "There is no such group."
    DOMAINS_INCOMPLETE = 422, 1019, FINAL, "Other groups have to accompany the domains."
    NOT_CREATED = 500, 1000, TRANSIENT, "The restore could not be created."


class GetRestoreErrors(EndpointErrors):
    """Refusals of GET /restores/{id} (spec §4.3)."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The restore could not be read."


class LaunchRestoreErrors(EndpointErrors):
    """Refusals of POST /restores/{id} (spec §4.4).

    1030 to 1037 concern members that are not part of the published request (spec §13 no. 14).
    """

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    REBALANCING = 409, 1014, BUSY, "Data is being rebalanced."
    BACKUP_RUNNING = 409, 1015, BUSY, "A backup runs."
    RESTORE_RUNNING = 409, 1016, BUSY, "A restore runs."
    NOT_PENDING = 422, 1012, FINAL, "The restore is not pending."
    WRONG_STATUS = 422, 1013, FINAL, "The status can only be changed to REQUESTING."
    NO_FLOW_COLLECTION = 422, 1030, FINAL, "The host of the restore collects no flows."
    NO_SUCH_SITE_HOST = 422, 1031, FINAL, "The host of the restore does not exist."
    NO_EVENT_COLLECTOR = 422, 1032, FINAL, "The host of the restore collects no events."
    NO_SUCH_COLLECTOR = 422, 1033, FINAL, "The event collector of the restore does not exist."
    SITE_1034 = 422, 1034, FINAL
    SITE_1035 = 422, 1035, FINAL
    SITE_1036 = 422, 1036, FINAL
    SITE_1037 = 422, 1037, FINAL
    NOT_UPDATED = 500, 1000, TRANSIENT, "The restore could not be updated."


class DeleteRestoreErrors(EndpointErrors):
    """Refusals of DELETE /restores/{id} (spec §4.5)."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    FINISHED = 422, 1017, FINAL, "A finished restore cannot be deleted."
    NOT_DELETED = 500, 1000, TRANSIENT, "The restore could not be deleted."


class InternalOperationErrors(EndpointErrors):
    """Refusals of haAction and updateiptablesprefile, which nothing here calls (spec §4.6)."""

    UNKNOWN = 404, 1001, FINAL, "There is nothing to act on."
    FAILED = 500, 1000, TRANSIENT, "The operation failed."
