"""Which objects a capture is about: namespaces, kinds, labels. Pure.

A kind is named by a glob. Without a dot it is compared with the resource in any group
(``deployments``), with one with resource and group (``deployments.apps``, ``*.zoo.io``); the core
group has no name, so ``secrets.`` is its Secrets alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from backup_engine.archive.manifest import Policy, Scope
from backup_engine.selectors import LabelSelector

EVERY_LABEL: Final = LabelSelector()
_GLOB: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class CaptureScope:
    """What to capture; as it stands: everything that is worth keeping.

    Namespaces are globs; none included: all of them. A namespace is in scope if it is included, has
    the labels of ``namespace_selector`` and is not excluded. The same holds for kinds, whose globs
    the module describes. ``object_selector`` chooses among objects, Namespaces aside: those go with
    their objects. ``has_cluster_scoped`` None: kinds without namespace are captured unless
    namespaces were included or selected. ``has_default_excludes``: events, leases and the like are
    left out, unless a kind is included by its name without a glob.
    """

    include_namespaces: tuple[str, ...] = ()
    exclude_namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector = EVERY_LABEL
    include_kinds: tuple[str, ...] = ()
    exclude_kinds: tuple[str, ...] = ()
    object_selector: LabelSelector = EVERY_LABEL
    has_cluster_scoped: bool | None = None
    has_default_excludes: bool = True

    @property
    def is_every_namespace(self) -> bool:
        """Whether no namespace is left out."""
        return not (self._chooses_namespaces or self.exclude_namespaces)

    @property
    def named_namespaces(self) -> tuple[str, ...] | None:
        """The namespaces, where they are named one by one; None: the cluster has to be asked."""
        names = self.include_namespaces
        if not names or has_glob(names) or self.namespace_selector.requirements:
            return None
        return tuple(sorted({name for name in names if not self._excludes_namespace(name)}))

    @property
    def takes_cluster_scoped(self) -> bool:
        """Whether kinds without namespace are captured; Namespaces themselves aside."""
        if self.has_cluster_scoped is not None:
            return self.has_cluster_scoped
        return not self._chooses_namespaces

    def has_namespace(self, name: str) -> bool:
        """Tell whether a namespace is in scope, its labels being those that were asked for."""
        included = self.include_namespaces or ("*",)
        return matches_any(name, included) and not self._excludes_namespace(name)

    def has_kind(self, group: str, resource: str) -> bool:
        """Tell whether a kind is in scope."""
        is_included = not self.include_kinds or matches_kind(self.include_kinds, group, resource)
        return is_included and not matches_kind(self.exclude_kinds, group, resource)

    def may_have_group(self, group: str) -> bool:
        """Tell whether a group whose kinds are not known could have any in scope."""
        if matches_kind(self.exclude_kinds, group, "*"):
            return False
        globs = self.include_kinds
        return not globs or any(
            "." not in glob
            or fnmatchcase(group, glob.partition(".")[2])
            or fnmatchcase(f"*.{group}", glob)
            for glob in globs
        )

    def has_kind_by_name(self, group: str, resource: str) -> bool:
        """Tell whether a kind is included without a glob, which beats the default excludes."""
        exact = [glob for glob in self.include_kinds if not has_glob([glob])]
        return matches_kind(exact, group, resource)

    def describe(self, namespaces: Sequence[str] | None) -> Scope:
        """Build the manifest's account; ``namespaces`` as they were found, None: all."""
        return Scope(
            namespaces=tuple(namespaces) if namespaces is not None else None,
            include_namespaces=self.include_namespaces,
            exclude_namespaces=self.exclude_namespaces,
            namespace_selector=self.namespace_selector.text,
            include_kinds=self.include_kinds,
            exclude_kinds=self.exclude_kinds,
            object_selector=self.object_selector.text,
            has_cluster_scoped=self.takes_cluster_scoped,
            has_default_excludes=self.has_default_excludes,
        )

    @property
    def _chooses_namespaces(self) -> bool:
        return bool(self.include_namespaces or self.namespace_selector.requirements)

    def _excludes_namespace(self, name: str) -> bool:
        return matches_any(name, self.exclude_namespaces)


EVERYTHING: Final = CaptureScope()


def matches_kind(globs: Iterable[str], group: str, resource: str) -> bool:
    """Tell whether any of ``globs`` names the kind; resource ``*`` is a whole group."""
    return any(
        fnmatchcase(f"{resource}.{group}" if "." in glob else resource, glob) for glob in globs
    )


def find_misses(globs: Iterable[str], kinds: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Find the globs that name none of ``kinds`` (group, resource): most likely misspelt.

    Of a group whose kinds are not known (resource ``*``) any glob may mean one.
    """
    unknown = [group for group, resource in kinds if resource == "*"]

    def may_be_unknown(glob: str) -> bool:
        group = glob.partition(".")[2]
        return any("." not in glob or fnmatchcase(one, group) for one in unknown)

    return tuple(
        glob
        for glob in globs
        if not may_be_unknown(glob) and not any(matches_kind([glob], *kind) for kind in kinds)
    )


def split_name(name: str) -> tuple[str, str]:
    """Split ``resource.group`` into group and resource; without a dot the group is empty."""
    resource, _, group = name.partition(".")
    return group, resource


def list_misses(scope: Scope, policy: Policy, kinds: Collection[tuple[str, str]]) -> list[str]:
    """Explain, for people, each kind that scope or policy name and that no cluster kind matches.

    One that is included and, by the policy, may be unavailable is meant to be: it is no miss.
    """
    absent = map(split_name, find_misses(scope.include_kinds, kinds))
    kinds = [*kinds, *(kind for kind in absent if matches_kind(policy.tolerate_unavailable, *kind))]
    named = {
        "kinds.include": scope.include_kinds,
        "kinds.exclude": scope.exclude_kinds,
        "successPolicy.tolerateForbidden": policy.tolerate_forbidden,
        "successPolicy.tolerateUnavailable": policy.tolerate_unavailable,
        "successPolicy.tolerateFailed": policy.tolerate_failed,
    }
    return [
        f"{where}: {glob!r} names no kind that could be captured; expected such as"
        " 'deployments.apps' or '*.zoo.io', see kubectl api-resources"
        for where, globs in named.items()
        for glob in find_misses(globs, kinds)
    ]


def matches_any(name: str, globs: Iterable[str]) -> bool:
    """Tell whether ``name`` matches one of ``globs``."""
    return any(fnmatchcase(name, glob) for glob in globs)


def has_glob(names: Collection[str]) -> bool:
    """Tell whether any of ``names`` stands for more than itself."""
    return any(_GLOB & set(name) for name in names)
