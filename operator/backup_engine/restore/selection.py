"""Which objects of an archive a restore is about: groups, then include and exclude. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from backup_api.restores import RestoreGroup
from backup_engine.restore.groups import choose_group
from backup_engine.restore.identity import KindKey
from backup_engine.restore.order import NAMESPACES
from backup_engine.selectors import LabelSelector, parse_label_selector

_GLOB: Final = re.compile(r"[*?\[]")
_FIELDS: Final = ("namespace", "kind", "name", "label")


@dataclass(frozen=True, slots=True)
class ObjectRule:
    """One choice of objects: whatever is given has to match, None matches all.

    ``namespace`` and ``name`` are globs on the names in the archive; a namespace matches by its own
    name. ``kind`` is a kind or resource, optionally with its group: ``Deployment``,
    ``deployments.apps``.
    """

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    label: LabelSelector | None = None

    def matches_place(self, kind: KindKey, singular: str, namespace: str | None, name: str) -> bool:
        """Tell whether kind, namespace and name match; labels are not looked at."""
        place = name if kind == NAMESPACES else namespace
        if self.namespace is not None and (place is None or not fnmatchcase(place, self.namespace)):
            return False
        if self.name is not None and not fnmatchcase(name, self.name):
            return False
        return self.kind is None or self.kind.lower() in _spellings(kind, singular)


@dataclass(frozen=True, slots=True)
class Selection:
    """Groups, then any ``include`` (none: all), then no ``exclude``."""

    groups: frozenset[RestoreGroup] = field(default_factory=lambda: frozenset(RestoreGroup))
    include: tuple[ObjectRule, ...] = ()
    exclude: tuple[ObjectRule, ...] = ()

    def has_kind(self, kind: KindKey, singular: str) -> bool:
        """Tell whether any object of ``kind`` could be chosen."""
        if choose_group(kind) not in self.groups:
            return False
        names = _spellings(kind, singular)
        return not self.include or any(
            rule.kind is None or rule.kind.lower() in names for rule in self.include
        )

    def has_place(self, kind: KindKey, singular: str, namespace: str | None, name: str) -> bool:
        """Tell whether an object could be chosen, labels being unknown yet."""
        if not self.has_kind(kind, singular):
            return False
        if self.include and not any(
            rule.matches_place(kind, singular, namespace, name) for rule in self.include
        ):
            return False
        return not any(
            rule.label is None and rule.matches_place(kind, singular, namespace, name)
            for rule in self.exclude
        )

    def has_labels(
        self,
        kind: KindKey,
        singular: str,
        namespace: str | None,
        name: str,
        labels: Mapping[str, str] | None,
    ) -> bool:
        """Tell whether an object of which ``has_place`` is true is chosen for good."""

        def chooses(rule: ObjectRule) -> bool:
            if not rule.matches_place(kind, singular, namespace, name):
                return False
            return rule.label is None or rule.label.matches(labels)

        if self.include and not any(chooses(rule) for rule in self.include):
            return False
        return not any(chooses(rule) for rule in self.exclude)

    def list_namespaces(self) -> frozenset[str] | None:
        """Return the only namespaces in which anything is chosen; None: that cannot be told."""
        names = [rule.namespace for rule in self.include]
        if not names or any(name is None or _GLOB.search(name) for name in names):
            return None
        return frozenset(name for name in names if name is not None)

    @property
    def has_rules(self) -> bool:
        """Tell whether anything beside groups chooses."""
        return bool(self.include or self.exclude)

    @property
    def needs_labels(self) -> bool:
        """Tell whether any rule asks for labels."""
        return any(rule.label is not None for rule in (*self.include, *self.exclude))


def parse_object_rule(text: str) -> ObjectRule:
    """Read ``namespace=team-*;kind=Deployment;name=web;label=app=web,tier!=test``.

    Raises ValueError that names what is wrong.
    """
    found: dict[str, str] = {}
    for term in filter(None, (term.strip() for term in text.split(";"))):
        name, equals, value = term.partition("=")
        if name not in _FIELDS or not equals or not value or name in found:
            raise ValueError(
                f"{text!r}: expected each of {', '.join(_FIELDS)} at most once, as name=value"
                f" separated by ';', found {term!r}"
            )
        found[name] = value
    if not found:
        raise ValueError("a rule without any condition would match everything")
    label = found.get("label")
    return ObjectRule(
        namespace=found.get("namespace"),
        kind=found.get("kind"),
        name=found.get("name"),
        label=parse_label_selector(label) if label is not None else None,
    )


def _spellings(kind: KindKey, singular: str) -> tuple[str, ...]:
    group, resource = kind
    names = (singular.lower(), resource)
    return names if not group else (*names, *(f"{name}.{group}" for name in names))
