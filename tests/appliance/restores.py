"""The life of restores on the steerable clock (spec §4)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from appliance.clock import SteerableClock
from appliance.hosts import CONSOLE
from appliance.shapes import OPEN_RESTORE, RUNNING_RESTORE
from appliance.wire import Record


class Outage(Enum):
    """How the API is gone while a restore is IN_PROGRESS (spec §9 "Restore")."""

    NONE = 200
    REFUSED = 0  # the port is closed
    BAD_GATEWAY = 502
    UNAVAILABLE = 503
    NOT_INITIALISED = 550


@dataclass(slots=True)
class Restore:
    """One record; the members are those of spec §4.0."""

    id: int
    initiated_by: str
    time_initiated: int  # epoch ms
    backup_id: int | None
    backup_name: str
    backup_filename: str
    groups: list[str]
    status: str = "PENDING"
    time_completed: int | None = None  # epoch ms
    launched_at_ms: int = 0

    def record(self) -> Record:
        """The object on the wire."""
        return {
            "id": self.id,
            "initiated_by": self.initiated_by,
            "host_id": CONSOLE,
            "time_initiated": self.time_initiated,
            "time_completed": self.time_completed,
            "status": self.status,
            "is_cross_deployment_restore": False,
            "backup_id": self.backup_id,
            "backup_name": self.backup_name,
            "backup_version": "7.5.0",
            "backup_type": "CONFIG",
            "backup_filename": self.backup_filename,
            "groups": list(self.groups),
        }


@dataclass(slots=True)
class RestoreDesk:
    """All restores. Seconds count from the launch; None: until the test says so.

    ``unrecorded``: restores that run on although their record was deleted (spec §4.5).
    ``on_users_restored`` is called when USERS_CONFIG came back with a restore.
    """

    clock: SteerableClock
    has_backup: Callable[[int | None], bool]
    on_users_restored: Callable[[], object] = lambda: None
    records: dict[int, Restore] = field(default_factory=dict)
    unrecorded: list[Restore] = field(default_factory=list)
    outage: Outage = Outage.NONE
    outcome: str = "SUCCESS"
    requesting_seconds: float | None = 0.0
    initializing_seconds: float | None = 0.0
    restore_seconds: float | None = None
    is_running_unseen: bool = False  # a lever: a restore of which there never was a record
    is_rebalancing: bool = False
    next_id: int = 1

    @property
    def is_running(self) -> bool:
        """Whether one runs, with or without a record (spec §14 no. 20)."""
        return self.is_running_unseen or any(self._running())

    @property
    def has_open(self) -> bool:
        """Whether there is a record that is not over (spec §4.0)."""
        return any(one.status in OPEN_RESTORE for one in self.records.values())

    @property
    def present_outage(self) -> Outage:
        """How the API is gone right now."""
        is_stopped = any(one.status == "IN_PROGRESS" for one in self._running())
        return self.outage if is_stopped else Outage.NONE

    def _running(self) -> list[Restore]:
        every = [*self.records.values(), *self.unrecorded]
        return [one for one in every if one.status in RUNNING_RESTORE]

    def launch(self, restore: Restore) -> None:
        """Set it going (spec §4.4)."""
        restore.status = "REQUESTING"
        restore.launched_at_ms = self.clock.now_ms()

    def drop(self, restore: Restore) -> None:
        """Remove the record; what runs runs on (spec §4.5)."""
        del self.records[restore.id]
        if restore.status in RUNNING_RESTORE:
            self.unrecorded.append(restore)

    def settle(self) -> None:
        """Let happen what is due by the clock."""
        now = self.clock.now_ms()
        for restore in self._running():
            age_ms = now - restore.launched_at_ms
            if restore.status == "REQUESTING" and _is_due(age_ms, self.requesting_seconds):
                restore.status = "INITIALIZING"
            if restore.status == "INITIALIZING" and _is_due(age_ms, self.initializing_seconds):
                restore.status = "IN_PROGRESS"
            if _is_due(age_ms, self.restore_seconds):
                self.finish(restore, self.outcome)

    def finish_all(self) -> None:
        """End all that run as ``outcome`` says."""
        for restore in self._running():
            self.finish(restore, self.outcome)

    def finish(self, restore: Restore, outcome: str) -> None:
        """End it; without its archive it fails (spec §14 no. 20)."""
        restore.status = outcome if self.has_backup(restore.backup_id) else "FAILED"
        restore.time_completed = max(self.clock.now_ms(), restore.time_initiated)
        restore.backup_id = None
        if restore in self.unrecorded:
            self.unrecorded.remove(restore)
        if restore.status == "SUCCESS" and "USERS_CONFIG" in restore.groups:
            self.on_users_restored()


def _is_due(elapsed_ms: int, after_s: float | None) -> bool:
    return after_s is not None and elapsed_ms >= after_s * 1000
