"""What a BackupSchedule does next: rules one by one, and a world where clocks jump."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backup_operator.decisions.schedule import (
    build_backup,
    decide_schedule,
    jitter_of,
    name_manual,
    name_scheduled,
)
from backup_operator.decisions.schedule_facts import (
    ScheduledBackup,
    Standing,
    read_scheduled_backup,
)
from backup_operator.decisions.schedule_status import build_schedule_status
from backup_operator.decisions.schedule_steps import (
    CancelBackup,
    CreateBackupObject,
    ExpireBackup,
    Rest,
    ScheduleReport,
)
from backup_operator.resources.backup import BackupSpec
from backup_operator.resources.group import RUN_NOW_ANNOTATION, SCHEDULE_LABEL
from backup_operator.resources.schedule import BackupScheduleSpec
from backup_operator.resources.schedule_status import BackupScheduleStatus
from schedules.facts import DAY, HOUR, MINUTE, NOON, a_backup, a_schedule, schedule_seen


def observed(at: datetime, cron: str = "0 * * * *", **more: object) -> BackupScheduleStatus:
    return BackupScheduleStatus.model_validate(
        {"observed_time": at, "observed_schedule": f"{cron} UTC", **more}
    )


def report(decision: object) -> ScheduleReport:
    assert isinstance(decision, ScheduleReport)
    return decision


def test_nothing_before_its_creation_is_caught_up_with() -> None:
    told = report(decide_schedule(a_schedule(), schedule_seen(), NOON + MINUTE))
    assert told.standing.next_schedule_time == NOON + HOUR
    assert told.standing.reason == "Scheduled"


def test_a_run_is_named_after_its_time_in_utc() -> None:
    step = decide_schedule(a_schedule(), schedule_seen(), NOON + HOUR)
    assert step == CreateBackupObject("nightly-20261123-1300", NOON + HOUR)


def test_a_run_whose_backup_exists_is_over() -> None:
    seen = schedule_seen(taken=["nightly-20261123-1300"])
    told = report(decide_schedule(a_schedule(), seen, NOON + HOUR))
    assert told.standing.last_schedule_time == told.standing.observed_time == NOON + HOUR


def test_of_many_missed_runs_only_the_latest_is_caught_up_with() -> None:
    seen = schedule_seen(status=observed(NOON))
    step = decide_schedule(a_schedule(), seen, NOON + 3 * DAY + MINUTE)
    assert step == CreateBackupObject("nightly-20261126-1200", NOON + 3 * DAY)


def test_a_run_past_its_deadline_is_left_out() -> None:
    wanted = a_schedule(startingDeadlineSeconds=60)
    seen = schedule_seen(status=observed(NOON))
    in_time = decide_schedule(wanted, seen, NOON + HOUR + MINUTE)
    late = report(decide_schedule(wanted, seen, NOON + HOUR + 2 * MINUTE))

    assert isinstance(in_time, CreateBackupObject)
    assert late.standing.last_missed_time == late.standing.observed_time == NOON + HOUR
    assert late.standing.last_schedule_time is None


def test_jitter_delays_each_run_by_the_same_amount() -> None:
    wanted = a_schedule(jitter="30m")
    offset = jitter_of("u-1", wanted.jitter)
    seen = schedule_seen()

    assert timedelta(0) < offset < 30 * MINUTE
    early = report(decide_schedule(wanted, seen, NOON + HOUR + offset - MINUTE))
    assert early.standing.next_schedule_time == NOON + HOUR + offset
    assert decide_schedule(wanted, seen, NOON + HOUR + offset) == CreateBackupObject(
        "nightly-20261123-1300", NOON + HOUR
    )
    assert len({jitter_of(f"u-{number}", wanted.jitter) for number in range(50)}) > 40


def test_forbid_waits_for_what_runs_and_then_runs_late() -> None:
    running = a_backup("nightly-20261123-1200", NOON, Standing.ACTIVE)
    seen = schedule_seen([running], status=observed(NOON))
    told = report(decide_schedule(a_schedule(), seen, NOON + HOUR))

    assert told.standing.reason == "WaitingForActive"
    assert "nightly-20261123-1200" in told.standing.message
    assert told.standing.observed_time == NOON
    done = schedule_seen([replace(running, standing=Standing.GOOD)], status=observed(NOON))
    assert isinstance(decide_schedule(a_schedule(), done, NOON + HOUR), CreateBackupObject)


def test_allow_runs_beside_and_replace_cancels_first() -> None:
    running = a_backup("nightly-20261123-1200", NOON, Standing.ACTIVE)
    seen = schedule_seen([running], status=observed(NOON))
    allow, replacing = (a_schedule(concurrencyPolicy=policy) for policy in ("Allow", "Replace"))

    assert isinstance(decide_schedule(allow, seen, NOON + HOUR), CreateBackupObject)
    step = decide_schedule(replacing, seen, NOON + HOUR)
    assert step == CancelBackup("nightly-20261123-1200", "nightly-20261123-1300")
    cancelling = replace(running, is_cancelling=True)
    seen = schedule_seen([cancelling], status=observed(NOON))
    assert isinstance(decide_schedule(replacing, seen, NOON + HOUR), CreateBackupObject)


def test_what_falls_into_a_suspension_is_left_out() -> None:
    told = report(decide_schedule(a_schedule(suspend=True), schedule_seen(), NOON + 3 * HOUR))
    assert told.standing.reason == "Suspended"
    assert told.standing.observed_time == NOON + 3 * HOUR
    assert told.standing.next_schedule_time is None


def test_a_new_schedule_catches_up_with_nothing() -> None:
    seen = schedule_seen(status=observed(NOON - 20 * DAY, "0 0 1 * *"))
    told = report(decide_schedule(a_schedule("*/5 * * * *"), seen, NOON + MINUTE))
    assert told.standing.next_schedule_time == NOON + 5 * MINUTE


def test_a_new_value_of_the_annotation_makes_one_backup_even_if_suspended() -> None:
    wanted = a_schedule(suspend=True)
    name = name_manual("nightly", "today")
    asked = {RUN_NOW_ANNOTATION: "today"}
    seen = schedule_seen(annotations=asked)
    assert decide_schedule(wanted, seen, NOON) == CreateBackupObject(name, None)

    seen = schedule_seen(annotations=asked, taken=[name])
    assert report(decide_schedule(wanted, seen, NOON)).standing.last_run_now == "today"
    told = BackupScheduleStatus(last_run_now="today")
    seen = schedule_seen(annotations=asked, status=told)
    assert isinstance(decide_schedule(wanted, seen, NOON), ScheduleReport)


def test_a_clock_that_was_far_ahead_stops_nothing() -> None:
    seen = schedule_seen(status=observed(NOON + 400 * DAY))
    told = report(decide_schedule(a_schedule(), seen, NOON + MINUTE))
    assert told.standing.observed_time == NOON + MINUTE
    assert told.standing.next_schedule_time == NOON + HOUR


def test_a_clock_that_goes_back_a_little_repeats_nothing() -> None:
    seen = schedule_seen(status=observed(NOON + HOUR))
    told = report(decide_schedule(a_schedule(), seen, NOON + HOUR - 5 * MINUTE))
    assert told.standing.observed_time == NOON + HOUR
    assert told.standing.next_schedule_time == NOON + 2 * HOUR


def test_the_clock_is_looked_at_every_minute() -> None:
    told = report(decide_schedule(a_schedule("0 0 1 1 *"), schedule_seen(), NOON))
    assert told.until == NOON + MINUTE


def test_what_the_retention_does_not_keep_is_expired_one_by_one() -> None:
    backups = [a_backup(f"b{hours}", NOON - hours * HOUR) for hours in range(4)]
    wanted = a_schedule(retention={"keepLast": 2})
    told = report(decide_schedule(wanted, schedule_seen(backups), NOON))
    assert told.expire == ExpireBackup("b3")


def test_a_refusal_of_the_cluster_is_told() -> None:
    seen = schedule_seen(status=observed(NOON), refusal="quota exceeded")
    told = report(decide_schedule(a_schedule(), seen, NOON + HOUR))
    assert told.standing.is_stalled
    assert (told.standing.reason, told.standing.message) == ("BackupRefused", "quota exceeded")


def test_a_schedule_on_its_way_out_does_nothing() -> None:
    seen = schedule_seen()
    leaving = replace(seen, metadata=seen.metadata.model_copy(update={"deletion_timestamp": NOON}))
    assert decide_schedule(a_schedule(), leaving, NOON + DAY) == Rest()


def test_the_backup_is_that_of_the_template_and_has_no_owner() -> None:
    template = {
        "metadata": {"labels": {"team": "blue"}, "annotations": {"note": "x"}},
        "spec": {"backupType": "DATA", "hostId": 103, "deletionPolicy": "Delete", "timeout": "2h"},
    }
    wanted = a_schedule(template=template)
    step = CreateBackupObject(name_scheduled("nightly", NOON), NOON)
    body = build_backup(wanted, schedule_seen(), step)

    assert body["spec"] == template["spec"]
    assert BackupSpec.model_validate(body["spec"]).host_id == 103
    assert body["metadata"]["labels"] == {"team": "blue", SCHEDULE_LABEL: "nightly"}
    assert body["metadata"]["annotations"]["note"] == "x"
    assert "ownerReferences" not in body["metadata"]
    body["metadata"] |= {"uid": "u", "creationTimestamp": "2026-11-23T12:34:00Z"}
    read = read_scheduled_backup(body, {})
    assert read is not None
    assert (read.at, read.standing) == (NOON, Standing.ACTIVE)


@pytest.mark.parametrize(
    ("conditions", "phase", "standing"),
    [
        ({}, None, Standing.ACTIVE),
        ({"Finished": "False"}, "InProgress", Standing.ACTIVE),
        ({"Finished": "True", "Complete": "True", "Valid": "True"}, "Succeeded", Standing.GOOD),
        ({"Finished": "True", "Complete": "True"}, "Succeeded", Standing.GOOD),
        ({"Finished": "True", "Complete": "True", "Valid": "False"}, "", Standing.DOUBTFUL),
        ({"Finished": "True", "Complete": "False"}, "Missing", Standing.DOUBTFUL),
        ({"Finished": "True", "Complete": "False"}, "Failed", Standing.FAILED),
        ({"Finished": "True", "Complete": "False"}, "Cancelled", Standing.FAILED),
    ],
)
def test_how_a_backup_stands(
    conditions: dict[str, str], phase: str | None, standing: Standing
) -> None:
    metadata = {"name": "x", "uid": "u", "creationTimestamp": "2026-11-23T12:00:00Z"}
    read = read_scheduled_backup({"metadata": metadata, "status": {"phase": phase}}, conditions)
    assert read is not None
    assert read.standing is standing


def test_the_status_tells_counts_the_last_end_and_the_last_success() -> None:
    backups = [
        a_backup("c", NOON, Standing.ACTIVE),
        a_backup("b", NOON - HOUR, Standing.FAILED, phase="Failed"),
        a_backup("a", NOON - 2 * HOUR, completed_at=NOON - HOUR - MINUTE, phase="Succeeded"),
    ]
    seen = schedule_seen(backups)
    standing = report(decide_schedule(a_schedule(), seen, NOON)).standing
    status = build_schedule_status(1, seen.status, backups, standing, NOON)

    assert status.active == ("c",)
    assert (status.counts.active, status.counts.succeeded, status.counts.failed) == (1, 1, 1)
    assert status.last_successful_backup == "a"
    assert status.last_successful_time == NOON - HOUR - MINUTE
    last = status.find_condition("LastBackupSucceeded")
    assert last is not None
    assert (last.status, last.reason) == ("False", "Failed")
    later = build_schedule_status(1, status, [], standing, NOON)
    assert later.last_successful_backup == "a", "it may expire, but it was made"


class ClocksAndCrashes(RuleBasedStateMachine):
    """Time passes and jumps, the operator crashes at any step: no run is made twice."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.status = BackupScheduleStatus()
        self.backups: dict[str, ScheduledBackup] = {}
        self.created: Counter[str] = Counter()
        self.wanted: BackupScheduleSpec = a_schedule()

    @initialize(
        cron=st.sampled_from(("*/10 * * * *", "0 * * * *", "30 2 * * *")),
        policy=st.sampled_from(("Allow", "Forbid", "Replace")),
        keep=st.none() | st.integers(1, 3),
        deadline=st.none() | st.integers(60, 7200),
        jitter=st.sampled_from(("0s", "7m")),
    )
    def begin(
        self, cron: str, policy: str, keep: int | None, deadline: int | None, jitter: str
    ) -> None:
        retention = {} if keep is None else {"keepLast": keep, "keepFailed": 1}
        self.wanted = a_schedule(
            cron,
            concurrencyPolicy=policy,
            retention=retention,
            startingDeadlineSeconds=deadline,
            jitter=jitter,
        )

    @rule(steps=st.integers(0, 8))
    def reconcile_and_crash_after(self, steps: int) -> None:
        for _ in range(steps):
            seen = schedule_seen(self.backups.values(), status=self.status)
            decision = decide_schedule(self.wanted, seen, self.now)
            match decision:
                case CreateBackupObject(name, at):
                    assert name not in self.backups
                    assert at is not None
                    assert at <= self.now
                    self.created[name] += 1
                    self.backups[name] = a_backup(name, at, Standing.ACTIVE)
                case CancelBackup(name):
                    self.backups[name] = replace(self.backups[name], is_cancelling=True)
                case ScheduleReport(standing, until, expire):
                    assert until > self.now
                    self.status = build_schedule_status(
                        1, self.status, self.backups.values(), standing, self.now
                    )
                    if expire is None:
                        return
                    del self.backups[expire.name]
                case _:
                    raise AssertionError(decision)

    @rule(minutes=st.integers(1, 5000))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(minutes=st.integers(1, 9))
    def the_clock_is_set_back(self, minutes: int) -> None:
        self.now -= minutes * MINUTE

    @rule(standing=st.sampled_from((Standing.GOOD, Standing.FAILED, Standing.DOUBTFUL)))
    def what_runs_ends(self, standing: Standing) -> None:
        for name, one in self.backups.items():
            if one.standing is Standing.ACTIVE:
                ended = Standing.FAILED if one.is_cancelling else standing
                self.backups[name] = replace(one, standing=ended)

    @invariant()
    def no_run_is_made_twice(self) -> None:
        assert all(count == 1 for count in self.created.values())

    @invariant()
    def forbid_never_has_two_at_once(self) -> None:
        active = [one for one in self.backups.values() if one.standing is Standing.ACTIVE]
        if self.wanted.concurrency_policy == "Forbid":
            assert len(active) <= 1
        if self.wanted.concurrency_policy == "Replace":
            assert len([one for one in active if not one.is_cancelling]) <= 1


TestClocksAndCrashes = ClocksAndCrashes.TestCase
TestClocksAndCrashes.settings = settings(max_examples=60, stateful_step_count=25)
