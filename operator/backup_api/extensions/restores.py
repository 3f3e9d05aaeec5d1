"""Restores in a cluster on the wire: options, plan, progress and failures of one restore.

They belong to a record of ``/backup_and_restore/restores`` and have its id (docs/restore.md).
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from backup_api.endpoints import Endpoint
from backup_api.errors import BUSY, FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_RESTORES
from backup_api.wire import WireRecord, WireRequest, known_word


class ExistingObjects(StrEnum):
    """What becomes of an object that exists and differs from the archive."""

    KEEP = "Keep"
    UPDATE = "Update"
    RECREATE = "Recreate"


class RestoreRule(WireRequest):
    """One choice of objects: whatever is given has to match, and something has to be given.

    ``namespace`` and ``name`` are globs; ``kind`` is a kind or resource, with or without its
    group; ``label`` is a label selector such as ``app=web,tier!=test``.
    """

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    label: str | None = None


class RestoreOptions(WireRequest):
    """What a restore may do: body of PUT, and answer of GET, …/restores/{id}/options.

    PUT replaces all of them: an absent member has its default again. ``include`` empty: everything
    in the groups. ``with_status``: kinds whose status is restored, too. ``approved_plan``: digest
    of the one plan that may be carried out, None: whatever the plan is.
    """

    existing: ExistingObjects = ExistingObjects.KEEP
    namespace_mapping: dict[str, str] = Field(default_factory=dict)  # old name: new name
    include: tuple[RestoreRule, ...] = ()
    exclude: tuple[RestoreRule, ...] = ()
    with_status: tuple[str, ...] = ()
    approved_plan: str | None = None


class PlanAction(StrEnum):
    """What becomes, or became, of one object of the archive."""

    CREATE = "create"
    UPDATE = "update"
    RECREATE = "recreate"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    SKIPPED = "skipped"


class ActionCounts(WireRecord):
    """Numbers of objects by action."""

    create: int = 0
    update: int = 0
    recreate: int = 0
    unchanged: int = 0
    conflict: int = 0
    unsupported: int = 0
    skipped: int = 0


class PlanState(StrEnum):
    """Where a plan stands."""

    ABSENT = "ABSENT"  # nobody asked for one, or the options have changed since
    COMPUTING = "COMPUTING"
    READY = "READY"
    FAILED = "FAILED"


class RestorePlan(WireRecord):
    """What a restore would do at ``time_computed``; its items are a list of their own.

    ``digest`` is what approves it, and only a READY plan has one. ``reason`` is a CamelCase word,
    and ``message`` a text, of a FAILED plan.
    """

    state: Annotated[PlanState | None, known_word(PlanState)] = None
    digest: str | None = None
    time_computed: int | None = None  # epoch ms
    counts: ActionCounts = ActionCounts()
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    message: str | None = None


class PlannedChange(WireRecord):
    """One field that differs: a JSON pointer, and both values; None: the field is absent.

    Values of Secrets are never told.
    """

    path: str
    old: object = None
    new: object = None


class PlanItem(WireRecord):
    """One object of a plan, under the name that it would have in the cluster."""

    action: Annotated[PlanAction | None, known_word(PlanAction)] = None
    api_version: str
    kind: str
    namespace: str | None = None  # None: the kind has none
    name: str
    reason: str | None = None  # CamelCase word
    message: str | None = None
    changes: tuple[PlannedChange, ...] = ()


class RestoreProgress(WireRecord):
    """How far a restore is, or got; all zero before it is launched.

    ``total`` may be too high while labels are unknown. ``reason`` is a CamelCase word, and
    ``message`` a text, of a FAILED restore.
    """

    settled: int = 0
    total: int = 0
    failed: int = 0
    remaining: int = 0
    counts: ActionCounts = ActionCounts()
    reason: str | None = None
    message: str | None = None


class RestoreFailure(WireRecord):
    """One object that is not as wanted, and why; ``reason`` is a CamelCase word."""

    api_version: str
    kind: str
    namespace: str | None = None  # None: the kind has none
    name: str
    reason: str
    message: str | None = None


class ReadRestoreExtensionErrors(EndpointErrors):
    """Refusals of every GET below …/restores/{id} but the items of a plan."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    UNREADABLE = 500, 1000, TRANSIENT, "The restore could not be read."


class SetRestoreOptionsErrors(EndpointErrors):
    """Refusals of PUT …/restores/{id}/options; the message names the member."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    NOT_PENDING = 409, 1012, FINAL, "The restore is not pending: its options are settled."
    WRONG_MAPPING = 422, 1020, FINAL, "namespace_mapping cannot be used."
    WRONG_INCLUDE = 422, 1021, FINAL, "A rule of include cannot be used."
    WRONG_EXCLUDE = 422, 1022, FINAL, "A rule of exclude cannot be used."
    WRONG_STATUS_KIND = 422, 1023, FINAL, "A kind of with_status cannot be used."
    WRONG_DIGEST = 422, 1024, FINAL, "approved_plan is not the digest of a plan."
    NOT_UPDATED = 500, 1000, TRANSIENT, "The options could not be updated."


class ChangePlanErrors(EndpointErrors):
    """Refusals of POST and DELETE …/restores/{id}/plan."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    NOT_PENDING = 409, 1012, FINAL, "The restore is not pending: it needs no plan any more."
    NOT_UPDATED = 500, 1000, TRANSIENT, "The plan could not be updated."


class ListPlanItemsErrors(EndpointErrors):
    """Refusals of GET …/restores/{id}/plan/items."""

    UNKNOWN_RESTORE = 404, 1001, FINAL, "There is no restore with this id."
    NO_PLAN = 409, 1025, FINAL, "There is no plan: ask for one."
    PLAN_COMPUTING = 409, 1026, BUSY, "The plan is still being computed."
    UNREADABLE = 500, 1000, TRANSIENT, "The plan could not be read."


_RESTORE: Final = EXTENSION_RESTORES + "/{id}"

GET_RESTORE_OPTIONS: Final = Endpoint("GET", _RESTORE + "/options", 200, ReadRestoreExtensionErrors)
SET_RESTORE_OPTIONS: Final = Endpoint("PUT", _RESTORE + "/options", 200, SetRestoreOptionsErrors)
START_PLAN: Final = Endpoint("POST", _RESTORE + "/plan", 202, ChangePlanErrors)
GET_PLAN: Final = Endpoint("GET", _RESTORE + "/plan", 200, ReadRestoreExtensionErrors)
DROP_PLAN: Final = Endpoint("DELETE", _RESTORE + "/plan", 200, ChangePlanErrors)
LIST_PLAN_ITEMS: Final = Endpoint(
    "GET", _RESTORE + "/plan/items", 200, ListPlanItemsErrors, is_list=True
)
GET_RESTORE_PROGRESS: Final = Endpoint(
    "GET", _RESTORE + "/progress", 200, ReadRestoreExtensionErrors
)
LIST_RESTORE_FAILURES: Final = Endpoint(
    "GET", _RESTORE + "/errors", 200, ReadRestoreExtensionErrors, is_list=True
)

RESTORE_EXTENSION: Final = (
    GET_RESTORE_OPTIONS,
    SET_RESTORE_OPTIONS,
    START_PLAN,
    GET_PLAN,
    DROP_PLAN,
    LIST_PLAN_ITEMS,
    GET_RESTORE_PROGRESS,
    LIST_RESTORE_FAILURES,
)
"""Every endpoint of this extension."""
