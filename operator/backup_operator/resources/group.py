"""Names of the API group that users, manifests and other operators rely on."""

from dataclasses import dataclass

GROUP = "backup-operator.io"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

# `kubectl get backup-operator` lists every kind. Category `backups` must stay with Backup alone: a
# category hides the plural of the same name, so that another kind in it would be deleted by
# `kubectl delete backups --all`, and `kubectl get backups NAME` would no longer work.
CATEGORY = "backup-operator"
BACKUP_CATEGORY = "backups"

FINALIZER = f"{GROUP}/finalizer"
FORCE_DELETE_ANNOTATION = f"{GROUP}/force-delete"  # its value is the time of the request
ACKNOWLEDGE_ANNOTATION = f"{GROUP}/acknowledge-deletions"  # a time up to which they are meant
SCHEDULE_LABEL = f"{GROUP}/schedule"  # on a Backup: the name of the BackupSchedule that made it
SCHEDULED_AT_ANNOTATION = f"{GROUP}/scheduled-at"  # on a Backup: the time that it was meant for
EXPIRED_ANNOTATION = f"{GROUP}/expired"  # on a Backup: its schedule's retention let it go
RUN_NOW_ANNOTATION = f"{GROUP}/run-now"  # on a BackupSchedule: each new value makes one Backup
DEFAULT_ENGINE_ANNOTATION = f"{GROUP}/is-default-engine"  # counts when it says "true"


@dataclass(frozen=True, slots=True)
class Kind:
    """How the API server and kubectl call one kind of resource."""

    kind: str
    plural: str
    singular: str
    short_name: str
    is_namespaced: bool
    categories: tuple[str, ...] = (CATEGORY,)

    @property
    def crd_name(self) -> str:
        """Return the name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


BACKUP = Kind(
    "Backup",
    "backups",
    "backup",
    "bk",
    is_namespaced=True,
    categories=(BACKUP_CATEGORY, CATEGORY),
)
BACKUP_ENGINE = Kind("BackupEngine", "backupengines", "backupengine", "bke", is_namespaced=False)
BACKUP_HOST = Kind("BackupHost", "backuphosts", "backuphost", "bkh", is_namespaced=False)
BACKUP_SCHEDULE = Kind(
    "BackupSchedule", "backupschedules", "backupschedule", "bks", is_namespaced=True
)
BACKUP_CONFIGURATION = Kind(
    "BackupConfiguration",
    "backupconfigurations",
    "backupconfiguration",
    "bkc",
    is_namespaced=False,
)
RESTORE = Kind("Restore", "restores", "restore", "rst", is_namespaced=True)

KINDS = (BACKUP_ENGINE, BACKUP, BACKUP_SCHEDULE, BACKUP_CONFIGURATION, BACKUP_HOST, RESTORE)
"""Every kind that the operator watches; engines first, for the others ask for them."""

USERS_OF_ENGINES = (BACKUP, BACKUP_CONFIGURATION, BACKUP_HOST, RESTORE)
"""Kinds whose objects wait for an engine."""
