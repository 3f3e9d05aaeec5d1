"""Plans, differences and outcomes as text for people and as JSON for programs. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from backup_engine.restore.difference import FieldChange
from backup_engine.restore.planning import CHANGING, Action, Plan, PlanItem
from backup_engine.restore.run import RestoreOutcome

LONGEST_VALUE: Final = 60
LARGEST_CHANGES: Final = 8
_DETAILED: Final = CHANGING | {Action.CONFLICT, Action.UNSUPPORTED}


def build_item_document(item: PlanItem) -> dict[str, Any]:
    """Build the JSON form of one item of a plan; members without content are left out."""
    key, verdict = item.key, item.verdict
    document: dict[str, Any] = {
        "action": verdict.action.value,
        "apiVersion": key.api_version,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "reason": verdict.reason,
        "message": verdict.message,
        "changes": [
            {"path": change.path, "old": change.old, "new": change.new}
            for change in verdict.changes
        ],
    }
    return {name: value for name, value in document.items() if value not in ("", None, [])}


def build_plan_document(plan: Plan, items: Iterable[PlanItem]) -> dict[str, Any]:
    """Build the JSON form of a plan, its items sorted by object."""
    return {
        "digest": plan.digest,
        "counts": {action.value: count for action, count in plan.counts.items()},
        "warnings": list(plan.warnings),
        "items": [build_item_document(item) for item in _sorted(items)],
    }


def build_plan_text(plan: Plan, items: Iterable[PlanItem]) -> str:
    """Lay out a plan: what differs, one object a line; then a table by kind; then the digest."""
    lines = []
    for item in _sorted(items):
        if item.verdict.action in _DETAILED:
            lines += _describe_item(item)
    table = _build_table(plan)
    lines += ["", *table] if lines and table else table
    lines += ["", *(f"warning: {warning}" for warning in plan.warnings)] if plan.warnings else []
    lines += ["", f"digest: {plan.digest}"]
    return "\n".join(lines) + "\n"


def build_outcome_document(outcome: RestoreOutcome) -> dict[str, Any]:
    """Build the JSON form of an outcome."""
    return {
        "done": {action.value: count for action, count in outcome.done.items()},
        "failed": outcome.failed,
        "remaining": outcome.remaining,
        "interruption": outcome.interruption,
        "errors": [
            {
                "apiVersion": error.key.api_version,
                "kind": error.key.kind,
                "namespace": error.key.namespace,
                "name": error.key.name,
                "reason": error.reason,
                "message": error.message,
            }
            for error in outcome.errors
        ],
    }


_DONE: Final = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.RECREATE: "recreated",
    Action.UNCHANGED: "unchanged",
    Action.CONFLICT: "kept as they were",
    Action.UNSUPPORTED: "unsupported",
    Action.SKIPPED: "skipped",
}


def build_outcome_text(outcome: RestoreOutcome) -> str:
    """Say what was done in one line, then one line per object that failed."""
    done = [f"{count} {_DONE[action]}" for action, count in outcome.done.items() if count]
    said = [*done, f"{outcome.failed} failed", f"{outcome.remaining} remaining"]
    errors = [f"failed  {error.key}: {error.reason}: {error.message}" for error in outcome.errors]
    ended = [f"ended early: {outcome.interruption}"] if outcome.interruption else []
    return "\n".join([*errors, *ended, "restored: " + ", ".join(said)]) + "\n"


def encode(document: object) -> str:
    """Encode a JSON document for people to read, too."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _sorted(items: Iterable[PlanItem]) -> list[PlanItem]:
    return sorted(
        items,
        key=lambda item: (
            item.key.api_version,
            item.key.kind,
            item.key.namespace or "",
            item.key.name,
        ),
    )


def _describe_item(item: PlanItem) -> list[str]:
    verdict = item.verdict
    note = f"  {verdict.reason}: {verdict.message}" if verdict.reason else ""
    lines = [f"{verdict.action.value:<11} {item.key}{note}"]
    lines += [f"              {describe_change(one)}" for one in verdict.changes[:LARGEST_CHANGES]]
    more = len(verdict.changes) - LARGEST_CHANGES
    return [*lines, f"              and {more} more"] if more > 0 else lines


def describe_change(change: FieldChange) -> str:
    """Write one field that differs on one line, long values cut."""
    return f"{change.path}: {_shorten(change.old)} -> {_shorten(change.new)}"


def _shorten(value: object) -> str:
    if value is None:
        return "absent"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _build_table(plan: Plan) -> list[str]:
    actions = [action for action in Action if plan.counts[action]]
    if not actions:
        return ["nothing in the archive matches"]
    names = sorted({(version, kind) for _, version, kind in plan.kinds})
    rows: list[Sequence[str]] = [("KIND", *(action.value.upper() for action in actions))]
    for version, kind in names:
        counts = (plan.kinds.get((action, version, kind), 0) for action in actions)
        rows.append((f"{kind} ({version})", *(str(count or "-") for count in counts)))
    rows.append(("total", *(str(plan.counts[action]) for action in actions)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        row[0].ljust(widths[0])
        + "".join(cell.rjust(width + 2) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
