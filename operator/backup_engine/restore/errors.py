"""Why a restore could not be planned or went no further.

RestoreError          nothing more can be done; what was restored stays
├── PlanChangedError  the plan that was approved is not the plan of this moment
└── WriteRefusedError one object was refused; the others go on
"""


class RestoreError(Exception):
    """A restore ended early.

    ``reason`` is a stable CamelCase word (Unauthorized, ClusterUnreachable, MappingCollision); the
    text names the object or place, what was found and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class PlanChangedError(RestoreError):
    """Archive, cluster or options differ from what somebody approved; nothing was changed."""

    def __init__(self, approved: str, found: str) -> None:
        super().__init__(
            "PlanChanged",
            f"the plan approved is {approved}, but the plan of this moment is {found}: look at the"
            " new plan and approve that one",
        )


class WriteRefusedError(RestoreError):
    """The server refused one write for good; ``status`` is its HTTP status, 0: no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.status = status
