"""Object lock: what a repository stores in a bucket cannot be removed before its time. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.kopia import Answer

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]

SHORTEST_DAYS: Final = 2
"""kopia extends locks with its daily full maintenance, and wants a day to spare."""

LONGEST_DAYS: Final = 36500
DEFAULT_DAYS: Final = 30

_NS_PER_DAY: Final = 24 * 3600 * 10**9
_HOURS_PER_DAY: Final = 24
_LOCKED_FIRST: Final = "kopia.blobcfg"  # the one blob that a repository without a lock lacks


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """How long what is stored is locked, and whether a privileged user may lift that."""

    mode: LockMode
    days: int = DEFAULT_DAYS

    @property
    def arguments(self) -> tuple[str, ...]:
        """What kopia is told, of a new repository as of one that exists."""
        hours = self.days * _HOURS_PER_DAY
        return (f"--retention-mode={self.mode}", f"--retention-period={hours}h")


class _Retention(msgspec.Struct, frozen=True, rename="camel"):
    retention_mode: str = ""
    retention_period: int = 0  # nanoseconds


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    blob_retention: _Retention = _Retention()


def is_locked_so(text: bytes, lock: ObjectLock) -> bool:
    """Read ``kopia repository status --json``: whether ``lock`` is in force; raises VolumeError."""
    try:
        told = msgspec.json.decode(text, type=_Status).blob_retention
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        raise VolumeError(
            "KopiaUnknown", f"kopia's answer is not understood: {trouble}"
        ) from trouble
    return (told.retention_mode, told.retention_period) == (lock.mode, lock.days * _NS_PER_DAY)


def find_lock_refusal(answer: Answer, url: str) -> VolumeError | None:
    """Find in what kopia said that the bucket takes no locks; None: it said something else."""
    if not answer.code or _LOCKED_FIRST not in answer.told:
        return None
    said = answer.told.rpartition("\n")[2]
    return VolumeError(
        "ObjectLockRefused",
        f"{url}: the bucket does not lock objects; enable object lock on it (with most servers only"
        f" when it is made), or leave --repository-lock out (kopia: {said})",
    )
