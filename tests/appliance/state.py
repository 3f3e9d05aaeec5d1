"""What the fake knows: backups, hosts, staged changes, the deploy (spec §3, §6, §7)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.clock import SteerableClock
from appliance.hosts import CONSOLE, DATA_HOST, NO_DATA, NOT_ACTIVE, build_hosts
from appliance.shapes import LEAVING, RUNNING
from appliance.wire import Record

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
        self.hosts = {host["id"]: host for host in build_hosts()}
        self.hosts_with_data_backup = {DATA_HOST, NOT_ACTIVE, NO_DATA}
        self.is_restoring = False
        self.has_staged_change = False
        self._next_id = 1
        self._change_being_deployed = False
        self._deploy_type = "INCREMENTAL"
        self._deploy_caller = "admin"
        self._deploy_started_ms: int | None = None

    @property
    def is_deploying(self) -> bool:
        """Whether a deploy runs."""
        return self._deploy_started_ms is not None

    @property
    def is_deployed(self) -> bool:
        """Whether the staged configuration is the one in force (spec §14 no. 2)."""
        return not (self.has_staged_change or self._change_being_deployed)

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
        if self._deploy_started_ms is not None and _is_due(
            now - self._deploy_started_ms, self.deploy_seconds
        ):
            self.finish_deploy()

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
        self._change_being_deployed, self.has_staged_change = self.has_staged_change, False

    def finish_deploy(self) -> None:
        """End the running deploy; its changes are in force."""
        self._deploy_started_ms = None
        self._change_being_deployed = False

    def deploy_status(self) -> Record:
        """The status object in the shape of the reference's sample (spec §7.0)."""
        running = self.is_deploying
        progress = "IN_PROGRESS" if running else "SUCCESS"
        return {
            "type": self._deploy_type,
            "status": "IN_PROGRESS" if running else "COMPLETE",
            "percent_complete": 40 if running else 100,
            "initiated_by": self._deploy_caller,
            "initiated_from": self.hosts[CONSOLE]["hostname"],
            "hosts": [
                {"ip": host["private_ip"], "host_status": progress, "status": progress}
                for host in self.hosts.values()
                if host["status"] == "Active"
            ],
        }


def _is_due(elapsed_ms: int, after_s: float | None) -> bool:
    return after_s is not None and elapsed_ms >= after_s * 1000
