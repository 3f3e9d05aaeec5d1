"""The levers a test pulls on the fake appliance."""

from appliance.callers import Callers
from appliance.clock import SteerableClock
from appliance.faults import Faults
from appliance.hosts import CONSOLE
from appliance.journal import PATIENCE_S, Journal, SeenRequest
from appliance.restores import Restore, RestoreDesk
from appliance.settings import MINUTE_MS
from appliance.shapes import RUNNING
from appliance.state import ApplianceState, Backup
from appliance.wire import Record


class Levers:
    """Steering of state, clock, faults and log; an unknown id raises KeyError."""

    def __init__(
        self, state: ApplianceState, callers: Callers, faults: Faults, journal: Journal
    ) -> None:
        self.state = state
        self.callers = callers
        self.faults = faults
        self.journal = journal
        state.restores.on_users_restored = callers.rotate_token

    @property
    def clock(self) -> SteerableClock:
        """The appliance's clock: advance() and freeze() it."""
        return self.state.clock

    @property
    def token(self) -> str:
        """The token that is valid now."""
        return self.callers.token

    @property
    def powerless_token(self) -> str:
        """A valid token whose role may do nothing: 403/26."""
        return self.callers.powerless_token

    def rotate_token(self) -> str:
        """Replace the token and return the new one; the old one gives 401/18."""
        return self.callers.rotate_token()

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request seen, oldest first."""
        return self.journal.requests

    def count(self, pattern: str, status: int | None = None) -> int:
        """How many requests matched, for example ``POST /backups`` or ``GET /backups/*``."""
        return sum(1 for _ in self.journal.matching(pattern, status))

    async def received(
        self, pattern: str, *, times: int = 1, within_s: float = PATIENCE_S
    ) -> SeenRequest:
        """Wait until ``times`` matching requests have arrived; raises TimeoutError."""
        return await self.journal.wait_for(pattern, times, within_s, is_answered=False)

    async def answered(
        self, pattern: str, *, times: int = 1, within_s: float = PATIENCE_S
    ) -> SeenRequest:
        """Wait until ``times`` matching requests have been answered; raises TimeoutError."""
        return await self.journal.wait_for(pattern, times, within_s, is_answered=True)

    @property
    def backups(self) -> list[Record]:
        """The records as they are now, by id."""
        self.state.settle()
        return [backup.record() for backup in self.state.backups.values()]

    def backup(self, backup_id: int) -> Record:
        """One record as it is now."""
        return self._find(backup_id).record()

    def find_by_name(self, name: str) -> list[Record]:
        """The records of this name, by id."""
        return [record for record in self.backups if record["name"] == name]

    def add_backup(
        self,
        name: str,
        *,
        status: str = "SUCCESS",
        backup_type: str = "CONFIG",
        host_id: int = CONSOLE,
        description: str | None = None,
        time_initiated: int | None = None,
        initiated_by: str = "admin",
        is_scheduled: bool = False,
        is_valid: bool | None = None,
        is_version_compatible: bool = True,
    ) -> int:
        """Add a record made by somebody else and return its id; time in epoch ms, None: now."""
        backup = Backup(
            id=self.state.take_id(),
            host_id=host_id,
            name=name,
            description=description,
            type=backup_type,
            time_initiated=self.clock.now_ms() if time_initiated is None else time_initiated,
            intiated_by=initiated_by,
            is_version_compatible=is_version_compatible,
            is_scheduled=is_scheduled,
        )
        self.state.backups[backup.id] = backup
        if status == "FAILED":
            self.state.fail(backup)
        elif status not in RUNNING:
            self.state.finish(backup)
            backup.is_valid = status == "SUCCESS"
        backup.status = status
        if is_valid is not None:
            backup.is_valid = is_valid
        return backup.id

    def begin(self, backup_id: int) -> None:
        """Move it from INITIALIZING to IN_PROGRESS."""
        self._find(backup_id).status = "IN_PROGRESS"

    def finish(self, backup_id: int) -> None:
        """End it as SUCCESS, with an archive."""
        self.state.finish(self._find(backup_id))

    def finish_all(self) -> int:
        """End every running backup as SUCCESS and return how many."""
        self.state.settle()
        running = [one for one in self.state.backups.values() if one.status in RUNNING]
        for backup in running:
            self.state.finish(backup)
        return len(running)

    def fail(self, backup_id: int) -> None:
        """End it as FAILED."""
        self.state.fail(self._find(backup_id))

    def lose_archive(self, backup_id: int) -> None:
        """Let the file vanish: MISSING and not valid."""
        backup = self._find(backup_id)
        backup.status, backup.is_valid = "MISSING", False

    def return_archive(self, backup_id: int) -> None:
        """Bring the file back: SUCCESS and valid."""
        backup = self._find(backup_id)
        backup.status, backup.is_valid = "SUCCESS", True

    def invalidate(self, backup_id: int) -> None:
        """Spoil the archive: still SUCCESS, but not valid."""
        self._find(backup_id).is_valid = False

    def make_incompatible(self, backup_id: int) -> None:
        """Let the archive be of a version that cannot be restored here."""
        self._find(backup_id).is_version_compatible = False

    def forget(self, backup_id: int) -> None:
        """Remove the record behind everybody's back: 404/1001."""
        del self.state.backups[self._find(backup_id).id]

    def finish_deletions(self) -> None:
        """Let every CANCELLING and DELETING record go (with ``deletion_seconds`` None)."""
        kept, self.state.deletion_seconds = self.state.deletion_seconds, 0.0
        self.state.settle()
        self.state.deletion_seconds = kept

    def stage_change(self) -> None:
        """Change the staged configuration: POST /backups answers 409/1011 until a deploy ends."""
        limit = self.state.staged.configuration["configuration_backup_time_limit"]
        assert isinstance(limit, int)
        self.state.staged.configuration["configuration_backup_time_limit"] = limit - MINUTE_MS

    def finish_deploy(self) -> None:
        """End the running deploy (with ``deploy_seconds`` None)."""
        self.state.finish_deploy()

    @property
    def restores(self) -> RestoreDesk:
        """The restores, with levers for their times, their outcome and the outage."""
        return self.state.restores

    def add_restore(self, *, status: str = "PENDING", backup_id: int = 1) -> int:
        """Add a restore that somebody else created and return its id."""
        now = self.clock.now_ms()
        restore = Restore(
            self.restores.next_id, "admin", now, backup_id, "old", "old.tgz", ["LICENSE_CONFIG"]
        )
        self.restores.next_id += 1
        restore.status, restore.launched_at_ms = status, now
        self.restores.records[restore.id] = restore
        return restore.id

    def restore(self, restore_id: int) -> Record:
        """One restore as it is now."""
        self.state.settle()
        return self.state.restores.records[restore_id].record()

    def finish_restore(self, restore_id: int, outcome: str = "SUCCESS") -> None:
        """End a restore (with ``restore_seconds`` None)."""
        self.state.settle()
        self.state.restores.finish(self.state.restores.records[restore_id], outcome)

    def finish_restores(self) -> None:
        """End every restore that runs, with or without its record."""
        self.state.settle()
        self.state.restores.finish_all()

    def start_restore(self) -> None:
        """Start a restore that has no record: POST /backups answers 409/1016."""
        self.state.restores.is_running_unseen = True

    def end_restore(self) -> None:
        """End that restore."""
        self.state.restores.is_running_unseen = False

    def set_host_status(self, host_id: int, status: str) -> None:
        """Change the status of a host (spec §6.0), staged and deployed; raises KeyError."""
        for view in self.state.views():
            view.hosts[host_id]["status"] = status

    def enable_data_backup(self, host_id: int) -> None:
        """Enable a host for DATA backups, staged and deployed; others answer 422/1014."""
        row: Record = {
            "host_id": host_id,
            "event_data_backup_enabled": True,
            "flow_data_backup_enabled": True,
        }
        for view in self.state.views():
            rows = view.configuration["data_backup_host_configuration"]
            assert isinstance(rows, list)
            rows.append(dict(row))

    @property
    def backup_seconds(self) -> float | None:
        """Seconds until a backup ends by itself; None: when the test says."""
        return self.state.backup_seconds

    @backup_seconds.setter
    def backup_seconds(self, seconds: float | None) -> None:
        self.state.backup_seconds = seconds

    @property
    def initializing_seconds(self) -> float | None:
        """Seconds from INITIALIZING to IN_PROGRESS; None: when the test says."""
        return self.state.initializing_seconds

    @initializing_seconds.setter
    def initializing_seconds(self, seconds: float | None) -> None:
        self.state.initializing_seconds = seconds

    @property
    def deletion_seconds(self) -> float | None:
        """Seconds from DELETE to 404; None: when the test says."""
        return self.state.deletion_seconds

    @deletion_seconds.setter
    def deletion_seconds(self, seconds: float | None) -> None:
        self.state.deletion_seconds = seconds

    @property
    def deploy_seconds(self) -> float | None:
        """Seconds that a deploy takes; None: until the test says."""
        return self.state.deploy_seconds

    @deploy_seconds.setter
    def deploy_seconds(self, seconds: float | None) -> None:
        self.state.deploy_seconds = seconds

    def _find(self, backup_id: int) -> Backup:
        self.state.settle()
        return self.state.backups[backup_id]
