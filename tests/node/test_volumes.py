"""The storage class makes one folder per claim, once its pod's node is known."""

from pathlib import Path
from typing import Any

from backup_sandbox.node.volumes import (
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    STORAGE_CLASS,
    Work,
    build_volume,
    plan_volumes,
)

FOLDER = Path("/volumes")


def a_claim(uid: str = "1", **spec: object) -> dict[str, Any]:
    annotations = {SELECTED_NODE: "sandbox"}
    metadata = {"name": "c", "namespace": "n", "uid": uid, "annotations": annotations}
    wanted = {
        "storageClassName": STORAGE_CLASS,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"metadata": metadata, "spec": {**wanted, **spec}}


def a_volume(phase: str, policy: str = "Delete") -> dict[str, Any]:
    volume = build_volume(a_claim(), FOLDER)
    volume["spec"]["persistentVolumeReclaimPolicy"] = policy
    return {**volume, "status": {"phase": phase}}


def test_a_claim_gets_a_folder_of_its_own_on_the_node_of_its_pod() -> None:
    (volume,) = plan_volumes([a_claim("1")], [], FOLDER).create

    assert volume["spec"]["hostPath"]["path"] == "/volumes/pvc-1"
    assert volume["spec"]["claimRef"]["uid"] == "1"
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["sandbox"]
    assert volume["metadata"]["annotations"][PROVISIONED_BY] == PROVISIONER


def test_a_claim_that_has_its_volume_gets_no_second_one() -> None:
    assert plan_volumes([a_claim()], [a_volume("Pending")], FOLDER) == Work()


def test_claims_of_others_and_claims_without_a_pod_are_left_alone() -> None:
    waiting = a_claim()
    del waiting["metadata"]["annotations"]
    others = [a_claim(storageClassName="fast"), a_claim(volumeMode="Block"), waiting]

    assert plan_volumes([*others, a_claim(volumeName="given")], [], FOLDER) == Work()


def test_a_volume_goes_with_its_claim_unless_it_is_to_be_kept() -> None:
    assert plan_volumes([], [a_volume("Released")], FOLDER).delete == ("pvc-1",)
    assert plan_volumes([], [a_volume("Bound")], FOLDER) == Work()
    assert plan_volumes([], [a_volume("Released", policy="Retain")], FOLDER) == Work()


def test_a_volume_of_another_provisioner_is_never_deleted() -> None:
    foreign = a_volume("Released")
    foreign["metadata"]["annotations"] = {PROVISIONED_BY: "somebody.test/else"}

    assert plan_volumes([], [foreign], FOLDER) == Work()
