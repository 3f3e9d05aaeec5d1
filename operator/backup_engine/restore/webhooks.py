"""Which live admission webhooks would block a restore because nobody answers them. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backup_engine.restore.identity import KubeObject
from backup_engine.selectors import build_label_selector

ServiceName = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class WritePlace:
    """Something that a plan would write: a kind, in a namespace (None: it has none)."""

    group: str
    version: str
    resource: str
    operation: str  # CREATE or UPDATE
    namespace: str | None


def list_services(configurations: Iterable[KubeObject]) -> frozenset[ServiceName]:
    """Return the Services that webhooks with failurePolicy Fail are behind."""
    return frozenset(
        service
        for _, webhook in _strict(configurations)
        if (service := _service(webhook)) is not None
    )


def find_blocking(
    configurations: Iterable[KubeObject],
    writes: Collection[WritePlace],
    silent: Collection[ServiceName],
    namespace_labels: Mapping[str, Mapping[str, str]],
) -> tuple[str, ...]:
    """Return a sentence per webhook that covers a planned write while its Service is ``silent``.

    A namespace of unknown labels counts as covered. Object selectors and match conditions are not
    judged: the warning says "may".
    """
    found = []
    for configuration, webhook in _strict(configurations):
        service = _service(webhook)
        if service is None or service not in silent:
            continue
        covered = [write for write in writes if _covers(webhook, write, namespace_labels)]
        if covered:
            kinds = ", ".join(sorted({write.resource for write in covered}))
            found.append(
                f"{configuration['kind']} {configuration['metadata']['name']}: webhook"
                f" {webhook['name']} may block {kinds}: Service {'/'.join(service)} has no ready"
                " endpoint; start it first, or remove the webhook until the restore is over"
            )
    return tuple(sorted(found))


def _strict(configurations: Iterable[KubeObject]) -> Iterator[tuple[KubeObject, Any]]:
    for configuration in configurations:
        for webhook in configuration.get("webhooks") or ():
            if webhook.get("failurePolicy", "Fail") == "Fail":
                yield configuration, webhook


def _service(webhook: KubeObject) -> ServiceName | None:
    service = (webhook.get("clientConfig") or {}).get("service")
    return (service["namespace"], service["name"]) if service else None


def _covers(
    webhook: KubeObject, write: WritePlace, namespace_labels: Mapping[str, Mapping[str, str]]
) -> bool:
    is_any_version = webhook.get("matchPolicy", "Equivalent") == "Equivalent"
    if not any(_rule_covers(rule, write, is_any_version) for rule in webhook.get("rules") or ()):
        return False
    if write.namespace is None or write.namespace not in namespace_labels:
        return True
    selector = build_label_selector(webhook.get("namespaceSelector"))
    return selector.matches(namespace_labels[write.namespace])


def _rule_covers(rule: KubeObject, write: WritePlace, is_any_version: bool) -> bool:
    scope = "Cluster" if write.namespace is None else "Namespaced"
    return (
        rule.get("scope", "*") in {"*", scope}
        and _has(rule.get("apiGroups"), write.group)
        and (is_any_version or _has(rule.get("apiVersions"), write.version))
        and _has(rule.get("operations"), write.operation)
        and bool({"*", "*/*", write.resource} & set(rule.get("resources") or ()))
    )


def _has(values: Collection[str] | None, value: str) -> bool:
    return bool({"*", value} & set(values or ()))
