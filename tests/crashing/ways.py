"""The ways that objects go, and what must have become of each, whoever dies on it."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fixtures.scene import Scene

Act = Callable[[Scene, str], Coroutine[Any, Any, None]]
End = Callable[[Scene, str], Coroutine[Any, Any, str]]

Count = Callable[[Scene], Coroutine[Any, Any, int]]

WITHIN_S = 60.0  # of a busy machine


@dataclass(frozen=True)
class Way:
    """One way of one object.

    ``steps`` are the requests that may be the last one; one that is not met fails the test.
    ``count`` says how much there is at the engine of what the way must make ``makes`` of.
    """

    kind: str
    name: str
    steps: tuple[str, ...]
    prepare: Act
    trigger: Act
    finish: End
    right: str
    count: Count
    makes: int = 1
    occurrences: dict[str, int] = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    """Steps that belong to other ways, of this object later or of one that it makes."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


async def nothing(scene: Scene, name: str) -> None:
    """Begin from nothing."""


async def count_backups(scene: Scene) -> int:
    """How many backups the appliance has ever had."""
    return scene.appliance.state.peek_id()
