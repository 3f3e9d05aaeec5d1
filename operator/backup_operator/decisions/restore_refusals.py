"""What a refusal of a restore means to the user who wrote the manifest (spec §4.2)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from backup_api.errors import EndpointErrors
from backup_api.extensions.volumes import CreateVolumeRestoreErrors
from backup_api.restores import CreateRestoreErrors
from backup_operator.decisions.facts import Refusal
from backup_operator.decisions.refusals import cut

_ANOTHER_BACKUP: Final = "Create a Restore of another backup: 'kubectl get backups -A -o wide'"

ADVICE: Final[Mapping[EndpointErrors, str]] = MappingProxyType(
    {
        CreateRestoreErrors.BACKUP_MISSING: "Create a Restore with spec.backupRef or backupId.",
        CreateRestoreErrors.BACKUP_UNKNOWN: (
            f"spec.backupId, or spec.backupRef, names none. {_ANOTHER_BACKUP} shows ids as RECORD."
        ),
        CreateRestoreErrors.NOT_CONFIG: (
            "spec.groups takes objects out of CONFIG backups; volumes of DATA backups are restored"
            " by a Restore with spec.volumes."
        ),
        CreateRestoreErrors.NOT_SUCCESSFUL: f"{_ANOTHER_BACKUP} shows which have succeeded.",
        CreateRestoreErrors.NOT_VALID: (
            f"Condition Valid of its Backup says why. {_ANOTHER_BACKUP} shows which are valid."
        ),
        CreateRestoreErrors.NOT_COMPATIBLE: (
            "Restore it with the version of the product that made it, or create a Restore of"
            " another backup."
        ),
        CreateRestoreErrors.GROUPS_MISSING: "Create a Restore with spec.groups.",
        CreateRestoreErrors.DEPLOYMENT_MISSING: (
            "Create a Restore whose spec.groups has DEPLOYMENT_CONFIG as well."
        ),
        CreateRestoreErrors.GROUP_UNKNOWN: "Create a Restore with other spec.groups.",
        CreateRestoreErrors.DOMAINS_INCOMPLETE: (
            "Create a Restore whose spec.groups has the others as well."
        ),
        CreateVolumeRestoreErrors.NO_BACKUP_NAMED: (
            "Create a Restore with spec.backupRef, backupId, hostname or hostId."
        ),
        CreateVolumeRestoreErrors.UNKNOWN_BACKUP: (
            "Create a Restore with another spec.backupId, or hostname and pointInTime: 'kubectl get"
            " backuphosts' and 'kubectl get backups -A -o wide' show what there is."
        ),
        CreateVolumeRestoreErrors.NOT_RESTORABLE: (
            "spec.volumes takes volumes out of DATA backups that succeeded; objects of CONFIG"
            " backups are restored by a Restore with spec.groups."
        ),
        CreateVolumeRestoreErrors.NO_VOLUMES: "Create a Restore with spec.volumes.",
        CreateVolumeRestoreErrors.UNKNOWN_VOLUME: (
            "Create a Restore with another claim in spec.volumes, and with its namespace if it was"
            " not backed up from that of the Restore."
        ),
        CreateVolumeRestoreErrors.WRONG_TARGET: (
            "Create a Restore with another targetClaim or targetNamespace in spec.volumes."
        ),
        CreateVolumeRestoreErrors.WRONG_PATH: (
            "Create a Restore with other paths in spec.volumes: such as base/16384, from the root"
            " of the volume."
        ),
        CreateVolumeRestoreErrors.NO_EXECUTOR: (
            "Start the engine with --mover-image, or --volumes-dir (docs/data.md)."
        ),
        CreateVolumeRestoreErrors.PLAN_CHANGED: "Look at the plan of another Restore.",
        CreateVolumeRestoreErrors.KEY_TAKEN: "Create a Restore of another name.",
        CreateVolumeRestoreErrors.WRONG_KEY: "Create a Restore of another name.",
    }
)
"""What somebody can do about each final refusal; a test proves that none is left out."""


def explain_refusal(refusal: Refusal) -> str:
    """Say what the engine refused and why, with the code for the API reference, and what to do."""
    words = refusal.row.description if refusal.row is not None else "The engine refused it."
    said = f"HTTP {refusal.http_status}, code {refusal.code}: {refusal.message}".rstrip(": ")
    advice = ADVICE.get(refusal.row) if refusal.row is not None else None
    return cut(f"{words} ({said})" + (f" {advice}" if advice is not None else ""))
