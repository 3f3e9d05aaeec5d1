"""What is at the place that a volume is to be restored to, and whether it may be. Pure."""

from pathlib import Path
from typing import Any

import pytest

from backup_api.extensions.volume_targets import TargetState
from backup_engine.volumes.claims import parse_quantity, see_claim, see_new_claim
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.targets import TargetSeen, TargetWish, check_writable, judge_target
from backup_engine.volumes.volume import Volume

DATA, COPY = Volume("shop", "data"), Volume("shop", "copy")
GIB = 1024**3
THERE, GONE = TargetState.PRESENT, TargetState.ABSENT


@pytest.mark.parametrize(
    ("is_new", "has_paths", "seen", "reason"),
    [
        (True, False, TargetSeen(GONE, capacity_bytes=3 * GIB), None),
        (True, False, TargetSeen(THERE), "TargetExists"),
        (True, False, TargetSeen(GONE, capacity_bytes=GIB), "TargetTooSmall"),
        (False, False, TargetSeen(GONE), "TargetMissing"),
        (False, False, TargetSeen(THERE), None),
        (False, False, TargetSeen(TargetState.EMPTY), None),
        (False, False, TargetSeen(TargetState.NOT_EMPTY), "TargetNotEmpty"),
        (False, True, TargetSeen(TargetState.NOT_EMPTY), None),
        (False, True, TargetSeen(THERE, capacity_bytes=GIB), None),  # a part may well fit
    ],
)
def test_a_target_is_judged_by_what_is_there(
    is_new: bool, has_paths: bool, seen: TargetSeen, reason: str | None
) -> None:
    wish = TargetWish(DATA, COPY, is_new=is_new, has_paths=has_paths)
    trouble = judge_target(wish, seen, 2 * GIB)
    assert (trouble.reason if trouble is not None else None) == reason


def a_claim(mode: str = "ReadWriteOnce") -> dict[str, Any]:
    asked = {"requests": {"storage": "5Gi"}}
    return {
        "spec": {"accessModes": [mode], "storageClassName": "fast", "resources": asked},
        "status": {"capacity": {"storage": "6Gi"}},
    }


def a_pod(name: str, phase: str = "Running") -> dict[str, Any]:
    claim = {"persistentVolumeClaim": {"claimName": "data"}}
    return {
        "metadata": {"name": name},
        "spec": {"volumes": [claim]},
        "status": {"phase": phase},
    }


def test_a_claim_tells_its_capacity_and_who_has_it() -> None:
    pods = [a_pod("web-1"), a_pod("web-0"), a_pod("job", "Succeeded")]
    assert see_claim(DATA, a_claim(), pods) == TargetSeen(
        THERE, ("web-0", "web-1"), 6 * GIB, "fast"
    )
    with pytest.raises(VolumeError, match="pod web-1 has the claim") as trouble:
        see_claim(DATA, a_claim("ReadWriteOncePod"), pods)
    assert trouble.value.reason == "ClaimInUse"


def test_a_claim_to_be_made_is_as_wished_or_as_the_one_that_was_backed_up() -> None:
    wish = TargetWish(DATA, COPY, is_new=True)
    assert see_new_claim(wish, None, a_claim()) == TargetSeen(GONE, (), 5 * GIB, "fast")
    sized = TargetWish(DATA, COPY, is_new=True, size_bytes=7, storage_class="slow")
    assert see_new_claim(sized, None, None) == TargetSeen(GONE, (), 7, "slow")
    assert see_new_claim(wish, a_claim(), None).state is THERE
    with pytest.raises(VolumeError, match="give the size") as trouble:
        see_new_claim(wish, None, None)
    assert trouble.value.reason == "SizeMissing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10Gi", 10 * GIB),
        ("1.5Gi", 3 * GIB // 2),
        ("128974848", 128974848),
        ("129e6", 129_000_000),
        ("129M", 129_000_000),
        ("500m", None),
        ("much", None),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str, expected: int | None) -> None:
    assert parse_quantity(text) == expected


def test_what_a_file_system_makes_by_itself_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    check_writable(tmp_path, DATA, ())
    (tmp_path / "file").write_text("x")
    with pytest.raises(VolumeError, match="is not empty"):
        check_writable(tmp_path, DATA, ())
    check_writable(tmp_path, DATA, ["file", "new/one"])
