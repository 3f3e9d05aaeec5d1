"""How objects and kinds are named throughout a restore."""

from dataclasses import dataclass
from typing import Any

KubeObject = dict[str, Any]
"""One Kubernetes object as parsed JSON."""

KindKey = tuple[str, str]
"""API group and resource: what stays the same in every version, such as apps, deployments."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """One object of a cluster; None as namespace: its kind has none."""

    api_version: str
    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace is not None else ""
        return f"{self.kind} {place}{self.name}"


def split_api_version(api_version: str) -> tuple[str, str]:
    """Split ``apps/v1`` into group and version; the core group is the empty text."""
    group, _, version = api_version.rpartition("/")
    return group, version
