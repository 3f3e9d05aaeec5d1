"""What a record's status asks of the runner; pure."""

from enum import Enum, unique

from backup_api.backups import RecordStatus


@unique
class Job(Enum):
    """Work on one record; at most one at a time."""

    CAPTURE = "capture"
    REMOVE = "remove"


@unique
class Step(Enum):
    """What to do next about one record."""

    CAPTURE = "capture"
    CANCEL = "cancel"
    REMOVE = "remove"
    WAIT = "wait"


def choose_step(status: RecordStatus, running: Job | None) -> Step:
    """Choose the next step from the status and the job that runs in this process.

    A record that is IN_PROGRESS without a job was left by a crash: its capture is resumed. The
    level decides, never the event that led to it, so a lost wake-up costs time and nothing else.
    """
    match status:
        case RecordStatus.INITIALIZING | RecordStatus.IN_PROGRESS:
            return Step.CAPTURE if running is None else Step.WAIT
        case RecordStatus.CANCELLING if running is Job.CAPTURE:
            return Step.CANCEL
        case RecordStatus.CANCELLING | RecordStatus.DELETING if running is None:
            return Step.REMOVE
        case _:
            return Step.WAIT
