"""What the process that starts a sandbox tells the supervisor."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from backup_sandbox.node.start import NodePlan

DETACH = b"d"  # on the tie: from now on the sandbox outlives whoever started it


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run; ``port`` None means any free one."""

    root: str
    binaries: dict[str, str]
    port: int | None
    has_controllers: bool
    has_audit: bool
    crds: list[str]
    tie: int  # file descriptor to read
    report: int  # file descriptor to write
    node: NodePlan | None = None

    def to_json(self) -> str:
        """Return the plan as the supervisor's one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan out of the supervisor's one argument."""
        stored = json.loads(text)
        node = stored.pop("node")
        return cls(**stored, node=NodePlan(**node) if node else None)
