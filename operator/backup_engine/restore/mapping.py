"""Restores namespaces under other names, and lets references follow. Pure.

Followed is what the API of Kubernetes itself defines; docs/restore.md lists it. What a custom
resource means by a text in it nobody can know: those are moved, and not looked into.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from backup_engine.restore.cleaning import POD_PATHS
from backup_engine.restore.groups import (
    ADMISSION,
    API_REGISTRATION,
    CORE,
    FLOW_CONTROL,
    NETWORKING,
    RBAC,
)
from backup_engine.restore.identity import KindKey, KubeObject
from backup_engine.restore.order import DEFINITIONS, NAMESPACES
from backup_engine.restore.paths import EACH, Path, replaced, without

NamespaceMapping = Mapping[str, str]

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
_ACCOUNT: Final = "system:serviceaccount:"
_ACCOUNTS: Final = "system:serviceaccounts:"
_LAST_APPLIED: Final = (
    "metadata",
    "annotations",
    "kubectl.kubernetes.io/last-applied-configuration",
)

NAMES: Final[dict[KindKey, tuple[Path, ...]]] = {
    DEFINITIONS: (("spec", "conversion", "webhook", "clientConfig", "service", "namespace"),),
    (API_REGISTRATION, "apiservices"): (("spec", "service", "namespace"),),
    (ADMISSION, "mutatingwebhookconfigurations"): (
        ("webhooks", EACH, "clientConfig", "service", "namespace"),
    ),
    (ADMISSION, "validatingwebhookconfigurations"): (
        ("webhooks", EACH, "clientConfig", "service", "namespace"),
    ),
    (ADMISSION, "validatingadmissionpolicybindings"): (("spec", "paramRef", "namespace"),),
    (ADMISSION, "mutatingadmissionpolicybindings"): (("spec", "paramRef", "namespace"),),
    (CORE, "persistentvolumes"): (
        ("spec", "claimRef", "namespace"),
        ("spec", "azureFile", "secretNamespace"),
        *(
            ("spec", source, "secretRef", "namespace")
            for source in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
        ),
        *(
            ("spec", "csi", secret, "namespace")
            for secret in (
                "controllerExpandSecretRef",
                "controllerPublishSecretRef",
                "nodeExpandSecretRef",
                "nodePublishSecretRef",
                "nodeStageSecretRef",
            )
        ),
    ),
    (CORE, "persistentvolumeclaims"): (("spec", "dataSourceRef", "namespace"),),
    (CORE, "endpoints"): (
        ("subsets", EACH, "addresses", EACH, "targetRef", "namespace"),
        ("subsets", EACH, "notReadyAddresses", EACH, "targetRef", "namespace"),
    ),
    ("discovery.k8s.io", "endpointslices"): (("endpoints", EACH, "targetRef", "namespace"),),
    (FLOW_CONTROL, "flowschemas"): (
        ("spec", "rules", EACH, "subjects", EACH, "serviceAccount", "namespace"),
    ),
    (NETWORKING, "ingressclasses"): (("spec", "parameters", "namespace"),),
}
"""Where a kind holds the plain name of a namespace."""

SUBJECTS: Final[dict[KindKey, Path]] = {
    (RBAC, "clusterrolebindings"): ("subjects", EACH),
    (RBAC, "rolebindings"): ("subjects", EACH),
    (FLOW_CONTROL, "flowschemas"): ("spec", "rules", EACH, "subjects", EACH),
}
"""Where a kind names accounts: ServiceAccounts, and users and groups that stand for them."""

SELECTORS: Final[dict[KindKey, tuple[Path, ...]]] = {
    (ADMISSION, "mutatingwebhookconfigurations"): (("webhooks", EACH, "namespaceSelector"),),
    (ADMISSION, "validatingwebhookconfigurations"): (("webhooks", EACH, "namespaceSelector"),),
    (ADMISSION, "validatingadmissionpolicies"): (
        ("spec", "matchConstraints", "namespaceSelector"),
    ),
    (ADMISSION, "mutatingadmissionpolicies"): (("spec", "matchConstraints", "namespaceSelector"),),
    (ADMISSION, "validatingadmissionpolicybindings"): (
        ("spec", "matchResources", "namespaceSelector"),
    ),
    (ADMISSION, "mutatingadmissionpolicybindings"): (
        ("spec", "matchResources", "namespaceSelector"),
    ),
    (NETWORKING, "networkpolicies"): (
        ("spec", "ingress", EACH, "from", EACH, "namespaceSelector"),
        ("spec", "egress", EACH, "to", EACH, "namespaceSelector"),
    ),
}
"""Where a kind selects namespaces by label, of which one is the namespace's name."""

_TERM_LISTS: Final = tuple(
    ("affinity", affinity, when)
    for affinity in ("podAffinity", "podAntiAffinity")
    for when in (
        ("requiredDuringSchedulingIgnoredDuringExecution", EACH),
        ("preferredDuringSchedulingIgnoredDuringExecution", EACH, "podAffinityTerm"),
    )
)
_SECRET_NAMESPACE: Final = "-secret-namespace"  # noqa: S105 - ending of a parameter of CSI drivers


def ensure_mapping(mapping: NamespaceMapping, unmapped: Iterable[str]) -> None:
    """Raise ValueError if two namespaces would become one; ``unmapped`` keep their names."""
    sources: dict[str, str] = {name: name for name in unmapped if name not in mapping}
    for source, target in mapping.items():
        if target in sources:
            raise ValueError(
                f"namespaces {sources[target]!r} and {source!r} would both become {target!r};"
                " choose another name, or exclude one of them"
            )
        sources[target] = source


def map_namespace(namespace: str | None, mapping: NamespaceMapping) -> str | None:
    """Return the name a namespace is restored under; None stays None."""
    return mapping.get(namespace, namespace) if namespace is not None else None


def map_place(
    kind: KindKey, namespace: str | None, name: str, mapping: NamespaceMapping
) -> tuple[str | None, str]:
    """Return namespace and name that an object is restored under."""
    if kind == NAMESPACES:
        return None, mapping.get(name, name)
    return map_namespace(namespace, mapping), name


def map_object(one: KubeObject, kind: KindKey, mapping: NamespaceMapping) -> KubeObject:
    """Return ``one`` with its namespace and its references to namespaces renamed."""
    if not mapping:
        return one
    name = _renamer(mapping)
    mapped = one
    if kind == NAMESPACES:
        mapped = replaced(mapped, ("metadata", "name"), name)
        mapped = replaced(mapped, ("metadata", "labels", NAMESPACE_LABEL), name)
    else:
        mapped = replaced(mapped, ("metadata", "namespace"), name)
    for path in NAMES.get(kind, ()):
        mapped = replaced(mapped, path, name)
    for path in SELECTORS.get(kind, ()):
        mapped = replaced(mapped, path, lambda selector: _map_selector(selector, name))
    if kind in SUBJECTS:
        mapped = replaced(mapped, SUBJECTS[kind], lambda subject: _map_subject(subject, name))
    if kind in POD_PATHS:
        mapped = _map_pod(mapped, POD_PATHS[kind], name)
    if kind == ("storage.k8s.io", "storageclasses"):
        mapped = replaced(mapped, ("parameters",), lambda given: _map_parameters(given, name))
    if mapped["metadata"] != one["metadata"]:
        # it repeats the old namespace, into which the next `kubectl apply` must not be led
        mapped = without(mapped, _LAST_APPLIED, lambda _: True)
    return mapped


Rename = Callable[[Any], Any]


def _renamer(mapping: NamespaceMapping) -> Rename:
    def rename(name: Any) -> Any:  # noqa: ANN401 - whatever the object holds there
        return mapping.get(name, name) if isinstance(name, str) else name

    return rename


def _map_subject(subject: KubeObject, rename: Rename) -> KubeObject:
    kind = subject.get("kind")
    if kind == "ServiceAccount":
        return replaced(subject, ("namespace",), rename)  # type: ignore[no-any-return]
    if kind in {"User", "Group"}:
        path = (str(kind).lower(), "name") if str(kind).lower() in subject else ("name",)
        mapped: KubeObject = replaced(subject, path, lambda name: _map_account(name, rename))
        return mapped
    return subject


def _map_account(account: object, rename: Rename) -> object:
    """Rename the namespace inside of the name of a ServiceAccount, or of all in a namespace."""
    if not isinstance(account, str):
        return account
    if account.startswith(_ACCOUNTS):
        return _ACCOUNTS + rename(account.removeprefix(_ACCOUNTS))
    if account.startswith(_ACCOUNT):
        namespace, colon, name = account.removeprefix(_ACCOUNT).partition(":")
        return f"{_ACCOUNT}{rename(namespace)}{colon}{name}"
    return account


def _map_selector(selector: object, rename: Rename) -> object:
    mapped = replaced(selector, ("matchLabels", NAMESPACE_LABEL), rename)

    def expression(one: KubeObject) -> KubeObject:
        if one.get("key") != NAMESPACE_LABEL:
            return one
        changed: KubeObject = replaced(one, ("values", EACH), rename)
        return changed

    return replaced(mapped, ("matchExpressions", EACH), expression)


def _map_pod(one: KubeObject, pod: Path, rename: Rename) -> KubeObject:
    for affinity, which, when in _TERM_LISTS:
        terms = (*pod, affinity, which, *when)
        one = replaced(one, (*terms, "namespaces", EACH), rename)
        one = replaced(
            one, (*terms, "namespaceSelector"), lambda selector: _map_selector(selector, rename)
        )
    return one


def _map_parameters(parameters: object, rename: Rename) -> object:
    if not isinstance(parameters, dict):
        return parameters
    return {
        key: rename(value) if key.endswith(_SECRET_NAMESPACE) else value
        for key, value in parameters.items()
    }
