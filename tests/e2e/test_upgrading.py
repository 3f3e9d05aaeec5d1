"""From the manifests of a version before, with its objects and its archives, to today's."""

from pathlib import Path
from typing import Any

import pytest

from e2e.installation import Installation, list_archives
from e2e.kubectl import FINISH_S, Kubectl
from e2e.resources import a_backup

PREVIOUS = Path(__file__).parent / "previous"
OVERLAY = "manifests/overlays/cluster"
RESTORE = "manifests/restore"
KINDS = "backupengines,backuphosts,backupconfigurations,backups,backupschedules,restores"

pytestmark = pytest.mark.cluster


def test_an_upgrade_keeps_what_is_stored_and_goes_on_with_it(
    kubectl: Kubectl, installation: Installation
) -> None:
    kubectl("apply", "--server-side", "-f", str(PREVIOUS / "manifests.yaml"))
    kubectl("apply", "--server-side", "-k", RESTORE)
    kubectl.roll_out()
    kubectl("apply", "--server-side", "-f", str(PREVIOUS / "objects.yaml"))
    settle(kubectl)
    before, archives = stored(kubectl), list_archives(kubectl)
    assert len(before) == 6

    kubectl.apply(a_backup("meanwhile"))
    kubectl("apply", "--server-side", "-k", OVERLAY)
    kubectl("rollout", "restart", "deploy", "-n", "backup-system")  # as another image would
    kubectl.roll_out()

    settle(kubectl)
    after = stored(kubectl)
    for name, each in before.items():  # what is new may have a default of its own
        assert after[name]["spec"] == {**after[name]["spec"], **each["spec"]}, name
        assert after[name]["metadata"]["uid"] == each["metadata"]["uid"], name
    kept = ("id", "phase", "contentFilePath", "isValid", "timeCompleted", "sizeOnDisk")
    for field in kept:
        assert (
            after["Backup/before"]["status"][field] == before["Backup/before"]["status"][field]
        ), field
    kubectl.wait("Complete", "backup/meanwhile")
    kubectl.apply(a_backup("after"))
    kubectl.wait("Complete", "backup/after")
    made = list_archives(kubectl)
    assert archives < made
    assert len(made) == len(archives) + 2  # nothing was made twice
    installation.uninstall(RESTORE, OVERLAY)


def settle(kubectl: Kubectl) -> None:
    ready = ("wait", "--for=condition=Ready", f"--timeout={FINISH_S}s")
    kubectl(*ready, "backupengine/in-cluster", "backuphost/console")
    kubectl(*ready, "backupconfiguration/in-cluster")
    kubectl.wait("Complete", "backup/before")
    kubectl.wait("Ready", "backupschedule/leap-days")
    kubectl.wait("Planned", "restore/look")


def stored(kubectl: Kubectl) -> dict[str, Any]:
    listed = kubectl.get(KINDS, "--all-namespaces")["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in listed}
