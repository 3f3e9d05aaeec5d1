"""The one decision about a Backup: from facts alone to the next step."""

from datetime import datetime

from backup_operator.decisions.deletion import decide_deletion, decide_finalizer
from backup_operator.decisions.existing import decide_existing, find_lasting_end, is_settled
from backup_operator.decisions.facts import Observed
from backup_operator.decisions.steps import Decision, Report, Rest
from backup_operator.decisions.submission import decide_submission
from backup_operator.resources.backup import BackupSpec


def decide(wanted: BackupSpec, seen: Observed, now: datetime) -> Decision:
    """Choose the next step for one Backup. Total: it never raises.

    Whoever carries the steps out asks again after each, until a Rest or a Report is named.
    """
    if seen.metadata.is_deleting:
        return decide_deletion(wanted, seen, now)
    finalizer = decide_finalizer(wanted, seen)
    if finalizer is not None:
        return finalizer
    if is_settled(seen):
        return Rest()
    if seen.status.id is not None:
        return decide_existing(wanted, seen, seen.status.id, now)
    lasting = find_lasting_end(seen)
    if lasting is not None:
        return Report(lasting)
    return decide_submission(wanted, seen, now)
