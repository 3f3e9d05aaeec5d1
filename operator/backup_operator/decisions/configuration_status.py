"""The status of a BackupConfiguration: both views of the engine, the deploy, and a verdict."""

from datetime import datetime, timedelta
from typing import Final

from backup_api.configurations import BackupConfigurationRecord
from backup_api.deploy import DeployStatus
from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.configuration import TROUBLED
from backup_operator.decisions.configuration_facts import ConfigurationSeen, ConfigurationStanding
from backup_operator.decisions.refusals import cut
from backup_operator.resources.configuration_status import (
    BackupConfigurationStatus,
    ConfigurationSettings,
    DataHostSettings,
    DeployHostProgress,
    DeployProgress,
)
from backup_operator.resources.durations import format_duration
from backup_operator.resources.parts import ConditionStatus, ConditionType
from backup_operator.resources.spans import format_age

MOST_HOSTS: Final = 100
LONGEST_WORD: Final = 1024


def build_configuration_status(
    seen: ConfigurationSeen, standing: ConfigurationStanding, now: datetime
) -> BackupConfigurationStatus:
    """Build the status that tells ``standing``; equal to the stored one where nothing is new."""
    stored, view = seen.status, seen.memory.view
    generation = seen.metadata.generation
    update: dict[str, object] = {
        "observed_generation": generation,
        "not_in_force": standing.not_in_force[:20],
        "conditions": merge_conditions(stored.conditions, _judge(standing), generation, now),
    }
    if seen.engine.identity is not None:
        update["engine"] = seen.engine.identity
    if view is not None:
        update["staged"] = describe_settings(view.staged)
        update["deployed"] = describe_settings(view.deployed)
        update["deploy"] = _describe_deploy(view.deploy)
    return stored.model_copy(update=update)


def _judge(standing: ConfigurationStanding) -> tuple[Judgement, ...]:
    reason, message = standing.reason, cut(standing.message)
    waits = not standing.is_ready and not standing.is_stalled
    return (
        Judgement(ConditionType.READY, truth(standing.is_ready), reason, message),
        Judgement(ConditionType.RECONCILING, truth(waits), reason, message),
        Judgement(ConditionType.STALLED, truth(standing.is_stalled), reason, message),
        *(
            Judgement(
                type_, ConditionStatus.UNKNOWN if holds is None else truth(holds), reason, message
            )
            for type_, holds in (
                (ConditionType.STAGED, standing.is_staged),
                (ConditionType.DEPLOYED, standing.is_deployed),
            )
        ),
    )


def describe_settings(record: BackupConfigurationRecord) -> ConfigurationSettings:
    """Write a configuration of the wire in the words of the spec."""
    hosts = record.data_backup_host_configuration or ()
    return ConfigurationSettings(
        backup_directory_path=_word(record.backup_directory_path),
        backup_retention_period=_format(record.backup_retention_period, in_days=True),
        data_backup_host_configuration=tuple(
            DataHostSettings(
                host_id=host.host_id,
                event_data_backup_enabled=host.event_data_backup_enabled,
                flow_data_backup_enabled=host.flow_data_backup_enabled,
            )
            for host in sorted(hosts, key=lambda host: host.host_id or 0)
        ),
        configuration_backup_enabled=record.configuration_backup_enabled,
        data_backup_priority=record.data_backup_priority,
        configuration_backup_priority=record.configuration_backup_priority,
        data_backup_time_limit=_format(record.data_backup_time_limit),
        configuration_backup_time_limit=_format(record.configuration_backup_time_limit),
    )


def _format(length_ms: int | None, *, in_days: bool = False) -> str | None:
    try:
        length = timedelta(milliseconds=max(0, length_ms)) if length_ms is not None else None
    except OverflowError:
        return None
    if length is None:
        return None
    return format_age(length) if in_days else format_duration(length)


def _describe_deploy(deploy: DeployStatus) -> DeployProgress:
    troubled_first = sorted(
        deploy.hosts, key=lambda host: not TROUBLED & {host.status, host.host_status}
    )
    return DeployProgress(
        type=_word(deploy.type),
        status=_word(deploy.status),
        percent_complete=deploy.percent_complete,
        initiated_by=_word(deploy.initiated_by),
        message=_word(deploy.error_message),
        hosts=tuple(
            DeployHostProgress(
                ip=_word(host.ip), host_status=_word(host.host_status), status=_word(host.status)
            )
            for host in troubled_first[:MOST_HOSTS]
        ),
    )


def _word(text: str | None) -> str | None:
    return cut(text, LONGEST_WORD) if text is not None else None
