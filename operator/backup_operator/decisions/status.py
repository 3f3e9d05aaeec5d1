"""The status of a Backup: what its record says, and where it stands (architecture §2.1)."""

import re
from datetime import datetime
from typing import Any, Final

from backup_api.backups import RECORD_MEMBERS, BackupRecord, RecordStatus
from backup_operator.decisions.adoption import wire_time
from backup_operator.decisions.conditions import Judgement, merge_conditions, truth
from backup_operator.decisions.facts import ArchiveFinding
from backup_operator.decisions.refusals import cut
from backup_operator.decisions.steps import Standing, Verdict
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import BackupStatus, Phase
from backup_operator.resources.parts import ConditionStatus, ConditionType
from backup_operator.resources.readable import format_elapsed, format_size

ALWAYS_MIRRORED: Final = frozenset({"id", "status"})
"""Members that the operator itself needs, whatever ``spec.fields`` asks for."""

LONGEST_TEXT: Final = 4096  # characters of a mirrored member
LONG_LIMIT: Final = 2**63

_TIMES: Final = frozenset({"time_initiated", "time_completed"})
_SUCCESSFUL: Final = frozenset({RecordStatus.SUCCESS, RecordStatus.MISSING})


def build_status(
    wanted: BackupSpec, generation: int, stored: BackupStatus, standing: Standing, now: datetime
) -> BackupStatus:
    """Build the status that tells ``standing``; equal to ``stored`` where there is nothing new."""
    mirrored = mirror(standing.record, wanted) if standing.record is not None else {}
    told = stored.model_copy(update=mirrored)
    return told.model_copy(
        update={
            "observed_generation": generation,
            "phase": standing.phase or stored.phase or Phase.PENDING,
            "failure": standing.failure,
            "started_at": stored.started_at or _started_at(standing.record, now),
            "terminated_at": stored.terminated_at or _terminated_at(standing, now),
            "conditions": merge_conditions(
                stored.conditions,
                _judge(standing, stored),
                generation,
                now,
                drop=frozenset({ConditionType.BUSY}),
            ),
        }
    )


def _started_at(record: BackupRecord | None, now: datetime) -> datetime | None:
    if record is None:
        return None
    return wire_time(record.time_initiated) or now.replace(microsecond=0)


def _terminated_at(standing: Standing, now: datetime) -> datetime | None:
    if standing.verdict is None:
        return None
    told = wire_time(standing.record.time_completed) if standing.record is not None else None
    return told or now.replace(microsecond=0)


def mirror(record: BackupRecord, wanted: BackupSpec) -> dict[str, Any]:
    """Translate a record into members of the status, as far as ``spec.fields`` asks for them.

    Times become datetimes, a figure or text that a status cannot hold is left out or cut.
    """
    asked = frozenset(wanted.fields or RECORD_MEMBERS) | ALWAYS_MIRRORED
    members: dict[str, Any] = {}
    for member in RECORD_MEMBERS:
        if member in asked:
            name = "initiated_by" if member == "intiated_by" else member
            members[name] = _translate(member, getattr(record, member))
    if "size_on_disk" in asked:
        size = members["size_on_disk"]
        members["size"] = format_size(size) if size else None
    if asked >= _TIMES:
        start, end = members["time_initiated"], members["time_completed"]
        members["duration"] = format_elapsed(start, end) if start and end else None
    return members


def _translate(member: str, value: object) -> object:
    if member in _TIMES:
        return wire_time(value) if isinstance(value, int) else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -LONG_LIMIT <= value < LONG_LIMIT else None
    if type(value) is str:
        return cut(value, LONGEST_TEXT)
    return value


def _judge(standing: Standing, stored: BackupStatus) -> tuple[Judgement, ...]:
    verdict, reason, message = standing.verdict, standing.reason, standing.message
    if standing.verdict is None and _is_finished(stored):
        return _judge_disturbed(standing, stored)
    finished = verdict is not None
    valid, compatible = _judge_archive(standing)
    good = verdict is Verdict.SUCCEEDED and valid.status is not ConditionStatus.FALSE
    bad = finished and not good
    if verdict is Verdict.SUCCEEDED and not good:
        reason, message = valid.reason, valid.message
    ended = standing.reason if finished else "NotFinished"
    told = standing.message if finished else "The backup has not finished."
    busy = (
        (Judgement(ConditionType.BUSY, ConditionStatus.TRUE, reason, message),)
        if standing.is_busy
        else ()
    )
    return (
        Judgement(ConditionType.READY, truth(good), reason, message),
        Judgement(ConditionType.RECONCILING, truth(not finished), reason, message),
        Judgement(ConditionType.STALLED, truth(standing.is_stalled or bad), reason, message),
        Judgement(ConditionType.COMPLETE, truth(verdict is Verdict.SUCCEEDED), ended, told),
        Judgement(ConditionType.FAILED, truth(verdict is Verdict.FAILED), ended, told),
        Judgement(ConditionType.FINISHED, truth(finished), ended, told),
        valid,
        compatible,
        *busy,
    )


def _judge_disturbed(standing: Standing, stored: BackupStatus) -> tuple[Judgement, ...]:
    """Judge a Backup that ended before: what it waits for now does not undo how it ended."""
    reason, message = standing.reason, standing.message
    kept = (
        ConditionType.COMPLETE,
        ConditionType.FAILED,
        ConditionType.FINISHED,
        ConditionType.VALID,
        ConditionType.COMPATIBLE,
    )
    conditions = [stored.find_condition(type_) for type_ in kept]
    return (
        Judgement(ConditionType.READY, ConditionStatus.FALSE, reason, message),
        Judgement(ConditionType.RECONCILING, ConditionStatus.TRUE, reason, message),
        Judgement(ConditionType.STALLED, truth(standing.is_stalled), reason, message),
        *(
            Judgement(one.type, one.status, one.reason, one.message)
            for one in conditions
            if one is not None
        ),
    )


def _is_finished(stored: BackupStatus) -> bool:
    finished = stored.find_condition(ConditionType.FINISHED)
    return finished is not None and finished.status is ConditionStatus.TRUE


def _judge_archive(standing: Standing) -> tuple[Judgement, Judgement]:
    record = standing.record
    if standing.verdict is Verdict.SUCCEEDED and record is not None:
        return (
            _judge_flag(
                ConditionType.VALID,
                record.is_valid,
                ("ArchiveValid", "The engine found the archive and its manifest usable."),
                _explain_invalid(standing.finding),
            ),
            _judge_flag(
                ConditionType.COMPATIBLE,
                record.is_version_compatible,
                ("VersionCompatible", "The engine's version can restore the archive."),
                (
                    "VersionDiffers",
                    "The archive belongs to another product version; restore it on such a system.",
                ),
            ),
        )
    unknown, message = "NotFinished", "Known once the backup has finished."
    if standing.verdict is not None:
        unknown, message = standing.reason, "There is no archive to judge."
    return (
        Judgement(ConditionType.VALID, ConditionStatus.UNKNOWN, unknown, message),
        Judgement(ConditionType.COMPATIBLE, ConditionStatus.UNKNOWN, unknown, message),
    )


def _explain_invalid(finding: ArchiveFinding | None) -> tuple[str, str]:
    advice = "The engine cannot use the archive (isValid: false); make another backup."
    if finding is None or finding.reason is None or not _IS_REASON.fullmatch(finding.reason):
        return "ArchiveInvalid", advice
    return finding.reason, cut(f"{finding.message.rstrip('.')}. {advice}".lstrip(". "))


_IS_REASON: Final = re.compile("[A-Z][A-Za-z0-9]{0,63}")


def _judge_flag(
    type_: ConditionType, flag: bool | None, good: tuple[str, str], bad: tuple[str, str]
) -> Judgement:
    if flag is None:
        return Judgement(type_, ConditionStatus.UNKNOWN, "NotReported", "The engine does not say.")
    return Judgement(type_, truth(flag), *(good if flag else bad))
