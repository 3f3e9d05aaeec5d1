"""What kstatus concludes, from its published rules for objects that it has no rules of its own for.

In this order: an object that is being deleted is Terminating; one whose status is about an older
generation is InProgress; Reconciling that is True is InProgress; Stalled that is True is Failed;
Ready decides the rest, and an object without conditions is Current.
"""

from typing import Any

TERMINATING, IN_PROGRESS, FAILED, CURRENT = "Terminating", "InProgress", "Failed", "Current"


def conclude(body: dict[str, Any]) -> str:
    """Conclude the status of an object."""
    metadata, status = body["metadata"], body.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return TERMINATING
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return IN_PROGRESS
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if conditions.get("Reconciling") == "True":
        return IN_PROGRESS
    if conditions.get("Stalled") == "True":
        return FAILED
    ready = conditions.get("Ready")
    if ready is None or ready == "True":
        return CURRENT
    return IN_PROGRESS
