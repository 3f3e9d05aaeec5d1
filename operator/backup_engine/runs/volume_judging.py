"""What became of each volume of a DATA backup, and whether that will do. Pure."""

from collections.abc import Mapping

from backup_api.extensions.volumes import VolumeStatus
from backup_engine.records.volumes import StoredVolume
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.snapshots import Snapshot, judge
from backup_engine.volumes.volume import Volume


def is_due(each: StoredVolume, done: Mapping[Volume, Snapshot]) -> bool:
    """Tell whether a volume is still to be read."""
    return each.chosen.volume not in done and each.status is not VolumeStatus.FAILED


def find_trouble(
    each: StoredVolume, kept: Mapping[Volume, Snapshot], told: Mapping[Volume, VolumeError]
) -> VolumeError | None:
    """Find what is wrong with one volume, by policy; None: it is as it should be."""
    volume, policy = each.chosen.volume, each.chosen.policy
    if each.chosen.trouble is not None:
        is_tolerated = policy.tolerate_empty
        return None if is_tolerated else VolumeError("EmptyVolume", each.chosen.trouble)
    if volume in kept:
        return judge(kept[volume], volume, policy)
    return told.get(volume) or VolumeError(
        "SnapshotMissing", f"{volume}: the repository has no snapshot of it"
    )


def build_changes(
    kept: Mapping[Volume, Snapshot], each: StoredVolume, trouble: VolumeError | None
) -> dict[str, object]:
    """Build what is written of a volume when its backup has ended."""
    snapshot = kept.get(each.chosen.volume)
    changes: dict[str, object] = {"status": VolumeStatus.SUCCESS, "reason": None, "message": None}
    if snapshot is not None:
        changes |= {
            "snapshot_id": snapshot.id,
            "size_bytes": snapshot.size_bytes,
            "files": snapshot.files,
            "unreadable_files": snapshot.failed,
            "bytes_done": snapshot.size_bytes,
            "files_done": snapshot.files,
        }
    else:
        changes["message"] = each.chosen.trouble
    return changes | (build_ending(trouble) if trouble is not None else {})


def build_ending(trouble: VolumeError) -> dict[str, object]:
    """Build what is written of a volume that failed."""
    return {"status": VolumeStatus.FAILED, "reason": trouble.reason, "message": trouble.message}
