"""The status of a BackupEngine: what the engine said of itself, and whether it can be used."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup_api.about import SystemAbout
from backup_api.hosts import HostRecord
from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.facts import Trouble
from backup_operator.decisions.refusals import cut
from backup_operator.resources.engine import BackupEngineStatus, Circuit, EngineHost
from backup_operator.resources.parts import ConditionStatus, ConditionType

CONTACT_GRAIN: Final = timedelta(seconds=55)
"""The time of the last contact alone is not worth a write more often."""

MOST_HOSTS: Final = 500
MOST_COMPONENTS: Final = 12
LONGEST_COMPONENT: Final = 40
LONGEST_WORD: Final = 253
"""All together keep a status well below the megabyte that the API server takes."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of an engine; None means not known, or for ``trouble`` that there is none."""

    is_connecting: bool = False
    trouble: Trouble | None = None
    circuit: Circuit = Circuit.CLOSED
    about: SystemAbout | None = None
    api_version: str | None = None
    hosts: tuple[HostRecord, ...] | None = None
    running_backups: int | None = None
    last_contact: datetime | None = None


def build_engine_status(
    generation: int, stored: BackupEngineStatus, facts: EngineFacts, now: datetime
) -> BackupEngineStatus:
    """Build the status that tells ``facts``; equal to ``stored`` where nothing matters enough.

    What the engine said of itself stays as it was while it says nothing.
    """
    about = facts.about
    told = stored.model_copy(
        update={
            "observed_generation": generation,
            "product_version": _word(about.external_version) if about else stored.product_version,
            "release_name": _word(about.release_name) if about else stored.release_name,
            "api_version": facts.api_version or stored.api_version,
            "hosts": _hosts(facts.hosts) if facts.hosts is not None else stored.hosts,
            "running_backups": (
                facts.running_backups
                if facts.running_backups is not None
                else stored.running_backups
            ),
            "circuit": facts.circuit,
            "conditions": merge_conditions(stored.conditions, _judge(facts), generation, now),
        }
    )
    if facts.last_contact is None:
        return told
    before = stored.last_contact_time
    is_worth_telling = told != stored or before is None
    if not is_worth_telling and before is not None:
        is_worth_telling = facts.last_contact - before >= CONTACT_GRAIN
    return told.model_copy(
        update={"last_contact_time": facts.last_contact if is_worth_telling else before}
    )


def _judge(facts: EngineFacts) -> tuple[Judgement, ...]:
    if facts.is_connecting:
        reason, message, is_ready, is_stalled = "Connecting", "Asking the engine.", False, False
    elif facts.trouble is not None:
        reason, message = facts.trouble.reason, cut(facts.trouble.message)
        is_ready, is_stalled = False, facts.trouble.needs_people
    else:
        reason, message, is_ready, is_stalled = "Connected", "The engine answers.", True, False
    return (
        Judgement(ConditionType.READY, truth(is_ready), reason, message),
        Judgement(
            ConditionType.RECONCILING, truth(not is_ready and not is_stalled), reason, message
        ),
        Judgement(ConditionType.STALLED, truth(is_stalled), reason, message),
    )


def is_ready(status: BackupEngineStatus) -> bool:
    """Tell whether the stored status says that the engine can be used."""
    ready = status.find_condition(ConditionType.READY)
    return ready is not None and ready.status is ConditionStatus.TRUE


def _hosts(records: tuple[HostRecord, ...]) -> tuple[EngineHost, ...]:
    by_id = {record.id: record for record in records}
    return tuple(
        EngineHost(
            id=record.id,
            hostname=_word(record.hostname),
            status=record.status.value if record.status is not None else None,
            components=tuple(
                cut(word, LONGEST_COMPONENT)
                for word in sorted(record.components or ())[:MOST_COMPONENTS]
            ),
        )
        for record in sorted(by_id.values(), key=lambda host: host.id)[:MOST_HOSTS]
    )


def _word(text: str | None) -> str | None:
    return cut(text, LONGEST_WORD) if text is not None else None


def invalid_engine(problem: str) -> EngineFacts:
    """Return the facts of an engine whose spec breaks a rule and that is therefore left alone."""
    return EngineFacts(trouble=Trouble("InvalidSpec", problem, needs_people=True))
