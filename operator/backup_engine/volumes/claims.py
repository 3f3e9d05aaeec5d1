"""What PersistentVolumeClaims and the pods that use them tell. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.mover_job import Placement
from backup_engine.volumes.volume import ChosenVolume, Volume, VolumePolicy

SINGLE_POD: Final = "ReadWriteOncePod"
SINGLE_NODE: Final = "ReadWriteOnce"

_ENDED: Final = frozenset({"Succeeded", "Failed"})


def build_chosen(claim: Mapping[str, Any], policy: VolumePolicy) -> ChosenVolume:
    """Build what a backup takes of a claim; one that is not bound has nothing to read.

    A claim that waits for its first consumer has never been written to, and a mover must not be
    that consumer: it would have a volume made, and on a node of its own choice.
    """
    metadata = claim["metadata"]
    volume = Volume(metadata["namespace"], metadata["name"])
    phase = (claim.get("status") or {}).get("phase", "Pending")
    trouble = None if phase == "Bound" else f"{volume}: the claim is {phase}, not Bound"
    return ChosenVolume(volume, policy, trouble)


def choose_placement(
    volume: Volume, claim: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]
) -> Placement:
    """Choose where a mover runs; raises VolumeError if the claim can be had nowhere now."""
    modes = (claim.get("spec") or {}).get("accessModes") or []
    using = [pod for pod in pods if _uses(pod, volume.claim)]
    if using and SINGLE_POD in modes:
        name = using[0]["metadata"]["name"]
        raise VolumeError(
            "ClaimInUse",
            f"{volume}: pod {name} has the claim, and {SINGLE_POD} lets no second pod have it",
        )
    nodes = [node for pod in using if (node := pod["spec"].get("nodeName"))]
    return Placement(nodes[0] if nodes and SINGLE_NODE in modes else None)


def _uses(pod: Mapping[str, Any], claim: str) -> bool:
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return False
    return any(
        (each.get("persistentVolumeClaim") or {}).get("claimName") == claim
        for each in pod["spec"].get("volumes") or ()
    )
