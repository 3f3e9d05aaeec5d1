"""An object with a status, and what is to be concluded of it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """An object, and what every tool ought to conclude of it."""

    name: str
    body: dict[str, Any]
    expected: str
