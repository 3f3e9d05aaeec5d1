"""What a look at the cluster changes about the staged hosts. Pure (spec §6)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from backup_api.hosts import HostStatus
from backup_engine.host_definition import DEFAULT_CONSOLE, HostVersion
from backup_engine.records.hosts import StoredHost
from backup_engine.runs.host_objects import Seen, WantedHost


@dataclass(frozen=True, slots=True)
class AddHost:
    """A host that was never seen before."""

    wanted: WantedHost


@dataclass(frozen=True, slots=True)
class ChangeHost:
    """A host to be written as it is here."""

    host: StoredHost


@dataclass(frozen=True, slots=True)
class RemoveHost:
    """A host that went before it was ever deployed."""

    host: StoredHost


HostChange: TypeAlias = AddHost | ChangeHost | RemoveHost


def plan_staging(stored: Sequence[StoredHost], seen: Seen) -> list[HostChange]:
    """List what has to change for the staged hosts to be those that were seen; none twice."""
    wanted = {each.uid: each for each in seen.wanted}
    unreadable = {uid for uid, _ in seen.unreadable}
    changes: list[HostChange] = [
        AddHost(each) for each in seen.wanted if each.uid not in {host.uid for host in stored}
    ]
    for host in stored:
        if _source_uids(host) & unreadable:
            continue
        changes += _plan_one(host, wanted.get(host.uid))
    return changes


def _plan_one(host: StoredHost, wanted: WantedHost | None) -> Iterable[HostChange]:
    if wanted is not None:
        changed = _staged(host, wanted.version)
    elif host.is_console:
        changed = _staged(host, DEFAULT_CONSOLE)
    elif host.deployed is None and host.status is not HostStatus.DELETED:
        return [RemoveHost(host)]
    else:
        changed = replace(host, staged=None)
    return [ChangeHost(changed)] if changed != host else []


def _staged(host: StoredHost, version: HostVersion) -> StoredHost:
    """Stage ``version``; one that holds nothing new is in force as soon as it is seen."""
    changed = replace(host, staged=version)
    if changed.deployed is None:
        return replace(changed, status=HostStatus.NEW) if host.staged is None else changed
    return changed if changed.is_pending else replace(changed, deployed=version)


def _source_uids(host: StoredHost) -> set[str]:
    versions = (host.staged, host.deployed)
    return {each.source.uid for each in versions if each is not None and each.source is not None}
