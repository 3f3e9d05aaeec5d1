"""What is asked of an engine for a Restore of volumes: the plan, and the restore itself."""

from backup_api.extensions.volumes import CreateVolumeRestore, VolumeWish
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.restore import RestoreSpec
from backup_operator.resources.restore_status import RestoreLaunch, RestoreSubmission
from backup_operator.resources.restore_volumes import RestoredClaim, parse_quantity


def build_key(metadata: ObjectMetadata) -> str:
    """Build the key of a Restore: of this object and no other, also not one of the same name."""
    return f"restore-{metadata.uid}"


def build_plan_request(
    wanted: RestoreSpec, backup_id: int | None, namespace: str
) -> CreateVolumeRestore:
    """Build the request of a plan; ``namespace`` is that of the Restore."""
    point = wanted.point_in_time
    return CreateVolumeRestore(
        backup_id=None if wanted.has_host else backup_id,
        host_id=wanted.host_id,
        hostname=wanted.hostname,
        point_in_time=int(point.timestamp() * 1000) if point is not None else None,
        volumes=_build_wishes(wanted.volumes, namespace),
    )


def build_request(
    wanted: RestoreSpec,
    metadata: ObjectMetadata,
    submission: RestoreSubmission,
    launch: RestoreLaunch,
) -> CreateVolumeRestore:
    """Build the request of the restore, always of the backup that the plan was of."""
    return CreateVolumeRestore(
        backup_id=submission.backup_id,
        volumes=_build_wishes(wanted.volumes, metadata.namespace or ""),
        key=build_key(metadata),
        approved_plan=None if wanted.auto_approve else launch.digest,
    )


def _build_wishes(claims: tuple[RestoredClaim, ...], namespace: str) -> tuple[VolumeWish, ...]:
    return tuple(
        VolumeWish(
            namespace=each.namespace or namespace,
            claim=each.claim,
            target_namespace=each.target_namespace,
            target_claim=each.target_claim,
            create_claim=each.create_claim,
            storage_class=each.storage_class,
            size=parse_quantity(each.size) if each.size is not None else None,
            paths=each.paths,
        )
        for each in claims
    )
