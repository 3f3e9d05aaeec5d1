"""Paths into objects, and copies of objects that differ along one path only. Pure."""

from collections.abc import Callable
from typing import Any, Final

EACH: Final = "*"
"""A step of a path that stands for every item of a list, or every value of an object."""

Path = tuple[str, ...]


def find_at(node: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return what lies at ``path`` (without EACH), None if nothing does."""
    for step in path:
        if not isinstance(node, dict):
            return None
        node = node.get(step)
    return node


def without(node: Any, path: Path, unwanted: Callable[[Any], bool]) -> Any:  # noqa: ANN401
    """Return ``node`` less the unwanted values at ``path``; shares what did not change.

    An object or list that loses its last member on that account is dropped, too.
    """
    step, rest = path[0], path[1:]
    if step == EACH:
        return _without_each(node, rest, unwanted)
    if not isinstance(node, dict) or step not in node:
        return node
    child = node[step]
    if rest:
        changed = without(child, rest, unwanted)
        if changed is child or changed:
            return node if changed is child else {**node, step: changed}
    elif not unwanted(child):
        return node
    return {name: value for name, value in node.items() if name != step}


def _without_each(node: Any, rest: Path, unwanted: Callable[[Any], bool]) -> Any:  # noqa: ANN401
    if isinstance(node, dict):
        for name in node:
            node = without(node, (name, *rest), unwanted)
        return node
    if not isinstance(node, list):
        return node
    if not rest:
        kept = [item for item in node if not unwanted(item)]
        return kept if len(kept) != len(node) else node
    changed = [without(item, rest, unwanted) for item in node]
    same = all(new is old for new, old in zip(changed, node, strict=True))
    return node if same else changed


def replaced(node: Any, path: Path, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Return ``node`` with ``change`` applied to each value at ``path``; shares the rest."""
    if not path:
        return change(node)
    step, rest = path[0], path[1:]
    if step == EACH:
        if isinstance(node, list):
            return [replaced(item, rest, change) for item in node]
        if isinstance(node, dict):
            return {name: replaced(value, rest, change) for name, value in node.items()}
        return node
    if not isinstance(node, dict) or step not in node:
        return node
    return {**node, step: replaced(node[step], rest, change)}
