"""Exactly one backup per Backup: from nothing submitted to an id that is known (architecture §2.2).

An attempt is stored before its POST. Afterwards it is refused (certain: no backup), answered (the
id is known) or lost; only what is lost is looked for, and only a look allows the next attempt.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from backup_api.backups import NIGHTLY_NAME, CreateBackup
from backup_api.errors import CreateBackupErrors, ErrorClass
from backup_operator.decisions.adoption import find_ours
from backup_operator.decisions.facts import NotSent, Observed, Refusal
from backup_operator.decisions.refusals import build_failure, cut, describe_refusal, refusal_reason
from backup_operator.decisions.standings import begun, cancelled, failed, pending, waiting
from backup_operator.decisions.steps import (
    Adopt,
    CheckName,
    Decision,
    FindHosts,
    LookAtDeploy,
    LookForLost,
    Report,
    Rest,
    Standing,
    StartDeploy,
    Submit,
    WriteAhead,
)
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.backup_status import Failure, Phase, Submission
from backup_operator.resources.durations import format_duration
from backup_operator.resources.parts import ConditionType

SETTLE: Final = timedelta(seconds=3)
"""Time between two looks that find nothing before a lost attempt is made again.

A server may still be working on a request whose caller is gone. Asking too early costs no second
backup, for the name is unique (409/1005), but it costs a refusal that needs explaining.
"""

FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=1)
LONGEST_TURN: Final = timedelta(minutes=10)
TURN_LOOK: Final = timedelta(seconds=30)
DEPLOY_LOOK: Final = timedelta(seconds=2)
DEPLOY_PAUSE: Final = timedelta(seconds=30)
RECHECK: Final = timedelta(minutes=1)
HOSTS_FRESH: Final = timedelta(seconds=30)

NEVER_REQUESTED: Final = "Cancelled before the backup was requested."


def decide_submission(wanted: BackupSpec, seen: Observed, now: datetime) -> Decision:
    """Choose the next step for a Backup whose id at the engine is not known yet."""
    submission = seen.status.submission
    if seen.memory.created is not None:
        return Adopt(seen.memory.created, begun(seen.memory.created), is_found=False)
    if wanted.cancel and (submission is None or is_certainly_unmade(seen, submission)):
        return Report(cancelled(NEVER_REQUESTED))
    if seen.engine.is_connecting:
        return Rest()  # a verdict follows within seconds; a status of "connecting" helps nobody
    if seen.engine.trouble is not None:
        # Labels of a namespace change without an event for us; everything else tells itself.
        again = now + RECHECK if seen.engine.identity is None else None
        return Report(waiting(seen.engine.trouble, Phase.PENDING), again)
    host = _find_host(wanted, seen, now)
    if host is not None and not isinstance(host, int):
        return host
    if submission is None:
        return _decide_first_attempt(seen, now)
    if seen.memory.unsent_attempt == submission.attempts:
        body = CreateBackup(
            name=submission.requested_name,
            configuration_id=wanted.configuration_id,
            description=wanted.description,
            host_id=host,
        )
        return Submit(submission.attempts, body, wanted.backup_type)
    match seen.memory.answer:
        case NotSent(attempt=attempt) as unsent if attempt == submission.attempts:
            return _decide_unsent(unsent, seen, now)
        case Refusal(attempt=attempt) as refusal if attempt == submission.attempts:
            return _decide_refused(refusal, wanted, seen, now)
        case _:
            return decide_lost(wanted, seen, host, now, if_none=_retry_or_cancel(wanted, seen, now))


def is_certainly_unmade(seen: Observed, submission: Submission) -> bool:
    """Tell whether this process knows that no attempt so far has made a backup."""
    through = seen.memory.certain_through
    if seen.memory.unsent_attempt == submission.attempts:
        return through >= submission.attempts - 1
    return through >= submission.attempts


def decide_lost(
    wanted: BackupSpec,
    seen: Observed,
    host_id: int | None,
    now: datetime,
    if_none: Callable[[datetime], Decision],
) -> Decision:
    """Look for an attempt whose outcome is unknown; ``if_none`` decides once there is none.

    ``if_none`` gets the moment from which the lost attempt counts as never made.
    """
    submission = seen.status.submission
    if submission is None:
        return if_none(now)
    look, first = seen.memory.look, seen.memory.first_look_at
    if look is None or first is None:
        return LookForLost(submission.requested_name)
    ours = find_ours(look.records, wanted, submission, host_id)
    if len(ours) == 1:
        return Adopt(ours[0], begun(ours[0]), is_found=True)
    if ours:
        return Report(failed(_ambiguous(submission, [record.id for record in ours])))
    if submission.requested_name != NIGHTLY_NAME and look.records:
        return Report(failed(_name_in_use(submission.requested_name, look.records[0].id)))
    settled = first + SETTLE
    if look.at >= settled:
        return if_none(settled)
    if now >= settled:
        return LookForLost(submission.requested_name)
    message = f"The answer to attempt {submission.attempts} was lost; looking for its outcome."
    return Report(pending("AnswerLost", message), settled)


def pause_after(attempt: int) -> timedelta:
    """Return how long to wait after the ``attempt``-th attempt (from 1) before the next."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * int(2 ** min(attempt - 1, 10)))


def _retry_or_cancel(
    wanted: BackupSpec, seen: Observed, now: datetime
) -> Callable[[datetime], Decision]:
    def decide_next(settled: datetime) -> Decision:
        if wanted.cancel:
            return Report(cancelled(NEVER_REQUESTED))
        attempts = seen.status.submission.attempts if seen.status.submission else 0
        # The first repetition is prompt, for a crash is no reason to wait; later ones are not.
        after = settled if attempts <= 1 else settled + pause_after(attempts - 1)
        message = f"The answer to attempt {attempts} was lost and it made no backup; asking again."
        return _attempt_again(seen, now, after, pending("AnswerLost", message))

    return decide_next


def _decide_first_attempt(seen: Observed, now: datetime) -> Decision:
    check = seen.memory.name_check
    if check is None:
        return CheckName(seen.requested_name)
    if check.records and seen.requested_name != NIGHTLY_NAME:  # scheduled runs bear it too
        return Report(failed(_name_in_use(seen.requested_name, check.records[0].id)))
    offset = seen.engine.clock_offset
    submission = Submission(
        requested_name=seen.requested_name,
        submitted_at=now,
        engine_time=now + offset if offset is not None else None,
        attempts=1,
    )
    return _write_ahead(seen, submission)


def _attempt_again(seen: Observed, now: datetime, after: datetime, meanwhile: Standing) -> Decision:
    """Store the next attempt once ``after`` has come.

    A record of any attempt must still be recognised as ours, so ``submittedAt`` and
    ``engineTime`` stay those of the first.
    """
    submission = seen.status.submission
    if submission is None or now < after:
        return Report(meanwhile, after)
    return _write_ahead(seen, submission.model_copy(update={"attempts": submission.attempts + 1}))


def _write_ahead(seen: Observed, submission: Submission) -> Decision:
    assert seen.engine.identity is not None
    ready = seen.status.find_condition(ConditionType.READY)
    reason = "Submitting"
    message = f"Requesting backup {submission.requested_name} from {seen.engine.identity.name}."
    if submission.attempts > 1 and ready is not None:
        # What is being waited out stays told, or each attempt would tell it anew.
        reason, message = ready.reason, ready.message
    is_busy = seen.status.find_condition(ConditionType.BUSY) is not None
    standing = pending(reason, message, is_busy=is_busy)
    return WriteAhead(submission, seen.engine.identity, standing)


def _decide_unsent(unsent: NotSent, seen: Observed, now: datetime) -> Decision:
    after = unsent.at + pause_after(unsent.attempt)
    return _attempt_again(seen, now, after, pending("EngineUnreachable", unsent.message))


def _decide_refused(
    refusal: Refusal, wanted: BackupSpec, seen: Observed, now: datetime
) -> Decision:
    if refusal.row is CreateBackupErrors.NAME_TAKEN:
        if seen.memory.certain_through >= refusal.attempt - 1:
            return Report(failed(build_failure(refusal, wanted)))
        # An earlier attempt, lost, may be the one that took the name.
        return decide_lost(
            wanted,
            seen,
            None,
            now,
            if_none=lambda _: Report(failed(build_failure(refusal, wanted))),
        )
    match refusal.error_class:
        case ErrorClass.BUSY:
            return _decide_busy(refusal, wanted, seen, now)
        case ErrorClass.DEPLOY:
            return _decide_staged(refusal, wanted, seen, now)
        case ErrorClass.TRANSIENT:
            after = refusal.at + pause_after(refusal.attempt)
            meanwhile = pending(refusal_reason(refusal.row), describe_refusal(refusal, wanted))
            return _attempt_again(seen, now, after, meanwhile)
        case ErrorClass.FINAL:
            return Report(failed(build_failure(refusal, wanted)))


def _decide_busy(refusal: Refusal, wanted: BackupSpec, seen: Observed, now: datetime) -> Decision:
    gives_up_at = _busy_since(seen, refusal) + wanted.busy_timeout
    if now >= gives_up_at:
        return Report(failed(_busy_timeout(refusal, wanted)))
    after = min(refusal.at + _await_turn(refusal, seen), gives_up_at)
    until = f"{gives_up_at:%Y-%m-%d %H:%M:%S} UTC"
    message = f"{describe_refusal(refusal, wanted)} Waiting until {until}."
    waiting_for = pending(refusal_reason(refusal.row), message, is_busy=True)
    decision = _attempt_again(seen, now, after, waiting_for)
    if isinstance(decision, Report):  # the crowd may be gone before
        return replace(decision, until=min(after, now + TURN_LOOK))
    return decision


def _await_turn(refusal: Refusal, seen: Observed) -> timedelta:
    """Return how long a Backup waits before it asks a busy engine again.

    A crowd asks once a second on average, however many wait: each draws its turn by lot, the same
    one whenever it is asked.
    """
    drawn = hashlib.sha256(f"{seen.metadata.uid}/{refusal.attempt}".encode()).digest()
    lot = int.from_bytes(drawn[:4]) / 2**32
    turn = min(LONGEST_TURN, timedelta(seconds=2 * (seen.crowd - 1) * lot))
    return max(pause_after(refusal.attempt), turn)


def _decide_staged(refusal: Refusal, wanted: BackupSpec, seen: Observed, now: datetime) -> Decision:
    words = describe_refusal(refusal, wanted)
    if not wanted.deploy_staged:
        advice = f"{words} Deploy what is staged, or create a Backup with deployStaged: true."
        after = refusal.at + min(DEPLOY_PAUSE, pause_after(refusal.attempt))
        return _attempt_again(seen, now, after, pending("StagedChanges", advice, is_busy=True))
    gives_up_at = _busy_since(seen, refusal) + max(wanted.busy_timeout, DEPLOY_PAUSE)
    if now >= gives_up_at:
        return Report(failed(_busy_timeout(refusal, wanted)))
    deploy = seen.memory.deploy
    if deploy is None or (deploy.is_finished and deploy.at < refusal.at):
        if deploy is not None and now < deploy.at + DEPLOY_PAUSE:
            again = f"{words} A deploy did not help; the next starts shortly."
            after = deploy.at + DEPLOY_PAUSE
            return Report(pending("StagedChanges", again, is_busy=True), after)
        return StartDeploy()
    if deploy.error is not None:
        again = f"The deploy failed: {deploy.error}. {words}"
        after = deploy.at + DEPLOY_PAUSE
        if now >= after:
            return StartDeploy()
        return Report(pending("DeployFailed", cut(again), is_busy=True), after)
    if deploy.is_finished:
        return _attempt_again(seen, now, now, pending("Deploying", words, is_busy=True))
    after = deploy.at + DEPLOY_LOOK
    if now >= after:
        return LookAtDeploy()
    percent = f", {deploy.percent} % done" if deploy.percent is not None else ""
    message = f"A deploy of the staged changes is running{percent}."
    return Report(pending("Deploying", message, is_busy=True), after)


def _find_host(wanted: BackupSpec, seen: Observed, now: datetime) -> int | Decision | None:
    """Find the id of the host to ask for; None: the console. A decision: not known yet."""
    if wanted.hostname is None:
        return wanted.host_id
    hosts = seen.memory.hosts
    if hosts is None:
        return FindHosts()
    if wanted.hostname in hosts.ids:
        return hosts.ids[wanted.hostname]
    if now > hosts.at + HOSTS_FRESH:
        return FindHosts()
    known = ", ".join(sorted(hosts.ids)[:10]) or "none"
    message = (
        f"spec.hostname: the engine has no host {wanted.hostname}; it has {known}."
        " Create a Backup for one of these."
    )
    return Report(failed(Failure(reason="HostUnknown", message=cut(message))))


def _busy_since(seen: Observed, refusal: Refusal) -> datetime:
    condition = seen.status.find_condition(ConditionType.BUSY)
    return condition.last_transition_time if condition is not None else refusal.at


def _busy_timeout(refusal: Refusal, wanted: BackupSpec) -> Failure:
    waited = format_duration(wanted.busy_timeout)
    message = f"Gave up after spec.busyTimeout ({waited}): {describe_refusal(refusal, wanted)}"
    return Failure(
        http_status=refusal.http_status,
        code=refusal.code,
        reason="BusyTimeout",
        message=cut(f"{message} Create another Backup once the engine is free."),
    )


def _name_in_use(name: str, record_id: int) -> Failure:
    message = (
        f"spec.name: the engine already has a backup {name} (id {record_id}) that did not come of"
        " this object; create a Backup with another name."
    )
    return Failure(reason="NameInUse", message=message)


def _ambiguous(submission: Submission, ids: list[int]) -> Failure:
    message = (
        f"The answer was lost, and the engine has {len(ids)} backups {submission.requested_name}"
        f" that may have come of it (ids {', '.join(map(str, sorted(ids)[:5]))}); which one is"
        " not known, so none is touched."
    )
    return Failure(reason="OutcomeUnknown", message=message)
