"""How a mover fares, by what the API server tells of its Job, its pod and its log. Pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from backup_engine.volumes.mover_job import DONE, REFUSED, MoverReport
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.volume import Volume

_FINAL: Final = frozenset({DONE, REFUSED})
"""Exit codes after which a Job makes no other pod."""

_NO_MESSAGE: Final = "the mover's pod left no message: it was evicted, killed, or its node is gone"


class _Told(NamedTuple):
    exit_code: int | None
    report: MoverReport


def find_end(
    job: Mapping[str, Any], pod: Mapping[str, Any] | None, volume: Volume
) -> MoverReport | None:
    """Find out how a mover ended; None: it has not.

    The pod's own word counts before the Job's, which knows less and learns of it seconds later;
    without either a Job that has failed is told by its condition.
    """
    told = _read_report(pod)
    if told is not None and told.exit_code in _FINAL:
        return told.report
    if not is_over(job):
        return None
    if told is not None:
        return told.report
    conditions = _read_conditions(job)
    if "Complete" in conditions:
        return MoverReport()  # the repository tells whether the snapshot is there
    why = conditions["Failed"]
    reason = "TimeLimitExceeded" if why.get("reason") == "DeadlineExceeded" else "MoverFailed"
    said = why.get("message") or _NO_MESSAGE
    return MoverReport(reason, f"{volume}: {said}")


def is_over(job: Mapping[str, Any]) -> bool:
    """Tell whether a Job has ended."""
    return not _read_conditions(job).keys().isdisjoint({"Complete", "Failed"})


def is_started(pod: Mapping[str, Any] | None) -> bool:
    """Tell whether the mover's container has begun."""
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    return any(
        "running" in (each.get("state") or {}) or "terminated" in (each.get("state") or {})
        for each in statuses
    )


def explain_waiting(pod: Mapping[str, Any] | None, volume: Volume) -> str:
    """Say why a mover has not started: what the scheduler or the kubelet says of its pod."""
    if pod is None:
        return f"{volume}: the mover's Job has no pod; a quota or an admission policy forbids it"
    status = pod.get("status") or {}
    waiting = [
        f"{told.get('reason', '')}: {told.get('message', '')}"
        for each in status.get("containerStatuses") or ()
        if (told := (each.get("state") or {}).get("waiting"))
    ]
    unmet = [
        f"{each.get('reason', '')}: {each.get('message', '')}"
        for each in status.get("conditions") or ()
        if each.get("status") == "False" and each.get("message")
    ]
    said = "; ".join(waiting + unmet) or f"its pod is {status.get('phase', 'Pending')}"
    return f"{volume}: the mover did not start: {said}"


def parse_line(line: bytes) -> Progress | None:
    """Read one line of a mover's log; None: it is not progress."""
    try:
        return msgspec.json.decode(line.strip() or b"null", type=Progress, strict=True)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _read_conditions(job: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of a Job that hold, by type."""
    return {
        each["type"]: each
        for each in (job.get("status") or {}).get("conditions") or ()
        if each.get("status") == "True"
    }


def _read_report(pod: Mapping[str, Any] | None) -> _Told | None:
    for each in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated") or {}
        try:
            report = msgspec.json.decode(ended.get("message") or "", type=MoverReport)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # cut off, or not the mover's own
        return _Told(ended.get("exitCode"), report)
    return None
