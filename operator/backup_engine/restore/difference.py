"""What differs between two objects, field by field. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from backup_engine.restore.identity import KindKey, KubeObject

REDACTED: Final = "(secret)"
CHANGED: Final = "(secret, changed)"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SECRETS: Final[KindKey] = ("", "secrets")
_SECRET_ROOTS: Final = (("data",), ("stringData",), ("metadata", "annotations", _LAST_APPLIED))


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: ``path`` is a JSON pointer (RFC 6901); None: the field is absent."""

    path: str
    old: Any
    new: Any


def list_changes(
    live: KubeObject, wanted: KubeObject, kind: KindKey, *, is_exact: bool
) -> tuple[FieldChange, ...]:
    """Return what has to change for ``live`` to hold ``wanted``, in the order of paths.

    Null is the same as absence; an empty selector is not: it selects everything. ``is_exact``:
    members that only ``live`` has count, too. Lists are compared as a whole unless they are equally
    long. Values of Secrets are never part of the answer.
    """
    found = list(_walk((), live, wanted, is_exact))
    if kind == _SECRETS:
        found = [(path, *_redact(path, old, new)) for path, old, new in found]
    changes = [FieldChange(_pointer(path), old, new) for path, old, new in found]
    return tuple(sorted(changes, key=lambda change: change.path))


def _walk(
    path: tuple[str, ...],
    old: Any,  # noqa: ANN401 - any JSON
    new: Any,  # noqa: ANN401 - any JSON
    is_exact: bool,
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if _is_same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in new:
            yield from _walk((*path, name), old.get(name), new[name], is_exact)
        if is_exact:
            for name in old.keys() - new.keys():
                yield from _walk((*path, name), old[name], None, is_exact)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _walk((*path, str(number)), before, after, is_exact)
    elif is_exact or new is not None:
        yield path, old, new


def _is_same(old: object, new: object) -> bool:
    """Compare without taking 1 for true."""
    return type(old) is type(new) and not isinstance(old, dict | list) and old == new


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def _redact(path: tuple[str, ...], old: object, new: object) -> tuple[object, object]:
    """Hide what lies in, or above, the secret members of a Secret."""
    is_secret = any(
        path[: len(root)] == root or root[: len(path)] == path for root in _SECRET_ROOTS
    )
    if not is_secret:
        return old, new
    before = None if old is None else REDACTED
    after = None if new is None else CHANGED if before else REDACTED
    return before, after
