"""Read the spec and the status of a raw object: the one strictly, the other as far as it goes."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from backup_operator.resources.errors import InvalidSpecError, build_problem, join_path
from backup_operator.resources.parts import ResourcePart, describe, plain

Part = TypeVar("Part", bound=ResourcePart)


def parse_spec(model: type[Part], body: Mapping[str, Any]) -> Part:
    """Read ``body["spec"]``; raises InvalidSpecError with every broken rule."""
    try:
        return model.model_validate(plain(body.get("spec") or {}))
    except ValidationError as findings:
        problems = [build_problem(error, "spec") for error in findings.errors()]
        raise InvalidSpecError(describe(body), problems) from None


def read_status(model: type[Part], body: Mapping[str, Any]) -> tuple[Part, tuple[str, ...]]:
    """Read ``body["status"]`` without ever failing, and return the paths that were left out.

    What breaks a rule counts as absent, as little of it as possible: a member that has a default
    goes alone, one without takes its surroundings with it, and an item of a list goes whole. Every
    member of ``model`` itself must have a default.
    """
    stored = plain(body.get("status") or {})
    if not isinstance(stored, dict):
        return model(), ("status",)
    unreadable: set[str] = set()
    while True:
        try:
            return model.model_validate(stored), tuple(sorted(unreadable))
        except ValidationError as findings:
            paths = {_removable(error["type"], error["loc"], stored) for error in findings.errors()}
            if () in paths:  # nothing smaller than the whole can be blamed
                return model(), ("status",)
            # From the back, for the removal of an item moves those behind it.
            for path in sorted(paths, key=_index, reverse=True):
                unreadable.add(join_path(("status", *path)))
                _remove(stored, path)


def _removable(kind: str, path: tuple[int | str, ...], stored: object) -> tuple[int | str, ...]:
    """Shorten ``path`` to what is stored: a missing member condemns what should have held it."""
    path = path[:-1] if kind == "missing" else path
    existing: list[int | str] = []
    holder: Any = stored
    for step in path:
        try:
            holder = holder[step]
        except (KeyError, IndexError, TypeError):
            break
        existing.append(step)
        if isinstance(step, int):
            break
    return tuple(existing)


def _index(path: tuple[int | str, ...]) -> int:
    """Return the place of a list item in its list, -1 for anything else."""
    return path[-1] if isinstance(path[-1], int) else -1


def _remove(stored: dict[str, Any], path: tuple[int | str, ...]) -> None:
    holder: Any = stored
    try:
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
    except (KeyError, IndexError):  # its surroundings were already removed
        return
