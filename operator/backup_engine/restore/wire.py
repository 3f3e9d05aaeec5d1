"""Options of a restore as the API is told them; plans and errors as it tells them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from backup_api.extensions.restores import (
    ActionCounts,
    PlannedChange,
    RestoreFailure,
    RestoreRule,
)
from backup_api.extensions.restores import PlanItem as WireItem
from backup_api.extensions.restores import RestoreOptions as WireOptions
from backup_api.extensions.restores import RestorePlan as WirePlan
from backup_api.restores import RestoreGroup
from backup_engine.restore.applying import ObjectError
from backup_engine.restore.planning import Action, Existing, Plan, PlanItem
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.selection import ObjectRule, Selection
from backup_engine.selectors import parse_label_selector

LONGEST_VALUE: Final = 1000
MOST_RULES: Final = 1000

_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9.-]*", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class WrongOptionError(Exception):
    """A member of the options cannot be used; ``member`` is one of RestoreOptions' own."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member
        self.message = message


def parse_options(groups: Iterable[str], told: WireOptions) -> RestoreOptions:
    """Read the options of a restore of ``groups``; raises WrongOptionError."""
    mapping = _parse_mapping(told.namespace_mapping)
    selection = Selection(
        groups=frozenset(RestoreGroup(group) for group in groups),
        include=_parse_rules("include", told.include),
        exclude=_parse_rules("exclude", told.exclude),
    )
    for place, kind in enumerate(told.with_status):
        if not is_kind(kind):
            raise WrongOptionError("with_status", _no_kind(f"with_status[{place}]", kind))
    if told.approved_plan is not None and not is_digest(told.approved_plan):
        found = _quote(told.approved_plan)
        message = f"approved_plan: expected sha256: and 64 hexadecimal digits, found {found}"
        raise WrongOptionError("approved_plan", message)
    return RestoreOptions(
        selection=selection,
        namespace_mapping=mapping,
        existing=Existing(told.existing.value),
        status_kinds=frozenset(told.with_status),
    )


def build_plan(plan: Plan, now_ms: int) -> WirePlan:
    """Build what the API tells of a plan, its state apart."""
    return WirePlan(
        digest=plan.digest,
        time_computed=now_ms,
        counts=build_counts(plan.counts),
        warnings=plan.warnings,
    )


def build_counts(counts: Mapping[Action, int]) -> ActionCounts:
    """Build the numbers by action."""
    return ActionCounts(**{action.value: counts.get(action, 0) for action in Action})


def build_item(item: PlanItem) -> WireItem:
    """Build one item of a plan."""
    key, verdict = item.key, item.verdict
    place: dict[str, Any] = {
        "action": verdict.action.value,
        "api_version": key.api_version,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
    }
    return WireItem(
        **place,
        reason=verdict.reason or None,
        message=verdict.message or None,
        changes=tuple(
            PlannedChange(path=change.path, old=change.old, new=change.new)
            for change in verdict.changes
        ),
    )


def build_failure(error: ObjectError) -> RestoreFailure:
    """Build one object that is not as wanted."""
    return RestoreFailure(
        api_version=error.key.api_version,
        kind=error.key.kind,
        namespace=error.key.namespace,
        name=error.key.name,
        reason=error.reason,
        message=error.message or None,
    )


def _parse_mapping(told: Mapping[str, str]) -> dict[str, str]:
    sources: dict[str, str] = {}
    for old, new in told.items():
        for name in (old, new):
            if not is_namespace(name):
                message = f"namespace_mapping: {_quote(name)} is no name of a namespace"
                raise WrongOptionError("namespace_mapping", message)
        if new in sources:
            message = (
                f"namespace_mapping: {sources[new]!r} and {old!r} would both become {new!r}; two"
                " namespaces never become one"
            )
            raise WrongOptionError("namespace_mapping", message)
        sources[new] = old
    return dict(told)


def _parse_rules(member: str, told: tuple[RestoreRule, ...]) -> tuple[ObjectRule, ...]:
    if len(told) > MOST_RULES:
        message = f"{member}: {len(told)} rules; at most {MOST_RULES} are allowed"
        raise WrongOptionError(member, message)
    return tuple(_parse_rule(member, place, rule) for place, rule in enumerate(told))


def _parse_rule(member: str, place: int, told: RestoreRule) -> ObjectRule:
    where = f"{member}[{place}]"
    given = {name: value for name, value in told.model_dump().items() if value is not None}
    if not given:
        message = f"{where}: a rule without any condition would match everything"
        raise WrongOptionError(member, message)
    for name, value in given.items():
        if not value or len(value) > LONGEST_VALUE:
            message = f"{where}.{name}: expected 1 to {LONGEST_VALUE} characters"
            raise WrongOptionError(member, message)
    if told.kind is not None and not is_kind(told.kind):
        raise WrongOptionError(member, _no_kind(f"{where}.kind", told.kind))
    try:
        label = parse_label_selector(told.label) if told.label is not None else None
    except ValueError as trouble:
        raise WrongOptionError(member, f"{where}.label: {trouble}") from trouble
    return ObjectRule(told.namespace, told.kind, told.name, label)


def is_namespace(text: str) -> bool:
    """Tell whether a namespace can have this name."""
    return _NAMESPACE.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether a plan can have this digest."""
    return _DIGEST.fullmatch(text) is not None


def is_kind(text: str) -> bool:
    """Tell whether this could name a kind or resource."""
    return len(text) <= LONGEST_VALUE and _KIND.fullmatch(text) is not None


def _no_kind(where: str, found: str) -> str:
    return f"{where}: expected such as Deployment or deployments.apps, found {_quote(found)}"


def _quote(text: str) -> str:
    return repr(text[:80])
