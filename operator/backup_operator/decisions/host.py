"""The status of a BackupHost: what its engine has staged of it, and what is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup_api.extensions.hosts import EngineHostRecord, EngineHostType
from backup_api.hosts import HostStatus
from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.facts import EngineSeen
from backup_operator.decisions.refusals import cut
from backup_operator.resources.backup_status import NamedEngine
from backup_operator.resources.host import BackupHostSpec, HostType
from backup_operator.resources.host_status import BackupHostStatus
from backup_operator.resources.parts import ConditionType, ObjectMetadata

SOON: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class HostSeen:
    """What is known of a BackupHost; ``hosts`` None: its engine is an appliance, or not asked."""

    metadata: ObjectMetadata
    status: BackupHostStatus
    engine: EngineSeen
    hosts: tuple[EngineHostRecord, ...] | None = None


@dataclass(frozen=True, slots=True)
class HostStanding:
    """Where a BackupHost stands."""

    reason: str
    message: str
    is_staged: bool = False
    is_deployed: bool = False
    is_ready: bool = False
    is_stalled: bool = False
    record: EngineHostRecord | None = None

    @property
    def is_moving(self) -> bool:
        """Whether it is about to change, be it by the engine or by a deploy."""
        return not self.is_ready and not self.is_stalled


def judge_host(wanted: BackupHostSpec, seen: HostSeen) -> HostStanding:
    """Judge a BackupHost from facts alone. Total: it never raises."""
    if seen.engine.trouble is not None:
        trouble = seen.engine.trouble
        return HostStanding(trouble.reason, trouble.message, is_stalled=trouble.needs_people)
    if seen.hosts is None:
        message = (
            "The engine is an appliance, which has its own hosts: a BackupHost is of no use to it."
            " Delete the object, or create it anew with the engineRef of an in-cluster engine."
        )
        return HostStanding("NotInCluster", message, is_stalled=True)
    uid = seen.metadata.uid
    record = next((one for one in seen.hosts if one.resource_uid == uid), None)
    if record is None:
        return _judge_absent(wanted, seen.hosts)
    return _judge_present(seen.metadata.generation, record)


def _judge_absent(wanted: BackupHostSpec, hosts: Sequence[EngineHostRecord]) -> HostStanding:
    console = next((one for one in hosts if one.type is EngineHostType.CONSOLE), None)
    is_taken = console is not None and console.resource_name is not None
    if wanted.type is HostType.CONSOLE and is_taken and console is not None:
        message = (
            f"BackupHost {console.resource_name} is the console of the engine, and there is one;"
            " delete one of them."
        )
        return HostStanding("AnotherIsConsole", message, is_stalled=True)
    return HostStanding("NotStaged", "The engine has not taken the host over yet.")


def _judge_present(generation: int, record: EngineHostRecord) -> HostStanding:
    is_staged = record.staged_generation == generation
    is_deployed = is_staged and not record.is_deploy_pending
    is_deployed = is_deployed and record.deployed_generation == generation
    if not is_staged:
        return HostStanding(
            "NotStaged", "The engine has not taken this generation over yet.", record=record
        )
    if not is_deployed:
        message = (
            "Staged at the engine; a deploy puts it in force, such as that of a Backup with"
            " deployStaged: true or of a BackupConfiguration."
        ) + _repeat_remark(record)
        return HostStanding("PendingDeploy", message, is_staged=True, record=record)
    if record.deployed_status is not HostStatus.ACTIVE:
        state = record.deployed_status.value if record.deployed_status is not None else "unknown"
        message = record.message or f"The engine says that the host is {state}."
        reason = record.reason or "NotActive"
        return HostStanding(
            reason,
            message,
            is_staged=True,
            is_deployed=True,
            # until somebody mends the cause and deploys again
            is_stalled=record.deployed_status is HostStatus.ADD_FAILED_CHECK_LOGS,
            record=record,
        )
    return HostStanding(
        "InForce",
        "The engine has the host in force." + _repeat_remark(record),
        is_staged=True,
        is_deployed=True,
        is_ready=True,
        record=record,
    )


def _repeat_remark(record: EngineHostRecord) -> str:
    """Repeat what the last deploy found amiss, be the host in force or not."""
    if record.reason is None:
        return ""
    return f" The last deploy found: {record.reason}: {record.message or 'no more is known'}"


def build_host_status(seen: HostSeen, standing: HostStanding, now: datetime) -> BackupHostStatus:
    """Build the status that tells ``standing``; equal to the stored one where nothing is new."""
    generation, record = seen.metadata.generation, standing.record
    reason, message = standing.reason, cut(standing.message)
    judged = (
        Judgement(ConditionType.READY, truth(standing.is_ready), reason, message),
        Judgement(ConditionType.RECONCILING, truth(standing.is_moving), reason, message),
        Judgement(ConditionType.STALLED, truth(standing.is_stalled), reason, message),
        Judgement(ConditionType.STAGED, truth(standing.is_staged), reason, message),
        Judgement(ConditionType.DEPLOYED, truth(standing.is_deployed), reason, message),
    )
    update: dict[str, object] = {
        "observed_generation": generation,
        "conditions": merge_conditions(seen.status.conditions, judged, generation, now),
    }
    identity = seen.engine.identity
    if identity is not None:
        update["engine"] = NamedEngine(name=identity.name, uid=identity.uid)
    if record is not None or seen.hosts is not None:
        update |= _mirror(record)
    return seen.status.model_copy(update=update)


def _mirror(record: EngineHostRecord | None) -> dict[str, object]:
    if record is None:
        names = ("host_id", "hostname", "staged_status", "deployed_status")
        return dict.fromkeys((*names, "staged_generation", "deployed_generation"))
    staged, deployed = record.staged_status, record.deployed_status
    return {
        "host_id": record.id,
        "hostname": record.hostname,
        "staged_status": staged.value if staged is not None else None,
        "deployed_status": deployed.value if deployed is not None else None,
        "staged_generation": record.staged_generation,
        "deployed_generation": record.deployed_generation,
    }
