"""The one decision about a BackupConfiguration: stage what differs, deploy, compare (spec §9)."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic.alias_generators import to_camel

from backup_api.configurations import BackupConfigurationRecord, ChangeConfiguration
from backup_api.deploy import DeployStatus
from backup_api.recipes.configuring import build_change
from backup_operator.decisions.configuration_facts import (
    ConfigurationDecision,
    ConfigurationReport,
    ConfigurationSeen,
    ConfigurationStanding,
    ConfigurationView,
    DeployConfiguration,
    LookAtConfiguration,
    RestConfiguration,
    StageConfiguration,
)
from backup_operator.resources.configuration import BackupConfigurationSpec, DeployMode
from backup_operator.resources.configuration_status import Drift
from backup_operator.resources.parts import ConditionStatus, ConditionType

DEPLOY_LOOK: Final = timedelta(seconds=2)
WAIT_LOOK: Final = timedelta(seconds=30)
DEPLOY_AGAIN: Final = timedelta(minutes=1)
RECHECK: Final = timedelta(minutes=1)
FRESH: Final = timedelta(seconds=5)
TROUBLED: Final = frozenset({"ERROR", "TIMED_OUT"})
NAMES_SHOWN: Final = 5


def decide_configuration(
    wanted: BackupConfigurationSpec, seen: ConfigurationSeen, now: datetime
) -> ConfigurationDecision:
    """Choose the next step for one BackupConfiguration from facts alone. Total: never raises."""
    if seen.metadata.is_deleting or seen.engine.is_connecting:
        return RestConfiguration()
    if seen.engine.trouble is not None:
        trouble = seen.engine.trouble
        standing = ConfigurationStanding(
            reason=trouble.reason, message=trouble.message, is_stalled=trouble.needs_people
        )
        return ConfigurationReport(standing, now + RECHECK)
    if seen.rival is not None:
        return ConfigurationReport(_outranked(seen.rival), now + RECHECK)
    view = seen.memory.view
    if view is None or now >= view.at + _patience(wanted, seen, view):
        return LookAtConfiguration(with_hosts=_names_hosts(wanted))
    missing = _find_missing_host(wanted, view)
    if missing is not None:
        where, hostname = missing
        if hostname in view.staged_hosts:  # only a deployed host can be configured
            return _put_in_force(wanted, seen, view, (to_camel(_HOSTS),), now, is_staged=False)
        standing = _host_unknown(where, hostname, view)
        return ConfigurationReport(standing, view.at + min(RECHECK, seen.interval))
    members = build_members(wanted, view.hosts)
    unstaged = list_differing(members, view.staged)
    if unstaged:
        return _stage(seen, view, members, unstaged, now)
    return _deploy(wanted, seen, view, members, now)


def build_members(wanted: BackupConfigurationSpec, hosts: Mapping[str, int]) -> dict[str, Any]:
    """Translate the members that the spec sets into those of the wire (spec §5.0)."""
    members: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(wanted, name)
        if value is not None:
            is_time = isinstance(value, timedelta)
            members[name] = value // timedelta(milliseconds=1) if is_time else value
    if wanted.data_backup_host_configuration is not None:
        enabled = {}
        for host in wanted.data_backup_host_configuration:
            host_id = host.host_id if host.host_id is not None else hosts[host.hostname or ""]
            enabled[host_id] = {
                "host_id": host_id,
                "event_data_backup_enabled": host.event_data_backup_enabled,
                "flow_data_backup_enabled": host.flow_data_backup_enabled,
            }
        members[_HOSTS] = [enabled[host_id] for host_id in sorted(enabled)]
    return members


def list_differing(members: Mapping[str, Any], there: BackupConfigurationRecord) -> tuple[str, ...]:
    """Name the wire members in which the engine's view is not as wanted."""
    found = there.model_dump(mode="json")
    found[_HOSTS] = sorted(found[_HOSTS] or (), key=lambda host: host["host_id"] or 0)
    return tuple(name for name, value in members.items() if found[name] != value)


_HOSTS: Final = "data_backup_host_configuration"
_PLAIN: Final = (
    "backup_directory_path",
    "backup_retention_period",
    "configuration_backup_enabled",
    "data_backup_priority",
    "configuration_backup_priority",
    "data_backup_time_limit",
    "configuration_backup_time_limit",
)


def _patience(
    wanted: BackupConfigurationSpec, seen: ConfigurationSeen, view: ConfigurationView
) -> timedelta:
    """Return how long a view counts: briefly while something is expected to change."""
    if not view.deploy.is_finished:
        return min(DEPLOY_LOOK, seen.interval)
    try:
        members = build_members(wanted, view.hosts)
    except KeyError:
        return min(RECHECK, seen.interval)
    return (
        min(WAIT_LOOK, seen.interval) if list_differing(members, view.deployed) else (seen.interval)
    )


def _names_hosts(wanted: BackupConfigurationSpec) -> bool:
    return any(host.hostname is not None for host in wanted.data_backup_host_configuration or ())


def _find_missing_host(
    wanted: BackupConfigurationSpec, view: ConfigurationView
) -> tuple[str, str] | None:
    """Find the first host that is not deployed: where the spec names it, and its name."""
    for index, host in enumerate(wanted.data_backup_host_configuration or ()):
        if host.hostname is not None and host.hostname not in view.hosts:
            return f"spec.dataBackupHostConfiguration[{index}].hostname", host.hostname
    return None


def _host_unknown(where: str, hostname: str, view: ConfigurationView) -> ConfigurationStanding:
    known = ", ".join(sorted(view.hosts)[:NAMES_SHOWN]) or "none"
    message = f"{where}: the engine has no host {hostname}; it has {known}."
    return ConfigurationStanding(
        reason="HostUnknown", message=message, is_stalled=True, is_staged=False
    )


def _outranked(rival: str) -> ConfigurationStanding:
    message = (
        f"BackupConfiguration {rival} is older and configures the same engine; delete one of them."
    )
    return ConfigurationStanding(reason="OlderExists", message=message, is_stalled=True)


def _stage(
    seen: ConfigurationSeen,
    view: ConfigurationView,
    members: Mapping[str, Any],
    unstaged: tuple[str, ...],
    now: datetime,
) -> ConfigurationDecision:
    refused = seen.memory.refused
    if refused is not None and refused.generation == seen.metadata.generation:
        again = refused.at + max(seen.interval, WAIT_LOOK)
        if now < again:
            standing = ConfigurationStanding(
                reason=refused.reason,
                message=refused.message,
                is_stalled=True,
                is_staged=False,
                is_deployed=False,
                not_in_force=_camel(list_differing(members, view.deployed)),
            )
            return ConfigurationReport(standing, again)
    if now >= view.at + FRESH:  # the whole object is sent, so what others have staged must be known
        return LookAtConfiguration(with_hosts=bool(view.hosts))
    wanted = ChangeConfiguration.model_validate_json(json.dumps(members))
    fields = _camel(unstaged)
    drift = Drift(time=now.replace(microsecond=0), fields=fields) if _was_staged(seen) else None
    return StageConfiguration(build_change(view.staged, wanted), fields, drift)


def _was_staged(seen: ConfigurationSeen) -> bool:
    """Tell whether the spec of this generation was staged before: then others have changed it."""
    staged = seen.status.find_condition(ConditionType.STAGED)
    return (
        staged is not None
        and staged.status is ConditionStatus.TRUE
        and staged.observed_generation == seen.metadata.generation
    )


def _deploy(
    wanted: BackupConfigurationSpec,
    seen: ConfigurationSeen,
    view: ConfigurationView,
    members: Mapping[str, Any],
    now: datetime,
) -> ConfigurationDecision:
    waiting = _camel(list_differing(members, view.deployed))
    if not waiting:
        standing = ConfigurationStanding(
            reason="InForce",
            message="The engine has the configuration in force.",
            is_ready=True,
            is_staged=True,
            is_deployed=True,
        )
        return ConfigurationReport(standing, view.at + seen.interval)
    return _put_in_force(wanted, seen, view, waiting, now)


def _put_in_force(
    wanted: BackupConfigurationSpec,
    seen: ConfigurationSeen,
    view: ConfigurationView,
    waiting: tuple[str, ...],
    now: datetime,
    *,
    is_staged: bool = True,
) -> ConfigurationDecision:
    """Deploy, or wait for a deploy; ``is_staged`` False: hosts first, then the members."""
    names = ", ".join(waiting[:NAMES_SHOWN])
    if not view.deploy.is_finished:
        percent = view.deploy.percent_complete
        far = f", {percent} % done" if percent is not None else ""
        message = f"A deploy is running{far}; {names} not in force yet."
        return _wait("Deploying", message, waiting, view.at + DEPLOY_LOOK, is_staged)
    if wanted.deploy is DeployMode.MANUAL:
        message = f"Staged, and waiting for somebody to deploy (spec.deploy: Manual): {names}."
        until = view.at + min(WAIT_LOOK, seen.interval)
        return _wait("AwaitingDeploy", message, waiting, until, is_staged)
    asked = seen.memory.deploy_asked_at
    if asked is None or now >= asked + DEPLOY_AGAIN:
        return DeployConfiguration()
    trouble = seen.memory.deploy_trouble or find_deploy_trouble(view.deploy)
    reason = "DeployFailed" if trouble else "DeployIncomplete"
    again = asked + DEPLOY_AGAIN
    said = trouble or "The engine says that the deploy is over."
    message = f"{said} Not in force: {names}. The next deploy starts at {again:%H:%M:%S} UTC."
    return _wait(reason, message, waiting, again, is_staged)


def _wait(
    reason: str, message: str, waiting: tuple[str, ...], until: datetime, is_staged: bool
) -> ConfigurationReport:
    standing = ConfigurationStanding(
        reason=reason,
        message=message,
        is_staged=is_staged,
        is_deployed=False,
        not_in_force=waiting,
    )
    return ConfigurationReport(standing, until)


def find_deploy_trouble(deploy: DeployStatus) -> str | None:
    """Say on which hosts a deploy went wrong; None: on none."""
    hosts = [host for host in deploy.hosts if TROUBLED & {host.status, host.host_status}]
    if hosts:
        told = ", ".join(f"{host.ip} ({host.status})" for host in hosts[:NAMES_SHOWN])
        more = f" and {len(hosts) - NAMES_SHOWN} more" if len(hosts) > NAMES_SHOWN else ""
        return f"The deploy failed on {told}{more}."
    if deploy.has_errors or deploy.error_message:
        return f"The deploy failed: {deploy.error_message or 'the engine reports errors'}."
    return None


def _camel(members: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(to_camel(name) for name in members)
