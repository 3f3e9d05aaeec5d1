"""Which kinds a capture lists: from aggregated discovery to an ordered list. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.archive.manifest import Skipped
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.policy import STRICT, Gap, SuccessPolicy
from backup_engine.capture.scope import (
    EVERYTHING,
    CaptureScope,
    find_misses,
    has_glob,
    split_name,
)

DISCOVERY_PATHS: Final = ("/api", "/apis")
DISCOVERY_ACCEPT: Final = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
WHOLE_VERSION: Final = "*"
ANY_VERSION: Final = "*"

CUSTOM_RESOURCE_DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
NAMESPACES: Final = ("", "namespaces")

_FIRST_RESTORED: Final = (CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES)

_EPHEMERAL: Final = {
    ("", "componentstatuses"): "computed by the server on every read; nothing is stored",
    ("", "events"): "short-lived reports of the past; a restore could not use them",
    ("events.k8s.io", "events"): "the same objects as the core events",
    ("coordination.k8s.io", "leases"): "held by running processes and renewed every few seconds",
    ("coordination.k8s.io", "leasecandidates"): "offered by running processes, as leases are",
    ("backup-operator.io", "backups"): "requests already met; restored, they would be made again",
    ("backup-operator.io", "restores"): "requests already met; restored, they would be made again",
}
_EPHEMERAL_GROUPS: Final = {
    "metrics.k8s.io": "measurements of this moment",
    "custom.metrics.k8s.io": "measurements of this moment",
    "external.metrics.k8s.io": "measurements of this moment",
}
_MIRRORS: Final = {  # group, resource: the place that stores these objects
    ("extensions", "daemonsets"): ("apps", "daemonsets"),
    ("extensions", "deployments"): ("apps", "deployments"),
    ("extensions", "replicasets"): ("apps", "replicasets"),
    ("extensions", "ingresses"): ("networking.k8s.io", "ingresses"),
    ("extensions", "networkpolicies"): ("networking.k8s.io", "networkpolicies"),
    ("project.openshift.io", "projects"): NAMESPACES,
    ("authorization.openshift.io", "roles"): ("rbac.authorization.k8s.io", "roles"),
    ("authorization.openshift.io", "rolebindings"): ("rbac.authorization.k8s.io", "rolebindings"),
    ("authorization.openshift.io", "clusterroles"): ("rbac.authorization.k8s.io", "clusterroles"),
    ("authorization.openshift.io", "clusterrolebindings"): (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
    ),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One listable resource at the version it is captured in."""

    group: str
    version: str
    resource: str
    kind: str
    is_namespaced: bool

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return build_api_version(self.group, self.version)

    @property
    def key(self) -> tuple[str, str]:
        """Group and resource: what is the same in every version."""
        return self.group, self.resource

    def path(self, namespace: str | None = None) -> str:
        """Path of the LIST, of all namespaces if None."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace is not None else ""
        return f"{root}{scope}/{self.resource}"


NAMESPACE_KIND: Final = Kind("", "v1", "namespaces", "Namespace", is_namespaced=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One LIST to be made; None as namespace: all of them, or the kind has none."""

    kind: Kind
    namespace: str | None = None
    field_selector: str | None = None
    label_selector: str | None = None
    only: frozenset[str] | None = None  # the namespaces whose objects are kept; None: all


@dataclass(frozen=True, slots=True)
class Discovered:
    """What to list, kinds in restore order, and what is left out."""

    kinds: tuple[Kind, ...]
    skipped: tuple[Skipped, ...]


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _ResponseKind(msgspec.Struct):
    kind: str = ""


class _Resource(msgspec.Struct, rename="camel"):
    resource: str
    scope: str = "Namespaced"
    response_kind: _ResponseKind | None = None
    verbs: list[str] = []


class _Version(msgspec.Struct):
    version: str
    resources: list[_Resource] = []
    freshness: str = "Current"


class _Group(msgspec.Struct):
    metadata: _Metadata = _Metadata()
    versions: list[_Version] = []


class _GroupList(msgspec.Struct):
    kind: str = ""
    items: list[_Group] = []


def build_api_version(group: str, version: str) -> str:
    """Join group and version as ``apiVersion`` does."""
    return f"{group}/{version}" if group else version


def parse_discovery(
    documents: Iterable[bytes],
    scope: CaptureScope = EVERYTHING,
    policy: SuccessPolicy = STRICT,
) -> Discovered:
    """Read the aggregated discovery documents of ``/api`` and ``/apis``.

    A resource is taken at the first version, in its group's own order, that can list it. Raises
    CaptureError: DiscoveryUnsupported if the server does not know aggregated discovery,
    StaleDiscovery if a group is down that belongs into the scope, UnknownKind if the scope includes
    a kind by its name that is not served, and ``policy`` does not let it go.
    """
    groups = [group for document in documents for group in _parse_groups(document)]
    found: dict[tuple[str, str], Kind] = {}
    stale: list[Skipped] = []
    for group in groups:
        for version in group.versions:
            if version.freshness == "Stale":
                stale.append(_judge_stale(group.metadata.name, version.version, scope, policy))
                continue
            for kind in _listable(group.metadata.name, version):
                found.setdefault(kind.key, kind)
    left_out = {
        key: why for key in found if (why := _find_objection(key, found, scope)) is not None
    }
    skipped = [_skipped(found[key], reason, message) for key, (reason, message) in left_out.items()]
    skipped += _judge_absent([*found, *(skip.key for skip in stale)], scope, policy)
    return Discovered(
        kinds=sort_for_restore(kind for key, kind in found.items() if key not in left_out),
        skipped=tuple(sorted(stale + skipped, key=lambda skip: (skip.api_version, skip.resource))),
    )


def sort_for_restore(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    """Put first what other objects need to exist: definitions, then namespaces; the rest A to Z."""

    def rank(kind: Kind) -> tuple[int, str, str]:
        first = kind.key in _FIRST_RESTORED
        place = _FIRST_RESTORED.index(kind.key) if first else len(_FIRST_RESTORED)
        return place, kind.group, kind.resource

    return tuple(sorted(kinds, key=rank))


def build_targets(
    kind: Kind, scope: CaptureScope, namespaces: Sequence[str] | None
) -> tuple[Target, ...]:
    """Build the LISTs of one kind; none if it lies outside of the scope.

    ``namespaces`` are those found to be in scope, None: all. Where the scope names them one by one
    each has LISTs of its own, which needs no right beyond them. Else one LIST of the whole
    cluster is sifted, which is cheaper than a LIST for each of hundreds.
    """
    selector = scope.object_selector.text or None
    is_namespace = kind.key == NAMESPACES  # the objects of a namespace are of no use without it
    if not (kind.is_namespaced or is_namespace):
        return (Target(kind, label_selector=selector),) if scope.takes_cluster_scoped else ()
    if is_namespace:
        selector = None
    if namespaces is None:
        return (Target(kind, label_selector=selector),)
    if scope.named_namespaces is None:
        return (Target(kind, label_selector=selector, only=frozenset(namespaces)),)
    if is_namespace:
        return tuple(Target(kind, field_selector=f"metadata.name={name}") for name in namespaces)
    return tuple(Target(kind, name, label_selector=selector) for name in namespaces)


def build_scope_skip(kind: Kind) -> Skipped:
    """Build the note that the scope has no kinds without namespace."""
    return _skipped(
        kind, "OutsideScope", "the kind has no namespace, and the scope has none of those"
    )


def _parse_groups(document: bytes) -> list[_Group]:
    try:
        parsed = msgspec.json.decode(document, type=_GroupList)
    except msgspec.DecodeError as trouble:
        raise CaptureError(
            "UnreadableAnswer", f"the server's discovery document cannot be read: {trouble}"
        ) from trouble
    if parsed.kind != "APIGroupDiscoveryList":
        raise CaptureError(
            "DiscoveryUnsupported",
            f"the server answered discovery with {parsed.kind or 'an object without kind'!r}"
            " instead of APIGroupDiscoveryList; Kubernetes 1.27 or later is needed",
        )
    return parsed.items


def _listable(group: str, version: _Version) -> Iterable[Kind]:
    for resource in version.resources:
        if "list" in resource.verbs and resource.response_kind and resource.response_kind.kind:
            yield Kind(
                group=group,
                version=version.version,
                resource=resource.resource,
                kind=resource.response_kind.kind,
                is_namespaced=resource.scope == "Namespaced",
            )


def _find_objection(
    key: tuple[str, str], found: dict[tuple[str, str], Kind], scope: CaptureScope
) -> tuple[str, str] | None:
    """Return reason and message why a resource is not captured, None if it is."""
    if not scope.has_kind(*key):
        return "OutsideScope", "the scope does not include the kind, or excludes it"
    if scope.has_default_excludes and not scope.has_kind_by_name(*key):
        if key in _EPHEMERAL:
            return "Ephemeral", _EPHEMERAL[key]
        if key[0] in _EPHEMERAL_GROUPS:
            return "Ephemeral", _EPHEMERAL_GROUPS[key[0]]
    if key in _MIRRORS and _MIRRORS[key] in found:
        other = found[_MIRRORS[key]]
        return "Mirror", f"the same objects as {other.resource} of {other.api_version}"
    return None


def _skipped(kind: Kind, reason: str, message: str) -> Skipped:
    return Skipped(
        api_version=kind.api_version,
        resource=kind.resource,
        namespace=None,
        reason=reason,
        message=message,
    )


def _judge_absent(
    known: Collection[tuple[str, str]], scope: CaptureScope, policy: SuccessPolicy
) -> list[Skipped]:
    """Build a note for each kind included by name that is not served, most likely misspelt.

    A glob may well match nothing. Raises CaptureError if the policy does not let one go.
    """
    names = [name for name in scope.include_kinds if not has_glob([name])]
    absent = [(name, *split_name(name)) for name in find_misses(names, known)]
    return [
        policy.judge(
            Gap.UNAVAILABLE,
            group,
            Skipped(
                api_version=build_api_version(group, ANY_VERSION),
                resource=resource,
                namespace=None,
                reason="UnknownKind",
                message=f"kinds.include names {name!r}, and the server has no such kind that could"
                " be listed: correct the name, see kubectl api-resources, or name it in"
                " successPolicy.tolerateUnavailable",
            ),
        )
        for name, group, resource in absent
    ]


def _judge_stale(group: str, version: str, scope: CaptureScope, policy: SuccessPolicy) -> Skipped:
    """Build the note that a version's server is down; raises CaptureError if that is a gap."""
    api_version = build_api_version(group, version)
    skipped = Skipped(
        api_version=api_version,
        resource=WHOLE_VERSION,
        namespace=None,
        reason="StaleDiscovery",
        message=f"the server behind {api_version} does not answer, so its kinds are not known",
    )
    is_ephemeral = scope.has_default_excludes and group in _EPHEMERAL_GROUPS
    if is_ephemeral or not scope.may_have_group(group):
        return skipped
    return policy.judge(Gap.UNAVAILABLE, group, skipped)
