"""Troubles that a user can mend: of the program itself, and of what an engine's spec names."""

from backup_operator.decisions.facts import Trouble


class ExpectedError(Exception):
    """Trouble that its message explains: which object, what is wrong, what to do."""


class AccessError(Exception):
    """An engine cannot be reached for a reason that its spec, a Secret or a role has."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble
