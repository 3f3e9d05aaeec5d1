"""The plan of a restore as a status tells it: a sentence, counts, and what to look at first."""

import hashlib
import json
from typing import Final

from backup_api.extensions.restores import ActionCounts, PlanAction, PlanItem, RestoreFailure
from backup_api.restores import RestoreRecord
from backup_operator.decisions.adoption import wire_time
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.restore_facts import RestoreView
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import ObjectCounts, ToldObject, ToldPlan

MOST_ITEMS: Final = 20
LONGEST_TEXT: Final = 300

TELLING: Final = (
    PlanAction.CONFLICT,
    PlanAction.UNSUPPORTED,
    PlanAction.RECREATE,
    PlanAction.UPDATE,
    PlanAction.CREATE,
)
"""Actions in the order in which a reader wants to know of them; nothing happens by the others."""


def tell_plan(wanted: RestoreSpec, view: RestoreView, record: RestoreRecord) -> ToldPlan:
    """Build what the status tells of a plan that is ready."""
    if not view.is_in_cluster or view.plan is None:
        return _tell_of_appliance(wanted, view, record)
    counts = view.plan.counts
    summary = (
        f"{counts.create} to create, {counts.update} to update, {counts.recreate} to recreate,"
        f" {counts.unchanged} unchanged, {counts.conflict} in conflict, {counts.unsupported}"
        f" unsupported, {counts.skipped} skipped."
    )
    return ToldPlan(
        digest=view.plan.digest or "",
        time_computed=wire_time(view.plan.time_computed),
        summary=summary,
        counts=tell_counts(counts),
        warnings=tuple(cut(warning, LONGEST_TEXT) for warning in view.plan.warnings[:MOST_ITEMS]),
        items=tuple(_tell_item(item) for item in view.items[:MOST_ITEMS]),
    )


def _tell_of_appliance(wanted: RestoreSpec, view: RestoreView, record: RestoreRecord) -> ToldPlan:
    """Build the plan from what the API of an appliance tells: version, groups, validity."""
    backup = view.backup
    facts = {
        "backup": record.backup_filename or record.backup_name,
        "version": record.backup_version,
        "host": record.host_id,
        "groups": sorted(group.value for group in wanted.groups),
        "cross_deployment": record.is_cross_deployment_restore,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    groups = ", ".join(group.value for group in wanted.groups)
    warnings = ["All services of the appliance stop until the restore is over."]
    if "USERS_CONFIG" in wanted.groups:
        warnings.append(
            "USERS_CONFIG replaces users and authorized services: the operator's token may be"
            " among them, and then a new one is wanted."
        )
    if record.is_cross_deployment_restore:
        warnings.append("The archive belongs to another deployment.")
    if backup is not None and backup.is_valid is False:
        warnings.append("The engine says that the archive is not valid.")
    if backup is not None and backup.is_version_compatible is False:
        warnings.append("The archive belongs to another product version.")
    what = record.backup_name or record.backup_filename or f"backup {record.backup_id}"
    return ToldPlan(
        digest=f"sha256:{digest}",
        summary=(
            f"{groups} of {what} (version {record.backup_version}) would be restored; an appliance"
            " does not tell of single objects."
        ),
        warnings=tuple(warnings),
    )


def tell_counts(counts: ActionCounts) -> ObjectCounts:
    """Translate counts of the wire."""
    return ObjectCounts(**{name: max(0, value) for name, value in counts.model_dump().items()})


def tell_failure(failure: RestoreFailure) -> ToldObject:
    """Translate one object that is not as wanted."""
    return ToldObject(
        kind=failure.kind,
        namespace=failure.namespace,
        name=failure.name,
        reason=failure.reason,
        message=cut(failure.message, LONGEST_TEXT) if failure.message else None,
    )


def _tell_item(item: PlanItem) -> ToldObject:
    changed = ", ".join(change.path for change in item.changes[:5])
    message = item.message or (f"differs in {changed}" if changed else None)
    return ToldObject(
        action=item.action.value if item.action is not None else None,
        kind=item.kind,
        namespace=item.namespace,
        name=item.name,
        reason=item.reason,
        message=cut(message, LONGEST_TEXT) if message else None,
    )
