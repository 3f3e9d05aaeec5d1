"""What a volume may be restored to. Apart from the other models, for movers load it alone."""

from enum import StrEnum


class TargetState(StrEnum):
    """What is at the place that a volume is to be restored to.

    PRESENT: a claim is there; whether it is empty is seen only once a mover has it mounted.
    """

    ABSENT = "ABSENT"
    EMPTY = "EMPTY"
    NOT_EMPTY = "NOT_EMPTY"
    PRESENT = "PRESENT"
