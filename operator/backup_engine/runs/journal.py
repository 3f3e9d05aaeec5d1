"""What a running restore writes down as it goes, so that a crash loses a second of it at most."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from backup_api.extensions.restores import ActionCounts, RestoreFailure, RestoreProgress
from backup_engine.restore.planning import CHANGING, Action
from backup_engine.restore.run import ObjectError
from backup_engine.restore.run import RestoreProgress as Reported
from backup_engine.restore.wire import build_counts, build_failure
from backup_engine.runs.keeping import repeated

WRITE_EVERY_S: Final = 1.0

Write = Callable[[RestoreProgress, list[RestoreFailure]], Awaitable[None]]


class Journal:
    """Collects what the restore reports, and hands it on once a second.

    ``before``: what an attempt that was cut off had counted. What it wrote is found unchanged by
    this one, and counts as written all the same.
    """

    def __init__(self, before: ActionCounts, write: Write, every_s: float = WRITE_EVERY_S) -> None:
        self._before = before
        self._write = write
        self._every_s = every_s
        self._reported: Reported | None = None
        self._written: RestoreProgress | None = None
        self._failures: list[RestoreFailure] = []

    def report(self, reported: Reported) -> None:
        """Take note of progress; see ReportProgress."""
        self._reported = reported

    def take_error(self, error: ObjectError) -> None:
        """Take note of an object that could not be restored; see TakeError."""
        self._failures.append(build_failure(error))

    @property
    def progress(self) -> RestoreProgress:
        """How far the restore is."""
        reported = self._reported
        if reported is None:
            return RestoreProgress(counts=self._before)
        return RestoreProgress(
            settled=reported.settled,
            total=reported.total,
            failed=reported.failed,
            remaining=max(reported.total - reported.settled, 0),
            counts=add_counts(self._before, reported.done),
        )

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Write once a second while the block runs, and what is left when it ends well.

        An error in writing ends the block, and is raised as it is.
        """
        return repeated(self.flush, self._every_s)

    async def flush(self) -> None:
        """Write what has not been written yet."""
        progress, failures = self.progress, self._failures
        if progress != self._written or failures:
            self._failures = []
            await self._write(progress, failures)
            self._written = progress


def add_counts(before: ActionCounts, done: Mapping[Action, int]) -> ActionCounts:
    """Sum up two attempts at one restore; pure."""
    now = build_counts(done)
    written = {action.value: getattr(before, action.value) for action in sorted(CHANGING)}
    unchanged = max(now.unchanged - sum(written.values()), 0)
    sums = {name: getattr(now, name) + count for name, count in written.items()}
    return now.model_copy(update={**sums, "unchanged": unchanged})
