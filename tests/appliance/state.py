"""What the fake knows: backups, restores, both views of the settings, the deploy."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.clock import SteerableClock
from appliance.hosts import CONSOLE
from appliance.restores import RestoreDesk
from appliance.settings import Settings
from appliance.shapes import LEAVING, RUNNING
from appliance.wire import Json, Record

BUILD = "2021.6.12.20250501101010"
ARCHIVE_BYTES = 734003200


@dataclass(slots=True)
class Backup:
    """One record; the members are those of spec §3.0."""

    id: int
    host_id: int
    name: str
    description: str | None
    type: str
    time_initiated: int  # epoch ms
    intiated_by: str
    status: str = "INITIALIZING"
    time_completed: int | None = None  # epoch ms
    size_on_disk: int = 0  # bytes
    content_file_path: str | None = None
    is_valid: bool = False
    is_version_compatible: bool = True
    is_scheduled: bool = False
    left_at_ms: int = 0

    def record(self) -> Record:
        """The object on the wire."""
        return {
            "id": self.id,
            "configuration_id": 1,
            "host_id": self.host_id,
            "name": self.name,
            "description": self.description,
            "type": self.type,
            "version": "7.5.0",
            "build_version": BUILD,
            "time_initiated": self.time_initiated,
            "time_completed": self.time_completed,
            "intiated_by": self.intiated_by,
            "status": self.status,
            "size_on_disk": self.size_on_disk,
            "content_file_path": self.content_file_path,
            "is_valid": self.is_valid,
            "is_version_compatible": self.is_version_compatible,
            "app_deployment_location": "CONSOLE" if self.type == "CONFIG" else "NA",
        }


class ApplianceState:
    """State that follows from the clock is brought up to date by settle(), before every look.

    ``initializing_seconds``, ``backup_seconds``, ``deletion_seconds`` and ``deploy_seconds`` say
    how long each takes; None: until the test says so.
    """

    def __init__(self) -> None:
        self.clock = SteerableClock()
        self.initializing_seconds: float | None = 0.0
        self.backup_seconds: float | None = None
        self.deletion_seconds: float | None = 0.0
        self.deploy_seconds: float | None = 0.0
        self.backups: dict[int, Backup] = {}
        self.restores = RestoreDesk(self.clock, lambda backup_id: backup_id in self.backups)
        self.staged = Settings()
        self.deployed = Settings()
        self.directories = {"/", "/store", "/store/backup", "/mnt/backup"}
        self.files = {"/etc/hostname"}
        self.eps_pool = 10_000  # what the licences have left
        self.fpm_pool = 200_000
        self.hosts_that_fail_to_deploy: set[int] = set()
        self._next_id = 1
        self._being_deployed: Settings | None = None
        self._deploy_type = "INCREMENTAL"
        self._deploy_caller = "admin"
        self._deploy_started_ms = 0

    @property
    def hosts(self) -> dict[int, Record]:
        """The deployed hosts."""
        return self.deployed.hosts

    def views(self) -> Iterator[Settings]:
        """Every view of the settings, for what takes effect without a deploy."""
        yield self.staged
        yield self.deployed
        if self._being_deployed is not None:
            yield self._being_deployed

    @property
    def is_deploying(self) -> bool:
        """Whether a deploy runs."""
        return self._being_deployed is not None

    @property
    def is_deployed(self) -> bool:
        """Whether what is staged is what is in force (spec §14 no. 2)."""
        return self.staged == self.deployed

    def peek_id(self) -> int:
        """The id that the next backup will get: one more than backups were ever made."""
        return self._next_id

    def take_id(self) -> int:
        """Give out the next id of a backup."""
        taken = self._next_id
        self._next_id += 1
        return taken

    def settle(self) -> None:
        """Let happen what is due by the clock."""
        now = self.clock.now_ms()
        for backup in list(self.backups.values()):
            age_ms = now - backup.time_initiated
            if backup.status in LEAVING and _is_due(now - backup.left_at_ms, self.deletion_seconds):
                del self.backups[backup.id]
            elif backup.status in RUNNING and _is_due(age_ms, self.backup_seconds):
                self.finish(backup)
            elif backup.status == "INITIALIZING" and _is_due(age_ms, self.initializing_seconds):
                backup.status = "IN_PROGRESS"
        if self.is_deploying and _is_due(now - self._deploy_started_ms, self.deploy_seconds):
            self.finish_deploy()
        self.restores.settle()

    def finish(self, backup: Backup) -> None:
        """End it well: the archive is there (spec §3.0, file name §10)."""
        started = datetime.fromtimestamp(backup.time_initiated / 1000, UTC)
        hostname = self.hosts[backup.host_id]["hostname"]
        day = f"{started.day}_{started.month}_{started.year}"
        backup.status = "SUCCESS"
        backup.time_completed = max(self.clock.now_ms(), backup.time_initiated)
        backup.size_on_disk = ARCHIVE_BYTES
        backup.content_file_path = (
            f"/store/backup/backup.{backup.name}.{hostname}_{backup.host_id}.{day}"
            f".{backup.type.lower()}.{backup.time_initiated}.tgz"
        )
        backup.is_valid = True

    def fail(self, backup: Backup) -> None:
        """End it badly."""
        backup.status = "FAILED"
        backup.time_completed = self.clock.now_ms()
        backup.is_valid = False

    def leave(self, backup: Backup) -> None:
        """Cancel or delete it (spec §3.5)."""
        backup.status = "CANCELLING" if backup.status in RUNNING else "DELETING"
        backup.left_at_ms = self.clock.now_ms()

    def start_deploy(self, deploy_type: str, caller: str) -> None:
        """Begin; what is staged from now on belongs to the next deploy (spec §14 no. 5)."""
        self._deploy_type = deploy_type
        self._deploy_caller = caller
        self._deploy_started_ms = self.clock.now_ms()
        self._being_deployed = deepcopy(self.staged)

    def finish_deploy(self) -> None:
        """End the running deploy; its changes are in force."""
        if self._being_deployed is not None:
            self.deployed, self._being_deployed = self._being_deployed, None

    def deploy_status(self) -> Record:
        """The status object in the shape of the reference's sample (spec §7.0)."""
        percent = self._deploy_percent()
        return {
            "type": self._deploy_type,
            "status": "COMPLETE" if percent == 100 else "IN_PROGRESS",
            "percent_complete": percent,
            "initiated_by": self._deploy_caller,
            "initiated_from": self.hosts[CONSOLE]["hostname"],
            "hosts": self._deploy_hosts(percent),
        }

    def _deploy_percent(self) -> int:
        if not self.is_deploying:
            return 100
        if self.deploy_seconds is None:
            return 40
        elapsed_s = self.clock.now_s() - self._deploy_started_ms / 1000
        return min(99, max(0, int(100 * elapsed_s / max(self.deploy_seconds, 0.001))))

    def _deploy_hosts(self, percent: int) -> list[Json]:
        """One host after the other."""
        active = [host for host in self.hosts.values() if host["status"] == "Active"]
        done = len(active) * percent // 100
        rows: list[Json] = []
        for position, host in enumerate(active):
            progress = "INITIATING" if position > done else "IN_PROGRESS"
            if position < done:
                failed = host["id"] in self.hosts_that_fail_to_deploy
                progress = "ERROR" if failed else "SUCCESS"
            rows.append({"ip": host["private_ip"], "host_status": progress, "status": progress})
        return rows


def _is_due(elapsed_ms: int, after_s: float | None) -> bool:
    return after_s is not None and elapsed_ms >= after_s * 1000
