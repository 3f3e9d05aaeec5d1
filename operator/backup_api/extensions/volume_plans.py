"""The plan of a restore of volumes: what would be written where. Nothing is stored, or changed."""

from typing import Annotated, Final

from backup_api.endpoints import Endpoint
from backup_api.extensions.paths import EXTENSIONS
from backup_api.extensions.volume_targets import TargetState
from backup_api.extensions.volumes import CreateVolumeRestoreErrors
from backup_api.wire import WireRecord, known_word


class PlannedVolume(WireRecord):
    """One volume of a plan.

    ``size`` and ``files`` are those of the snapshot, of which ``paths`` may choose a part.
    ``used_by`` names pods that have the target mounted. ``reason``, a stable CamelCase word, and
    ``message`` tell why it cannot be restored as things are; None: nothing is in the way.
    """

    namespace: str
    claim: str
    target_namespace: str
    target_claim: str
    create_claim: bool = False
    storage_class: str | None = None
    claim_size: int | None = None  # bytes, of a claim to be made; None: not known
    paths: tuple[str, ...] = ()
    snapshot_id: str | None = None
    size: int = 0  # bytes
    files: int = 0
    target: Annotated[TargetState | None, known_word(TargetState)] = None
    used_by: tuple[str, ...] = ()
    reason: str | None = None
    message: str | None = None


class VolumePlan(WireRecord):
    """What a restore of volumes would do at this moment.

    ``digest`` covers the backup and all that is told of each volume but the pods that use it.
    """

    backup_id: int
    digest: str
    backup_name: str | None = None
    backup_time: int | None = None  # when it began, epoch ms
    host_id: int | None = None
    hostname: str | None = None
    volumes: tuple[PlannedVolume, ...] = ()


PLAN_VOLUME_RESTORE: Final = Endpoint(
    "POST", EXTENSIONS + "/volume_plans", 200, CreateVolumeRestoreErrors
)
