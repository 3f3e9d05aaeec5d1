"""Which VolumeSnapshotClass a volume gets, and why a snapshot is not ready."""

from typing import Any

import pytest

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.volume import Volume
from backup_engine.volumes.volume_snapshots import choose_class, explain_unready, is_ready

DATA = Volume("shop", "data")
DEFAULT = {"snapshot.storage.k8s.io/is-default-class": "true"}


def a_class(
    name: str, driver: str = "csi", policy: str = "Delete", **metadata: object
) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "driver": driver, "deletionPolicy": policy}


ONE = a_class("one")
OTHER = a_class("other", driver="elsewhere", annotations=DEFAULT)
KEEPING = a_class("keeping", policy="Retain", annotations=DEFAULT)
USUAL = a_class("usual", annotations=DEFAULT)


@pytest.mark.parametrize(
    ("classes", "wanted", "chosen"),
    [
        ([], None, None),
        ([OTHER], None, None),
        ([ONE, OTHER], None, "one"),
        ([KEEPING], None, None),
        ([KEEPING, ONE], None, "one"),
        ([ONE, USUAL, a_class("third")], None, "usual"),
        ([ONE, USUAL], "one", "one"),
    ],
)
def test_the_class_is_that_of_the_driver(
    classes: list[dict[str, Any]], wanted: str | None, chosen: str | None
) -> None:
    assert choose_class(DATA, "csi", classes, wanted) == chosen


def test_a_volume_without_a_driver_has_no_class() -> None:
    assert choose_class(DATA, None, [ONE]) is None


@pytest.mark.parametrize(
    ("classes", "wanted", "told"),
    [
        ([ONE, a_class("two")], None, "several VolumeSnapshotClasses.*one, two"),
        ([ONE], "absent", "no VolumeSnapshotClass absent"),
        ([OTHER], "other", "no VolumeSnapshotClass other of its driver csi"),
        ([KEEPING], "keeping", "deletionPolicy Delete"),
    ],
)
def test_a_choice_that_cannot_be_made_is_told(
    classes: list[dict[str, Any]], wanted: str | None, told: str
) -> None:
    with pytest.raises(VolumeError, match=told) as trouble:
        choose_class(DATA, "csi", classes, wanted)
    assert trouble.value.reason == "NoVolumeSnapshotClass"


def test_a_snapshot_that_is_not_ready_says_why() -> None:
    full = {"status": {"readyToUse": False, "error": {"message": "the pool is full"}}}

    assert is_ready({"status": {"readyToUse": True}})
    assert not is_ready({})
    assert explain_unready(full) == "the pool is full"
    assert "no snapshot controller" in explain_unready({})
    assert "at it" in explain_unready({"status": {"readyToUse": False}})
