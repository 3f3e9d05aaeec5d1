"""What a restore writes down as it goes."""

import asyncio

import pytest

from backup_api.extensions.restores import ActionCounts, RestoreFailure, RestoreProgress
from backup_engine.restore.identity import ObjectKey
from backup_engine.restore.planning import Action
from backup_engine.restore.run import ObjectError
from backup_engine.restore.run import RestoreProgress as Reported
from backup_engine.runs.journal import Journal, add_counts
from backup_engine.runs.keeping import repeated

ERROR = ObjectError(ObjectKey("v1", "ConfigMap", "a", "x"), "Forbidden", "no")


def test_what_a_cut_off_attempt_wrote_counts_as_written() -> None:
    before = ActionCounts(create=5, update=1, unchanged=9, skipped=3)

    told = add_counts(before, {Action.CREATE: 2, Action.UNCHANGED: 15, Action.SKIPPED: 4})

    assert told == ActionCounts(create=7, update=1, unchanged=9, skipped=4)


def test_counts_never_fall_below_nothing() -> None:
    assert add_counts(ActionCounts(create=5), {}) == ActionCounts(create=5)


async def test_each_failure_is_written_once_and_progress_when_it_is_new() -> None:
    written: list[tuple[RestoreProgress, list[RestoreFailure]]] = []

    async def write(progress: RestoreProgress, failures: list[RestoreFailure]) -> None:
        written.append((progress, failures))

    journal = Journal(ActionCounts(), write)
    journal.report(Reported(settled=2, total=5, failed=1, done={Action.CREATE: 1}))
    journal.take_error(ERROR)
    await journal.flush()
    await journal.flush()

    [(progress, failures)] = written
    assert (progress.settled, progress.remaining, progress.counts.create) == (2, 3, 1)
    assert [failure.name for failure in failures] == ["x"]


async def test_an_error_in_what_is_repeated_ends_the_block_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        async with repeated(fail, 0.001):
            await asyncio.Event().wait()


async def test_an_error_in_the_block_is_raised_as_it_is() -> None:
    async def work() -> None:
        return

    with pytest.raises(KeyError, match="mine"):
        async with repeated(work, 0.001):
            raise KeyError("mine")


async def test_it_is_done_once_more_when_the_block_ends() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    async with repeated(work, 3600):
        pass

    assert done == [1]
