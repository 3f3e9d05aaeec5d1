"""CustomResourceDefinitions: names, columns and schemas of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backup_operator.crds.schema import Schema, build_schema
from backup_operator.crds.structural import check_structural
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus
from backup_operator.resources.configuration import BackupConfigurationSpec
from backup_operator.resources.configuration_status import BackupConfigurationStatus
from backup_operator.resources.engine import BackupEngineSpec, BackupEngineStatus
from backup_operator.resources.group import (
    BACKUP,
    BACKUP_CONFIGURATION,
    BACKUP_ENGINE,
    BACKUP_HOST,
    BACKUP_SCHEDULE,
    DEFAULT_ENGINE_ANNOTATION,
    GROUP,
    RESTORE,
    RUN_NOW_ANNOTATION,
    SCHEDULE_LABEL,
    VERSION,
    Kind,
)
from backup_operator.resources.host import NAME_RULES, BackupHostSpec
from backup_operator.resources.host_status import BackupHostStatus
from backup_operator.resources.parts import ResourcePart
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreStatus
from backup_operator.resources.rules import CelRule, with_rules
from backup_operator.resources.schedule import NAME_RULES as SCHEDULE_NAME_RULES
from backup_operator.resources.schedule import BackupScheduleSpec
from backup_operator.resources.schedule_status import BackupScheduleStatus

_ONLY_WIDE = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``; wide ones need ``-o wide``."""

    name: str
    path: str
    type: str = "string"
    is_wide: bool = False
    description: str = ""

    def as_crd(self) -> dict[str, Any]:
        """Return the column as an item of ``additionalPrinterColumns``."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            column["description"] = self.description
        return {**column, "priority": _ONLY_WIDE} if self.is_wide else column


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind and the models that its schema is built from; ``rules`` are those of its name."""

    kind: Kind
    spec: type[ResourcePart]
    status: type[ResourcePart]
    description: str
    columns: Sequence[Column]
    selectable: Sequence[str] = field(default=())
    rules: Sequence[CelRule] = field(default=())


_READY = '.status.conditions[?(@.type=="Ready")]'
_AGE = Column("Age", ".metadata.creationTimestamp", "date")

RESOURCES = (
    Resource(
        BACKUP,
        BackupSpec,
        BackupStatus,
        "Backup asks an engine for one backup and shows what became of it. It runs once; for"
        " another backup create another object. `kubectl wait --for=condition=Finished` ends on"
        " every outcome, and condition Complete is then the verdict.",
        columns=(
            Column("Type", ".spec.backupType"),
            Column("Phase", ".status.phase"),
            Column("Size", ".status.size"),
            Column("Valid", '.status.conditions[?(@.type=="Valid")].status'),
            Column("Engine", ".status.engine.name", is_wide=True),
            Column("Record", ".status.id", "integer", is_wide=True),
            Column("Host", ".status.hostId", "integer", is_wide=True),
            Column("Started", ".status.startedAt", "date", is_wide=True),
            Column("Terminated", ".status.terminatedAt", "date", is_wide=True),
            Column("Duration", ".status.duration", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
        selectable=(".spec.backupType", ".spec.engineRef.name", ".status.phase"),
    ),
    Resource(
        BACKUP_ENGINE,
        BackupEngineSpec,
        BackupEngineStatus,
        "BackupEngine is a server of the backup API: an appliance's console or our own engine in"
        f' the cluster. Annotation `{DEFAULT_ENGINE_ANNOTATION}: "true"` makes it the one that'
        " Backups without an `engineRef` use.",
        columns=(
            Column("URL", ".spec.url"),
            Column("Ready", f"{_READY}.status"),
            Column("Reason", f"{_READY}.reason"),
            Column("Version", ".status.productVersion"),
            Column("API", ".status.apiVersion"),
            Column("Running", ".status.runningBackups", "integer"),
            Column("Circuit", ".status.circuit", is_wide=True),
            Column("Contact", ".status.lastContactTime", "date", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
    ),
    Resource(
        BACKUP_HOST,
        BackupHostSpec,
        BackupHostStatus,
        "BackupHost is a part of the cluster that an in-cluster engine backs up as one host of its"
        " own: the console host holds API objects, a data host volumes. As on an appliance a new,"
        " changed or deleted host is only staged until a deploy puts it in force. It is of no use"
        " to an appliance, which has its own hosts.",
        columns=(
            Column("Type", ".spec.type"),
            Column("Host", ".status.hostId", "integer"),
            Column("State", ".status.deployedStatus"),
            Column("Deployed", '.status.conditions[?(@.type=="Deployed")].status'),
            Column("Ready", f"{_READY}.status"),
            Column("Reason", f"{_READY}.reason"),
            Column("Engine", ".status.engine.name", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
        selectable=(".spec.type", ".spec.engineRef.name"),
        rules=NAME_RULES,
    ),
    Resource(
        BACKUP_SCHEDULE,
        BackupScheduleSpec,
        BackupScheduleStatus,
        "BackupSchedule makes Backups by the clock and expires those that its retention does not"
        f" keep. Its Backups bear the label `{SCHEDULE_LABEL}` and stay when it is deleted."
        f" Annotation `{RUN_NOW_ANNOTATION}` with a new value, such as the time, makes one at"
        " once.",
        columns=(
            Column("Schedule", ".spec.schedule"),
            Column("Suspend", ".spec.suspend", "boolean"),
            Column("Active", ".status.counts.active", "integer"),
            Column("Last run", ".status.lastScheduleTime", "date"),
            Column("Last success", ".status.lastSuccessfulTime", "date"),
            Column("Next run", ".status.nextScheduleTime"),
            Column("Ready", f"{_READY}.status"),
            Column("Time zone", ".spec.timeZone", is_wide=True),
            Column("Good", ".status.counts.succeeded", "integer", is_wide=True),
            Column("Failed", ".status.counts.failed", "integer", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
        selectable=(".spec.suspend",),
        rules=SCHEDULE_NAME_RULES,
    ),
    Resource(
        BACKUP_CONFIGURATION,
        BackupConfigurationSpec,
        BackupConfigurationStatus,
        "BackupConfiguration says how an engine is to back up by itself: nightly runs, retention,"
        " priorities, time limits, and which hosts are enabled for DATA backups. It is staged at"
        " the engine, deployed, and kept so when others change it. Deleting it leaves the engine"
        " as it is.",
        columns=(
            Column("Engine", ".status.engine.name"),
            Column("Staged", '.status.conditions[?(@.type=="Staged")].status'),
            Column("Deployed", '.status.conditions[?(@.type=="Deployed")].status'),
            Column("Ready", f"{_READY}.status"),
            Column("Reason", f"{_READY}.reason"),
            Column("Percent", ".status.deploy.percentComplete", "integer", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
        selectable=(".spec.engineRef.name",),
    ),
    Resource(
        RESTORE,
        RestoreSpec,
        RestoreStatus,
        "Restore brings back objects of a CONFIG backup (`groups`) or volumes of a DATA backup"
        " (`volumes`). It first shows a plan and changes nothing; with"
        " `mode: Apply` and `approvedPlan` set to the digest of that plan it is carried out, once."
        " An engine takes Restores only of the namespaces in its `restoreNamespaces`, and in its"
        " `volumeRestoreNamespaces` those of their own volumes.",
        columns=(
            Column("Backup", ".status.backupName"),
            Column("Mode", ".spec.mode"),
            Column("Phase", ".status.phase"),
            Column("Progress", ".status.progress.summary"),
            Column("Create", ".status.plan.counts.create", "integer"),
            Column("Update", ".status.plan.counts.update", "integer"),
            Column("Conflict", ".status.plan.counts.conflict", "integer"),
            Column("Engine", ".status.engine.name", is_wide=True),
            Column("Record", ".status.id", "integer", is_wide=True),
            Column("Duration", ".status.duration", is_wide=True),
            Column("Digest", ".status.plan.digest", is_wide=True),
            Column("Message", f"{_READY}.message", is_wide=True),
            _AGE,
        ),
        selectable=(".status.phase",),
    ),
)


def build_crds() -> list[dict[str, Any]]:
    """Build the CustomResourceDefinition of every kind, each one ready for the API server.

    Raises NotStructuralError if a model has come to say what the API server would refuse.
    """
    return [_build_crd(resource) for resource in RESOURCES]


def _build_crd(resource: Resource) -> dict[str, Any]:
    kind = resource.kind
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.as_crd() for column in resource.columns],
    }
    if resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable]
    version["schema"] = {"openAPIV3Schema": build_resource_schema(resource)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": list(kind.categories),
            },
            "versions": [version],
        },
    }


def build_resource_schema(resource: Resource) -> Schema:
    """Build and check the schema of a whole object."""
    spec, status = build_schema(resource.spec), build_schema(resource.status)
    check_structural(f"{resource.kind.kind}.spec", spec)
    check_structural(f"{resource.kind.kind}.status", status)
    return {
        "description": resource.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "description": f"`{GROUP}/{VERSION}`.",
                "type": "string",
            },
            "kind": {"description": f"`{resource.kind.kind}`.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    } | (with_rules(*resource.rules) if resource.rules else {})
